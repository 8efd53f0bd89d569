/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a node leaves nothing behind: no descriptor, thread, mapping or memory, however often nodes come and go in a
 * process whose other nodes work on.
 *
 * Method: two nodes call each other all the time; beside them one node after the other is created, started, called
 * once and destroyed, on each backend, plain and over TLS.  What the process holds after a few of them, it must hold
 * after all; its memory is looked at where no sanitizer keeps some.  `test_lives 10000` does as many of each kind, and
 * prints how long one took. */
#include <dirent.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/assert.h"
#include "engine/base/limits.h"
#include "tests/integration/node_host.h"
#include "tests/integration/over_backends.h"

#define LIVES_DEFAULT 75u
#define WARM_UP 20u
/* What the allocator may keep and the page cache of the process may differ by, however many lives there were. */
#define MEMORY_BYTES_MOST (INT64_C(2) << 20)

static uint32_t lives_count = LIVES_DEFAULT;

/* What the process holds. */
struct holdings {
    uint32_t descriptors;
    uint32_t threads;
    uint32_t mappings;
    int64_t resident_bytes;
};

static uint32_t count_entries(const char *path)
{
    uint32_t count = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static struct holdings holdings_now(void)
{
    struct holdings now = {0};
    char line[512];
    malloc_trim(0);
    now.descriptors = count_entries("/proc/self/fd");
    now.threads = count_entries("/proc/self/task");
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        now.mappings++;
    }
    fclose(maps);
    FILE *statm = fopen("/proc/self/statm", "r");
    assert_non_null(statm);
    long long pages = 0;
    assert_int_equal(fscanf(statm, "%*s %lld", &pages), 1);
    fclose(statm);
    now.resident_bytes = pages * sysconf(_SC_PAGESIZE);
    return now;
}

/* Two nodes that call each other until the end: each answer starts the next call. */
struct busy {
    struct host a;
    struct host b;
    uint64_t calls; /* on a's shard */
    uint64_t failures;
    bool over; /* set by the test, read relaxed */
};

static void busy_answered(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct busy *busy = ctx;
    (void)reply;
    __atomic_fetch_add(&busy->calls, 1, __ATOMIC_RELAXED);
    if (err != WEFT_OK && !__atomic_load_n(&busy->over, __ATOMIC_RELAXED)) {
        __atomic_fetch_add(&busy->failures, 1, __ATOMIC_RELAXED);
    }
}

static void busy_call(void *ctx, weft_shard *shard)
{
    struct busy *busy = ctx;
    static const uint8_t payload[100];
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.wait_for_peer = true;
    enum weft_err err = weft_call(shard, (weft_peer_id){1}, VERB_ECHO, (struct weft_span){payload, sizeof payload},
                                  &options, busy_answered, busy);
    if (err != WEFT_OK && !__atomic_load_n(&busy->over, __ATOMIC_RELAXED)) {
        __atomic_fetch_add(&busy->failures, 1, __ATOMIC_RELAXED);
    }
}

static struct weft_timer busy_timer;

static void busy_tick(void *ctx, weft_shard *shard)
{
    busy_call(ctx, shard);
    weft_timer_start(shard, &busy_timer, 500000, busy_tick, ctx);
}

static void busy_start(struct busy *busy, const char *backend)
{
    memset(busy, 0, sizeof *busy);
    memset(&busy_timer, 0, sizeof busy_timer);
    host_pair_init(&busy->a, &busy->b, backend);
    host_start(&busy->b);
    assert_int_equal(weft_node_create(&busy->a.node, &busy->a.options, NULL), WEFT_OK);
    assert_int_equal(weft_node_start(busy->a.node, busy_tick, busy, NULL), WEFT_OK);
}

static void busy_end(struct busy *busy)
{
    __atomic_store_n(&busy->over, true, __ATOMIC_RELAXED);
    host_fini(&busy->a);
    host_fini(&busy->b);
    assert_true(busy->calls > 0);
    assert_int_equal(busy->failures, 0);
}

/* One life: as short as it can be with everything in it. */
static void live(struct host *host)
{
    host_start(host);
    host->line_count = 0;
    host_stop(host);
    host->line_count = 0;
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void expect_flat(const struct holdings *before, const struct holdings *after)
{
    assert_int_equal(after->descriptors, before->descriptors);
    assert_int_equal(after->threads, before->threads);
#if !defined(WEFT_DEBUG) /* a sanitizer keeps what was freed, and its own books */
    assert_true(after->mappings <= before->mappings + lives_count / 2); /* neighbours merge and part */
    assert_true(after->resident_bytes - before->resident_bytes < MEMORY_BYTES_MOST);
#endif
}

static void lives(const char *backend, bool tls)
{
    static struct busy busy;
    static struct host host;
    static struct host_tls paths;
    struct authority authority = {0};
    host_init(&host, 3, backend);
    host.options.memory_per_shard_bytes = 64u << 20;
    host_knows(&host, &host, "dc1", "r1");
    if (tls) {
        authority_open(&authority);
        authority_ca(&authority, "ca");
        authority_node(&authority, "node", "ca");
        host_use_tls(&host, &paths, &authority, "node", "ca");
        host.options.encryption = WEFT_ENCRYPTION_ALL;
    }
    busy_start(&busy, backend);
    for (uint32_t i = 0; i < WARM_UP; i++) {
        live(&host);
    }
    while (__atomic_load_n(&busy.calls, __ATOMIC_RELAXED) < 3 * RECV_BUFS_DEFAULT) { /* its buffers are touched now */
        live(&host);
    }
    struct holdings before = holdings_now();
    uint64_t begun_us = now_us();
    for (uint32_t i = 0; i < lives_count; i++) {
        live(&host);
    }
    uint64_t took_us = now_us() - begun_us;
    struct holdings after = holdings_now();
    print_message("%s%s: %u lives, %.2f ms each; %u descriptors, %u threads, %u mappings, %lld KiB resident; before "
                  "%u, %u, %u, %lld\n",
                  backend, tls ? " over TLS" : "", lives_count, (double)took_us / 1000 / lives_count, after.descriptors,
                  after.threads, after.mappings, (long long)(after.resident_bytes >> 10), before.descriptors,
                  before.threads, before.mappings, (long long)(before.resident_bytes >> 10));
    expect_flat(&before, &after);
    busy_end(&busy);
    host_fini(&host);
    authority_close(&authority);
}

static void nodes__one_after_the_other_beside_busy_ones__leave_nothing(void **state)
{
    lives(*state, false);
}

static void nodes__with_tls__leave_nothing(void **state)
{
    lives(*state, true);
}

int main(int argc, char **argv)
{
    static const struct backend_test tests[] = {
        BACKEND_TEST(nodes__one_after_the_other_beside_busy_ones__leave_nothing),
        BACKEND_TEST(nodes__with_tls__leave_nothing),
    };
    if (argc > 1) {
        lives_count = (uint32_t)strtoul(argv[1], NULL, 10);
    }
    return over_backends(tests, sizeof tests / sizeof tests[0], NULL, NULL);
}
