/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: credentials that cannot work are refused with one line that names file and remedy; doubtful ones start with a
 * warning.
 * Method: tables of faults against a directory of real certificates. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pki_issue.h"
#include "tls/credentials.h"
#include "tls/describe.h"

/* The key of pki_lonely under the password "weft". */
static const char lonely_key_encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                           "MIH0MF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBAfhslSt7a4DGUZDyhu\n"
                                           "m4j5AgIIADAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQF0T+nl8VEBuuREqe\n"
                                           "dYBwMQSBkHI9aXK41HxETMNzBpoDPiZZd0Ej4yquMoGrdvgMIyG5RZhr1oOnoo/H\n"
                                           "E5Gbo+ayAY2Or0tLy66TQHPRLDuQ+5jNkbKs92V5m918RqIVxI/298e24F6J6Ll6\n"
                                           "z6IenM0KKdJPbqRVtKYSOvxKdqJVCEsNTXoCJxQgDH6ugM2v7EkatbbZ/uzQi11c\n"
                                           "cr7agEUQkw==\n"
                                           "-----END ENCRYPTED PRIVATE KEY-----\n";

static int credentials_setup(void **state)
{
    if (pki_setup(state) != 0) {
        return -1;
    }
    pki_node(*state, "second", "ca", 0, 0);
    pki_lonely(*state);
    pki_file(*state, "encrypted.key", lonely_key_encrypted);
    return 0;
}

static void file_set_mode(const struct pki *pki, const char *file, mode_t mode)
{
    char path[PKI_PATH_BYTES];
    assert_int_equal(chmod(pki_path(pki, file, path), mode), 0);
}

/* Load files of the directory; NULL names are not configured, and names with a slash are taken as they are. */
static enum weft_err load(const struct pki *pki, const char *certificate, const char *key, const char *trust,
                          struct tls_credentials **credentials, struct weft_error *why)
{
    char paths[3][PKI_PATH_BYTES];
    const char *names[3] = {certificate, key, trust};
    for (uint32_t i = 0; i < 3; i++) {
        if (names[i] != NULL && strchr(names[i], '/') == NULL && strcmp(names[i], "system") != 0) {
            names[i] = pki_path(pki, names[i], paths[i]);
        }
    }
    struct weft_node_options options = {.tls = {.certificate = names[0], .keyfile = names[1], .truststore = names[2]}};
    *why = (struct weft_error){0};
    return tls_credentials_load(credentials, &options, why);
}

static void load_refused(const struct pki *pki, const char *certificate, const char *key, const char *trust,
                         const char *text)
{
    struct tls_credentials *credentials = NULL;
    struct weft_error why;
    enum weft_err err = load(pki, certificate, key, trust, &credentials, &why);
    assert_null(credentials);
    assert_int_equal(err, WEFT_ERR_CONFIG);
    assert_int_equal(why.code, WEFT_ERR_CONFIG);
    if (strstr(why.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", why.text, text);
    }
    assert_null(strchr(why.text, '\n'));
}

static void credentials__unusable_files__say_what_and_where(void **state)
{
    const struct pki *pki = *state;
    char path[PKI_PATH_BYTES];
    pki_file(pki, "empty.crt", "");
    pki_file(pki, "text.crt", "not a certificate\n");
    pki_file(pki, "damaged.crt",
             "-----BEGIN CERTIFICATE-----\nMIIBlzCCAT2gAwIBAgIUI+AAdrZz\n-----END CERTIFICATE-----\n");
    pki_file(pki, "damaged.key", "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----\n");
    pki_file(pki, "large.crt", "x");
    assert_int_equal(truncate(pki_path(pki, "large.crt", path), 2 << 20), 0);
    assert_int_equal(mkdir(pki_path(pki, "directory.crt", path), 0700), 0);
    assert_int_equal(mkfifo(pki_path(pki, "fifo.crt", path), 0600), 0);
    static const struct {
        const char *certificate;
        const char *key;
        const char *trust;
        const char *text;
    } rows[] = {
        {"missing.crt", "good.key", "ca.crt", "missing.crt: cannot be opened: No such file"},
        {"good.crt", "missing.key", "ca.crt", "missing.key: cannot be opened: No such file"},
        {"good.crt", "good.key", "missing.crt", "missing.crt: cannot be opened: No such file"},
        {"empty.crt", "good.key", "ca.crt", "empty.crt: is empty"},
        {"text.crt", "good.key", "ca.crt", "text.crt: holds no PEM certificate"},
        {"good.crt", "text.crt", "ca.crt", "text.crt: holds no PEM key"},
        {"good.crt", "good.key", "text.crt", "text.crt: holds no PEM certificate"},
        {"damaged.crt", "good.key", "ca.crt", "damaged.crt: certificate 1 is damaged"},
        {"good.crt", "damaged.key", "ca.crt", "damaged.key: the key is damaged"},
        {"large.crt", "good.key", "ca.crt", "large.crt: has 2097152 bytes, the limit is 1048576"},
        {"directory.crt", "good.key", "ca.crt", "directory.crt: is a directory"},
        {"fifo.crt", "good.key", "ca.crt", "fifo.crt: is not a regular file"},
        {"/dev/zero", "good.key", "ca.crt", "/dev/zero: is not a regular file"},
        {"good.key", "good.crt", "ca.crt", "are certificate and keyfile swapped?"},
        {"good.crt", "good.crt", "ca.crt", "are certificate and keyfile swapped?"},
        {"lonely.crt", "encrypted.key", "ca.crt", "encrypted.key: is encrypted"},
        {"good.crt", NULL, "ca.crt", "keyfile: missing"},
        {NULL, "good.key", "ca.crt", "certificate: missing"},
        {"good.crt", "second.key", "ca.crt", "second.key: does not fit certificate"},
        {"mis\nsing.crt", "good.key", "ca.crt", "mis\\x0asing.crt: cannot be opened"},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        load_refused(pki, rows[i].certificate, rows[i].key, rows[i].trust, rows[i].text);
    }
    struct tls_credentials *credentials = NULL;
    struct weft_error why;
    assert_int_equal(load(pki, "missing.crt", "good.key", "ca.crt", &credentials, &why), WEFT_ERR_CONFIG);
    assert_int_equal(why.os_errno, ENOENT);
}

static void credentials__ca_before_leaf__told_to_swap(void **state)
{
    static const char *const parts[] = {"ca.crt", "good.crt", NULL};
    pki_bundle(*state, "reversed.crt", parts);
    load_refused(*state, "reversed.crt", "good.key", "ca.crt", "belongs to certificate 2 of it");
}

static void credentials__too_long_chain__refused(void **state)
{
    static const char *const parts[] = {"good.crt", "ca.crt", "ca.crt", "ca.crt", "ca.crt", "ca.crt",
                                        "ca.crt",   "ca.crt", "ca.crt", "ca.crt", "ca.crt", "ca.crt",
                                        "ca.crt",   "ca.crt", "ca.crt", "ca.crt", "ca.crt", NULL};
    pki_bundle(*state, "long.crt", parts);
    load_refused(*state, "long.crt", "good.key", "ca.crt", "holds more than 16 certificates");
}

static void credentials__other_trust_store__refused_with_remedy(void **state)
{
    load_refused(*state, "good.crt", "good.key", "other.crt", "does not verify it (unable to get local issuer");
}

static void credentials__good_set__no_warnings_and_described(void **state)
{
    struct tls_credentials *credentials = pki_credentials(*state, "good", "ca.crt");
    char text[4096];
    tls_credentials_describe(credentials, text, sizeof text);
    assert_int_equal(tls_credentials_warning_count(credentials), 0);
    assert_string_equal(tls_credentials_warning(credentials, 0), "");
    assert_false(tls_credentials_trust_system(credentials));
    assert_string_equal(tls_credentials_leaf(credentials)->subject, "CN=good");
    assert_non_null(strstr(text, "subject CN=good, issuer CN=weft CA ca, names IP:127.0.0.1 URI:weft://test/dc1/r1/"));
    assert_non_null(strstr(text, tls_credentials_leaf(credentials)->not_after));
    assert_non_null(strstr(text, "ca.crt, 1 certificates"));
    tls_credentials_destroy(credentials);
}

static void credentials__no_certificate__only_trust_store(void **state)
{
    struct tls_credentials *credentials = pki_credentials(*state, NULL, "ca.crt");
    char text[1024];
    tls_credentials_describe(credentials, text, sizeof text);
    assert_null(tls_credentials_leaf(credentials));
    assert_int_equal(strncmp(text, "no certificate; trust store ", 28), 0);
    tls_credentials_destroy(credentials);
    tls_credentials_destroy(NULL);
}

static void warned(const struct pki *pki, const char *name, const char *trust, const char *text)
{
    struct tls_credentials *credentials = pki_credentials(pki, name, trust);
    assert_int_equal(tls_credentials_warning_count(credentials), 1);
    if (strstr(tls_credentials_warning(credentials, 0), text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", tls_credentials_warning(credentials, 0), text);
    }
    tls_credentials_destroy(credentials);
}

static void credentials__doubtful_sets__start_with_a_warning(void **state)
{
    const struct pki *pki = *state;
    pki_node(pki, "later", "ca", PKI_DAY_S, 60 * PKI_DAY_S);
    pki_node(pki, "soon", "ca", -60, 10 * PKI_DAY_S + 3600);
    pki_node(pki, "open", "ca", 0, 0);
    file_set_mode(pki, "open.key", 0640);
    file_set_mode(pki, "lonely.key", 0600);
    warned(pki, "expired", "ca.crt", "expired.crt: expired at 20");
    warned(pki, "later", "ca.crt", "later.crt: not valid before 20");
    warned(pki, "soon", "ca.crt", "in 10 days");
    warned(pki, "open", "ca.crt", "open.key: mode 0640 lets others");
    warned(pki, "lonely", "lonely.crt", "lonely.crt: self-signed");
    warned(pki, "lonely", "ca.crt", "lonely.crt: self-signed");
}

static void credentials__system_trust_store__found_by_environment(void **state)
{
    const struct pki *pki = *state;
    char path[PKI_PATH_BYTES];
    struct tls_credentials *credentials = NULL;
    struct weft_error why;
    static const char *const spellings[] = {NULL, "system"};
    for (uint32_t i = 0; i < 2; i++) {
        setenv("SSL_CERT_FILE", pki_path(pki, "ca.crt", path), 1);
        assert_int_equal(load(pki, "good.crt", "good.key", spellings[i], &credentials, &why), WEFT_OK);
        assert_true(tls_credentials_trust_system(credentials));
        assert_int_equal(tls_credentials_warning_count(credentials), 0);
        tls_credentials_destroy(credentials);
        setenv("SSL_CERT_FILE", pki_path(pki, "other.crt", path), 1);
        assert_int_equal(load(pki, "good.crt", "good.key", spellings[i], &credentials, &why), WEFT_OK);
        assert_int_equal(tls_credentials_warning_count(credentials), 1);
        assert_non_null(strstr(tls_credentials_warning(credentials, 0), "the system's trust store does not verify it"));
        tls_credentials_destroy(credentials);
        setenv("SSL_CERT_FILE", pki_path(pki, "missing.crt", path), 1);
        load_refused(pki, "good.crt", "good.key", spellings[i], "missing.crt: cannot be opened");
        unsetenv("SSL_CERT_FILE");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials__unusable_files__say_what_and_where),
        cmocka_unit_test(credentials__ca_before_leaf__told_to_swap),
        cmocka_unit_test(credentials__too_long_chain__refused),
        cmocka_unit_test(credentials__other_trust_store__refused_with_remedy),
        cmocka_unit_test(credentials__good_set__no_warnings_and_described),
        cmocka_unit_test(credentials__no_certificate__only_trust_store),
        cmocka_unit_test(credentials__doubtful_sets__start_with_a_warning),
        cmocka_unit_test(credentials__system_trust_store__found_by_environment),
    };
    return cmocka_run_group_tests(tests, credentials_setup, pki_teardown);
}
