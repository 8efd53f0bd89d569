/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/toy_secure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/assert.h"
#include "engine/base/bytes.h"
#include "engine/base/error.h"

/* The kinds of records, numbered as TLS does it: a connection knows the first byte of a handshake. */
enum toy_kind { TOY_ALERT = 0x15, TOY_HANDSHAKE = 0x16, TOY_DATA = 0x17, TOY_OWN = 0x18 };
enum toy_alert { TOY_ALERT_CLOSE = 0, TOY_ALERT_FATAL = 1 };

#define TOY_RECORD_BYTES_MAX (TOY_RECORD_HEAD_BYTES + SECURE_RECORD_BYTES)
#define TOY_FLIGHTS 3u
#define TOY_PENDING_BYTES_MAX (2u * TOY_RECORD_BYTES_MAX)

struct toy {
    struct secure secure; /* first */
    struct toy_factory *factory;
    bool server;
    bool failed;
    bool silent;
    uint32_t flight; /* the last one sent or received */
    uint64_t sealed; /* records */
    uint64_t opened;
    uint64_t data_opened;
    uint32_t partial_bytes; /* of a record that did not arrive whole */
    uint8_t partial[TOY_RECORD_BYTES_MAX];
    uint32_t plain_begin; /* of an opened record that is handed out piece by piece */
    uint32_t plain_end;
    uint8_t plain[SECURE_RECORD_BYTES];
    uint32_t pending_begin; /* of own records that are handed out piece by piece */
    uint32_t pending_end;
    uint8_t pending[TOY_PENDING_BYTES_MAX];
};

static struct toy *toy_of(struct secure *secure)
{
    return WEFT_CONTAINER_OF(secure, struct toy, secure);
}

static uint8_t toy_mask(uint64_t count)
{
    return (uint8_t)(0xa5 + count * 7);
}

static uint32_t toy_piece(const struct toy *toy, uint32_t bytes)
{
    uint32_t most = toy->factory->options.output_bytes;
    return most != 0 && bytes > most ? most : bytes;
}

static uint32_t toy_record_write(struct toy *toy, uint8_t *to, enum toy_kind kind, const uint8_t *data, uint32_t bytes)
{
    uint8_t mask = toy_mask(toy->sealed++);
    to[0] = (uint8_t)kind;
    bytes_store16(to + 1, (uint16_t)bytes);
    for (uint32_t i = 0; i < bytes; i++) {
        to[TOY_RECORD_HEAD_BYTES + i] = data[i] ^ mask;
    }
    return TOY_RECORD_HEAD_BYTES + bytes;
}

static void toy_queue(struct toy *toy, enum toy_kind kind, const uint8_t *data, uint32_t bytes)
{
    assert_true(toy->pending_end + TOY_RECORD_HEAD_BYTES + bytes <= TOY_PENDING_BYTES_MAX);
    toy->pending_end += toy_record_write(toy, toy->pending + toy->pending_end, kind, data, bytes);
}

/* The number of the flight, then that number again and again. */
static void toy_queue_flight(struct toy *toy)
{
    uint8_t flight[SECURE_RECORD_BYTES];
    uint32_t bytes = toy->factory->options.flight_bytes != 0 ? toy->factory->options.flight_bytes : 100;
    assert_in_range(bytes, 1, sizeof flight);
    toy->flight++;
    memset(flight, (int)toy->flight, bytes);
    toy_queue(toy, TOY_HANDSHAKE, flight, bytes);
}

static void toy_fail(struct toy *toy, const char *text, bool tell)
{
    static const uint8_t alert[] = {TOY_ALERT_FATAL};
    toy->failed = true;
    weft_error_set_reason(&toy->secure.error, WEFT_ERR_TLS, TOY_REASON, "%s", text);
    if (tell) {
        toy_queue(toy, TOY_ALERT, alert, sizeof alert);
    }
}

/* Hand out own records; false: there is more. */
static bool toy_output(struct toy *toy, struct secure_out *out)
{
    uint32_t left = toy->pending_end - toy->pending_begin;
    uint32_t room = out->bytes_max - out->used;
    uint32_t part = toy_piece(toy, left < room ? left : room);
    memcpy(out->data + out->used, toy->pending + toy->pending_begin, part);
    out->used += part;
    toy->pending_begin += part;
    if (toy->pending_begin < toy->pending_end) {
        return false;
    }
    toy->pending_begin = 0;
    toy->pending_end = 0;
    return true;
}

static uint32_t toy_take(struct toy *toy, struct secure_in *in, uint32_t until)
{
    uint32_t wanted = until - toy->partial_bytes;
    uint32_t part = wanted < in->bytes ? wanted : in->bytes;
    if (part > 0) {
        memcpy(toy->partial + toy->partial_bytes, in->data, part);
        toy->partial_bytes += part;
        in->data += part;
        in->bytes -= part;
    }
    return toy->partial_bytes;
}

/* One whole record, unmasked, in toy->partial; false: more bytes are needed. */
static bool toy_record_read(struct toy *toy, struct secure_in *in, enum toy_kind *kind, uint32_t *bytes)
{
    if (toy->partial_bytes < TOY_RECORD_HEAD_BYTES &&
        toy_take(toy, in, TOY_RECORD_HEAD_BYTES) < TOY_RECORD_HEAD_BYTES) {
        return false;
    }
    *kind = (enum toy_kind)toy->partial[0];
    *bytes = bytes_load16(toy->partial + 1);
    assert_true(*bytes <= SECURE_RECORD_BYTES);
    if (toy_take(toy, in, TOY_RECORD_HEAD_BYTES + *bytes) < TOY_RECORD_HEAD_BYTES + *bytes) {
        return false;
    }
    uint8_t mask = toy_mask(toy->opened++);
    for (uint32_t i = 0; i < *bytes; i++) {
        toy->partial[TOY_RECORD_HEAD_BYTES + i] ^= mask;
    }
    toy->partial_bytes = 0;
    return true;
}

static void toy_flight_read(struct toy *toy, enum toy_kind kind, uint32_t bytes)
{
    const struct toy_options *options = &toy->factory->options;
    const uint8_t *body = toy->partial + TOY_RECORD_HEAD_BYTES;
    if (kind == TOY_ALERT) {
        toy_fail(toy, "the peer sent an alert", false);
        return;
    }
    assert_int_equal(kind, TOY_HANDSHAKE);
    toy->flight++;
    assert_true(bytes > 0);
    assert_int_equal(body[0], toy->flight);
    assert_int_equal(body[bytes - 1], toy->flight);
    if (toy->flight == options->fail_flight) {
        toy_fail(toy, "this flight is not to our taste", true);
    } else if (toy->flight == options->silent_flight) {
        toy->silent = true;
    } else if (toy->flight < TOY_FLIGHTS) {
        toy_queue_flight(toy);
    }
}

static enum secure_step toy_handshake(struct secure *secure, struct secure_in *in, struct secure_out *out)
{
    struct toy *toy = toy_of(secure);
    if (!toy->server && toy->flight == 0) {
        toy_queue_flight(toy);
    }
    for (;;) {
        enum toy_kind kind;
        uint32_t bytes;
        if (!toy_output(toy, out)) {
            return SECURE_ROOM;
        }
        if (toy->failed) {
            return SECURE_FAILED;
        }
        if (toy->silent) {
            in->bytes = 0;
            return SECURE_MORE;
        }
        if (toy->flight == TOY_FLIGHTS) {
            return SECURE_DONE;
        }
        if (!toy_record_read(toy, in, &kind, &bytes)) {
            return SECURE_MORE;
        }
        toy_flight_read(toy, kind, bytes);
    }
}

static enum secure_step toy_seal(struct secure *secure, struct secure_in *plain, struct secure_out *out)
{
    struct toy *toy = toy_of(secure);
    uint32_t room = out->bytes_max - out->used;
    assert_false(toy->failed); /* nothing is asked of a session that failed */
    if (room <= TOY_RECORD_HEAD_BYTES) {
        return SECURE_ROOM;
    }
    if (toy->sealed + 1 == toy->factory->options.fail_seal) {
        toy_fail(toy, "sealing failed", false);
        return SECURE_FAILED;
    }
    uint32_t part = plain->bytes < SECURE_RECORD_BYTES ? plain->bytes : SECURE_RECORD_BYTES;
    part = part < room - TOY_RECORD_HEAD_BYTES ? part : room - TOY_RECORD_HEAD_BYTES;
    bool damage = toy->sealed + 1 == toy->factory->options.damage_seal;
    uint32_t bytes = toy_record_write(toy, out->data + out->used, TOY_DATA, plain->data, part);
    if (damage) {
        out->data[out->used] = 0; /* no kind of record */
    }
    out->used += bytes;
    plain->data += part;
    plain->bytes -= part;
    return SECURE_MORE;
}

static enum secure_step toy_opened(struct toy *toy, enum toy_kind kind, uint32_t bytes)
{
    uint64_t every = toy->factory->options.answer_every;
    switch (kind) {
    case TOY_DATA:
        memcpy(toy->plain, toy->partial + TOY_RECORD_HEAD_BYTES, bytes);
        toy->plain_begin = 0;
        toy->plain_end = bytes;
        if (every != 0 && ++toy->data_opened % every == 0) {
            toy_queue(toy, TOY_OWN, NULL, 0);
        }
        return SECURE_MORE;
    case TOY_OWN:
        return SECURE_MORE;
    case TOY_ALERT:
        if (toy->partial[TOY_RECORD_HEAD_BYTES] == TOY_ALERT_CLOSE) {
            return SECURE_CLOSED;
        }
        toy_fail(toy, "the peer sent an alert", false);
        return SECURE_FAILED;
    case TOY_HANDSHAKE:
        break;
    }
    toy_fail(toy, "a record that cannot be opened", true);
    return SECURE_FAILED;
}

static enum secure_step toy_open(struct secure *secure, struct secure_in *in, struct secure_out *plain,
                                 struct secure_out *out)
{
    struct toy *toy = toy_of(secure);
    enum secure_step step = SECURE_MORE;
    enum toy_kind kind;
    uint32_t bytes;
    assert_false(toy->failed);
    if (toy->plain_begin == toy->plain_end && toy_record_read(toy, in, &kind, &bytes)) {
        step = toy_opened(toy, kind, bytes);
    }
    uint32_t left = toy->plain_end - toy->plain_begin;
    uint32_t part = toy_piece(toy, left);
    assert_true(part <= plain->bytes_max - plain->used);
    if (part > 0) {
        memcpy(plain->data + plain->used, toy->plain + toy->plain_begin, part);
        plain->used += part;
        toy->plain_begin += part;
    }
    while (!toy_output(toy, out)) {
    }
    if (step == SECURE_MORE && toy->plain_begin < toy->plain_end) {
        return SECURE_ROOM;
    }
    return step;
}

static enum secure_step toy_shut(struct secure *secure, struct secure_out *out)
{
    static const uint8_t alert[] = {TOY_ALERT_CLOSE};
    struct toy *toy = toy_of(secure);
    assert_false(toy->failed);
    toy_queue(toy, TOY_ALERT, alert, sizeof alert);
    while (!toy_output(toy, out)) {
    }
    return SECURE_DONE;
}

static void toy_facts(const struct secure *secure, struct secure_facts *facts)
{
    (void)secure;
    snprintf(facts->version, sizeof facts->version, "toy");
}

static void toy_close(struct secure *secure)
{
    struct toy *toy = toy_of(secure);
    toy->factory->live--;
    test_free(toy);
}

/* It shows no certificates. */
static void toy_identity(const struct secure *secure, const struct secure_wanted *wanted,
                         struct secure_identity *identity)
{
    (void)secure;
    (void)wanted;
    *identity = (struct secure_identity){.verified = false};
}

static const struct secure_ops toy_ops = {
    .name = "toy",
    .handshake = toy_handshake,
    .seal = toy_seal,
    .open = toy_open,
    .shut = toy_shut,
    .facts = toy_facts,
    .identity = toy_identity,
    .close = toy_close,
};

static enum weft_err toy_make(struct secure_factory *factory, bool server, struct secure **session,
                              struct weft_error *why)
{
    struct toy_factory *toy_factory = WEFT_CONTAINER_OF(factory, struct toy_factory, factory);
    if (toy_factory->options.refuse_to_make) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no session to be had");
    }
    struct toy *toy = test_calloc(1, sizeof *toy);
    toy->secure.ops = &toy_ops;
    toy->factory = toy_factory;
    toy->server = server;
    toy_factory->made++;
    toy_factory->live++;
    *session = &toy->secure;
    return WEFT_OK;
}

void toy_factory_init(struct toy_factory *toy, const struct toy_options *options)
{
    *toy = (struct toy_factory){.factory = {.make = toy_make}, .options = *options};
}
