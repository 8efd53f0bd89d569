/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a TLS session turns application bytes into records and back whatever the fragmentation, and each failure ends
 * with the exact reason on both ends.
 * Method: two sessions of real contexts stand mouth to mouth, memory to memory.  A driver passes bytes between them in
 * pieces of any size, through outputs of any size, and checks the contract of secure.h at each step; faults are put
 * into the bytes on the way. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/prng.h"
#include "engine/net/secure.h"
#include "pki.h"
#include "tls/context.h"
#include "tls/openssl_session.h"

#define WIRE_BYTES (256u * 1024)
/* Steps of a driver after which it is certain to go in circles. */
#define STEPS_MAX 2000000u
#define MIB (1024u * 1024)
#define LARGE 65536u

/* Bytes on their way in one direction. */
struct wire {
    uint8_t data[WIRE_BYTES];
    uint32_t begin;
    uint32_t end;
    uint64_t moved; /* bytes in and out, ever */
};

/* One end of a connection. */
struct side {
    struct tls_context *context;
    struct secure *secure;
    struct wire sent;
    bool done;
    bool failed;
    bool room_seen;
};

struct pair {
    struct side client;
    struct side server;
};

/* How bytes are cut. */
struct cut {
    uint32_t feed; /* most input bytes of a call */
    uint32_t room; /* output bytes of a call */
};

static const struct cut cut_large = {LARGE, LARGE};

/* ---- making ends ---- */

struct end {
    const char *name; /* of the certificate; NULL: none */
    const char *trust;
};

static void side_open(struct side *side, const struct pki *pki, const struct end *end,
                      const struct tls_context_options *options, bool server)
{
    struct weft_error why = {0};
    struct tls_credentials *credentials = pki_credentials(pki, end->name, end->trust);
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

static void pair_renew(struct pair *pair)
{
    side_renew(&pair->client, false);
    side_renew(&pair->server, true);
}

static struct pair *pair_open(const struct pki *pki, const struct end *client, const struct end *server,
                              const struct tls_context_options *client_options,
                              const struct tls_context_options *server_options)
{
    struct pair *pair = calloc(1, sizeof *pair);
    assert_non_null(pair);
    side_open(&pair->client, pki, client, client_options, false);
    side_open(&pair->server, pki, server, server_options, true);
    return pair;
}

static void pair_close(struct pair *pair)
{
    side_close(&pair->client);
    side_close(&pair->server);
    free(pair);
}

static const struct end end_good = {"good", "ca.crt"};

static struct pair *pair_open_plain(const struct pki *pki, enum tls_version version)
{
    struct tls_context_options options = {.version_min = version, .version_max = version};
    return pair_open(pki, &end_good, &end_good, &options, &options);
}

/* ---- moving bytes ---- */

static struct secure_in wire_peek(const struct wire *wire, uint32_t feed)
{
    uint32_t there = wire->end - wire->begin;
    return (struct secure_in){wire->data + wire->begin, there < feed ? there : feed};
}

static void wire_append(struct wire *wire, const uint8_t *data, uint32_t bytes)
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
static void side_handshake(struct side *side, struct wire *from, const struct cut *cut)
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
static enum secure_step side_open_records(struct side *side, struct wire *from, const struct cut *cut, uint8_t *plain,
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
static void pair_handshake(struct pair *pair, const struct cut *cut)
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

static void pair_expect_done(const struct pair *pair)
{
    assert_string_equal(pair->client.secure->error.text, "");
    assert_string_equal(pair->server.secure->error.text, "");
    assert_true(pair->client.done);
    assert_true(pair->server.done);
    assert_false(pair->client.failed);
    assert_false(pair->server.failed);
}

static void fill(uint8_t *data, uint32_t bytes, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    for (uint32_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)prng_next(&prng);
    }
}

/* Send bytes from one end to the other and compare.  The cut's room is that of sealing outputs; opened bytes come out
 * in pieces of plain_room. */
static void pair_send(struct side *from, struct side *to, uint32_t bytes, const struct cut *cut, uint32_t plain_room)
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

/* ---- the certificates of all cases ---- */

static int pki_setup(void **state)
{
    static const char *const both[] = {"ca.crt", "other.crt", NULL};
    struct pki *pki = calloc(1, sizeof *pki);
    assert_non_null(pki);
    pki_open(pki);
    pki_ca(pki, "ca");
    pki_ca(pki, "other");
    pki_node(pki, "good", "ca", 0, 0);
    pki_node(pki, "foreign", "other", 0, 0);
    pki_node(pki, "expired", "ca", -2 * PKI_DAY_S, -PKI_DAY_S);
    pki_node(pki, "early", "ca", PKI_DAY_S, 2 * PKI_DAY_S);
    pki_bundle(pki, "both.crt", both);
    *state = pki;
    return 0;
}

static int pki_teardown(void **state)
{
    pki_close(*state);
    free(*state);
    return 0;
}

/* ---- what works ---- */

static void handshake_check_facts(const struct pki *pki, enum tls_version version, const char *name, const char *cipher)
{
    struct pair *pair = pair_open_plain(pki, version);
    pair_handshake(pair, &cut_large);
    pair_expect_done(pair);
    struct secure_facts facts;
    pair->client.secure->ops->facts(pair->client.secure, &facts);
    assert_string_equal(facts.version, name);
    assert_string_equal(facts.cipher, cipher);
    assert_true(facts.peer_verified);
    pair->server.secure->ops->facts(pair->server.secure, &facts);
    assert_string_equal(facts.version, name);
    assert_string_equal(facts.cipher, cipher);
    assert_false(facts.peer_verified);
    pair_close(pair);
}

static void session__handshake__facts_name_version_and_cipher(void **state)
{
    handshake_check_facts(*state, TLS_VERSION_DEFAULT, "TLSv1.3", "TLS_AES_256_GCM_SHA384");
    handshake_check_facts(*state, TLS_VERSION_1_3, "TLSv1.3", "TLS_AES_256_GCM_SHA384");
    handshake_check_facts(*state, TLS_VERSION_1_2, "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384");
}

static void session__any_fragmentation__data_arrives_both_ways(void **state)
{
    static const struct cut cuts[] = {{1, LARGE}, {1, 1}, {LARGE, 1}, {3, 7}, {100, 100}, {16384, 16384}};
    static const enum tls_version versions[] = {TLS_VERSION_1_3, TLS_VERSION_1_2};
    for (uint32_t v = 0; v < 2; v++) {
        for (uint32_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
            struct pair *pair = pair_open_plain(*state, versions[v]);
            pair_handshake(pair, &cuts[i]);
            pair_expect_done(pair);
            assert_int_equal(pair->server.room_seen, cuts[i].room <= 100);
            /* A record needs its overhead and a byte. */
            struct cut sealing = {cuts[i].feed, cuts[i].room < 65 ? 65 : cuts[i].room};
            pair_send(&pair->client, &pair->server, 5000, &sealing, cuts[i].room);
            pair_send(&pair->server, &pair->client, 5000, &sealing, cuts[i].room);
            pair_send(&pair->server, &pair->client, 1, &sealing, cuts[i].room);
            pair_close(pair);
        }
    }
}

static void session__one_mib__arrives_both_ways(void **state)
{
    static const enum tls_version versions[] = {TLS_VERSION_1_3, TLS_VERSION_1_2};
    static const uint32_t rooms[] = {16384, 16448, 20000, 131072};
    for (uint32_t v = 0; v < 2; v++) {
        struct pair *pair = pair_open_plain(*state, versions[v]);
        pair_handshake(pair, &cut_large);
        for (uint32_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
            struct cut cut = {rooms[i] / (i + 1), rooms[i]};
            pair_send(&pair->client, &pair->server, MIB, &cut, 16384);
            pair_send(&pair->server, &pair->client, MIB, &cut, 1000);
        }
        pair_close(pair);
    }
}

static void session__alternate_directions__keeps_order(void **state)
{
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_1_3);
    pair_handshake(pair, &cut_large);
    for (uint32_t bytes = 1; bytes < 300; bytes++) {
        pair_send(&pair->client, &pair->server, bytes, &cut_large, LARGE);
        pair_send(&pair->server, &pair->client, bytes * 7, &cut_large, 64);
    }
    pair_close(pair);
}

/* Records are whole or not there, and short outputs get no slivers. */
static void seal__output_without_room__room_and_nothing_written(void **state)
{
    static uint8_t message[40000];
    static uint8_t memory[LARGE];
    static const struct {
        uint32_t room;
        uint32_t used;
        uint32_t sealed;
    } rows[] = {
        {64, 0, 0}, /* not a byte beside the overhead */
        {65, 0, 1}, /* an empty output takes what it can */
        {1000, 0, 936},
        {17000, 16500, 0}, /* a rest that is too short for a good record */
        {17000, 16000, 0},
        {16384, 0, 16320},        /* a send buffer of 16 KiB: one record */
        {16448, 0, 16384},        /* exactly a whole record */
        {18000, 0, 16384 + 1468}, /* the rest is worth a record; the first one takes at least 16384 + 17 bytes */
        {0, 0, 0},
    };
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_1_3);
    pair_handshake(pair, &cut_large);
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct secure_in plain = {message, sizeof message};
        struct secure_out out = {memory, rows[i].room, rows[i].used};
        assert_int_equal(pair->client.secure->ops->seal(pair->client.secure, &plain, &out), SECURE_ROOM);
        uint32_t sealed = (uint32_t)sizeof message - plain.bytes;
        if (rows[i].sealed > 16384) {
            /* TLS 1.3 in fact adds 22 bytes, less than the overhead that is reckoned with. */
            assert_int_equal(sealed, 16384 + 18000 - 16406 - 64);
        } else {
            assert_int_equal(sealed, rows[i].sealed);
        }
        assert_int_equal(out.used > rows[i].used, sealed > 0);
        assert_true(out.used <= rows[i].room);
    }
    pair_close(pair);
}

static void seal__nothing__more(void **state)
{
    uint8_t memory[100];
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_1_3);
    pair_handshake(pair, &cut_large);
    struct secure_in plain = {NULL, 0};
    struct secure_out out = {memory, sizeof memory, 0};
    assert_int_equal(pair->client.secure->ops->seal(pair->client.secure, &plain, &out), SECURE_MORE);
    assert_int_equal(out.used, 0);
    pair_close(pair);
}

static void open__plain_full__room_until_emptied(void **state)
{
    uint8_t memory[LARGE];
    uint8_t opened[10];
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_1_3);
    pair_handshake(pair, &cut_large);
    const struct secure_ops *ops = pair->server.secure->ops;
    struct secure_in message = {(const uint8_t *)"0123456789abcdefghij", 20};
    struct secure_out sealed = {memory, sizeof memory, 0};
    assert_int_equal(ops->seal(pair->client.secure, &message, &sealed), SECURE_MORE);

    struct secure_in in = {memory, sealed.used};
    struct secure_out plain = {opened, sizeof opened, 0};
    struct secure_out out = {NULL, 0, 0};
    assert_int_equal(ops->open(pair->server.secure, &in, &plain, &out), SECURE_ROOM);
    assert_memory_equal(opened, "0123456789", 10);
    assert_int_equal(ops->open(pair->server.secure, &in, &plain, &out), SECURE_ROOM);
    plain.used = 0;
    /* The last byte fits exactly: nothing is left inside, so this is not ROOM. */
    assert_int_equal(ops->open(pair->server.secure, &in, &plain, &out), SECURE_MORE);
    assert_memory_equal(opened, "abcdefghij", 10);
    assert_int_equal(in.bytes, 0);
    pair_close(pair);
}

static void shut__after_data__peer_sees_closed(void **state)
{
    static const enum tls_version versions[] = {TLS_VERSION_1_3, TLS_VERSION_1_2};
    for (uint32_t v = 0; v < 2; v++) {
        uint8_t memory[256];
        uint8_t opened[16];
        struct pair *pair = pair_open_plain(*state, versions[v]);
        pair_handshake(pair, &cut_large);
        const struct secure_ops *ops = pair->client.secure->ops;
        struct secure_in message = {(const uint8_t *)"last words", 10};
        struct secure_out out = {memory, sizeof memory, 0};
        assert_int_equal(ops->seal(pair->client.secure, &message, &out), SECURE_MORE);
        uint32_t before = out.used;
        assert_int_equal(ops->shut(pair->client.secure, &out), SECURE_DONE);
        assert_true(out.used > before);
        before = out.used;
        assert_int_equal(ops->shut(pair->client.secure, &out), SECURE_DONE);
        assert_int_equal(out.used, before);
        wire_append(&pair->client.sent, memory, out.used);

        uint32_t used = 0;
        enum secure_step step =
            side_open_records(&pair->server, &pair->client.sent, &cut_large, opened, sizeof opened, &used);
        assert_int_equal(step, SECURE_CLOSED);
        assert_int_equal(used, 10);
        assert_memory_equal(opened, "last words", 10);
        /* It stays closed, whatever comes behind. */
        wire_append(&pair->client.sent, (const uint8_t *)"garbage", 7);
        step = side_open_records(&pair->server, &pair->client.sent, &cut_large, opened, sizeof opened, &used);
        assert_int_equal(step, SECURE_CLOSED);
        assert_int_equal(used, 10);
        struct secure_in none = {NULL, 0};
        struct secure_out plain = {opened, sizeof opened, 0};
        struct secure_out answer = {memory, sizeof memory, 0};
        assert_int_equal(ops->open(pair->server.secure, &none, &plain, &answer), SECURE_CLOSED);
        /* The other direction is still open. */
        pair_send(&pair->server, &pair->client, 1000, &cut_large, LARGE);
        pair_close(pair);
    }
}

static void shut__output_full__room_then_done(void **state)
{
    uint8_t memory[256];
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_1_3);
    pair_handshake(pair, &cut_large);
    struct secure_out out = {memory, 5, 0};
    assert_int_equal(pair->client.secure->ops->shut(pair->client.secure, &out), SECURE_ROOM);
    out.bytes_max = sizeof memory;
    assert_int_equal(pair->client.secure->ops->shut(pair->client.secure, &out), SECURE_DONE);
    wire_append(&pair->client.sent, memory, out.used);
    uint32_t used = 0;
    assert_int_equal(side_open_records(&pair->server, &pair->client.sent, &cut_large, memory, 0, &used), SECURE_CLOSED);
    pair_close(pair);
}

static void shut__before_handshake__nothing_to_send(void **state)
{
    uint8_t memory[64];
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_1_3);
    struct secure_out out = {memory, sizeof memory, 0};
    assert_int_equal(pair->client.secure->ops->shut(pair->client.secure, &out), SECURE_DONE);
    assert_int_equal(out.used, 0);
    pair_close(pair);
}

static void seal__key_used_up__tls13_renews_it_and_tls12_ends(void **state)
{
    struct tls_context_options options = {.records_per_key = 4};
    struct pair *pair = pair_open(*state, &end_good, &end_good, &options, &options);
    pair_handshake(pair, &cut_large);
    for (uint32_t i = 0; i < 50; i++) {
        pair_send(&pair->client, &pair->server, 100, &cut_large, LARGE);
        pair_send(&pair->server, &pair->client, 40000, &cut_large, LARGE);
    }
    pair_expect_done(pair);
    pair_close(pair);

    /* A record of one byte has 23, and each fifth has a KeyUpdate of 27 before it. */
    uint8_t memory[256];
    pair = pair_open(*state, &end_good, &end_good, &options, &options);
    pair_handshake(pair, &cut_large);
    for (uint32_t i = 0; i < 13; i++) {
        struct secure_in byte = {(const uint8_t *)"x", 1};
        struct secure_out record = {memory, sizeof memory, 0};
        assert_int_equal(pair->client.secure->ops->seal(pair->client.secure, &byte, &record), SECURE_MORE);
        assert_int_equal(record.used, i > 0 && i % 4 == 0 ? 50 : 23);
    }
    pair_close(pair);

    options.version_max = TLS_VERSION_1_2;
    pair = pair_open(*state, &end_good, &end_good, &options, &options);
    pair_handshake(pair, &cut_large);
    for (uint32_t i = 0; i < 4; i++) {
        pair_send(&pair->client, &pair->server, 100, &cut_large, LARGE);
    }
    struct secure_in plain = {(const uint8_t *)"x", 1};
    struct secure_out out = {memory, sizeof memory, 0};
    assert_int_equal(pair->client.secure->ops->seal(pair->client.secure, &plain, &out), SECURE_FAILED);
    assert_int_equal(out.used, 0);
    assert_non_null(strstr(pair->client.secure->error.text, "used up"));
    pair_close(pair);
}

/* A peer may ask for new keys: libssl answers before the next data, within the overhead that outputs have room for. */
static void seal__peer_asked_for_new_key__answer_fits_the_overhead(void **state)
{
    uint8_t memory[256];
    uint8_t opened[16];
    uint32_t used = 0;
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_1_3);
    pair_handshake(pair, &cut_large);
    struct session *session = WEFT_CONTAINER_OF(pair->client.secure, struct session, secure);
    assert_int_equal(SSL_key_update(session->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    pair_send(&pair->client, &pair->server, 100, &cut_large, LARGE);

    struct secure_in message = {(const uint8_t *)"data", 4};
    struct secure_out out = {memory, 4 + SECURE_RECORD_OVERHEAD, 0};
    const struct secure_ops *ops = pair->server.secure->ops;
    assert_int_equal(ops->seal(pair->server.secure, &message, &out), SECURE_MORE);
    /* Two records: an answer of 5 bytes and the data, with 22 bytes each. */
    assert_int_equal(out.used, 5 + 22 + 4 + 22);
    wire_append(&pair->server.sent, memory, out.used);
    assert_int_equal(side_open_records(&pair->client, &pair->server.sent, &cut_large, opened, sizeof opened, &used),
                     SECURE_MORE);
    assert_int_equal(used, 4);
    assert_memory_equal(opened, "data", 4);
    pair_send(&pair->server, &pair->client, 40000, &cut_large, LARGE);
    pair_send(&pair->client, &pair->server, 40000, &cut_large, LARGE);
    pair_close(pair);
}

/* Seal a byte so that the next record needs a new key, and begin that one in an output of ten bytes. */
static void new_key_begin(struct pair *pair, struct secure_in *message)
{
    uint8_t memory[10];
    pair_handshake(pair, &cut_large);
    pair_send(&pair->client, &pair->server, 1, &cut_large, LARGE);
    struct secure_out narrow = {memory, sizeof memory, 0};
    assert_int_equal(pair->client.secure->ops->seal(pair->client.secure, message, &narrow), SECURE_ROOM);
    assert_int_equal(narrow.used, sizeof memory);
    assert_int_equal(message->bytes, 4);
    wire_append(&pair->client.sent, memory, narrow.used);
}

static void new_key_end(struct pair *pair, struct secure_in *message)
{
    uint8_t memory[256];
    uint8_t opened[16];
    uint32_t used = 0;
    struct secure_out out = {memory, sizeof memory, 0};
    assert_int_equal(pair->client.secure->ops->seal(pair->client.secure, message, &out), SECURE_MORE);
    wire_append(&pair->client.sent, memory, out.used);
    assert_int_equal(side_open_records(&pair->server, &pair->client.sent, &cut_large, opened, sizeof opened, &used),
                     SECURE_MORE);
    assert_int_equal(used, 4);
    assert_memory_equal(opened, "data", 4);
    pair_expect_done(pair);
    pair_close(pair);
}

static void seal__new_key_does_not_fit__room_and_goes_on_where_it_was(void **state)
{
    struct tls_context_options options = {.records_per_key = 1};
    struct pair *pair = pair_open(*state, &end_good, &end_good, &options, &options);
    struct secure_in message = {(const uint8_t *)"data", 4};
    new_key_begin(pair, &message);
    new_key_end(pair, &message);
}

static void open__new_key_half_sent__rest_goes_out_without_input(void **state)
{
    struct tls_context_options options = {.records_per_key = 1};
    struct pair *pair = pair_open(*state, &end_good, &end_good, &options, &options);
    struct secure_in message = {(const uint8_t *)"data", 4};
    new_key_begin(pair, &message);
    /* There is no input, and yet something to do, in outputs of five bytes. */
    enum secure_step step = SECURE_ROOM;
    uint32_t calls = 0;
    for (; step == SECURE_ROOM && calls < 100; calls++) {
        uint8_t answer[5];
        uint8_t opened[16];
        struct secure_in in = {NULL, 0};
        struct secure_out plain = {opened, sizeof opened, 0};
        struct secure_out narrow = {answer, sizeof answer, 0};
        step = pair->client.secure->ops->open(pair->client.secure, &in, &plain, &narrow);
        wire_append(&pair->client.sent, answer, narrow.used);
    }
    assert_int_equal(step, SECURE_MORE);
    /* 17 of 27 bytes were left. */
    assert_int_equal(calls, 4);
    new_key_end(pair, &message);
}

static void session__leaf_in_trust_store__accepted_without_ca(void **state)
{
    static const struct end client = {NULL, "good.crt"};
    struct tls_context_options options = {0};
    struct pair *pair = pair_open(*state, &client, &end_good, &options, &options);
    pair_handshake(pair, &cut_large);
    pair_expect_done(pair);
    pair_close(pair);
}

static void factory__no_certificate__only_client_sessions(void **state)
{
    static const struct end client = {NULL, "ca.crt"};
    struct tls_context_options options = {0};
    struct pair *pair = pair_open(*state, &client, &end_good, &options, &options);
    struct secure_factory *factory = tls_context_factory(pair->client.context);
    struct secure *session = NULL;
    struct weft_error why = {0};
    assert_int_equal(factory->make(factory, true, &session, &why), WEFT_ERR_CONFIG);
    assert_null(session);
    assert_non_null(strstr(why.text, "certificate and keyfile"));
    pair_handshake(pair, &cut_large);
    pair_expect_done(pair);
    pair_send(&pair->client, &pair->server, 1000, &cut_large, LARGE);
    pair_close(pair);
}

/* ---- what fails, and what both ends say ---- */

struct refusal_row {
    const char *what;
    struct end client;
    struct end server;
    enum weft_client_auth client_auth;
    enum weft_reason client_reason; /* NONE on both ends: the handshake works */
    const char *client_text;
    enum weft_reason server_reason;
    const char *server_text;
};

#define FINE WEFT_REASON_NONE, "", WEFT_REASON_NONE, ""
#define REJECTS "the peer rejected our certificate: "

static const struct refusal_row refusal_rows[] = {
    {"none, no certificate", {NULL, "ca.crt"}, {"good", "ca.crt"}, WEFT_CLIENT_AUTH_NONE, FINE},
    {"none, certificate", {"good", "ca.crt"}, {"good", "ca.crt"}, WEFT_CLIENT_AUTH_NONE, FINE},
    {"none, foreign", {"foreign", "both.crt"}, {"good", "ca.crt"}, WEFT_CLIENT_AUTH_NONE, FINE},
    {"optional, no certificate", {NULL, "ca.crt"}, {"good", "ca.crt"}, WEFT_CLIENT_AUTH_OPTIONAL, FINE},
    {"optional, certificate", {"good", "ca.crt"}, {"good", "ca.crt"}, WEFT_CLIENT_AUTH_OPTIONAL, FINE},
    {"optional, foreign",
     {"foreign", "both.crt"},
     {"good", "ca.crt"},
     WEFT_CLIENT_AUTH_OPTIONAL,
     WEFT_REASON_CERT_UNTRUSTED,
     REJECTS "its trust store does not know the CA",
     WEFT_REASON_CERT_UNTRUSTED,
     "the peer's certificate (CN=foreign) is not trusted"},
    {"required, certificate", {"good", "ca.crt"}, {"good", "ca.crt"}, WEFT_CLIENT_AUTH_REQUIRED, FINE},
    {"required, no certificate",
     {NULL, "ca.crt"},
     {"good", "ca.crt"},
     WEFT_CLIENT_AUTH_REQUIRED,
     WEFT_REASON_CERT_MISSING,
     "the peer demands a certificate",
     WEFT_REASON_CERT_MISSING,
     "the peer showed no certificate"},
    {"required, foreign",
     {"foreign", "both.crt"},
     {"good", "ca.crt"},
     WEFT_CLIENT_AUTH_REQUIRED,
     WEFT_REASON_CERT_UNTRUSTED,
     REJECTS "its trust store does not know the CA",
     WEFT_REASON_CERT_UNTRUSTED,
     "the peer's certificate (CN=foreign) is not trusted"},
    {"required, expired",
     {"expired", "ca.crt"},
     {"good", "ca.crt"},
     WEFT_CLIENT_AUTH_REQUIRED,
     WEFT_REASON_CERT_EXPIRED,
     REJECTS "certificate expired",
     WEFT_REASON_CERT_EXPIRED,
     "the peer's certificate (CN=expired) has expired"},
    {"required, early",
     {"early", "ca.crt"},
     {"good", "ca.crt"},
     WEFT_CLIENT_AUTH_REQUIRED,
     WEFT_REASON_CERT_NOT_YET_VALID,
     REJECTS "certificate not valid yet",
     WEFT_REASON_CERT_NOT_YET_VALID,
     "the peer's certificate (CN=early) is not valid yet"},
    {"server foreign",
     {NULL, "ca.crt"},
     {"foreign", "other.crt"},
     WEFT_CLIENT_AUTH_NONE,
     WEFT_REASON_CERT_UNTRUSTED,
     "the peer's certificate (CN=foreign) is not trusted",
     WEFT_REASON_CERT_UNTRUSTED,
     REJECTS "its trust store does not know the CA"},
    {"server expired",
     {NULL, "ca.crt"},
     {"expired", "ca.crt"},
     WEFT_CLIENT_AUTH_NONE,
     WEFT_REASON_CERT_EXPIRED,
     "the peer's certificate (CN=expired) has expired",
     WEFT_REASON_CERT_EXPIRED,
     REJECTS "certificate expired"},
    {"server early",
     {NULL, "ca.crt"},
     {"early", "ca.crt"},
     WEFT_CLIENT_AUTH_NONE,
     WEFT_REASON_CERT_NOT_YET_VALID,
     "the peer's certificate (CN=early) is not valid yet",
     WEFT_REASON_CERT_NOT_YET_VALID,
     REJECTS "certificate not valid yet"},
};

static void side_expect(const char *what, const char *which, const struct side *side, enum weft_reason reason,
                        const char *text)
{
    const struct weft_error *error = &side->secure->error;
    if (error->reason != reason || strncmp(error->text, text, strlen(text)) != 0) {
        fail_msg("%s, %s: %s \"%s\" instead of %s \"%s\"", what, which, weft_reason_name(error->reason), error->text,
                 weft_reason_name(reason), text);
    }
    assert_int_equal(error->code, reason == WEFT_REASON_NONE ? WEFT_OK : WEFT_ERR_TLS);
    assert_int_equal(side->failed, reason != WEFT_REASON_NONE);
}

static void refusal_check(const struct pki *pki, const struct refusal_row *row, enum tls_version version,
                          const struct cut *cut)
{
    struct tls_context_options client_options = {.version_max = version};
    struct tls_context_options server_options = {.client_auth = row->client_auth};
    struct pair *pair = pair_open(pki, &row->client, &row->server, &client_options, &server_options);
    pair_handshake(pair, cut);
    side_expect(row->what, "client", &pair->client, row->client_reason, row->client_text);
    side_expect(row->what, "server", &pair->server, row->server_reason, row->server_text);
    if (row->client_reason == WEFT_REASON_NONE) {
        struct secure_facts facts;
        pair->server.secure->ops->facts(pair->server.secure, &facts);
        bool shown = row->client.name != NULL && row->client_auth != WEFT_CLIENT_AUTH_NONE;
        assert_int_equal(facts.peer_verified, shown);
        pair_send(&pair->client, &pair->server, 100, cut, LARGE);
    }
    pair_close(pair);
}

static void session__certificates_and_client_auth__exact_reasons_on_both_ends(void **state)
{
    static const struct cut cut_bytes = {1, LARGE};
    for (uint32_t i = 0; i < sizeof refusal_rows / sizeof refusal_rows[0]; i++) {
        refusal_check(*state, &refusal_rows[i], TLS_VERSION_1_3, &cut_large);
        refusal_check(*state, &refusal_rows[i], TLS_VERSION_1_2, &cut_large);
        refusal_check(*state, &refusal_rows[i], TLS_VERSION_1_3, &cut_bytes);
    }
}

static void session__failed__every_call_fails_with_the_first_cause(void **state)
{
    static const struct end client = {NULL, "other.crt"};
    struct tls_context_options options = {0};
    struct pair *pair = pair_open(*state, &client, &end_good, &options, &options);
    pair_handshake(pair, &cut_large);
    assert_true(pair->client.failed);
    struct weft_error first = pair->client.secure->error;
    uint8_t memory[256];
    struct secure_in in = {(const uint8_t *)"abc", 3};
    struct secure_out out = {memory, sizeof memory, 0};
    struct secure_out plain = {memory, sizeof memory, 0};
    const struct secure_ops *ops = pair->client.secure->ops;
    assert_int_equal(ops->handshake(pair->client.secure, &in, &out), SECURE_FAILED);
    assert_int_equal(ops->seal(pair->client.secure, &in, &out), SECURE_FAILED);
    assert_int_equal(ops->open(pair->client.secure, &in, &plain, &out), SECURE_FAILED);
    assert_int_equal(ops->shut(pair->client.secure, &out), SECURE_DONE);
    assert_int_equal(out.used, 0);
    assert_memory_equal(&first, &pair->client.secure->error, sizeof first);
    assert_true(first.tls_code != 0);
    pair_close(pair);
}

static void session__no_common_version__tls_version_on_both_ends(void **state)
{
    struct tls_context_options old = {.version_max = TLS_VERSION_1_2};
    struct tls_context_options new = {.version_min = TLS_VERSION_1_3};
    struct pair *pair = pair_open(*state, &end_good, &end_good, &old, &new);
    pair_handshake(pair, &cut_large);
    side_expect("old client", "client", &pair->client, WEFT_REASON_TLS_VERSION, "the peer rejected our TLS version");
    side_expect("old client", "server", &pair->server, WEFT_REASON_TLS_VERSION, "the peer speaks no TLS version");
    pair_close(pair);
    pair = pair_open(*state, &end_good, &end_good, &new, &old);
    pair_handshake(pair, &cut_large);
    side_expect("old server", "client", &pair->client, WEFT_REASON_TLS_VERSION, "the peer rejected our TLS version");
    side_expect("old server", "server", &pair->server, WEFT_REASON_TLS_VERSION, "the peer speaks no TLS version");
    pair_close(pair);
}

/* A hello of TLS 1.2 that offers only what weft never accepts: RSA key exchange with AES-CBC. */
static void server__hello_without_good_cipher__tls_no_shared_cipher(void **state)
{
    static const uint8_t hello[] = {0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3,    4, 5,
                                    6,    7, 8, 9, 1,  2, 3, 4, 5,  6, 7, 8, 9, 1, 2, 3, 4, 5, 0, 0, 2, 0, 0x2f, 1, 0};
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_DEFAULT);
    wire_append(&pair->client.sent, hello, sizeof hello);
    side_handshake(&pair->server, &pair->client.sent, &cut_large);
    side_expect("cbc", "server", &pair->server, WEFT_REASON_TLS_NO_SHARED_CIPHER, "the peer offers no cipher suite");
    /* handshake_failure, so that the peer knows too */
    static const uint8_t alert[] = {0x15, 3, 3, 0, 2, 2, 40};
    assert_int_equal(pair->server.sent.end, sizeof alert);
    assert_memory_equal(pair->server.sent.data, alert, sizeof alert);
    pair_close(pair);
}

static void session__plaintext__told_by_the_first_byte(void **state)
{
    static const char *const texts[] = {"SSTARRPC", "GET / HTTP/1.1\r\n\r\n", "S", "\n", "\x01"};
    for (uint32_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct pair *pair = pair_open_plain(*state, TLS_VERSION_DEFAULT);
        wire_append(&pair->client.sent, (const uint8_t *)texts[i], (uint32_t)strlen(texts[i]));
        side_handshake(&pair->server, &pair->client.sent, &cut_large);
        side_expect(texts[i], "server", &pair->server, WEFT_REASON_PLAINTEXT_ON_TLS_PORT,
                    "the peer sent plaintext to a TLS port");
        /* An alert would be garbage to whoever sent this. */
        assert_int_equal(pair->server.sent.end, 0);

        wire_append(&pair->server.sent, (const uint8_t *)texts[i], (uint32_t)strlen(texts[i]));
        side_handshake(&pair->client, &pair->server.sent, &cut_large);
        side_expect(texts[i], "client", &pair->client, WEFT_REASON_TLS_FAILED, "the peer answers in plaintext");
        pair_close(pair);
    }
}

static void session__alert_instead_of_answer__named(void **state)
{
    static const struct {
        uint8_t alert;
        enum weft_reason reason;
        const char *text;
    } rows[] = {
        {40, WEFT_REASON_TLS_NO_SHARED_CIPHER, "the peer rejected the handshake"},
        {70, WEFT_REASON_TLS_VERSION, "the peer rejected our TLS version"},
        {44, WEFT_REASON_CERT_REVOKED, "the peer rejected our certificate: certificate revoked"},
        {42, WEFT_REASON_CERT_UNTRUSTED, "the peer rejected our certificate: bad certificate"},
        {49, WEFT_REASON_REFUSED, "the peer rejected us"},
        {80, WEFT_REASON_TLS_FAILED, "the peer failed by itself"},
        {200, WEFT_REASON_TLS_FAILED, "the peer sent the TLS alert 200"},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t alert[] = {0x15, 3, 3, 0, 2, 2, rows[i].alert};
        struct pair *pair = pair_open_plain(*state, TLS_VERSION_DEFAULT);
        side_handshake(&pair->client, &pair->server.sent, &cut_large);
        wire_append(&pair->server.sent, alert, sizeof alert);
        side_handshake(&pair->client, &pair->server.sent, &cut_large);
        side_expect("alert", "client", &pair->client, rows[i].reason, rows[i].text);
        pair_close(pair);
    }
}

static void session__closed_in_handshake__tls_failed(void **state)
{
    static const uint8_t close_notify[] = {0x15, 3, 3, 0, 2, 1, 0};
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_DEFAULT);
    side_handshake(&pair->client, &pair->server.sent, &cut_large);
    wire_append(&pair->server.sent, close_notify, sizeof close_notify);
    side_handshake(&pair->client, &pair->server.sent, &cut_large);
    side_expect("close", "client", &pair->client, WEFT_REASON_TLS_FAILED, "the peer closed the connection in");
    pair_close(pair);
}

static void server__random_garbage__fails_or_waits_and_never_crashes(void **state)
{
    struct prng prng;
    prng_init(&prng, 20260101);
    uint32_t failures = 0;
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_DEFAULT);
    for (uint32_t i = 0; i < 300; i++) {
        uint8_t garbage[600];
        uint32_t bytes = 1 + (uint32_t)prng_below(&prng, sizeof garbage);
        fill(garbage, bytes, prng_next(&prng));
        if (i % 2 == 0 && bytes > 6) {
            /* Looks like a record with a hello. */
            static const uint8_t head[] = {0x16, 3, 1, 0, 0, 1};
            memcpy(garbage, head, sizeof head);
            garbage[4] = (uint8_t)(bytes - 5);
            garbage[3] = (uint8_t)((bytes - 5) >> 8);
        }
        pair_renew(pair);
        wire_append(&pair->client.sent, garbage, bytes);
        side_handshake(&pair->server, &pair->client.sent, &cut_large);
        assert_false(pair->server.done);
        if (pair->server.failed) {
            failures++;
            assert_int_equal(pair->server.secure->error.code, WEFT_ERR_TLS);
            assert_true(pair->server.secure->error.reason != WEFT_REASON_NONE);
        }
    }
    pair_close(pair);
    assert_true(failures > 200);
}

static void server__mutated_hello__fails_or_waits_and_never_crashes(void **state)
{
    struct prng prng;
    prng_init(&prng, 7);
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_DEFAULT);
    for (uint32_t i = 0; i < 200; i++) {
        pair_renew(pair);
        side_handshake(&pair->client, &pair->server.sent, &cut_large);
        for (uint32_t k = 0; k < 3; k++) {
            pair->client.sent.data[prng_below(&prng, pair->client.sent.end)] ^= (uint8_t)(1 + prng_below(&prng, 255));
        }
        pair_handshake(pair, &cut_large);
        /* The hello is part of what Finished covers: a changed one never leads to a connection. */
        assert_false(pair->client.done && !pair->client.failed && pair->server.done && !pair->server.failed);
    }
    pair_close(pair);
}

static void open__truncated_record__waits_for_the_rest(void **state)
{
    uint8_t memory[256];
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_1_3);
    pair_handshake(pair, &cut_large);
    struct secure_in message = {(const uint8_t *)"whole", 5};
    struct secure_out out = {memory, sizeof memory, 0};
    assert_int_equal(pair->client.secure->ops->seal(pair->client.secure, &message, &out), SECURE_MORE);
    uint8_t opened[16];
    uint32_t used = 0;
    for (uint32_t i = 0; i < out.used; i++) {
        assert_int_equal(used, 0);
        wire_append(&pair->client.sent, memory + i, 1);
        assert_int_equal(side_open_records(&pair->server, &pair->client.sent, &cut_large, opened, sizeof opened, &used),
                         SECURE_MORE);
    }
    assert_int_equal(used, 5);
    pair_close(pair);
}

static void open__corrupted_record__bad_record_mac_on_both_ends(void **state)
{
    static const enum tls_version versions[] = {TLS_VERSION_1_3, TLS_VERSION_1_2};
    for (uint32_t v = 0; v < 2; v++) {
        uint8_t memory[256];
        uint8_t opened[64];
        struct pair *pair = pair_open_plain(*state, versions[v]);
        pair_handshake(pair, &cut_large);
        struct secure_in message = {(const uint8_t *)"hello", 5};
        struct secure_out out = {memory, sizeof memory, 0};
        assert_int_equal(pair->client.secure->ops->seal(pair->client.secure, &message, &out), SECURE_MORE);
        memory[out.used - 1] ^= 1;
        wire_append(&pair->client.sent, memory, out.used);
        uint32_t used = 0;
        assert_int_equal(side_open_records(&pair->server, &pair->client.sent, &cut_large, opened, sizeof opened, &used),
                         SECURE_FAILED);
        assert_int_equal(used, 0);
        side_expect("mac", "server", &pair->server, WEFT_REASON_TLS_FAILED, "a record of the peer is damaged");
        assert_int_equal(side_open_records(&pair->client, &pair->server.sent, &cut_large, opened, sizeof opened, &used),
                         SECURE_FAILED);
        side_expect("mac", "client", &pair->client, WEFT_REASON_TLS_FAILED, "the peer received a damaged record");
        pair_close(pair);
    }
}

static void open__record_over_the_limit__fails(void **state)
{
    static uint8_t record[5 + 16384 + 300];
    uint8_t opened[64];
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_1_3);
    pair_handshake(pair, &cut_large);
    uint32_t bytes = sizeof record - 5;
    record[0] = 0x17;
    record[1] = record[2] = 3;
    record[3] = (uint8_t)(bytes >> 8);
    record[4] = (uint8_t)bytes;
    wire_append(&pair->client.sent, record, sizeof record);
    uint32_t used = 0;
    assert_int_equal(side_open_records(&pair->server, &pair->client.sent, &cut_large, opened, sizeof opened, &used),
                     SECURE_FAILED);
    assert_int_equal(pair->server.secure->error.reason, WEFT_REASON_TLS_FAILED);
    pair_close(pair);
}

static void context__many_of_one_set__independent(void **state)
{
    struct tls_credentials *credentials = pki_credentials(*state, "good", "ca.crt");
    struct tls_context_options options = {0};
    struct tls_context *contexts[4];
    struct weft_error why = {0};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(tls_context_create(&contexts[i], credentials, &options, &why), WEFT_OK);
    }
    tls_credentials_destroy(credentials);
    for (uint32_t i = 0; i < 4; i++) {
        struct secure_factory *factory = tls_context_factory(contexts[i]);
        struct secure *session = NULL;
        assert_int_equal(factory->make(factory, true, &session, &why), WEFT_OK);
        assert_string_equal(session->ops->name, "openssl");
        session->ops->close(session);
        tls_context_destroy(contexts[i]);
    }
    tls_context_destroy(NULL);
}

#define THREADS 3u
#define THREAD_ROUNDS 5u

struct thread_side {
    struct secure *secure;
    uint8_t sent[16384];
    uint32_t sent_bytes;
    enum secure_step step;
};

static void thread_step(struct thread_side *side, struct thread_side *from)
{
    struct secure_in in = {from->sent, from->sent_bytes};
    struct secure_out out = {side->sent, sizeof side->sent, 0};
    side->step = side->secure->ops->handshake(side->secure, &in, &out);
    from->sent_bytes = 0;
    side->sent_bytes = out.used;
}

/* Without cmocka's asserts, which belong to the main thread.  @return NULL on success */
static void *thread_run(void *ctx)
{
    const struct tls_credentials *credentials = ctx;
    struct tls_context_options options = {.client_auth = WEFT_CLIENT_AUTH_REQUIRED};
    struct tls_context *context = NULL;
    if (tls_context_create(&context, credentials, &options, NULL) != WEFT_OK) {
        return ctx;
    }
    bool ok = true;
    struct secure_factory *factory = tls_context_factory(context);
    for (uint32_t i = 0; i < THREAD_ROUNDS && ok; i++) {
        struct thread_side client = {0};
        struct thread_side server = {0};
        ok = factory->make(factory, false, &client.secure, NULL) == WEFT_OK &&
             factory->make(factory, true, &server.secure, NULL) == WEFT_OK;
        if (ok) {
            thread_step(&client, &server);
            thread_step(&server, &client);
            thread_step(&client, &server);
            thread_step(&server, &client);
            ok = client.step == SECURE_DONE && server.step == SECURE_DONE;
        }
        if (client.secure != NULL) {
            client.secure->ops->close(client.secure);
        }
        if (server.secure != NULL) {
            server.secure->ops->close(server.secure);
        }
    }
    tls_context_destroy(context);
    return ok ? NULL : ctx;
}

static void context__threads_with_one_credential_set__independent(void **state)
{
    struct tls_credentials *credentials = pki_credentials(*state, "good", "ca.crt");
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, thread_run, credentials), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        void *result = credentials;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
    tls_credentials_destroy(credentials);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session__handshake__facts_name_version_and_cipher),
        cmocka_unit_test(session__any_fragmentation__data_arrives_both_ways),
        cmocka_unit_test(session__one_mib__arrives_both_ways),
        cmocka_unit_test(session__alternate_directions__keeps_order),
        cmocka_unit_test(seal__output_without_room__room_and_nothing_written),
        cmocka_unit_test(seal__nothing__more),
        cmocka_unit_test(open__plain_full__room_until_emptied),
        cmocka_unit_test(shut__after_data__peer_sees_closed),
        cmocka_unit_test(shut__output_full__room_then_done),
        cmocka_unit_test(shut__before_handshake__nothing_to_send),
        cmocka_unit_test(seal__key_used_up__tls13_renews_it_and_tls12_ends),
        cmocka_unit_test(seal__peer_asked_for_new_key__answer_fits_the_overhead),
        cmocka_unit_test(seal__new_key_does_not_fit__room_and_goes_on_where_it_was),
        cmocka_unit_test(open__new_key_half_sent__rest_goes_out_without_input),
        cmocka_unit_test(session__leaf_in_trust_store__accepted_without_ca),
        cmocka_unit_test(factory__no_certificate__only_client_sessions),
        cmocka_unit_test(session__certificates_and_client_auth__exact_reasons_on_both_ends),
        cmocka_unit_test(session__failed__every_call_fails_with_the_first_cause),
        cmocka_unit_test(session__no_common_version__tls_version_on_both_ends),
        cmocka_unit_test(server__hello_without_good_cipher__tls_no_shared_cipher),
        cmocka_unit_test(session__plaintext__told_by_the_first_byte),
        cmocka_unit_test(session__alert_instead_of_answer__named),
        cmocka_unit_test(session__closed_in_handshake__tls_failed),
        cmocka_unit_test(server__random_garbage__fails_or_waits_and_never_crashes),
        cmocka_unit_test(server__mutated_hello__fails_or_waits_and_never_crashes),
        cmocka_unit_test(open__truncated_record__waits_for_the_rest),
        cmocka_unit_test(open__corrupted_record__bad_record_mac_on_both_ends),
        cmocka_unit_test(open__record_over_the_limit__fails),
        cmocka_unit_test(context__many_of_one_set__independent),
        cmocka_unit_test(context__threads_with_one_credential_set__independent),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
