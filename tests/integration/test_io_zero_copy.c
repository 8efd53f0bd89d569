/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a send without a copy holds its buffers until the kernel says that it reads them no more, whatever happens to
 * the connection meanwhile, and whoever uses them earlier is caught.
 * Method: io_uring over loopback, with a peer that does not read, so that what was accepted stays unconfirmed; and, as
 * root, over a veth pair between two network namespaces of the test's own, with a peer that checks every byte. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/integration/io_world.h"

#define SENDS_MAX 400u
#define SEND_PARTS 4u /* buffers of a send */
#define SEND_TOTAL (SEND_PARTS * SEND_BUF_BYTES)
#define POOL_BUFS (SENDS_MAX * SEND_PARTS)
#define VETH_PORT 21077
#define VETH_BYTES (SEND_TOTAL * 64u)

/* Sends on one socket, each of a pool of their own. */
struct sender {
    struct world *world;
    int32_t socket;
    struct buf_pool pool;
    struct probe probes[SENDS_MAX];
    uint32_t count;
    uint64_t bytes; /* so far */
};

static struct sender *sender_new(struct world *world, int32_t socket)
{
    struct sender *sender = test_calloc(1, sizeof *sender);
    sender->world = world;
    sender->socket = socket;
    assert_int_equal(buf_pool_init(&sender->pool, NULL, POOL_BUFS, SEND_BUF_BYTES), WEFT_OK);
    return sender;
}

/* Send the next bytes of the stream, in so many buffers. */
static struct probe *sender_send_parts(struct sender *sender, uint32_t parts)
{
    assert_true(sender->count < SENDS_MAX);
    struct probe *probe = &sender->probes[sender->count++];
    probe_init(probe, sender->world, IO_SEND, sender->socket);
    probe->op.send.zero_copy = true;
    probe->op.send.count = parts;
    for (uint32_t i = 0; i < parts; i++) {
        struct buf *buf = buf_take(&sender->pool, sender);
        for (uint32_t at = 0; at < SEND_BUF_BYTES; at++) {
            buf->data[at] = pattern(sender->bytes + at);
        }
        buf->end = SEND_BUF_BYTES;
        sender->bytes += SEND_BUF_BYTES;
        probe->op.send.bufs[i] = buf;
    }
    submit(probe);
    return probe;
}

static struct probe *sender_send(struct sender *sender)
{
    return sender_send_parts(sender, SEND_PARTS);
}

static bool sender_idle(const struct sender *sender)
{
    for (uint32_t i = 0; i < sender->count; i++) {
        if (io_op_busy(&sender->probes[i].op)) {
            return false;
        }
    }
    return true;
}

/* Every send has had its last event: the buffers are ours again. */
static void sender_free(struct sender *sender)
{
    for (uint32_t i = 0; i < sender->count; i++) {
        for (uint32_t j = 0; j < sender->probes[i].op.send.count; j++) {
            assert_int_equal(sender->probes[i].op.send.bufs[j]->state, BUF_OWNED);
            buf_give_back(&sender->pool, sender->probes[i].op.send.bufs[j]);
        }
    }
    buf_pool_fini(&sender->pool);
    test_free(sender);
}

static bool zero_copy_here(void)
{
    char text[256];
    bool here = io_uring_probe(text, sizeof text) == WEFT_OK && strstr(text, "zero-copy send") != NULL;
    if (!here) {
        printf("no zero-copy send here: %s\n", text);
    }
    return here;
}

static void expect_held(const struct probe *probe)
{
    assert_int_equal(probe->count, 1);
    assert_int_equal(probe->last, SEND_TOTAL);
    assert_true(probe->more);
    for (uint32_t i = 0; i < SEND_PARTS; i++) {
        const struct buf *buf = probe->op.send.bufs[i];
        assert_int_equal(buf->state, BUF_KERNEL_READS);
#if defined(WEFT_ASAN)
        assert_true(__asan_address_is_poisoned(buf->data));
#endif
    }
}

/* Planted: the buffer is given back although the kernel still reads it. */
static void expect_early_use_caught(struct sender *sender, struct buf *buf)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        buf_give_back(&sender->pool, buf);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* Send until a send was accepted and is not confirmed: the peer does not read. */
static struct probe *sender_fill(struct sender *sender)
{
    for (;;) {
        struct probe *probe = sender_send(sender);
        for (uint32_t turns = 0; turns < 4; turns++) {
            turn(sender->world, 0);
        }
        if (probe->count == 1 && probe->more) {
            return probe;
        }
        assert_int_equal(probe->count, 2);
    }
}

static void zero_copy__loopback__two_events_and_copied(void **state)
{
    struct world *world = *state;
    struct probe receiving;
    int32_t dialed;
    int32_t accepted;
    if (!zero_copy_here()) {
        return;
    }
    pair_open(world, &dialed, &accepted);
    struct sender *sender = sender_new(world, dialed);
    probe_init(&receiving, world, IO_RECV, accepted);
    submit(&receiving);
    struct probe *probe = sender_send(sender);
    RUN_UNTIL(world, !io_op_busy(&probe->op) && receiving.bytes == SEND_TOTAL);
    assert_int_equal(probe->count, 2);
    assert_int_equal(probe->results[0], SEND_TOTAL);
    assert_int_equal(probe->results[1], 0);
    assert_true(probe->copied); /* loopback hands the very bytes on, so it has to */
    stop(&receiving);
    sender_free(sender);
}

static void zero_copy__not_confirmed__held_and_early_use_caught(void **state)
{
    struct world *world = *state;
    struct probe receiving;
    int32_t dialed;
    int32_t accepted;
    if (!zero_copy_here()) {
        return;
    }
    pair_open(world, &dialed, &accepted);
    struct sender *sender = sender_new(world, dialed);
    const struct probe *held = sender_fill(sender);
    expect_held(held);
    expect_early_use_caught(sender, held->op.send.bufs[0]);
    probe_init(&receiving, world, IO_RECV, accepted);
    submit(&receiving);
    while (!sender_idle(sender)) {
        receiving.count = 0;
        turn(world, LIMIT_NS);
    }
    assert_int_equal(held->count, 2);
    while (receiving.bytes < (uint64_t)sender->count * SEND_TOTAL) {
        receiving.count = 0;
        turn(world, LIMIT_NS);
    }
    stop(&receiving);
    sender_free(sender);
}

static void zero_copy__closed_with_a_reset__kernel_lets_go(void **state)
{
    struct world *world = *state;
    struct probe closing;
    int32_t dialed;
    int32_t accepted;
    if (!zero_copy_here()) {
        return;
    }
    pair_open(world, &dialed, &accepted);
    struct sender *sender = sender_new(world, dialed);
    expect_held(sender_fill(sender));
    assert_int_equal(world->sockets[0], dialed);
    world->sockets[0] = world->sockets[--world->sockets_count];
    probe_init(&closing, world, IO_CLOSE, dialed);
    closing.op.close.reset = true;
    submit(&closing);
    RUN_UNTIL(world, sender_idle(sender) && !io_op_busy(&closing.op));
    sender_free(sender);
}

/* Only a send that lies in the registered memory as one piece goes the short way; what arrives is the same. */
static void zero_copy__registered_memory__every_byte_arrives(void **state)
{
    struct world *world = *state;
    struct probe receiving;
    int32_t dialed;
    int32_t accepted;
    if (!zero_copy_here()) {
        return;
    }
    pair_open(world, &dialed, &accepted);
    struct sender *sender = sender_new(world, dialed);
    probe_init(&receiving, world, IO_RECV, accepted);
    submit(&receiving);
    run_idle(world, sender_send_parts(sender, 1));
    assert_int_equal(world->io->counters.registered, 0);
    /* All but the pool's last buffer: the list of free ones begins with the first. */
    uint64_t bytes = (uint64_t)(POOL_BUFS - 1) * SEND_BUF_BYTES;
    if (!world->io->backend->memory_register(world->io, sender->pool.memory, bytes)) {
        printf("skipped: %llu bytes cannot be locked here\n", (unsigned long long)bytes);
    } else {
        struct probe *probe = sender_send_parts(sender, 1);
        run_idle(world, probe);
        assert_int_equal(probe->count, 2);
        assert_int_equal(probe->results[0], SEND_BUF_BYTES);
        assert_int_equal(world->io->counters.registered, 1);
        run_idle(world, sender_send(sender)); /* several pieces */
        assert_int_equal(world->io->counters.registered, 1);
    }
    RUN_UNTIL(world, receiving.bytes == sender->bytes);
    stop(&receiving);
    sender_free(sender);
}

/* --- over a veth pair --- */

/* Run a program with its words, silently.  @return its exit code */
static int run(const char *command)
{
    char text[100];
    char *words[12] = {NULL};
    char *rest = text;
    snprintf(text, sizeof text, "%s", command);
    for (uint32_t i = 0; i < 11 && (words[i] = strsep(&rest, " ")) != NULL; i++) {
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(open("/dev/null", O_RDWR), STDOUT_FILENO);
        dup2(STDOUT_FILENO, STDERR_FILENO);
        execvp(words[0], words);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

static void byte_put(int file)
{
    if (write(file, "", 1) != 1) {
        _exit(3);
    }
}

static void byte_get(int file)
{
    char byte;
    if (read(file, &byte, 1) != 1) {
        _exit(4);
    }
}

/* The other namespace: check every byte.  Never returns. */
static void peer_run(int said, int heard)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(VETH_PORT), .sin_addr.s_addr = INADDR_ANY};
    static uint8_t bytes[65536];
    uint64_t at = 0;
    ssize_t got;
    if (unshare(CLONE_NEWNET) != 0) {
        _exit(5);
    }
    byte_put(said); /* the namespace is there */
    byte_get(heard);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (run("ip addr add 10.77.0.2/24 dev weft1") != 0 || run("ip link set weft1 up") != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1) != 0) {
        _exit(6);
    }
    byte_put(said);
    int stream = accept(listener, NULL, NULL);
    while ((got = read(stream, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < got; i++, at++) {
            if (bytes[i] != pattern(at)) {
                _exit(7);
            }
        }
    }
    _exit(at == VETH_BYTES ? 0 : 8);
}

static void sender_send_and_wait(struct sender *sender)
{
    struct probe *probe = sender_send(sender);
    run_idle(sender->world, probe);
    assert_int_equal(probe->results[0], SEND_TOTAL);
}

static void veth_send(struct world *world, int32_t socket)
{
    struct sender *sender = sender_new(world, socket);
    while (sender->count * SEND_TOTAL < VETH_BYTES / 2) { /* the socket's buffer grows meanwhile */
        sender_send_and_wait(sender);
    }
    assert_int_equal(run("ip link set weft0 down"), 0);
    struct probe *held = sender_send(sender);
    RUN_UNTIL(world, held->count > 0);
    expect_held(held);
    expect_early_use_caught(sender, held->op.send.bufs[0]);
    assert_int_equal(run("ip link set weft0 up"), 0);
    run_idle(world, held);
    while (sender->count * SEND_TOTAL < VETH_BYTES) {
        sender_send_and_wait(sender);
    }
    printf("%u sends, the last one %s\n", sender->count,
           sender->probes[sender->count - 1].copied ? "copied after all" : "not copied");
    fflush(stdout);
    sender_free(sender);
}

/* This process is in a namespace of its own.  @return the peer's exit code */
static int veth_run(struct world *world)
{
    int said[2];
    int heard[2];
    char command[100];
    struct probe dial;
    assert_int_equal(pipe(said), 0);
    assert_int_equal(pipe(heard), 0);
    pid_t peer = fork();
    if (peer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        peer_run(said[1], heard[0]);
    }
    byte_get(said[0]);
    snprintf(command, sizeof command, "ip link set weft1 netns %d", (int)peer);
    assert_int_equal(run("ip link add weft0 type veth peer name weft1"), 0);
    assert_int_equal(run(command), 0);
    assert_int_equal(run("ip addr add 10.77.0.1/24 dev weft0"), 0);
    assert_int_equal(run("ip link set weft0 up"), 0);
    byte_put(heard[1]);
    byte_get(said[0]);
    assert_int_equal(address_parse(&world->address, "10.77.0.2", VETH_PORT), WEFT_OK);
    dial_init(&dial, world);
    submit(&dial);
    run_idle(world, &dial);
    assert_true(dial.last >= 0);
    veth_send(world, dial.last);
    close(dial.last);
    int status = 0;
    assert_int_equal(waitpid(peer, &status, 0), peer);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

static void zero_copy__veth_between_namespaces__every_byte_arrives(void **state)
{
    (void)state;
    if (geteuid() != 0 || run("ip -V") != 0 || !zero_copy_here()) {
        printf("skipped: needs root, the program ip, and zero-copy sends\n");
        skip();
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const struct io_options options = {.recv_bufs = 4, .recv_buf_bytes = 4096, .operations_max = 512};
        struct world world = {.backend = &io_uring_backend, .events_max = EVENTS_MAX};
        if (unshare(CLONE_NEWNET) != 0 || run("ip link add weft9 type veth peer name weft8") != 0) {
            _exit(77);
        }
        _exit(io_uring_backend.open(NULL, &options, &world.io, NULL) == WEFT_OK ? veth_run(&world) : 9);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        printf("skipped: no network namespaces or no veth here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(uring, zero_copy__loopback__two_events_and_copied),
        ON(uring, zero_copy__not_confirmed__held_and_early_use_caught),
        ON(uring, zero_copy__closed_with_a_reset__kernel_lets_go),
        ON(uring, zero_copy__registered_memory__every_byte_arrives),
        cmocka_unit_test(zero_copy__veth_between_namespaces__every_byte_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
