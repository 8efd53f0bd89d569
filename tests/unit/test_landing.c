/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the program in the kernel and the dialer's arithmetic agree on where a source port lands, whatever stands
 * before the TCP header. Method: a little interpreter of the instructions that the program uses runs it over crafted
 * packets; the arithmetic is compared with counting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/io/landing.h"

#define PACKET_BYTES 128u

/* A packet from its IP header on; everything in it that is not set is 0xee. */
struct packet {
    uint8_t bytes[PACKET_BYTES];
};

static struct packet packet_ipv4(uint32_t header_bytes, uint16_t port)
{
    struct packet packet;
    memset(&packet, 0xee, sizeof packet);
    packet.bytes[0] = (uint8_t)(0x40 | header_bytes / 4);
    packet.bytes[header_bytes] = (uint8_t)(port >> 8);
    packet.bytes[header_bytes + 1] = (uint8_t)port;
    return packet;
}

static struct packet packet_ipv6(uint8_t next_header, uint16_t port)
{
    struct packet packet;
    memset(&packet, 0xee, sizeof packet);
    packet.bytes[0] = 0x6e; /* the traffic class begins in this byte */
    packet.bytes[6] = next_header;
    packet.bytes[40] = (uint8_t)(port >> 8);
    packet.bytes[41] = (uint8_t)port;
    return packet;
}

/* The kernel reads big-endian, at offsets from SKF_NET_OFF on; the program reads nothing else. */
static uint32_t packet_read(const struct packet *packet, uint32_t offset, uint32_t bytes)
{
    uint32_t at = offset - (uint32_t)SKF_NET_OFF;
    uint32_t value = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        assert_true(at + i < PACKET_BYTES);
        value = value << 8 | packet->bytes[at + i];
    }
    return value;
}

static uint32_t program_run(const struct sock_filter *program, const struct packet *packet)
{
    uint32_t a = 0;
    uint32_t x = 0;
    for (uint32_t at = 0; at < LANDING_INSTRUCTIONS; at++) {
        const struct sock_filter *now = &program[at];
        switch (now->code) {
        case BPF_LD | BPF_B | BPF_ABS:
            a = packet_read(packet, now->k, 1);
            break;
        case BPF_LD | BPF_H | BPF_ABS:
            a = packet_read(packet, now->k, 2);
            break;
        case BPF_LD | BPF_H | BPF_IND:
            a = packet_read(packet, now->k + x, 2);
            break;
        case BPF_LDX | BPF_B | BPF_MSH:
            x = (packet_read(packet, now->k, 1) & 0xf) * 4;
            break;
        case BPF_ALU | BPF_RSH | BPF_K:
            a >>= now->k;
            break;
        case BPF_ALU | BPF_MOD | BPF_K:
            a %= now->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += a == now->k ? now->jt : now->jf;
            break;
        case BPF_JMP | BPF_JA:
            at += now->k;
            break;
        case BPF_RET | BPF_A:
            return a;
        case BPF_RET | BPF_K:
            return now->k;
        default:
            fail_msg("instruction %u is unknown: %04x", at, now->code);
        }
    }
    fail_msg("the program runs over its end");
    return 0;
}

static void program__any_header__picks_by_source_port(void **state)
{
    static const uint32_t counts[] = {1, 2, 3, 7, 64, 256};
    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        struct sock_filter program[LANDING_INSTRUCTIONS];
        landing_program(program, counts[c]);
        for (uint32_t port = 1; port <= UINT16_MAX; port += 97) {
            uint32_t expected = port / 2 % counts[c];
            assert_int_equal(landing_shard((uint16_t)port, counts[c]), expected);
            for (uint32_t header_bytes = 20; header_bytes <= 60; header_bytes += 4) {
                struct packet packet = packet_ipv4(header_bytes, (uint16_t)port);
                assert_int_equal(program_run(program, &packet), expected);
            }
            struct packet packet = packet_ipv6(6, (uint16_t)port);
            assert_int_equal(program_run(program, &packet), expected);
        }
    }
}

static void program__no_tcp_header_found__left_to_the_kernel(void **state)
{
    struct sock_filter program[LANDING_INSTRUCTIONS];
    struct packet hop_by_hop = packet_ipv6(0, 40000);
    struct packet fragment = packet_ipv6(44, 40000);
    struct packet strange = packet_ipv4(20, 40000);
    (void)state;
    landing_program(program, 4);
    strange.bytes[0] = 0x55;
    assert_int_equal(program_run(program, &hop_by_hop), LANDING_NOWHERE);
    assert_int_equal(program_run(program, &fragment), LANDING_NOWHERE);
    assert_int_equal(program_run(program, &strange), LANDING_NOWHERE);
}

/* Every pair inside the range that lands on the wanted shard, once, and no other. */
static void pairs_check(const struct landing_range *range, uint32_t shards, uint32_t wanted)
{
    uint32_t count = 0;
    for (uint32_t port = range->first; port + 1 <= range->last; port++) {
        if (port % 2 == 0 && port / 2 % shards == wanted) {
            assert_true(count < landing_pairs(range, shards, wanted));
            assert_int_equal(landing_pair(range, shards, wanted, count), port);
            count++;
        }
    }
    assert_int_equal(landing_pairs(range, shards, wanted), count);
}

static void pairs__ranges_and_counts__as_counted(void **state)
{
    static const struct landing_range ranges[] = {{32768, 60999}, {32769, 60998}, {1, 65535},    {40000, 40000},
                                                  {40000, 40001}, {40001, 40002}, {65534, 65535}};
    static const uint32_t counts[] = {1, 2, 3, 14, 255, 256};
    (void)state;
    for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++) {
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            for (uint32_t wanted = 0; wanted < counts[c]; wanted += 1 + counts[c] / 5) {
                pairs_check(&ranges[r], counts[c], wanted);
            }
        }
    }
}

static void pairs__nothing_wanted__none(void **state)
{
    const struct landing_range range = {32768, 60999};
    const struct landing_range empty = {0, 0};
    (void)state;
    assert_int_equal(landing_pairs(&range, 0, 0), 0);
    assert_int_equal(landing_pairs(&range, 4, 4), 0);
    assert_int_equal(landing_pairs(&empty, 4, 0), 0);
    assert_int_equal(landing_shard(40001, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program__any_header__picks_by_source_port),
        cmocka_unit_test(program__no_tcp_header_found__left_to_the_kernel),
        cmocka_unit_test(pairs__ranges_and_counts__as_counted),
        cmocka_unit_test(pairs__nothing_wanted__none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
