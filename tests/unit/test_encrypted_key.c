/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a key under a password works like any other once the password is right, whatever form of PEM it has; every
 * other pair of key and password file is one line that says which file and what to do; and the password is gone when
 * the credentials are there.  Method: one key in all its forms, in files beside password files of all kinds; what weft
 * encrypts itself goes back through the same door. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tls/context.h"
#include "tls/openssl_credentials.h"
#include "tls/openssl_library.h"
#include "tls_pair.h"

/* The key of pki_lonely under the password "weft". */
static const char key_pkcs8[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjLnBoJUN0drwICCAAw\n"
                                "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEB2KisqmdNW9awDrIVtlOYoEgZB9\n"
                                "XealYr5Kg5lc3BpI3uyAyasogVmSDOqFPOeSwRvuu3dgx8stYJ2Djoz7898lg+6d\n"
                                "VWDHKE821vW7auO7FRFB13h+SX4fHOWKSZSxkz831ygjCh2DRGCcXYhlyD3V9ASD\n"
                                "K7kEOFY7PUBtEuzxK+Jjzv4xrqZzvx0nrW36p/K6OBq52lUlJLEi8INor+xlPCc=\n"
                                "-----END ENCRYPTED PRIVATE KEY-----\n";
static const char key_traditional[] = "-----BEGIN EC PRIVATE KEY-----\n"
                                      "Proc-Type: 4,ENCRYPTED\n"
                                      "DEK-Info: AES-256-CBC,6421FB56899CC9B8B964EFF45A1D52CA\n"
                                      "\n"
                                      "7CZsW/lXXaj/anC4Ru37+vkWt4adDhaSLjTPXxjk+18aEq4leTNzaenGYCVdhTN+\n"
                                      "FyFlpWb40sz9uPRGPCTJIMJfnd88BnWXLIxnptrJcak756Ilt5zWADKKtT69e9JO\n"
                                      "zQf1++XA5UfggcBVZ4hEw6jf8cjxwznTOjgk5L3JFkA=\n"
                                      "-----END EC PRIVATE KEY-----\n";
/* PBE with MD5 and DES: OpenSSL 3 has moved it to its legacy provider. */
static const char key_too_old[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                  "MIGwMBsGCSqGSIb3DQEFAzAOBAiwROwTVYn9eAICCAAEgZDvs2O1ULOQxx1JQ3o5\n"
                                  "NZ8RHA+5DnkDGS9y5eROqEd1o5yceJYS/vDRPRgOJ41Sg49DvwTS1DJ3Tl5CdbFD\n"
                                  "xgq571g6cWc5kJ02pZ8KR6f77yRehfuX3aLl+uO4HoDSTExQvowvjBke2UGqnRkv\n"
                                  "YINFsgd/Zk6Gj9GI6hOfsyrlIRzi4cBSJ8+6H/4ZTLBcvZo=\n"
                                  "-----END ENCRYPTED PRIVATE KEY-----\n";

#define OPTION "keyfile_password_file"

/* Load lonely.crt with a key and a password file of the directory; NULL: none. */
static enum weft_err load_key(const struct pki *pki, const char *key, const char *password,
                              struct tls_credentials **credentials, struct weft_error *why)
{
    char paths[4][PKI_PATH_BYTES];
    struct weft_node_options options = {
        .tls = {.certificate = pki_path(pki, "lonely.crt", paths[0]),
                .keyfile = pki_path(pki, key, paths[1]),
                .truststore = pki_path(pki, "ca.crt", paths[2])},
        .keyfile_password_file = password != NULL ? pki_path(pki, password, paths[3]) : NULL,
    };
    *why = (struct weft_error){0};
    *credentials = NULL;
    return tls_credentials_load(credentials, &options, why);
}

static void load_refused(const struct pki *pki, const char *key, const char *password, const char *text)
{
    struct tls_credentials *credentials;
    struct weft_error why;
    assert_int_equal(load_key(pki, key, password, &credentials, &why), WEFT_ERR_CONFIG);
    assert_null(credentials);
    if (strstr(why.text, text) == NULL) {
        fail_msg("%s, %s: \"%s\" does not say \"%s\"", key, password, why.text, text);
    }
    assert_null(strchr(why.text, '\n'));
    assert_null(strstr(why.text, "weft\n"));
}

static void password_file(const struct pki *pki, const char *file, const char *text, size_t bytes)
{
    char path[PKI_PATH_BYTES];
    FILE *stream = fopen(pki_path(pki, file, path), "w");
    assert_non_null(stream);
    assert_int_equal(fchmod(fileno(stream), 0600), 0);
    assert_int_equal(fwrite(text, 1, bytes, stream), bytes);
    assert_int_equal(fclose(stream), 0);
}

static void password_text(const struct pki *pki, const char *file, const char *text)
{
    password_file(pki, file, text, strlen(text));
}

static int keys_setup(void **state)
{
    struct pki *pki = calloc(1, sizeof *pki);
    assert_non_null(pki);
    pki_open(pki);
    pki_ca(pki, "ca");
    pki_lonely(pki);
    password_text(pki, "pkcs8.key", key_pkcs8);
    password_text(pki, "traditional.key", key_traditional);
    password_text(pki, "old.key", key_too_old);
    password_text(pki, "right", "weft\n");
    password_text(pki, "right without end", "weft");
    password_text(pki, "wrong", "weft \n");
    *state = pki;
    return 0;
}

static int keys_teardown(void **state)
{
    pki_close(*state);
    free(*state);
    return 0;
}

static void key__right_password__works_and_the_password_is_gone(void **state)
{
    static const char *const keys[] = {"pkcs8.key", "traditional.key"};
    static const char *const passwords[] = {"right", "right without end"};
    const struct pki *pki = *state;
    for (uint32_t i = 0; i < 4; i++) {
        struct tls_credentials *credentials;
        struct weft_error why;
        enum weft_err err = load_key(pki, keys[i % 2], passwords[i / 2], &credentials, &why);
        assert_string_equal(why.text, "");
        assert_int_equal(err, WEFT_OK);
        assert_null(credentials->password.text);
        /* Contexts take the key without the password, as often as they are made. */
        assert_non_null(strstr(credentials->key.text, "-----BEGIN PRIVATE KEY-----"));
        assert_null(strstr(credentials->key.text, "ENCRYPTED"));
        for (uint32_t made = 0; made < 2; made++) {
            struct tls_context *context = NULL;
            const struct tls_context_options options = {0};
            assert_int_equal(tls_context_create(&context, credentials, &options, &why), WEFT_OK);
            tls_context_destroy(context);
        }
        tls_credentials_destroy(credentials);
    }
}

static void key__half_a_pair_or_the_wrong_one__one_line(void **state)
{
    static const struct {
        const char *key;
        const char *password;
        const char *text;
    } rows[] = {
        {"pkcs8.key", "wrong", "does not open keyfile"},
        {"traditional.key", "wrong", "does not open keyfile"},
        {"pkcs8.key", NULL, "pkcs8.key: is encrypted; write " OPTION ": the path of a file with its password"},
        {"traditional.key", NULL, "traditional.key: is encrypted; write " OPTION},
        {"lonely.key", "right", "lonely.key: is not encrypted, but " OPTION " is given; encrypt it"},
        {"pkcs8.key", "missing", OPTION},
        {"pkcs8.key", "missing", "missing: cannot be opened: No such file"},
        {"old.key", "right", "old.key: its encryption is too old for OpenSSL; encrypt it anew"},
        {"lonely.crt", "right", "lonely.crt: holds a certificate and no key"},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        load_refused(*state, rows[i].key, rows[i].password, rows[i].text);
    }
}

/* One wrong password in 256 leaves what looks like a decrypted key: it must not be told as another fault. */
static void key__many_wrong_passwords__always_the_same_words(void **state)
{
    const struct pki *pki = *state;
    char path[PKI_PATH_BYTES];
    struct weft_error why = {0};
    struct library library;
    struct pem_file key;
    assert_int_equal(library_open(&library, &why), WEFT_OK);
    assert_int_equal(pem_file_read(&key, "keyfile", pki_path(pki, "traditional.key", path), PEM_FILE_BYTES_MAX, &why),
                     WEFT_OK);
    for (uint32_t i = 0; i < 1024; i++) {
        char text[16];
        const struct pem_file guess = {
            .what = OPTION, .path = path, .text = text, .bytes = (uint32_t)snprintf(text, sizeof text, "%u", i)};
        why = (struct weft_error){0};
        assert_int_equal(pem_key_unlock(&key, OPTION, &guess, library.context, &why), WEFT_ERR_CONFIG);
        assert_non_null(strstr(why.text, "does not open keyfile"));
    }
    pem_file_fini(&key);
    library_close(&library);
}

static void password__unusable_files__say_what_and_where(void **state)
{
    static char longest[PEM_PASSWORD_BYTES_MAX + 3];
    const struct pki *pki = *state;
    memset(longest, 'x', sizeof longest);
    static const struct {
        const char *content;
        size_t bytes;
        const char *text;
    } rows[] = {
        {"", 0, "is empty; give a file with one line, the password"},
        {"\n", 1, "holds an empty password"},
        {"weft\r\n", 6, "ends its line with CR LF"},
        {"weft\nweft\n", 10, "holds more than one line"},
        {"weft\n\n", 6, "holds more than one line"},
        {"we\0ft\n", 6, "holds more than one line of text"},
        {longest, PEM_PASSWORD_BYTES_MAX + 1, "holds 1024 bytes, the limit is 1023"},
        {longest, PEM_PASSWORD_BYTES_MAX + 2, "has 1025 bytes, the limit is 1024"},
        {longest, PEM_PASSWORD_BYTES_MAX, "does not open keyfile"},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        password_file(pki, "odd", rows[i].content, rows[i].bytes);
        load_refused(pki, "pkcs8.key", "odd", rows[i].text);
    }
    load_refused(pki, "pkcs8.key", ".", "is a directory; give a file with one line");
}

static void password__others_may_read_it__a_warning_that_names_it(void **state)
{
    const struct pki *pki = *state;
    char path[PKI_PATH_BYTES];
    struct tls_credentials *credentials;
    struct weft_error why;
    password_text(pki, "open", "weft\n");
    assert_int_equal(chmod(pki_path(pki, "open", path), 0640), 0);
    assert_int_equal(load_key(pki, "pkcs8.key", "open", &credentials, &why), WEFT_OK);
    bool told = false;
    for (uint32_t i = 0; i < tls_credentials_warning_count(credentials); i++) {
        const char *warning = tls_credentials_warning(credentials, i);
        told = told || (strstr(warning, OPTION) != NULL && strstr(warning, "mode 0640 lets others") != NULL);
    }
    assert_true(told);
    tls_credentials_destroy(credentials);
}

static void password__without_a_keyfile__refused(void **state)
{
    char paths[2][PKI_PATH_BYTES];
    struct tls_credentials *credentials = NULL;
    struct weft_error why = {0};
    struct weft_node_options options = {.tls = {.truststore = pki_path(*state, "ca.crt", paths[0])},
                                        .keyfile_password_file = pki_path(*state, "right", paths[1])};
    assert_int_equal(tls_credentials_load(&credentials, &options, &why), WEFT_ERR_CONFIG);
    assert_null(credentials);
    assert_non_null(strstr(why.text, "needs its keyfile"));
}

static void issue__with_passwords__keys_that_need_them(void **state)
{
    const struct pki *pki = *state;
    char paths[4][PKI_PATH_BYTES];
    const char *right = pki_path(pki, "right", paths[0]);
    const char *wrong = pki_path(pki, "wrong", paths[1]);
    const char *certificate = pki_path(pki, "locked.crt", paths[2]);
    const char *key = pki_path(pki, "locked.key", paths[3]);
    const struct tls_ca_options ca_options = {.cluster = "locked", .password_file = right};
    struct tls_material material;
    struct weft_error why = {0};
    assert_int_equal(tls_issue_ca(&material, &ca_options, &why), WEFT_OK);
    assert_non_null(strstr(material.key, "-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert_int_equal(tls_material_write(&material, pki->directory, "locked", false, &why), WEFT_OK);
    tls_material_fini(&material);

    struct tls_node_options node = {
        .name = "inner", .cluster = "c", .dc = "d", .rack = "r", .addresses = {"127.0.0.1"}, .address_count = 1};
    assert_int_equal(tls_issue_node(&material, &node, certificate, key, &why), WEFT_ERR_CONFIG);
    assert_non_null(strstr(why.text, "locked.key: is encrypted; write --ca-password-file: "));
    why = (struct weft_error){0};
    node.ca_password_file = wrong;
    assert_int_equal(tls_issue_node(&material, &node, certificate, key, &why), WEFT_ERR_CONFIG);
    assert_non_null(strstr(why.text, "does not open CA key"));
    why = (struct weft_error){0};
    node.ca_password_file = right;
    node.password_file = right;
    assert_int_equal(tls_issue_node(&material, &node, certificate, key, &why), WEFT_OK);
    assert_int_equal(tls_material_write(&material, pki->directory, "inner", false, &why), WEFT_OK);
    tls_material_fini(&material);
    const struct weft_node_options options = {.keyfile_password_file = right};
    tls_credentials_destroy(pki_credentials_with(pki, "inner", "locked.crt", NULL, &options));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key__right_password__works_and_the_password_is_gone),
        cmocka_unit_test(key__half_a_pair_or_the_wrong_one__one_line),
        cmocka_unit_test(key__many_wrong_passwords__always_the_same_words),
        cmocka_unit_test(password__unusable_files__say_what_and_where),
        cmocka_unit_test(password__others_may_read_it__a_warning_that_names_it),
        cmocka_unit_test(password__without_a_keyfile__refused),
        cmocka_unit_test(issue__with_passwords__keys_that_need_them),
    };
    return cmocka_run_group_tests(tests, keys_setup, keys_teardown);
}
