/* SPDX-License-Identifier: Apache-2.0 */
/* What suites that test TLS implementations drive: they send a request that ends with a blank line, and want some
 * bytes in answer.  The listener, the connections and the record layer are the node's: its engine, its credentials, its
 * rules; only the negotiation and the frames are missing.
 *
 * Happy path: on ssl_storage_port, each blank line is answered with one small record, until the peer closes.
 * Failure modes: a fault of TLS goes the way of a node's: the alert goes out, our direction ends, what still comes is
 * read for a second at most, then the socket is closed.  Each end is one line on standard error.  It runs until a
 * signal ends it. */
#include "cli/tls_echo.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/check_node.h"
#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "engine/net/conn.h"
#include "topology/cluster/node.h"

#define ECHO_ANSWER "weft\r\n\r\n"

/* What ends a request: two line ends in a row, either of which may have a carriage return. */
struct echo_conn {
    struct conn conn; /* first: the connection's slot holds this */
    bool line_ended;  /* the last byte that counts was a line end */
};

_Static_assert(sizeof(struct echo_conn) <= sizeof(struct channel), "a node's slots hold it");

struct echo {
    struct listener listener;
    struct weft_node *node;
    int32_t socket;
};

static void echo_opened(struct conn *conn)
{
    (void)conn;
}

static void echo_received(struct conn *conn, struct weft_span bytes)
{
    struct echo_conn *echo = WEFT_CONTAINER_OF(conn, struct echo_conn, conn);
    const struct weft_span answer = weft_span_of(ECHO_ANSWER);
    for (uint32_t i = 0; i < bytes.bytes && conn_is_open(conn); i++) {
        bool line_end = bytes.data[i] == '\n';
        if (line_end && echo->line_ended && conn_send(conn, answer, (struct weft_span){NULL, 0}) != WEFT_OK) {
            conn_abort(conn, WEFT_ERR_QUEUE_FULL, WEFT_REASON_SEND_OVERFLOW);
        }
        echo->line_ended = bytes.data[i] == '\r' ? echo->line_ended : line_end && !echo->line_ended;
    }
}

static void echo_nothing(struct conn *conn)
{
    (void)conn;
}

static void echo_misdirected(struct conn *conn)
{
    conn_abort(conn, WEFT_ERR_PROTOCOL, WEFT_REASON_PLAINTEXT_ON_TLS_PORT);
}

static void echo_closed(struct conn *conn)
{
    fprintf(stderr, "ended: %s: %s\n", weft_reason_name(conn->error.reason), conn->error.text);
}

static const struct conn_events echo_events = {
    .opened = echo_opened,
    .received = echo_received,
    .drained = echo_nothing,
    .handed = echo_nothing,
    .misdirected = echo_misdirected,
    .closed = echo_closed,
};

static void echo_arrived(struct listener *listener, int32_t socket, const struct address *from)
{
    struct node_shard *share = listener->ctx;
    struct conn *conn;
    struct weft_error why = {0};
    if (conn_accept(&share->net, socket, from, share->factory, &echo_events, &conn, &why) != WEFT_OK) {
        listener_full(listener);
    }
}

static void echo_begin(void *ctx, struct weft_shard *shard)
{
    struct echo *echo = ctx;
    struct node_shard *share = node_shard_of(shard);
    listener_start(&echo->listener, &share->net, echo->socket, echo_arrived, share);
}

static enum weft_err echo_listen(struct echo *echo, struct weft_error *why)
{
    struct address address = echo->node->settings.listen_address;
    struct node_placement placement;
    char text[ADDRESS_TEXT_BYTES];
    bool steered;
    address.port = echo->node->settings.ssl_storage_port;
    WEFT_TRY(node_place(echo->node, &placement, why));
    WEFT_TRY(placement.place.backend->listen(placement.place.host, &address, 1, &echo->socket, &steered, why));
    address_print(&address, text);
    WEFT_TRY(weft_node_start(echo->node, echo_begin, echo, why));
    fprintf(stderr, "I listening tls %s\n", text);
    return WEFT_OK;
}

static enum weft_err echo_run(struct echo *echo, const struct config *config, struct weft_error *why)
{
    struct weft_node_options options = config->options;
    options.client_only = true; /* the listener is ours */
    options.shards = "1";
    options.heartbeat_ms = UINT32_MAX;
    WEFT_TRY(weft_node_create(&echo->node, &options, why));
    if (!node_uses_tls(echo->node)) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "no certificate: there is no TLS to echo");
    }
    return echo_listen(echo, why);
}

int cli_tls_echo(int argc, char **argv)
{
    struct config_report *report = calloc(1, sizeof *report);
    struct config *config = NULL;
    struct echo echo = {.socket = IO_SOCKET_NONE};
    struct weft_error why = {0};
    if (argc != 2 || report == NULL) {
        fprintf(stderr, "Usage: weft tls-echo FILE\n");
        free(report);
        return 2;
    }
    enum weft_err err = check_node_load(&config, argv[1], report, NULL);
    free(report);
    if (err == WEFT_OK) {
        err = echo_run(&echo, config, &why);
        config_destroy(config);
        if (err == WEFT_OK) {
            return weft_node_wait(echo.node);
        }
        fprintf(stderr, "E %s\n", why.text);
    }
    weft_node_destroy(echo.node);
    return 1;
}
