/* SPDX-License-Identifier: Apache-2.0 */
/* Makes certificates for tests with weft's own CA.  Whatever goes wrong here fails the test that asked. */
#include "pki.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A self-signed leaf, valid from 2020 to 2099, and its key. */
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

void pki_open(struct pki *pki)
{
    const char *place = getenv("TMPDIR");
    snprintf(pki->directory, sizeof pki->directory, "%s/weft-pki-XXXXXX", place == NULL ? "/tmp" : place);
    assert_non_null(mkdtemp(pki->directory));
}

void pki_close(struct pki *pki)
{
    DIR *directory = opendir(pki->directory);
    assert_non_null(directory);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            /* Tests make empty directories too. */
            assert_true(unlinkat(dirfd(directory), entry->d_name, 0) == 0 ||
                        unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR) == 0);
        }
    }
    closedir(directory);
    assert_int_equal(rmdir(pki->directory), 0);
}

const char *pki_path(const struct pki *pki, const char *file, char path[PKI_PATH_BYTES])
{
    int written = snprintf(path, PKI_PATH_BYTES, "%s/%s", pki->directory, file);
    assert_in_range(written, 1, PKI_PATH_BYTES - 1);
    return path;
}

static void pki_write(const struct pki *pki, const char *name, struct tls_material *material)
{
    struct weft_error why = {0};
    enum weft_err err = tls_material_write(material, pki->directory, name, false, &why);
    tls_material_fini(material);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
}

void pki_ca(const struct pki *pki, const char *name)
{
    struct tls_ca_options options = {.cluster = name};
    struct tls_material material;
    struct weft_error why = {0};
    enum weft_err err = tls_issue_ca(&material, &options, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
    pki_write(pki, name, &material);
}

void pki_node(const struct pki *pki, const char *name, const char *ca, int64_t from_s, int64_t until_s)
{
    char file[64];
    char certificate[PKI_PATH_BYTES];
    char key[PKI_PATH_BYTES];
    snprintf(file, sizeof file, "%s.crt", ca);
    pki_path(pki, file, certificate);
    snprintf(file, sizeof file, "%s.key", ca);
    pki_path(pki, file, key);
    struct tls_node_options options = {.name = name,
                                       .cluster = "test",
                                       .dc = "dc1",
                                       .rack = "r1",
                                       .addresses = {"127.0.0.1"},
                                       .address_count = 1,
                                       .validity = {from_s, until_s}};
    struct tls_material material;
    struct weft_error why = {0};
    enum weft_err err = tls_issue_node(&material, &options, certificate, key, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
    pki_write(pki, name, &material);
}

void pki_file(const struct pki *pki, const char *file, const char *text)
{
    char path[PKI_PATH_BYTES];
    FILE *stream = fopen(pki_path(pki, file, path), "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(text, 1, strlen(text), stream), strlen(text));
    assert_int_equal(fclose(stream), 0);
}

void pki_lonely(const struct pki *pki)
{
    pki_file(pki, "lonely.crt", lonely_certificate);
    pki_file(pki, "lonely.key", lonely_key);
}

char *pki_text(const struct pki *pki, const char *file)
{
    char path[PKI_PATH_BYTES];
    char *text = calloc(1, 65536);
    FILE *stream = fopen(pki_path(pki, file, path), "r");
    assert_non_null(text);
    assert_non_null(stream);
    assert_in_range(fread(text, 1, 65535, stream), 1, 65534);
    fclose(stream);
    return text;
}

void pki_bundle(const struct pki *pki, const char *file, const char *const *parts)
{
    char path[PKI_PATH_BYTES];
    FILE *stream = fopen(pki_path(pki, file, path), "w");
    assert_non_null(stream);
    for (; *parts != NULL; parts++) {
        char *text = pki_text(pki, *parts);
        assert_int_equal(fwrite(text, 1, strlen(text), stream), strlen(text));
        free(text);
    }
    assert_int_equal(fclose(stream), 0);
}

struct tls_credentials *pki_credentials(const struct pki *pki, const char *name, const char *trust)
{
    const struct weft_node_options options = {0};
    return pki_credentials_with(pki, name, trust, NULL, &options);
}

struct tls_credentials *pki_credentials_with(const struct pki *pki, const char *name, const char *trust,
                                             const char *lists, const struct weft_node_options *given)
{
    char file[64];
    char certificate[PKI_PATH_BYTES];
    char key[PKI_PATH_BYTES];
    char store[PKI_PATH_BYTES];
    char list[PKI_PATH_BYTES];
    struct weft_node_options options = *given;
    options.tls.truststore = pki_path(pki, trust, store);
    options.certificate_revocation_list = lists != NULL ? pki_path(pki, lists, list) : NULL;
    if (name != NULL) {
        snprintf(file, sizeof file, "%s.crt", name);
        options.tls.certificate = pki_path(pki, file, certificate);
        snprintf(file, sizeof file, "%s.key", name);
        options.tls.keyfile = pki_path(pki, file, key);
    }
    struct tls_credentials *credentials = NULL;
    struct weft_error why = {0};
    enum weft_err err = tls_credentials_load(&credentials, &options, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
    return credentials;
}

int pki_setup(void **state)
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

int pki_teardown(void **state)
{
    pki_close(*state);
    free(*state);
    return 0;
}
