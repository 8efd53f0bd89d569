/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/io/landing.h"

#include <string.h>

#include <netinet/in.h>

#include "engine/base/assert.h"

#define IPV6_NEXT_HEADER_AT 6
#define IPV6_HEADER_BYTES 40

static uint32_t landing_pair_first(const struct landing_range *range, uint32_t shards, uint32_t wanted)
{
    uint32_t first = (range->first + 1u) / 2;
    return first + (wanted + shards - first % shards) % shards;
}

uint32_t landing_pairs(const struct landing_range *range, uint32_t shards, uint32_t wanted)
{
    if (shards == 0 || wanted >= shards || range->last == 0) {
        return 0;
    }
    uint32_t first = landing_pair_first(range, shards, wanted);
    uint32_t last = (range->last - 1u) / 2;
    return first > last ? 0 : (last - first) / shards + 1;
}

uint16_t landing_pair(const struct landing_range *range, uint32_t shards, uint32_t wanted, uint32_t index)
{
    WEFT_ASSERT(index < landing_pairs(range, shards, wanted));
    return (uint16_t)(2 * (landing_pair_first(range, shards, wanted) + index * shards));
}

void landing_program(struct sock_filter program[LANDING_INSTRUCTIONS], uint32_t shards)
{
    WEFT_ASSERT(shards > 0);
    const uint32_t ip = (uint32_t)SKF_NET_OFF;
    const struct sock_filter instructions[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ip), /* 0: the version */
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4, 5, 0), /* to 8 */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 9), /* to 13 */
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ip + IPV6_NEXT_HEADER_AT),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 7), /* extension headers: to 13 */
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ip + IPV6_HEADER_BYTES),
        BPF_STMT(BPF_JMP | BPF_JA, 2),           /* to 10 */
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, ip), /* 8: the length of an IPv4 header, options and all */
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, ip),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 1), /* 10: the source port is in A */
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, shards),
        BPF_STMT(BPF_RET | BPF_A, 0),
        BPF_STMT(BPF_RET | BPF_K, LANDING_NOWHERE), /* 13 */
    };
    _Static_assert(sizeof instructions == LANDING_INSTRUCTIONS * sizeof instructions[0], "the jumps count on it");
    memcpy(program, instructions, sizeof instructions);
}
