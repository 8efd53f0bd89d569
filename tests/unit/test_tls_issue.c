/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: issued certificates hold what peers check, and nothing is issued for names or by a CA that cannot work.
 * Method: what was issued is read back, by weft and by OpenSSL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "pki_issue.h"
#include "tls/describe.h"
#include "tls/issue.h"

static void node_certificate__all_names__stand_in_it(void **state)
{
    const struct pki *pki = *state;
    struct tls_node_options options = pki_node_options();
    struct tls_material material;
    struct weft_error why;
    assert_int_equal(pki_issue(pki, &options, "ca.crt", "ca.key", &material, &why), WEFT_OK);
    static const char uri[] = "weft://Test%20Cluster/dc%2F1/r%C3%A4k/6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00";
    assert_string_equal(material.uri, uri);
    assert_string_equal(material.id, "6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00");
    assert_int_equal(tls_material_write(&material, pki->directory, "n1", false, &why), WEFT_OK);
    tls_material_fini(&material);

    struct tls_description *leaf = pki_description(pki, "n1.crt");
    static const char *const kinds[] = {"IP", "IP", "DNS", "URI"};
    static const char *const values[] = {"10.0.0.1", "fd00::1", "n1.example.org", uri};
    assert_int_equal(leaf->name_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(leaf->names[i].kind, kinds[i]);
        assert_string_equal(leaf->names[i].value, values[i]);
    }
    assert_string_equal(leaf->subject, "CN=n1");
    assert_string_equal(leaf->issuer, "CN=weft CA ca");
    assert_string_equal(leaf->key, "EC P-256");
    assert_string_equal(leaf->signature, "ecdsa-with-SHA256");
    assert_true(leaf->server_auth && leaf->client_auth);
    assert_false(leaf->is_ca || leaf->is_self_signed || leaf->expired || leaf->not_yet_valid);
    assert_in_range(leaf->days_left, 728, 730);
    /* 16 bytes, the first from 0x40 to 0x7f: positive and never shorter */
    assert_int_equal(strlen(leaf->serial), 32);
    assert_in_range(leaf->serial[0], '4', '7');
    struct tls_description *other = pki_description(pki, "good.crt");
    assert_string_not_equal(leaf->serial, other->serial);
    assert_string_not_equal(leaf->fingerprint, other->fingerprint);
    tls_descriptions_destroy(other, 1);
    tls_descriptions_destroy(leaf, 1);
}

static X509 *parse(const struct pki *pki, const char *file)
{
    char *text = pki_text(pki, file);
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(certificate);
    BIO_free(bio);
    free(text);
    return certificate;
}

static void node_certificate__key_ids__chain_to_the_ca(void **state)
{
    X509 *ca = parse(*state, "ca.crt");
    X509 *leaf = parse(*state, "good.crt");
    assert_int_equal(ASN1_STRING_length(X509_get0_subject_key_id(ca)), 20);
    assert_int_equal(ASN1_STRING_length(X509_get0_subject_key_id(leaf)), 20);
    assert_int_equal(ASN1_STRING_cmp(X509_get0_authority_key_id(leaf), X509_get0_subject_key_id(ca)), 0);
    assert_int_not_equal(ASN1_STRING_cmp(X509_get0_subject_key_id(leaf), X509_get0_subject_key_id(ca)), 0);
    assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_int_equal(X509_get_pathlen(ca), 0);
    assert_int_equal(X509_get_version(leaf), X509_VERSION_3);
    X509_free(leaf);
    X509_free(ca);
}

static void ca_certificate__described__is_a_ca_of_ten_years(void **state)
{
    struct tls_description *ca = pki_description(*state, "ca.crt");
    char text[4096];
    assert_true(ca->is_ca);
    assert_true(ca->is_self_signed);
    assert_false(ca->server_auth || ca->client_auth);
    assert_in_range(ca->days_left, 3650, 3652);
    assert_int_equal(ca->name_count, 0);
    tls_description_print(ca, text, sizeof text);
    assert_non_null(strstr(text, "issuer:       CN=weft CA ca (self-signed)\n"));
    assert_non_null(strstr(text, "use:          CA\n"));
    assert_non_null(strstr(text, ca->fingerprint));
    /* A short buffer cuts, and keeps its end. */
    tls_description_print(ca, text, 20);
    assert_int_equal(strlen(text), 19);
    tls_descriptions_destroy(ca, 1);
}

static void ca_certificate__long_cluster_name__cut_between_characters(void **state)
{
    const struct pki *pki = *state;
    /* The subject's 64 bytes end in the middle of a two-byte character. */
    char cluster[202];
    for (uint32_t i = 0; i < 200; i += 2) {
        memcpy(cluster + i, "\xc3\xa4", 2);
    }
    memcpy(cluster + 200, "x", 2);
    struct tls_ca_options options = {.cluster = cluster};
    struct tls_material material;
    struct weft_error why = {0};
    assert_int_equal(tls_issue_ca(&material, &options, &why), WEFT_OK);
    assert_int_equal(tls_material_write(&material, pki->directory, "umlaut", false, &why), WEFT_OK);
    tls_material_fini(&material);
    struct tls_description *ca = pki_description(pki, "umlaut.crt");
    assert_int_equal(strncmp(ca->subject, "CN=weft CA \\C3\\A4", 17), 0);
    tls_descriptions_destroy(ca, 1);

    options.cluster = "\xff\xfe";
    assert_int_equal(tls_issue_ca(&material, &options, &why), WEFT_ERR_INVALID);
    assert_non_null(strstr(why.text, "use UTF-8"));
    assert_null(material.key);
    options.cluster = "";
    why = (struct weft_error){0};
    assert_int_equal(tls_issue_ca(&material, &options, &why), WEFT_ERR_INVALID);
}

static void node_certificate__no_id__random_version_4(void **state)
{
    struct tls_node_options options = pki_node_options();
    options.id = NULL;
    options.dc = NULL;
    options.rack = NULL;
    char first[UUID_TEXT_BYTES] = "";
    for (uint32_t i = 0; i < 2; i++) {
        struct tls_material material;
        struct weft_error why;
        assert_int_equal(pki_issue(*state, &options, "ca.crt", "ca.key", &material, &why), WEFT_OK);
        assert_int_equal(strlen(material.id), 36);
        assert_int_equal(material.id[14], '4');
        assert_non_null(strchr("89ab", material.id[19]));
        assert_string_not_equal(material.id, first);
        assert_int_equal(strncmp(material.uri, "weft://Test%20Cluster/-/-/", 26), 0);
        assert_string_equal(material.uri + 26, material.id);
        memcpy(first, material.id, sizeof first);
        tls_material_fini(&material);
    }
}

static void node_certificate__wrong_names__refused(void **state)
{
    static char long_name[300];
    memset(long_name, 'a', sizeof long_name - 1);
    struct {
        const char *text;
        const char **field;
        const char *value;
    } rows[16];
    struct tls_node_options options = pki_node_options();
    uint32_t count = 0;
#define ROW(...) rows[count++] = (typeof(rows[0])){__VA_ARGS__}
    ROW("id: ", &options.id, "6f1c0c5e8f3b4a519d0e2b7a4c9e1f00");
    ROW("id: ", &options.id, "");
    ROW("address: 10.0.0 ", &options.addresses[1], "10.0.0");
    ROW("address: n1 ", &options.addresses[0], "n1");
    ROW("dns: a b ", &options.dns_names[0], "a b");
    ROW("dns:  is no", &options.dns_names[0], "");
    ROW("dns: x,IP", &options.dns_names[0], "x,IP:1.2.3.4");
    ROW("name: ", &options.name, "../n1");
    ROW("name: ", &options.name, "a/b");
    ROW("name: ", &options.name, ".hidden");
    ROW("name: ", &options.name, "");
    ROW("dc: \"\"", &options.dc, "");
    ROW("dc: \"-\"", &options.dc, "-");
    ROW("rack: \"-\"", &options.rack, "-");
    ROW("cluster: has 299 bytes", &options.cluster, long_name);
#undef ROW
    for (uint32_t i = 0; i < count; i++) {
        struct tls_material material;
        struct weft_error why;
        const char *before = *rows[i].field;
        *rows[i].field = rows[i].value;
        assert_int_equal(pki_issue(*state, &options, "ca.crt", "ca.key", &material, &why), WEFT_ERR_INVALID);
        if (strncmp(why.text, rows[i].text, strlen(rows[i].text)) != 0) {
            fail_msg("\"%s\" does not begin with \"%s\"", why.text, rows[i].text);
        }
        assert_null(material.certificate);
        assert_null(material.key);
        assert_null(material.uri);
        *rows[i].field = before;
    }
}

static void node_certificate__wrong_ca__refused(void **state)
{
    static const struct {
        const char *certificate;
        const char *key;
        const char *text;
    } rows[] = {
        {"good.crt", "good.key", "is not a CA's"},
        {"ca.crt", "other.key", "does not fit the CA's key"},
        {"missing.crt", "ca.key", "CA certificate"},
        {"ca.crt", "missing.key", "CA key"},
    };
    struct tls_node_options options = pki_node_options();
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tls_material material;
        struct weft_error why;
        assert_int_equal(pki_issue(*state, &options, rows[i].certificate, rows[i].key, &material, &why),
                         WEFT_ERR_CONFIG);
        assert_non_null(strstr(why.text, rows[i].text));
    }
}

static void issue_short_ca(const struct pki *pki, const char *name, int64_t from_s, int64_t until_s)
{
    struct tls_ca_options options = {.cluster = name, .validity = {from_s, until_s}};
    struct tls_material material;
    struct weft_error why = {0};
    assert_int_equal(tls_issue_ca(&material, &options, &why), WEFT_OK);
    assert_int_equal(tls_material_write(&material, pki->directory, name, false, &why), WEFT_OK);
    tls_material_fini(&material);
}

static void node_certificate__ca_ends_earlier__ends_with_it(void **state)
{
    const struct pki *pki = *state;
    issue_short_ca(pki, "short", -60, 7 * PKI_DAY_S);
    pki_node(pki, "brief", "short", 0, 0);
    struct tls_description *ca = pki_description(pki, "short.crt");
    struct tls_description *leaf = pki_description(pki, "brief.crt");
    assert_string_equal(leaf->not_after, ca->not_after);
    tls_descriptions_destroy(ca, 1);
    tls_descriptions_destroy(leaf, 1);

    issue_short_ca(pki, "past", -2 * PKI_DAY_S, -PKI_DAY_S);
    struct tls_node_options options = pki_node_options();
    struct tls_material material;
    struct weft_error why;
    assert_int_equal(pki_issue(pki, &options, "past.crt", "past.key", &material, &why), WEFT_ERR_CONFIG);
    assert_non_null(strstr(why.text, "has expired"));
    options.validity = (struct tls_validity){10, 10};
    assert_int_equal(pki_issue(pki, &options, "ca.crt", "ca.key", &material, &why), WEFT_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_certificate__all_names__stand_in_it),
        cmocka_unit_test(node_certificate__key_ids__chain_to_the_ca),
        cmocka_unit_test(ca_certificate__described__is_a_ca_of_ten_years),
        cmocka_unit_test(ca_certificate__long_cluster_name__cut_between_characters),
        cmocka_unit_test(node_certificate__no_id__random_version_4),
        cmocka_unit_test(node_certificate__wrong_names__refused),
        cmocka_unit_test(node_certificate__wrong_ca__refused),
        cmocka_unit_test(node_certificate__ca_ends_earlier__ends_with_it),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
