/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes in one program: one serves a verb, the other calls it once, prints the reply and ends.
 *
 *   cc greet.c $(pkg-config --cflags --libs weft) -o greet && ./greet
 *
 * Exit codes: 0 greeted, 1 something failed (one line on stderr says what). */
#include <stdio.h>

#include <weft/weft.h>

#define GREET 1 /* the number of our verb, the same on both sides; ours are below WEFT_VERB_RESERVED */
#define SERVER_ADDRESS "127.0.1.1"

/* What the client's shard needs, and what it found out. */
struct client {
    weft_node *node;
    bool greeted;
};

/* On the server's shard, once per request.  Answer now, or keep the request and answer in a later turn: once. */
static void on_greet(void *ctx, weft_request *request)
{
    (void)ctx;
    weft_reply(request, weft_request_payload(request));
}

/* On the client's shard, exactly once per call that was accepted. */
static void on_reply(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct client *client = ctx;
    if (err) {
        fprintf(stderr, "%s: %s (executed: %s)\n", weft_err_name(err), reply->error.text,
                weft_executed_name(reply->executed));
    } else {
        printf("%.*s\n", (int)reply->payload.bytes, (const char *)reply->payload.data);
        client->greeted = true;
    }
    weft_node_drain(client->node);
}

/* On the client's shard, before anything else there. */
static void on_ready(void *ctx, weft_shard *shard)
{
    struct client *client = ctx;
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.timeout_ms = 5000;
    weft_peer_id server = weft_peer_find(shard, SERVER_ADDRESS);
    enum weft_err err = weft_call(shard, server, GREET, weft_span_of("hello"), &options, on_reply, client);
    if (err) { /* not accepted: on_reply will not run */
        fprintf(stderr, "the call was not accepted: %s\n", weft_err_meaning(err));
        weft_node_drain(client->node);
    }
}

static enum weft_err server_start(weft_node **node, struct weft_error *why)
{
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    options.cluster_name = "greetings";
    options.listen_address = SERVER_ADDRESS; /* port 7000, as storage_port says nothing else */
    options.shards = "1";
    enum weft_err err = weft_node_create(node, &options, why);
    if (!err) {
        err = weft_node_handle(*node, GREET, on_greet, NULL, why);
    }
    return err ? err : weft_node_start(*node, NULL, NULL, why);
}

static enum weft_err client_start(struct client *client, struct weft_error *why)
{
    struct weft_peer_options server = WEFT_PEER_OPTIONS_INIT;
    server.addresses[0] = SERVER_ADDRESS;
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    options.cluster_name = "greetings"; /* another name would be refused: wrong_cluster */
    options.client_only = true;
    options.shards = "1";
    options.peers = &server;
    options.peer_count = 1;
    enum weft_err err = weft_node_create(&client->node, &options, why);
    return err ? err : weft_node_start(client->node, on_ready, client, why);
}

int main(void)
{
    struct weft_error why = {0};
    struct client client = {0};
    weft_node *server = NULL;
    if (server_start(&server, &why) || client_start(&client, &why)) {
        fprintf(stderr, "%s\n", why.text);
    } else {
        weft_node_wait(client.node); /* until on_reply has asked for the end */
    }
    weft_node_destroy(client.node); /* destroying drains, waits and frees; NULL is fine */
    weft_node_destroy(server);
    return client.greeted ? 0 : 1;
}
