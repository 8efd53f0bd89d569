/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: credentials that cannot work are refused with one line that names file and remedy; issued certificates hold
 * what peers check; keys are private and files are never lost; `weft certs` does all that from a command line.
 * Method: tables of faults against a directory of real certificates; the command runs in a child process. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "cli/certs.h"
#include "pki.h"
#include "tls/credentials.h"
#include "tls/describe.h"
#include "tls/issue.h"

/* A self-signed leaf, valid from 2020 to 2099, and its key, once more under the password "weft". */
static const char lonely_certificate[] = "-----BEGIN CERTIFICATE-----\n"
                                         "MIIBRTCB7aADAgECAhRBPMphGwoXKcZnYDzS/jWg0fYz1zAKBggqhkjOPQQDAjAR\n"
                                         "MQ8wDQYDVQQDDAZsb25lbHkwIBcNMjAwMTAxMDAwMDAwWhgPMjA5OTAxMDEwMDAw\n"
                                         "MDBaMBExDzANBgNVBAMMBmxvbmVseTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA\n"
                                         "BPdtqG5147+1no0T89mbKnOiMSPwEhzYr4XbQxjFtVvVL9+6UvJ+T9XW/5rHs6Yh\n"
                                         "Tqde/x4xDd63mD0lmM8qSoejITAfMA8GA1UdEQQIMAaHBH8AAAEwDAYDVR0TAQH/\n"
                                         "BAIwADAKBggqhkjOPQQDAgNHADBEAiAL885Hh8GnVGoVvNiXVM52qdRtPDk/hb+l\n"
                                         "B6j1kG4bkQIgDlHtQCWu39XdLYDxs25UdpUKaia4AySLBq/DfZ1rUO8=\n"
                                         "-----END CERTIFICATE-----\n";
static const char lonely_key[] = "-----BEGIN PRIVATE KEY-----\n"
                                 "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgm43rL38VhbVdrksI\n"
                                 "4DsfmyNaNN7jvVHT0hHBL4vRquqhRANCAAT3bahudeO/tZ6NE/PZmypzojEj8BIc\n"
                                 "2K+F20MYxbVb1S/fulLyfk/V1v+ax7OmIU6nXv8eMQ3et5g9JZjPKkqH\n"
                                 "-----END PRIVATE KEY-----\n";
static const char lonely_key_encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                           "MIH0MF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBAfhslSt7a4DGUZDyhu\n"
                                           "m4j5AgIIADAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQF0T+nl8VEBuuREqe\n"
                                           "dYBwMQSBkHI9aXK41HxETMNzBpoDPiZZd0Ej4yquMoGrdvgMIyG5RZhr1oOnoo/H\n"
                                           "E5Gbo+ayAY2Or0tLy66TQHPRLDuQ+5jNkbKs92V5m918RqIVxI/298e24F6J6Ll6\n"
                                           "z6IenM0KKdJPbqRVtKYSOvxKdqJVCEsNTXoCJxQgDH6ugM2v7EkatbbZ/uzQi11c\n"
                                           "cr7agEUQkw==\n"
                                           "-----END ENCRYPTED PRIVATE KEY-----\n";

static int pki_setup(void **state)
{
    struct pki *pki = calloc(1, sizeof *pki);
    assert_non_null(pki);
    pki_open(pki);
    pki_ca(pki, "ca");
    pki_ca(pki, "other");
    pki_node(pki, "good", "ca", 0, 0);
    pki_node(pki, "second", "ca", 0, 0);
    pki_file(pki, "lonely.crt", lonely_certificate);
    pki_file(pki, "lonely.key", lonely_key);
    pki_file(pki, "encrypted.key", lonely_key_encrypted);
    *state = pki;
    return 0;
}

static int pki_teardown(void **state)
{
    pki_close(*state);
    free(*state);
    return 0;
}

static mode_t file_mode(const struct pki *pki, const char *file)
{
    char path[PKI_PATH_BYTES];
    struct stat status;
    assert_int_equal(lstat(pki_path(pki, file, path), &status), 0);
    return status.st_mode;
}

static void file_set_mode(const struct pki *pki, const char *file, mode_t mode)
{
    char path[PKI_PATH_BYTES];
    assert_int_equal(chmod(pki_path(pki, file, path), mode), 0);
}

static bool file_exists(const struct pki *pki, const char *file)
{
    char path[PKI_PATH_BYTES];
    struct stat status;
    return lstat(pki_path(pki, file, path), &status) == 0;
}

static uint32_t directory_count(const struct pki *pki)
{
    uint32_t count = 0;
    DIR *directory = opendir(pki->directory);
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

/* ---- credentials ---- */

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
    pki_node(pki, "expired", "ca", -2 * PKI_DAY_S, -PKI_DAY_S);
    pki_node(pki, "early", "ca", PKI_DAY_S, 60 * PKI_DAY_S);
    pki_node(pki, "soon", "ca", -60, 10 * PKI_DAY_S + 3600);
    pki_node(pki, "open", "ca", 0, 0);
    file_set_mode(pki, "open.key", 0640);
    file_set_mode(pki, "lonely.key", 0600);
    warned(pki, "expired", "ca.crt", "expired.crt: expired at 20");
    warned(pki, "early", "ca.crt", "early.crt: not valid before 20");
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

/* ---- issuing ---- */

static struct tls_node_options node_options(void)
{
    return (struct tls_node_options){.name = "n1",
                                     .cluster = "Test Cluster",
                                     .dc = "dc/1",
                                     .rack = "r\xc3\xa4k",
                                     .id = "6F1C0C5E-8f3b-4a51-9d0e-2b7a4c9e1f00",
                                     .addresses = {"10.0.0.1", "fd00::1"},
                                     .address_count = 2,
                                     .dns_names = {"n1.example.org"},
                                     .dns_count = 1};
}

static enum weft_err issue(const struct pki *pki, const struct tls_node_options *options, const char *ca_certificate,
                           const char *ca_key, struct tls_material *material, struct weft_error *why)
{
    char certificate[PKI_PATH_BYTES];
    char key[PKI_PATH_BYTES];
    *why = (struct weft_error){0};
    return tls_issue_node(material, options, pki_path(pki, ca_certificate, certificate), pki_path(pki, ca_key, key),
                          why);
}

static struct tls_description *describe(const struct pki *pki, const char *file)
{
    char path[PKI_PATH_BYTES];
    struct tls_description *list = NULL;
    uint32_t count = 0;
    struct weft_error why = {0};
    assert_int_equal(tls_describe_file(pki_path(pki, file, path), &list, &count, &why), WEFT_OK);
    assert_int_equal(count, 1);
    return list;
}

static void node_certificate__all_names__stand_in_it(void **state)
{
    const struct pki *pki = *state;
    struct tls_node_options options = node_options();
    struct tls_material material;
    struct weft_error why;
    assert_int_equal(issue(pki, &options, "ca.crt", "ca.key", &material, &why), WEFT_OK);
    static const char uri[] = "weft://Test%20Cluster/dc%2F1/r%C3%A4k/6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00";
    assert_string_equal(material.uri, uri);
    assert_string_equal(material.id, "6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00");
    assert_int_equal(tls_material_write(&material, pki->directory, "n1", false, &why), WEFT_OK);
    tls_material_fini(&material);

    struct tls_description *leaf = describe(pki, "n1.crt");
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
    struct tls_description *other = describe(pki, "good.crt");
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
    struct tls_description *ca = describe(*state, "ca.crt");
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
    struct tls_description *ca = describe(pki, "umlaut.crt");
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
    struct tls_node_options options = node_options();
    options.id = NULL;
    options.dc = NULL;
    options.rack = NULL;
    char first[UUID_TEXT_BYTES] = "";
    for (uint32_t i = 0; i < 2; i++) {
        struct tls_material material;
        struct weft_error why;
        assert_int_equal(issue(*state, &options, "ca.crt", "ca.key", &material, &why), WEFT_OK);
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
    struct tls_node_options options = node_options();
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
        assert_int_equal(issue(*state, &options, "ca.crt", "ca.key", &material, &why), WEFT_ERR_INVALID);
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
    struct tls_node_options options = node_options();
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tls_material material;
        struct weft_error why;
        assert_int_equal(issue(*state, &options, rows[i].certificate, rows[i].key, &material, &why), WEFT_ERR_CONFIG);
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
    struct tls_description *ca = describe(pki, "short.crt");
    struct tls_description *leaf = describe(pki, "brief.crt");
    assert_string_equal(leaf->not_after, ca->not_after);
    tls_descriptions_destroy(ca, 1);
    tls_descriptions_destroy(leaf, 1);

    issue_short_ca(pki, "past", -2 * PKI_DAY_S, -PKI_DAY_S);
    struct tls_node_options options = node_options();
    struct tls_material material;
    struct weft_error why;
    assert_int_equal(issue(pki, &options, "past.crt", "past.key", &material, &why), WEFT_ERR_CONFIG);
    assert_non_null(strstr(why.text, "has expired"));
    options.validity = (struct tls_validity){10, 10};
    assert_int_equal(issue(pki, &options, "ca.crt", "ca.key", &material, &why), WEFT_ERR_INVALID);
}

/* ---- files ---- */

static void material_write__new_files__key_private_whatever_the_umask(void **state)
{
    const struct pki *pki = *state;
    mode_t before = umask(0);
    pki_node(pki, "loose", "ca", 0, 0);
    umask(0777);
    pki_node(pki, "tight", "ca", 0, 0);
    umask(before);
    assert_int_equal(file_mode(pki, "loose.key"), S_IFREG | 0600);
    assert_int_equal(file_mode(pki, "loose.crt"), S_IFREG | 0644);
    assert_int_equal(file_mode(pki, "tight.key"), S_IFREG | 0600);
    assert_int_equal(file_mode(pki, "tight.crt"), S_IFREG | 0644);
    assert_int_equal(file_mode(pki, "ca.key"), S_IFREG | 0600);
    char *certificate = pki_text(pki, "loose.crt");
    assert_null(strstr(certificate, "PRIVATE"));
    /* The leaf and nothing else. */
    assert_null(strstr(strstr(certificate, "BEGIN CERTIFICATE") + 1, "BEGIN CERTIFICATE"));
    free(certificate);
}

static void material_write__file_exists__untouched_without_force(void **state)
{
    const struct pki *pki = *state;
    static const char *const existing[] = {"kept.key", "kept.crt"};
    char path[PKI_PATH_BYTES];
    struct tls_node_options options = node_options();
    struct tls_material material;
    struct weft_error why;
    assert_int_equal(issue(pki, &options, "ca.crt", "ca.key", &material, &why), WEFT_OK);
    for (uint32_t i = 0; i < 2; i++) {
        pki_file(pki, existing[i], "precious");
        uint32_t count = directory_count(pki);
        why = (struct weft_error){0};
        assert_int_equal(tls_material_write(&material, pki->directory, "kept", false, &why), WEFT_ERR_STATE);
        assert_non_null(strstr(why.text, existing[i]));
        assert_non_null(strstr(why.text, "--force"));
        char *text = pki_text(pki, existing[i]);
        assert_string_equal(text, "precious");
        free(text);
        assert_false(file_exists(pki, existing[1 - i]));
        assert_int_equal(directory_count(pki), count);
        assert_int_equal(unlink(pki_path(pki, existing[i], path)), 0);
    }
    tls_material_fini(&material);
}

static void material_write__force__replaces_and_never_follows_links(void **state)
{
    const struct pki *pki = *state;
    char path[PKI_PATH_BYTES];
    char target[PKI_PATH_BYTES];
    struct tls_node_options options = node_options();
    struct tls_material material;
    struct weft_error why;
    assert_int_equal(issue(pki, &options, "ca.crt", "ca.key", &material, &why), WEFT_OK);
    pki_file(pki, "target", "precious");
    file_set_mode(pki, "target", 0644);
    assert_int_equal(symlink(pki_path(pki, "target", target), pki_path(pki, "linked.key", path)), 0);
    pki_file(pki, "linked.crt", "old");
    assert_int_equal(tls_material_write(&material, pki->directory, "linked", false, &why), WEFT_ERR_STATE);
    why = (struct weft_error){0};
    assert_int_equal(tls_material_write(&material, pki->directory, "linked", true, &why), WEFT_OK);
    char *text = pki_text(pki, "target");
    assert_string_equal(text, "precious");
    free(text);
    assert_int_equal(file_mode(pki, "linked.key"), S_IFREG | 0600);
    text = pki_text(pki, "linked.key");
    assert_string_equal(text, material.key);
    free(text);
    text = pki_text(pki, "linked.crt");
    assert_string_equal(text, material.certificate);
    free(text);
    tls_material_fini(&material);
}

static void material_write__impossible_place__says_which(void **state)
{
    char path[PKI_PATH_BYTES];
    struct tls_node_options options = node_options();
    struct tls_material material;
    struct weft_error why;
    assert_int_equal(issue(*state, &options, "ca.crt", "ca.key", &material, &why), WEFT_OK);
    assert_int_equal(tls_material_write(&material, pki_path(*state, "ca.crt", path), "n", false, &why),
                     WEFT_ERR_SYSTEM);
    assert_non_null(strstr(why.text, "ca.crt cannot be opened: Not a directory"));
    why = (struct weft_error){0};
    assert_int_equal(tls_material_write(&material, pki_path(*state, "no/where", path), "n", false, &why),
                     WEFT_ERR_SYSTEM);
    assert_non_null(strstr(why.text, "no/where cannot be made"));
    why = (struct weft_error){0};
    assert_int_equal(tls_material_write(&material, "/dev", "../n", true, &why), WEFT_ERR_INVALID);
    tls_material_fini(&material);
}

/* ---- the command ---- */

struct command_result {
    int code;
    char output[32768]; /* stdout, then stderr */
};

/* Run `weft certs ...` in a child, because a wrong command line ends the process.  @param line words and blanks */
static struct command_result *command(const char *line)
{
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char program[] = "weft certs";
        char words[4096];
        char *arguments[32] = {program};
        int count = 1;
        char *rest = words;
        snprintf(words, sizeof words, "%s", line);
        for (char *word = strsep(&rest, " "); word != NULL && count < 31; word = strsep(&rest, " ")) {
            arguments[count++] = word;
        }
        dup2(pipe_ends[1], STDOUT_FILENO);
        dup2(pipe_ends[1], STDERR_FILENO);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        int code = cli_certs(count, arguments);
        fflush(NULL);
        _exit(code);
    }
    close(pipe_ends[1]);
    struct command_result *result = calloc(1, sizeof *result);
    FILE *stream = fdopen(pipe_ends[0], "r");
    assert_non_null(result);
    assert_non_null(stream);
    assert_true(fread(result->output, 1, sizeof result->output - 1, stream) < sizeof result->output - 1);
    fclose(stream);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    result->code = WEXITSTATUS(status);
    return result;
}

static void command_expect(const char *line, int code, const char *text)
{
    struct command_result *result = command(line);
    if (result->code != code || strstr(result->output, text) == NULL) {
        fail_msg("weft certs %s: exit %d instead of %d, or \"%s\" is not in: %s", line, result->code, code, text,
                 result->output);
    }
    free(result);
}

static void certs__from_nothing__a_set_that_loads(void **state)
{
    const struct pki *pki = *state;
    char line[1024];
    struct pki made;
    int written = snprintf(made.directory, sizeof made.directory, "%s/made", pki->directory);
    assert_in_range(written, 1, sizeof made.directory - 1);
    snprintf(line, sizeof line, "ca --cluster c1 --out %s", made.directory);
    command_expect(line, 0, "ca.crt");
    command_expect(line, 1, "exists already");
    snprintf(line, sizeof line,
             "node n1 --ca %s --cluster c1 --dc dc1 --rack r1 --id 6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00 "
             "--address 127.0.0.1,::1 --address 127.0.0.2 --dns localhost --out %s",
             made.directory, made.directory);
    command_expect(line, 0, "weft://c1/dc1/r1/6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00\n");
    command_expect(line, 1, "exists already");
    char again[1100];
    snprintf(again, sizeof again, "%s --force --days 10", line);
    command_expect(again, 0, "n1.key   (mode 0600)");
    snprintf(line, sizeof line, "show %s/n1.crt", made.directory);
    command_expect(line, 0, "name:         IP:127.0.0.2\nname:         DNS:localhost\n");
    struct tls_description *leaf = describe(&made, "n1.crt");
    assert_in_range(leaf->days_left, 9, 10);
    tls_descriptions_destroy(leaf, 1);

    struct tls_credentials *credentials = pki_credentials(&made, "n1", "ca.crt");
    assert_int_equal(tls_credentials_warning_count(credentials), 1);
    tls_credentials_destroy(credentials);
    pki_close(&made);
}

static void certs_show__json__one_object(void **state)
{
    const struct pki *pki = *state;
    char line[1024];
    static const char *const parts[] = {"good.crt", "ca.crt", NULL};
    pki_bundle(pki, "two.crt", parts);
    snprintf(line, sizeof line, "show --json %s/two.crt", pki->directory);
    struct command_result *result = command(line);
    assert_int_equal(result->code, 0);
    json_error_t error;
    json_t *object = json_loads(result->output, 0, &error);
    assert_non_null(object);
    json_t *certificates = json_object_get(object, "certificates");
    assert_int_equal(json_array_size(certificates), 2);
    json_t *leaf = json_array_get(certificates, 0);
    assert_string_equal(json_string_value(json_object_get(leaf, "subject")), "CN=good");
    assert_true(json_is_false(json_object_get(leaf, "ca")));
    assert_int_equal(json_array_size(json_object_get(leaf, "names")), 2);
    assert_true(json_is_true(json_object_get(json_array_get(certificates, 1), "ca")));
    json_decref(object);
    free(result);
}

static void certs__wrong_command_line__exit_2_and_a_hint(void **state)
{
    (void)state;
    command_expect("bogus", 2, "is none of ca, node, show");
    command_expect("ca --cluster c1", 2, "--cluster NAME and --out DIR are needed");
    command_expect("ca --wrong", 2, "--help");
    command_expect("node --ca d --cluster c --dc d --rack r --address 1.1.1.1 --out d", 2, "Give its NAME");
    command_expect("node ../x --ca d --cluster c --dc d --rack r --address 1.1.1.1 --out d", 2, "no path");
    command_expect("node ca --ca d --cluster c --dc d --rack r --address 1.1.1.1 --out d", 2, "name of the CA's files");
    command_expect("node n --ca d --cluster c --dc d --rack r --out d", 2, "--address A is needed");
    command_expect("node n --ca d --cluster c --address 1.1.1.1 --out d", 2, "--dc DC and --rack RACK");
    command_expect("node n --days 0", 2, "--days");
    command_expect("node n --days 99999999999999999999", 2, "--days");
    command_expect("show", 2, "Name its FILE");
    command_expect("show a b", 2, "one FILE at a time");
}

static void certs__failures__exit_1(void **state)
{
    char line[1024];
    const struct pki *pki = *state;
    command_expect("show /nowhere/x.crt", 1, "weft certs show: certificate /nowhere/x.crt: cannot be opened");
    snprintf(line, sizeof line, "show %s/ca.key", pki->directory);
    command_expect(line, 1, "holds a key and no certificate");
    snprintf(line, sizeof line, "node n --ca %s --cluster c --dc d --rack r --address 1.2.3 --out %s", pki->directory,
             pki->directory);
    command_expect(line, 1, "address: 1.2.3 is no numeric address");
    assert_false(file_exists(pki, "n.key"));
}

static void certs__help__teaches_with_examples(void **state)
{
    (void)state;
    command_expect("--help", 0, "weft certs node n1 --ca pki");
    command_expect("ca --help", 0, "weft certs ca --cluster prod --out pki");
    command_expect("node --help", 0, "Exit codes: 0 written");
    command_expect("show --help", 0, "weft certs show pki/n1.crt");
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
        cmocka_unit_test(node_certificate__all_names__stand_in_it),
        cmocka_unit_test(node_certificate__key_ids__chain_to_the_ca),
        cmocka_unit_test(ca_certificate__described__is_a_ca_of_ten_years),
        cmocka_unit_test(ca_certificate__long_cluster_name__cut_between_characters),
        cmocka_unit_test(node_certificate__no_id__random_version_4),
        cmocka_unit_test(node_certificate__wrong_names__refused),
        cmocka_unit_test(node_certificate__wrong_ca__refused),
        cmocka_unit_test(node_certificate__ca_ends_earlier__ends_with_it),
        cmocka_unit_test(material_write__new_files__key_private_whatever_the_umask),
        cmocka_unit_test(material_write__file_exists__untouched_without_force),
        cmocka_unit_test(material_write__force__replaces_and_never_follows_links),
        cmocka_unit_test(material_write__impossible_place__says_which),
        cmocka_unit_test(certs__from_nothing__a_set_that_loads),
        cmocka_unit_test(certs_show__json__one_object),
        cmocka_unit_test(certs__wrong_command_line__exit_2_and_a_hint),
        cmocka_unit_test(certs__failures__exit_1),
        cmocka_unit_test(certs__help__teaches_with_examples),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
