/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a TLS session turns application bytes into records and back whatever the fragmentation, renews its keys in
 * time, and closes in good order. Method: two sessions of real contexts, mouth to mouth (tls_pair.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/limits.h"
#include "tls/openssl_session.h"
#include "tls_pair.h"

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

/* The next so many records of a byte each, some of them behind a new key, on their way to the server. */
static void keys_send(struct pair *pair, uint32_t records, bool new_keys)
{
    struct session *session = WEFT_CONTAINER_OF(pair->client.secure, struct session, secure);
    for (uint32_t i = 0; i < records; i++) {
        uint8_t memory[128];
        struct secure_in byte = {(const uint8_t *)"x", 1};
        struct secure_out out = {memory, sizeof memory, 0};
        assert_int_equal(new_keys ? SSL_key_update(session->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) : 1, 1);
        assert_int_equal(pair->client.secure->ops->seal(pair->client.secure, &byte, &out), SECURE_MORE);
        wire_append(&pair->client.sent, memory, out.used);
    }
}

/* How many of their bytes are opened. */
static uint32_t keys_open(struct pair *pair, enum secure_step last)
{
    uint8_t opened[2 * TLS_MESSAGE_RECORDS];
    uint32_t used = 0;
    assert_int_equal(side_open_records(&pair->server, &pair->client.sent, &cut_large, opened, sizeof opened, &used),
                     last);
    return used;
}

static void open__new_keys_instead_of_data__ends_before_they_cost_more(void **state)
{
    struct pair *pair = pair_open_plain(*state, TLS_VERSION_1_3);
    pair_handshake(pair, &cut_large);
    keys_send(pair, TLS_MESSAGES_MAX, true);
    assert_int_equal(keys_open(pair, SECURE_MORE), TLS_MESSAGES_MAX);
    keys_send(pair, TLS_MESSAGE_RECORDS - TLS_MESSAGES_MAX, false);
    keys_send(pair, 1, true);
    assert_int_equal(keys_open(pair, SECURE_MORE), TLS_MESSAGE_RECORDS - TLS_MESSAGES_MAX + 1);
    keys_send(pair, 500, true);
    assert_int_equal(keys_open(pair, SECURE_FAILED), 0);
    assert_int_equal(pair->server.secure->error.reason, WEFT_REASON_TLS_FAILED);
    assert_non_null(strstr(pair->server.secure->error.text, "one new key after the other"));
    assert_in_range(pair->client.sent.end - pair->client.sent.begin, 499 * 40, WIRE_BYTES); /* unread */
    pair_close(pair);
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
        cmocka_unit_test(open__new_keys_instead_of_data__ends_before_they_cost_more),
        cmocka_unit_test(session__leaf_in_trust_store__accepted_without_ca),
        cmocka_unit_test(factory__no_certificate__only_client_sessions),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
