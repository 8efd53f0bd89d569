/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of connections do with a pair (conn_pair.h): things to be done inside of a turn, and what to wait for.
 */
#ifndef TESTS_SIM_CONN_ACTS_H
#define TESTS_SIM_CONN_ACTS_H

#include "tests/sim/conn_pair.h"

/* Every test that speaks of no record layer runs twice. */
enum { PLAIN = 0, SECURE = 1, MODES = 2 };

struct order {
    struct witness *witness;
    uint32_t bytes;
    enum weft_err err;
    bool close; /* right behind it, in the same turn */
};

void open_calm(struct conn_pair *pair, int mode);
void do_dial(void *ctx, struct weft_shard *shard);
void do_close(void *ctx, struct weft_shard *shard);
void do_abort(void *ctx, struct weft_shard *shard);
void do_pause(void *ctx, struct weft_shard *shard);
void do_resume(void *ctx, struct weft_shard *shard);
void do_send(void *ctx, struct weft_shard *shard);
void send_now(struct witness *witness, uint32_t bytes);
bool has_closed(void *ctx);
void until_received(struct conn_pair *pair, const struct witness *from, const struct witness *to);
void close_both(struct conn_pair *pair, struct witness *witness);

#endif
