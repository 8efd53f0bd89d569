/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/cluster/shard_map.h"

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t shard_map_count(uint32_t shard, uint32_t shards, uint32_t remote)
{
    if (remote == 0) {
        return 1;
    }
    uint32_t period = smaller(shards, remote);
    uint32_t first = shard % period;
    return (remote - first + period - 1) / period;
}

uint32_t shard_map_at(uint32_t shard, uint32_t shards, uint32_t remote, uint32_t place)
{
    if (remote == 0) {
        return SHARD_ANY;
    }
    uint32_t period = smaller(shards, remote);
    return shard % period + place % shard_map_count(shard, shards, remote) * period;
}

uint32_t shard_map_home(uint32_t peer, uint32_t shards)
{
    return (uint32_t)((peer * UINT64_C(0x9e3779b97f4a7c15)) >> 33) % shards;
}
