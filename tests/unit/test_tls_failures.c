/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whatever goes wrong between two TLS sessions ends with the exact reason on both ends, and no input crashes one.
 * Method: two sessions of real contexts, mouth to mouth (tls_pair.h), with certificates of all kinds; faults are put
 * into the bytes on the way, or take the place of a peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "engine/base/prng.h"
#include "tls/reason.h"
#include "tls_pair.h"

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
        side_expect(texts[i], "client", &pair->client, WEFT_REASON_TLS_ON_PLAINTEXT_PORT,
                    "the peer answers in plaintext");
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
        {10, WEFT_REASON_TLS_ON_PLAINTEXT_PORT, "the peer did not expect TLS: is this its storage_port?"},
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

static void alert__after_the_handshake__not_about_what_was_agreed(void **state)
{
    static const struct {
        int alert;
        bool asked; /* for a certificate, which we have none of */
        enum weft_reason during;
        enum weft_reason after;
    } rows[] = {
        {SSL_AD_HANDSHAKE_FAILURE, false, WEFT_REASON_TLS_NO_SHARED_CIPHER, WEFT_REASON_TLS_FAILED},
        {SSL_AD_HANDSHAKE_FAILURE, true, WEFT_REASON_CERT_MISSING, WEFT_REASON_CERT_MISSING},
        {SSL_AD_INSUFFICIENT_SECURITY, false, WEFT_REASON_TLS_NO_SHARED_CIPHER, WEFT_REASON_TLS_FAILED},
        {SSL_AD_PROTOCOL_VERSION, false, WEFT_REASON_TLS_VERSION, WEFT_REASON_TLS_FAILED},
        {SSL_AD_UNKNOWN_CA, false, WEFT_REASON_CERT_UNTRUSTED, WEFT_REASON_CERT_UNTRUSTED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int done = 0; done < 2; done++) {
            struct weft_error error = {0};
            const struct tls_failure failure = {.code = ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + rows[i].alert),
                                                .handshake_done = done == 1,
                                                .certificate_asked = rows[i].asked};
            tls_reason_explain(&failure, &error);
            assert_int_equal(error.reason, done == 1 ? rows[i].after : rows[i].during);
            assert_int_equal(strstr(error.text, "after the handshake") != NULL,
                             done == 1 && rows[i].after == WEFT_REASON_TLS_FAILED);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session__certificates_and_client_auth__exact_reasons_on_both_ends),
        cmocka_unit_test(session__failed__every_call_fails_with_the_first_cause),
        cmocka_unit_test(session__no_common_version__tls_version_on_both_ends),
        cmocka_unit_test(server__hello_without_good_cipher__tls_no_shared_cipher),
        cmocka_unit_test(session__plaintext__told_by_the_first_byte),
        cmocka_unit_test(session__alert_instead_of_answer__named),
        cmocka_unit_test(alert__after_the_handshake__not_about_what_was_agreed),
        cmocka_unit_test(session__closed_in_handshake__tls_failed),
        cmocka_unit_test(server__random_garbage__fails_or_waits_and_never_crashes),
        cmocka_unit_test(server__mutated_hello__fails_or_waits_and_never_crashes),
        cmocka_unit_test(open__truncated_record__waits_for_the_rest),
        cmocka_unit_test(open__corrupted_record__bad_record_mac_on_both_ends),
        cmocka_unit_test(open__record_over_the_limit__fails),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
