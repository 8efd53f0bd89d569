/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: at the end of a turn the control lane is flushed first and bulk last, whoever became dirty first; and a polite
 * connection moves little at a time while something else is flushed, and much as soon as it is alone.
 *
 * Method: hooks of each rank that write down when they are called, in every order of becoming dirty; and a connection
 * of a pair (conn_pair.h) that sends more than one operation may move, beside such a hook and alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/base/limits.h"
#include "tests/sim/conn_acts.h"

#define HOOKS 6u
#define BYTES 600000u

struct hook {
    struct flush_hook flush;
    struct notes *notes;
};

struct notes {
    struct hook hooks[HOOKS];
    const uint8_t *order; /* ranks as they become dirty */
    uint8_t flushed[HOOKS];
    uint32_t count;
};

static void hook_flush(struct flush_hook *flush)
{
    struct notes *notes = WEFT_CONTAINER_OF(flush, struct hook, flush)->notes;
    assert_in_range(notes->count, 0, HOOKS - 1);
    notes->flushed[notes->count++] = flush->rank;
}

static void do_mark(void *ctx, struct weft_shard *shard)
{
    struct notes *notes = ctx;
    for (uint32_t i = 0; i < HOOKS; i++) {
        notes->hooks[i] = (struct hook){.flush = {.rank = notes->order[i], .flush = hook_flush}, .notes = notes};
        list_node_init(&notes->hooks[i].flush.link);
        shard_mark_dirty(shard, &notes->hooks[i].flush);
        shard_mark_dirty(shard, &notes->hooks[i].flush); /* once is enough */
    }
}

static void flush__any_became_dirty_first__control_then_normal_then_bulk(void **state)
{
    static const uint8_t orders[][HOOKS] = {
        {FLUSH_CONTROL, FLUSH_NORMAL, FLUSH_BULK, FLUSH_CONTROL, FLUSH_NORMAL, FLUSH_BULK},
        {FLUSH_BULK, FLUSH_NORMAL, FLUSH_CONTROL, FLUSH_BULK, FLUSH_NORMAL, FLUSH_CONTROL},
        {FLUSH_NORMAL, FLUSH_CONTROL, FLUSH_BULK, FLUSH_BULK, FLUSH_CONTROL, FLUSH_NORMAL},
        {FLUSH_BULK, FLUSH_BULK, FLUSH_CONTROL, FLUSH_CONTROL, FLUSH_NORMAL, FLUSH_NORMAL},
    };
    static const uint8_t wanted[HOOKS] = {FLUSH_CONTROL, FLUSH_CONTROL, FLUSH_NORMAL,
                                          FLUSH_NORMAL,  FLUSH_BULK,    FLUSH_BULK};
    struct conn_pair pair;
    (void)state;
    open_calm(&pair, PLAIN);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct notes notes = {.order = orders[i]};
        conn_end_do(&pair.ends[0], do_mark, &notes);
        assert_int_equal(notes.count, HOOKS);
        assert_memory_equal(notes.flushed, wanted, HOOKS);
    }
    conn_pair_close(&pair);
}

static void do_be_polite(void *ctx, struct weft_shard *shard)
{
    struct witness *witness = ctx;
    (void)shard;
    conn_set_polite(witness->conn);
    witness->conn->flush.rank = FLUSH_BULK;
}

/* Sends much; beside hooks of one rank if `order` is given.  @return bytes that the first operation moves */
static uint32_t first_share(struct conn_pair *pair, struct witness *from, const struct witness *to,
                            const uint8_t *order)
{
    struct order much = {.witness = from, .bytes = BYTES};
    uint64_t before = to->received_bytes;
    uint32_t share = 0;
    conn_pair_run(pair, PAIR_SECOND_NS);
    if (order != NULL) {
        struct notes notes = {.order = order};
        conn_end_do(from->end, do_mark, &notes);
    }
    conn_end_do(from->end, do_send, &much);
    assert_int_equal(much.err, WEFT_OK);
    assert_true(io_op_busy(&from->conn->send));
    for (uint32_t i = 0; i < from->conn->send.send.count; i++) {
        const struct buf *buf = from->conn->send.send.bufs[i];
        share += buf->end - buf->begin;
    }
    until_received(pair, from, to);
    assert_int_equal(to->received_bytes, before + BYTES);
    return share;
}

static void polite__beside_others_and_alone__little_and_much(void **state)
{
    static const uint8_t normal[HOOKS] = {FLUSH_NORMAL, FLUSH_NORMAL, FLUSH_NORMAL,
                                          FLUSH_NORMAL, FLUSH_NORMAL, FLUSH_NORMAL};
    static const uint8_t bulk[HOOKS] = {FLUSH_BULK, FLUSH_BULK, FLUSH_BULK, FLUSH_BULK, FLUSH_BULK, FLUSH_BULK};
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        uint32_t much = first_share(&pair, dialer, acceptor, normal);
        assert_in_range(much, SHARE_BYTES_BESIDE + 1, SEND_BYTES_MAX); /* it is not polite yet */
        conn_end_do(dialer->end, do_be_polite, dialer);
        assert_int_equal(first_share(&pair, dialer, acceptor, NULL), much);
        assert_int_equal(first_share(&pair, dialer, acceptor, bulk), much);
        assert_in_range(first_share(&pair, dialer, acceptor, normal), 1, SHARE_BYTES_BESIDE);
        assert_int_equal(first_share(&pair, dialer, acceptor, NULL), much);
        close_both(&pair, dialer);
        conn_pair_close(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flush__any_became_dirty_first__control_then_normal_then_bulk),
        cmocka_unit_test(polite__beside_others_and_alone__little_and_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
