/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/prng.h"

static void side_open(struct side *side, struct tls_credentials *credentials, const struct tls_context_options *options,
                      bool server)
{
    struct weft_error why = {0};
    assert_int_equal(tls_context_create(&side->context, credentials, options, &why), WEFT_OK);
    tls_credentials_destroy(credentials);
    struct secure_factory *factory = tls_context_factory(side->context);
    assert_int_equal(factory->make(factory, server, &side->secure, &why), WEFT_OK);
    assert_string_equal(why.text, "");
}

static void side_close(struct side *side)
{
    if (side->secure != NULL) {
        side->secure->ops->close(side->secure);
    }
    tls_context_destroy(side->context);
}

/* A fresh session of the same context: contexts are dear. */
static void side_renew(struct side *side, bool server)
{
    struct weft_error why = {0};
    struct secure_factory *factory = tls_context_factory(side->context);
    side->secure->ops->close(side->secure);
    *side = (struct side){.context = side->context};
    assert_int_equal(factory->make(factory, server, &side->secure, &why), WEFT_OK);
}

void pair_renew(struct pair *pair)
{
    side_renew(&pair->client, false);
    side_renew(&pair->server, true);
}

struct pair *pair_open(const struct pki *pki, const struct end *client, const struct end *server,
                       const struct tls_context_options *client_options,
                       const struct tls_context_options *server_options)
{
    return pair_open_with(pki_credentials(pki, client->name, client->trust),
                          pki_credentials(pki, server->name, server->trust), client_options, server_options);
}

struct pair *pair_open_with(struct tls_credentials *client, struct tls_credentials *server,
                            const struct tls_context_options *client_options,
                            const struct tls_context_options *server_options)
{
    struct pair *pair = calloc(1, sizeof *pair);
    assert_non_null(pair);
    side_open(&pair->client, client, client_options, false);
    side_open(&pair->server, server, server_options, true);
    return pair;
}

void pair_close(struct pair *pair)
{
    side_close(&pair->client);
    side_close(&pair->server);
    free(pair);
}

struct pair *pair_open_plain(const struct pki *pki, enum tls_version version)
{
    struct tls_context_options options = {.version_min = version, .version_max = version};
    return pair_open(pki, &end_good, &end_good, &options, &options);
}

static struct secure_in wire_peek(const struct wire *wire, uint32_t feed)
{
    uint32_t there = wire->end - wire->begin;
    return (struct secure_in){wire->data + wire->begin, there < feed ? there : feed};
}

void wire_append(struct wire *wire, const uint8_t *data, uint32_t bytes)
{
    if (wire->begin == wire->end) {
        wire->begin = wire->end = 0;
    }
    assert_true(bytes <= WIRE_BYTES - wire->end);
    memcpy(wire->data + wire->end, data, bytes);
    wire->end += bytes;
    wire->moved += bytes;
}

static void wire_take(struct wire *wire, uint32_t bytes)
{
    wire->begin += bytes;
    wire->moved += bytes;
}

/* One step of an end's handshake. */
void side_handshake(struct side *side, struct wire *from, const struct cut *cut)
{
    uint8_t *memory = malloc(cut->room);
    assert_non_null(memory);
    struct secure_in in = wire_peek(from, cut->feed);
    uint32_t offered = in.bytes;
    struct secure_out out = {memory, cut->room, 0};
    enum secure_step step = side->secure->ops->handshake(side->secure, &in, &out);
    wire_take(from, offered - in.bytes);
    wire_append(&side->sent, memory, out.used);
    free(memory);
    switch (step) {
    case SECURE_MORE:
        assert_int_equal(in.bytes, 0);
        break;
    case SECURE_ROOM:
        assert_int_equal(out.used, cut->room);
        side->room_seen = true;
        break;
    case SECURE_DONE:
        side->done = true;
        break;
    case SECURE_FAILED:
        side->failed = true;
        break;
    case SECURE_CLOSED:
        fail_msg("a handshake never ends with CLOSED");
    }
}

/* Read whatever there is; application bytes go to plain. */
enum secure_step side_open_records(struct side *side, struct wire *from, const struct cut *cut, uint8_t *plain,
                                   uint32_t plain_max, uint32_t *plain_used)
{
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        uint8_t answer[LARGE];
        struct secure_in in = wire_peek(from, cut->feed);
        uint32_t offered = in.bytes;
        uint32_t left = plain_max - *plain_used;
        uint8_t *memory = malloc(cut->room);
        struct secure_out opened = {memory, cut->room, 0};
        struct secure_out out = {answer, sizeof answer, 0};
        enum secure_step step = side->secure->ops->open(side->secure, &in, &opened, &out);
        wire_take(from, offered - in.bytes);
        wire_append(&side->sent, answer, out.used);
        assert_true(opened.used <= left);
        memcpy(plain + *plain_used, memory, opened.used);
        *plain_used += opened.used;
        free(memory);
        if (step == SECURE_FAILED) {
            side->failed = true;
        }
        if (step == SECURE_MORE) {
            assert_int_equal(in.bytes, 0);
        }
        if (step == SECURE_ROOM) {
            assert_int_equal(opened.used, cut->room);
        } else if (step != SECURE_MORE || from->begin == from->end) {
            return step;
        }
    }
    fail_msg("open goes in circles");
    return SECURE_FAILED;
}

/* Hand shakes until both are done or nobody gets further; an end that is done reads on, as TLS 1.3 clients must. */
void pair_handshake(struct pair *pair, const struct cut *cut)
{
    uint8_t nothing[16];
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        struct side *sides[2] = {&pair->client, &pair->server};
        bool moved = false;
        for (uint32_t s = 0; s < 2; s++) {
            struct side *side = sides[s];
            struct wire *from = &sides[1 - s]->sent;
            uint64_t before = from->moved + side->sent.moved;
            bool settled = side->done || side->failed;
            if (!settled) {
                side_handshake(side, from, cut);
            } else if (!side->failed && from->begin < from->end) {
                uint32_t used = 0;
                side_open_records(side, from, cut, nothing, 0, &used);
            }
            moved = moved || from->moved + side->sent.moved != before || settled != (side->done || side->failed);
        }
        if (!moved) {
            return;
        }
    }
    fail_msg("the handshake goes in circles");
}

void pair_expect_done(const struct pair *pair)
{
    assert_string_equal(pair->client.secure->error.text, "");
    assert_string_equal(pair->server.secure->error.text, "");
    assert_true(pair->client.done);
    assert_true(pair->server.done);
    assert_false(pair->client.failed);
    assert_false(pair->server.failed);
}

void fill(uint8_t *data, uint32_t bytes, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    for (uint32_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)prng_next(&prng);
    }
}

/* Send bytes from one end to the other and compare.  The cut's room is that of sealing outputs; opened bytes come out
 * in pieces of plain_room. */
void pair_send(struct side *from, struct side *to, uint32_t bytes, const struct cut *cut, uint32_t plain_room)
{
    uint8_t *message = malloc(bytes);
    uint8_t *received = malloc(bytes);
    uint8_t *memory = malloc(cut->room);
    uint32_t received_used = 0;
    fill(message, bytes, bytes);
    struct secure_in plain = {message, bytes};
    struct cut opening = {cut->feed, plain_room};
    for (uint32_t i = 0; plain.bytes > 0; i++) {
        assert_true(i < STEPS_MAX);
        uint32_t before = plain.bytes;
        struct secure_out out = {memory, cut->room, 0};
        enum secure_step step = from->secure->ops->seal(from->secure, &plain, &out);
        assert_true(step == SECURE_MORE || step == SECURE_ROOM);
        assert_true(plain.bytes < before);
        assert_int_equal(step == SECURE_MORE, plain.bytes == 0);
        wire_append(&from->sent, memory, out.used);
        step = side_open_records(to, &from->sent, &opening, received, bytes, &received_used);
        assert_int_equal(step, SECURE_MORE);
    }
    assert_int_equal(received_used, bytes);
    assert_memory_equal(received, message, bytes);
    free(memory);
    free(received);
    free(message);
}
