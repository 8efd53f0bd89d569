/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what a revocation list names gets no connection, on either side and at any depth of the chain, and a list that
 * cannot be used says so before the first peer comes.
 *
 * Method: two sessions of real contexts, mouth to mouth (tls_pair.h), one end of which was given lists; and credentials
 * that are loaded with lists of all kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tls_pair.h"

struct revocation_row {
    const char *lists;
    const char *shown; /* the certificate of the other end */
    enum weft_reason reason;
    const char *text;     /* of who has the lists */
    const char *rejected; /* of the other end */
};

#define FINE WEFT_REASON_NONE, "", ""
#define REJECTS "the peer rejected our certificate: "

static const struct revocation_row rows[] = {
    {"clean.crl", "good", FINE},
    {"revokes-leaf.crl", "good", FINE},
    {"revokes-leaf.crl", "revoked", WEFT_REASON_CERT_REVOKED, "the peer's certificate (CN=revoked) is revoked",
     REJECTS "certificate revoked"},
    {"revokes-leaf.crl", "below", FINE}, /* of another issuer, who gave no list */
    {"revokes-below.crl", "below", WEFT_REASON_CERT_REVOKED,
     "a CA certificate in the peer's chain (CN=below-ca) is revoked", REJECTS "certificate revoked"},
    {"clean.crl", "below", FINE},
    {"other.crl", "revoked", FINE},
    {"all.crl", "revoked", WEFT_REASON_CERT_REVOKED, "the peer's certificate (CN=revoked) is revoked",
     REJECTS "certificate revoked"},
    {"all.crl", "good", FINE},
};

static int revocation_setup(void **state)
{
    if (pki_setup(state) != 0) {
        return -1;
    }
    const struct pki *pki = *state;
    const int64_t month = INT64_C(30) * PKI_DAY_S;
    pki_authority(pki, "top-ca", NULL);
    pki_authority(pki, "below-ca", "top-ca");
    pki_authority(pki, "other-ca", NULL);
    pki_node(pki, "revoked", "top-ca", 0, 0);
    pki_node(pki, "fine", "top-ca", 0, 0);
    pki_node(pki, "lone", "below-ca", 0, 0);
    static const char *const chain[] = {"lone.crt", "below-ca.crt", NULL};
    static const char *const key[] = {"lone.key", NULL};
    pki_bundle(pki, "below.crt", chain);
    pki_bundle(pki, "below.key", key);
    static const char *const trust[] = {"ca.crt", "top-ca.crt", NULL};
    pki_bundle(pki, "trust.crt", trust);
    pki_list(pki, "clean.crl", "top-ca", NULL, -PKI_DAY_S, month);
    pki_list(pki, "revokes-leaf.crl", "top-ca", "revoked.crt", -PKI_DAY_S, month);
    pki_list(pki, "revokes-below.crl", "top-ca", "below-ca.crt", -PKI_DAY_S, month);
    pki_list(pki, "other.crl", "other-ca", "revoked.crt", -PKI_DAY_S, month);
    pki_list(pki, "old.crl", "top-ca", "revoked.crt", -month, -PKI_DAY_S);
    pki_list(pki, "early.crl", "top-ca", "revoked.crt", PKI_DAY_S, month);
    pki_list(pki, "soon.crl", "top-ca", "revoked.crt", -month, PKI_DAY_S + 60);
    static const char *const lists[] = {"other.crl", "revokes-leaf.crl", NULL};
    pki_bundle(pki, "all.crl", lists);
    return 0;
}

static void expect(const struct revocation_row *row, bool server_has, const struct side *side, const char *text)
{
    const struct weft_error *error = &side->secure->error;
    if (error->reason != row->reason || strncmp(error->text, text, strlen(text)) != 0) {
        fail_msg("%s, %s, lists of the %s: %s \"%s\" instead of %s \"%s\"", row->lists, row->shown,
                 server_has ? "server" : "client", weft_reason_name(error->reason), error->text,
                 weft_reason_name(row->reason), text);
    }
}

/* The handshake of who shows a certificate with who was given lists. */
static struct pair *shake(const struct pki *pki, const char *lists, const char *shown, bool server_has,
                          enum tls_version version, const struct weft_node_options *demands)
{
    struct tls_context_options options = {
        .client_auth = WEFT_CLIENT_AUTH_REQUIRED, .version_min = version, .version_max = version};
    struct tls_credentials *judge = pki_credentials_with(pki, "good", "trust.crt", lists, demands);
    struct tls_credentials *shower = pki_credentials(pki, shown, "trust.crt");
    struct pair *pair = server_has ? pair_open_with(shower, judge, &options, &options)
                                   : pair_open_with(judge, shower, &options, &options);
    pair_handshake(pair, &cut_large);
    return pair;
}

static void handshake__lists__revoked_at_any_depth_and_on_both_sides(void **state)
{
    static const enum tls_version versions[] = {TLS_VERSION_1_3, TLS_VERSION_1_2};
    const struct weft_node_options demands = {0};
    for (uint32_t i = 0; i < 4 * sizeof rows / sizeof rows[0]; i++) {
        const struct revocation_row *row = &rows[i / 4];
        bool server_has = i % 2 == 0;
        struct pair *pair = shake(*state, row->lists, row->shown, server_has, versions[i / 2 % 2], &demands);
        expect(row, server_has, server_has ? &pair->server : &pair->client, row->text);
        expect(row, server_has, server_has ? &pair->client : &pair->server, row->rejected);
        pair_close(pair);
    }
}

static void handshake__list_expired_and_warn__admits_says_so_and_still_revokes(void **state)
{
    const struct weft_node_options demands = {.crl_expired = WEFT_CRL_EXPIRED_WARN};
    for (uint32_t i = 0; i < 2; i++) {
        bool server_has = i == 0;
        struct pair *pair = shake(*state, "old.crl", "fine", server_has, TLS_VERSION_1_3, &demands);
        struct side *judge = server_has ? &pair->server : &pair->client;
        struct secure_facts facts;
        pair_expect_done(pair);
        judge->secure->ops->facts(judge->secure, &facts);
        assert_true(facts.crl_expired);
        assert_true(facts.peer_verified);
        pair_close(pair);
        pair = shake(*state, "old.crl", "revoked", server_has, TLS_VERSION_1_3, &demands);
        judge = server_has ? &pair->server : &pair->client;
        assert_int_equal(judge->secure->error.reason, WEFT_REASON_CERT_REVOKED);
        pair_close(pair);
    }
}

static void handshake__list_in_time__facts_say_nothing_of_an_expired_one(void **state)
{
    const struct weft_node_options demands = {.crl_expired = WEFT_CRL_EXPIRED_WARN};
    struct pair *pair = shake(*state, "clean.crl", "fine", true, TLS_VERSION_1_3, &demands);
    struct secure_facts facts;
    pair_expect_done(pair);
    pair->server.secure->ops->facts(pair->server.secure, &facts);
    assert_false(facts.crl_expired);
    pair_close(pair);
}

/* ---- at the start ---- */

static enum weft_err load(const struct pki *pki, const char *name, const char *lists, enum weft_crl_expired expired,
                          struct tls_credentials **credentials, struct weft_error *why)
{
    char paths[4][PKI_PATH_BYTES];
    char file[64];
    struct weft_node_options options = {.crl_expired = expired};
    snprintf(file, sizeof file, "%s.crt", name);
    options.tls.certificate = pki_path(pki, file, paths[0]);
    snprintf(file, sizeof file, "%s.key", name);
    options.tls.keyfile = pki_path(pki, file, paths[1]);
    options.tls.truststore = pki_path(pki, "trust.crt", paths[2]);
    options.certificate_revocation_list = pki_path(pki, lists, paths[3]);
    *why = (struct weft_error){0};
    return tls_credentials_load(credentials, &options, why);
}

static void load_refused(const struct pki *pki, const char *lists, const char *text)
{
    struct tls_credentials *credentials = NULL;
    struct weft_error why;
    assert_int_equal(load(pki, "good", lists, WEFT_CRL_EXPIRED_REFUSE, &credentials, &why), WEFT_ERR_CONFIG);
    assert_null(credentials);
    if (strstr(why.text, text) == NULL || strstr(why.text, lists) == NULL ||
        strncmp(why.text, "certificate_revocation_list ", 28) != 0) {
        fail_msg("\"%s\" does not say \"%s\"", why.text, text);
    }
}

static void credentials__unusable_lists__say_which_and_why(void **state)
{
    const struct pki *pki = *state;
    pki_file(pki, "empty.crl", "");
    pki_file(pki, "text.crl", "no list\n");
    pki_file(pki, "damaged.crl", "-----BEGIN X509 CRL-----\nMIIBlzCCAT2g\n-----END X509 CRL-----\n");
    load_refused(pki, "empty.crl", "is empty");
    load_refused(pki, "absent.crl", "cannot be opened");
    load_refused(pki, "text.crl", "holds no PEM revocation list");
    load_refused(pki, "damaged.crl", "is damaged");
    load_refused(pki, "old.crl", "the list of CN=top-ca expired at 20");
    load_refused(pki, "early.crl", "the list of CN=top-ca is not valid yet");
}

static void credentials__list_of_an_impostor__refused(void **state)
{
    const struct pki *pki = *state;
    struct pki elsewhere;
    pki_open(&elsewhere);
    pki_authority(&elsewhere, "top-ca", NULL); /* the same name, another key */
    pki_list(&elsewhere, "forged.crl", "top-ca", NULL, -PKI_DAY_S, PKI_DAY_S);
    char *text = pki_text(&elsewhere, "forged.crl");
    pki_file(pki, "forged.crl", text);
    free(text);
    pki_close(&elsewhere);
    load_refused(pki, "forged.crl", "is not signed by the certificate of that name");
}

static void load_warns(const struct pki *pki, const char *name, const char *lists, const char *text)
{
    struct tls_credentials *credentials = NULL;
    struct weft_error why;
    assert_int_equal(load(pki, name, lists, WEFT_CRL_EXPIRED_WARN, &credentials, &why), WEFT_OK);
    bool found = text == NULL && tls_credentials_warning_count(credentials) == 0;
    for (uint32_t i = 0; i < tls_credentials_warning_count(credentials); i++) {
        found = found || (text != NULL && strstr(tls_credentials_warning(credentials, i), text) != NULL);
    }
    if (!found) {
        fail_msg("%s: no warning \"%s\", or one that is not wanted: %s", lists, text == NULL ? "" : text,
                 tls_credentials_warning(credentials, 0));
    }
    char line[2048];
    tls_credentials_describe(credentials, line, sizeof line);
    assert_non_null(strstr(line, "revocation lists of "));
    tls_credentials_destroy(credentials);
}

static void credentials__odd_lists__warned_of(void **state)
{
    load_warns(*state, "good", "clean.crl", NULL);
    load_warns(*state, "good", "old.crl", "what was revoked since then is admitted");
    load_warns(*state, "good", "soon.crl", "in 1 days");
    load_warns(*state, "good", "other.crl", "CN=other-ca, whose list it holds, is not in truststore");
    load_warns(*state, "revoked", "revokes-leaf.crl", "revoked by CN=top-ca");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake__lists__revoked_at_any_depth_and_on_both_sides),
        cmocka_unit_test(handshake__list_expired_and_warn__admits_says_so_and_still_revokes),
        cmocka_unit_test(handshake__list_in_time__facts_say_nothing_of_an_expired_one),
        cmocka_unit_test(credentials__unusable_lists__say_which_and_why),
        cmocka_unit_test(credentials__list_of_an_impostor__refused),
        cmocka_unit_test(credentials__odd_lists__warned_of),
    };
    return cmocka_run_group_tests(tests, revocation_setup, pki_teardown);
}
