/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes on one thread, one calling the other's ECHO with 64 bytes, 128 calls in flight over one connection: what a
 * call costs without a second thread, for tools that count instructions, and for a clock that nobody disturbs.
 *
 *     call_cost sim CALLS      in the simulator; test_call_cost.py counts its instructions under valgrind
 *     call_cost epoll CALLS    over loopback; prints the time of one call, both sides and the kernel together
 *     call_cost io_uring CALLS
 *
 * Any call that fails ends the program with its error. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <weft/node.h>

#include "engine/sim/sim_world.h"
#include "topology/cluster/node.h"

#define VERB_ECHO 2u
#define PAYLOAD_BYTES 64u
#define IN_FLIGHT 128u
/* The best of so many measured parts: what disturbs a run only ever makes it slower. */
#define PARTS 20u
#define SEED 1u
#define CALLS_MAX 100000000ul

struct cost {
    struct sim_world *world; /* NULL: real sockets */
    weft_node *nodes[2];     /* the first one calls */
    struct weft_shard *shards[2];
    uint64_t calls; /* still to be made */
    uint64_t outstanding;
    uint64_t answered;
    uint8_t payload[PAYLOAD_BYTES];
};

static _Noreturn void cost_die(const char *what, const char *text)
{
    fprintf(stderr, "call_cost: %s: %s\n", what, text);
    exit(1);
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void cost_answered(void *ctx, enum weft_err err, const struct weft_reply *reply);

static void cost_issue(struct cost *cost)
{
    struct weft_span payload = {cost->payload, sizeof cost->payload};
    enum weft_err err = weft_call(cost->shards[0], (weft_peer_id){1}, VERB_ECHO, payload, NULL, cost_answered, cost);
    if (err != WEFT_OK) {
        cost_die("weft_call", weft_err_name(err));
    }
    cost->calls--;
    cost->outstanding++;
}

static void cost_answered(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct cost *cost = ctx;
    if (err != WEFT_OK) {
        cost_die("call", reply->error.text);
    }
    cost->outstanding--;
    cost->answered++;
    if (cost->calls > 0) {
        cost_issue(cost);
    }
}

static void cost_fill(void *ctx, weft_shard *shard)
{
    struct cost *cost = ctx;
    (void)shard;
    while (cost->calls > 0 && cost->outstanding < IN_FLIGHT) {
        cost_issue(cost);
    }
}

static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0 || bind(probe, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(probe, (struct sockaddr *)&address, &bytes) != 0) {
        cost_die("socket", "no free port on 127.0.0.1");
    }
    close(probe);
    return ntohs(address.sin_port);
}

static void cost_ready(void *ctx, weft_shard *shard)
{
    (void)ctx;
    (void)shard;
}

static void cost_logged(void *ctx, char level, const char *line)
{
    (void)ctx;
    if (level == 'E') {
        fprintf(stderr, "call_cost: %s\n", line);
    }
}

static void cost_start(struct cost *cost, uint32_t index, uint16_t port, const struct io_backend *backend)
{
    static const char *const addresses[] = {"127.0.0.2", "127.0.0.1"};
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    struct weft_error why = {0};
    weft_node **node = &cost->nodes[index];
    options.listen_address = addresses[index];
    options.log = cost_logged;
    options.storage_port = port;
    options.heartbeat_ms = UINT32_MAX;
    options.busy_poll = true; /* one thread steps both: neither may sleep */
    if (weft_node_create(node, &options, &why) != WEFT_OK || weft_node_handle_standard(*node, &why) != WEFT_OK) {
        cost_die("node", why.text);
    }
    if (index == 0) {
        struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
        weft_peer_id id;
        peer.addresses[0] = addresses[1];
        peer.storage_port = port;
        if (weft_node_peer_add(*node, &peer, &id, &why) != WEFT_OK) {
            cost_die("peer", why.text);
        }
    }
    const struct node_placement placement = {
        .place = backend == NULL ? sim_world_node(cost->world, index) : (struct io_place){.backend = backend},
        .shard_count = 1,
        .driven = true,
    };
    if (node_start_on(*node, &placement, cost_ready, cost, &why) != WEFT_OK) {
        cost_die("start", why.text);
    }
    cost->shards[index] = (*node)->engine->shards[0];
    if (backend == NULL) {
        sim_io_set_user(cost->shards[index]->io, cost->shards[index]);
    }
}

static void cost_step_sockets(struct cost *cost)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (!cost->shards[i]->stop_asked) {
            shard_turn(cost->shards[i]);
        }
    }
}

static void cost_step(struct cost *cost)
{
    if (cost->world == NULL) {
        cost_step_sockets(cost);
        return;
    }
    struct io *io = sim_world_next(cost->world);
    if (io == NULL) {
        cost_die("simulator", "nothing will ever happen again");
    }
    shard_turn(sim_io_user(io));
}

static void cost_run(struct cost *cost, uint64_t calls)
{
    cost->calls = calls;
    if (engine_post(cost->nodes[0]->engine, 0, cost_fill, cost) != WEFT_OK) {
        cost_die("post", "the shard takes no mail");
    }
    while (cost->calls > 0 || cost->outstanding > 0) {
        cost_step(cost);
    }
}

/* The caller first: its end closes the connection, which the other one then need not wait for. */
static void cost_stop(struct cost *cost)
{
    for (uint32_t i = 0; i < 2; i++) {
        weft_node_drain(cost->nodes[i]);
        while (!cost->shards[i]->stop_asked) {
            cost_step(cost);
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        (void)weft_node_wait(cost->nodes[i]);
        weft_node_destroy(cost->nodes[i]);
    }
    if (cost->world != NULL) {
        sim_world_destroy(cost->world);
    }
}

int main(int argc, char **argv)
{
    static struct cost cost;
    const struct io_backend *backend = NULL;
    unsigned long calls = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    bool sim = argc == 3 && strcmp(argv[1], "sim") == 0;
    if (argc == 3 && !sim) {
        backend = strcmp(argv[1], "epoll") == 0      ? &io_epoll_backend
                  : strcmp(argv[1], "io_uring") == 0 ? &io_uring_backend
                                                     : NULL;
    }
    if (calls < IN_FLIGHT || calls > CALLS_MAX || (!sim && backend == NULL)) {
        fprintf(stderr, "usage: call_cost sim|epoll|io_uring CALLS (%u at least)\n", IN_FLIGHT);
        return 2;
    }
    if (sim) {
        struct sim_options options;
        struct weft_error why = {0};
        sim_options_init(&options, SEED);
        if (sim_world_create(&cost.world, &options, &why) != WEFT_OK) {
            cost_die("world", why.text);
        }
    }
    uint16_t port = sim ? 7000 : free_port();
    cost_start(&cost, 1, port, backend);
    cost_start(&cost, 0, port, backend);
    cost_run(&cost, IN_FLIGHT); /* it connects */
    double best_ns = 0;
    for (uint32_t part = 0; part < PARTS; part++) {
        uint64_t begin_ns = clock_ns();
        cost_run(&cost, calls / PARTS);
        double ns = (double)(clock_ns() - begin_ns) / (double)(calls / PARTS);
        best_ns = best_ns == 0 || ns < best_ns ? ns : best_ns;
    }
    printf("%llu calls, %.1f ns each at best\n", (unsigned long long)cost.answered, best_ns);
    cost_stop(&cost);
    return 0;
}
