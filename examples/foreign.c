/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that is no shard: weft's threads run the shards, and the main thread calls by way of them and gets the
 * replies on a queue of its own.
 *
 *   cc foreign.c $(pkg-config --cflags --libs weft) -o foreign && ./foreign
 *
 * Exit codes: 0 greeted, 1 something failed (one line on stderr says what). */
#include <poll.h>
#include <stdio.h>

#include <weft/weft.h>

#define GREET 1
#define SERVER_ADDRESS "127.0.1.5"
#define CALLS 3

/* What the main thread knows; nobody else touches it. */
struct greetings {
    int ended;
    int greeted;
};

static void on_greet(void *ctx, weft_request *request)
{
    (void)ctx;
    weft_reply(request, weft_request_payload(request));
}

/* Inside of weft_foreign_run, on the main thread. */
static void on_reply(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct greetings *greetings = ctx;
    greetings->ended++;
    if (err) {
        fprintf(stderr, "%s: %s\n", weft_err_name(err), reply->error.text);
    } else {
        greetings->greeted++;
        printf("%.*s\n", (int)reply->payload.bytes, (const char *)reply->payload.data);
    }
}

static enum weft_err node_start(weft_node **node, const struct weft_node_options *options, struct weft_error *why)
{
    enum weft_err err = weft_node_create(node, options, why);
    if (!err) {
        err = weft_node_handle(*node, GREET, on_greet, NULL, why);
    }
    return err ? err : weft_node_start(*node, NULL, NULL, why);
}

static enum weft_err greet(weft_node *node, weft_peer_id server, struct greetings *greetings, struct weft_error *why)
{
    weft_foreign *foreign;
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.wait_for_peer = true;
    enum weft_err err = weft_foreign_create(node, NULL, &foreign, why);
    if (err) {
        return err;
    }
    int started = 0;
    while (!err && started < CALLS) {
        err = weft_foreign_call(foreign, 0, server, GREET, weft_span_of("hello from outside"), &options, on_reply,
                                greetings);
        started += !err;
    }
    while (greetings->ended < started) {
        struct pollfd watched = {.fd = weft_foreign_fd(foreign), .events = POLLIN};
        poll(&watched, 1, -1);
        weft_foreign_run(foreign, 100);
    }
    weft_foreign_destroy(foreign);
    return err;
}

int main(void)
{
    struct weft_error why = {0};
    struct greetings greetings = {0};
    weft_node *server = NULL;
    weft_node *client = NULL;
    struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    options.shards = "1";
    options.listen_address = SERVER_ADDRESS;
    enum weft_err err = node_start(&server, &options, &why);
    options.client_only = true;
    options.peers = &peer;
    options.peer_count = 1;
    peer.addresses[0] = SERVER_ADDRESS;
    if (!err) {
        err = node_start(&client, &options, &why);
    }
    if (!err) {
        err = greet(client, weft_node_peer_find(client, SERVER_ADDRESS), &greetings, &why);
    }
    if (err) {
        fprintf(stderr, "%s: %s\n", weft_err_name(err), why.text);
    }
    weft_node_destroy(client);
    weft_node_destroy(server);
    return greetings.greeted == CALLS ? 0 : 1;
}
