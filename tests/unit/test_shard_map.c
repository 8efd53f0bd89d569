/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every shard of a peer is kept by some shard of this node, none by more than must be, whatever the two numbers.
 * Method: all pairs of numbers up to a limit, counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "topology/cluster/shard_map.h"

#define MOST 20u

static void map__all_pairs_of_numbers__everybody_is_kept(void **state)
{
    (void)state;
    for (uint32_t shards = 1; shards <= MOST; shards++) {
        for (uint32_t remote = 1; remote <= MOST; remote++) {
            uint32_t kept[MOST] = {0};
            uint32_t all = 0;
            uint32_t smaller = shards < remote ? shards : remote;
            for (uint32_t shard = 0; shard < shards; shard++) {
                uint32_t count = shard_map_count(shard, shards, remote);
                assert_true(count >= 1);
                for (uint32_t place = 0; place < count; place++) {
                    uint32_t at = shard_map_at(shard, shards, remote, place);
                    assert_true(at < remote);
                    assert_int_equal(at % smaller, shard % smaller);
                    assert_int_equal(shard_map_at(shard, shards, remote, place + count), at);
                    kept[at]++;
                }
                all += count;
            }
            assert_int_equal(all, shards > remote ? shards : remote);
            for (uint32_t at = 0; at < remote; at++) {
                assert_in_range(kept[at], 1, shards > remote ? (shards + remote - 1) / remote : 1);
            }
        }
    }
}

static void map__peer_unknown__any(void **state)
{
    (void)state;
    assert_int_equal(shard_map_count(3, 4, 0), 1);
    assert_int_equal(shard_map_at(3, 4, 0, 0), SHARD_ANY);
}

static void home__many_peers__spread_over_all_shards(void **state)
{
    (void)state;
    for (uint32_t shards = 1; shards <= MOST; shards++) {
        uint32_t homes[MOST] = {0};
        for (uint32_t peer = 0; peer < 100 * shards; peer++) {
            homes[shard_map_home(peer, shards)]++;
        }
        for (uint32_t shard = 0; shard < shards; shard++) {
            assert_in_range(homes[shard], 50, 150);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map__all_pairs_of_numbers__everybody_is_kept),
        cmocka_unit_test(map__peer_unknown__any),
        cmocka_unit_test(home__many_peers__spread_over_all_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
