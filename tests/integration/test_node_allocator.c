/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: over io_uring and over epoll, with TLS too, a node takes its memory from its host's allocator, gives all of it
 * back with the same sizes, and asks for none while calls are made.
 *
 * Method: two nodes of this process with one counting allocator each; a thousand calls between them, and a foreign
 * thread's handle, after which the books are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/integration/node_host.h"
#include "tests/unit/counting_allocator.h"

#define CALLS 1000u
#define MEMORY_BYTES (UINT64_C(16) << 20)

struct pair {
    struct host hosts[2];
    struct host_tls paths[2];
    struct counting_allocator counting[2];
    struct weft_allocator allocators[2];
    struct authority authority;
};

static void pair_init(struct pair *pair, const char *backend, bool tls)
{
    memset(pair, 0, sizeof *pair);
    host_pair_init(&pair->hosts[0], &pair->hosts[1], backend);
    if (tls) {
        authority_open(&pair->authority);
        authority_ca(&pair->authority, "ca");
        authority_node(&pair->authority, "node", "ca");
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct weft_node_options *options = &pair->hosts[i].options;
        if (tls) {
            host_use_tls(&pair->hosts[i], &pair->paths[i], &pair->authority, "node", "ca");
            options->encryption = WEFT_ENCRYPTION_ALL;
        }
        counting_init(&pair->counting[i], 0);
        pair->allocators[i] = counting_hook(&pair->counting[i]);
        options->allocator = &pair->allocators[i];
        options->memory_per_shard_bytes = MEMORY_BYTES;
        options->connections_max = 64;
        options->calls_max = 64;
        options->requests_max = 64;
        options->peers_max = 8;
    }
}

static void use_foreign(struct pair *pair)
{
    struct counting_allocator *counting = &pair->counting[0];
    weft_foreign *foreign;
    uint64_t before = counting_live_bytes(counting);
    assert_int_equal(weft_foreign_create(pair->hosts[0].node, NULL, &foreign, NULL), WEFT_OK);
    assert_true(counting_live_bytes(counting) > before);
    weft_foreign_destroy(foreign);
    assert_int_equal(counting_live_bytes(counting), before);
}

static void life(const char *backend, bool tls)
{
    static struct pair pair;
    pair_init(&pair, backend, tls);
    host_start(&pair.hosts[1]);
    host_start(&pair.hosts[0]);
    assert_int_equal(host_call_patient(&pair.hosts[0], VERB_ECHO, 1000).err, WEFT_OK);
    uint64_t allocations[2] = {counting_allocations(&pair.counting[0]), counting_allocations(&pair.counting[1])};
    assert_true(counting_live_bytes(&pair.counting[0]) > MEMORY_BYTES / 2);
    for (uint32_t i = 0; i < CALLS; i++) {
        assert_int_equal(host_call(&pair.hosts[0], VERB_ECHO, i, 0).err, WEFT_OK);
    }
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(counting_allocations(&pair.counting[i]), allocations[i]);
    }
    use_foreign(&pair);
    for (uint32_t i = 0; i < 2; i++) {
        host_fini(&pair.hosts[i]);
        counting_expect_empty(&pair.counting[i]);
    }
    authority_close(&pair.authority);
}

static void node__plain__memory_from_the_hook_and_back(void **state)
{
    life(*state, false);
}

static void node__tls__memory_from_the_hook_and_back(void **state)
{
    life(*state, true);
}

#define ALLOCATOR_TEST(name, backend)                                                                                  \
    {                                                                                                                  \
#name " over " backend, name, NULL, NULL, (void *)(uintptr_t)backend                                           \
    }
#define ALLOCATOR_TESTS(backend)                                                                                       \
    ALLOCATOR_TEST(node__plain__memory_from_the_hook_and_back, backend),                                               \
        ALLOCATOR_TEST(node__tls__memory_from_the_hook_and_back, backend)

int main(void)
{
    /* weft_node_start runs the shards' threads. */
    const struct CMUnitTest tests[] = {ALLOCATOR_TESTS("io_uring"), ALLOCATOR_TESTS("epoll")};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
