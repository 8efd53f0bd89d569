/* SPDX-License-Identifier: Apache-2.0 */
/* Owns private keys in PEM: reading, decrypting and encrypting them.  Happy path: a key without a password is parsed
 * where it is needed; one with a password is decrypted once, when it was read, and its text is the plain one from then
 * on, so that the password is wiped before the first connection.  Fails with one line: no key, a damaged one, an
 * encrypted one without a password, a password for one that is not encrypted, the wrong password, an encryption that
 * OpenSSL does not have.  Nobody is ever asked for a password. */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/openssl_library.h"
#include "tls/openssl_pem.h"

/* Rounds of PBKDF2 with HMAC-SHA-256 over a password: about 0.1 s of one CPU, at each start and for each guess. */
#define PASSWORD_ROUNDS 600000

struct key_asker {
    const struct pem_file *password; /* text NULL: there is none */
    bool asked;
};

/* Stands in for OpenSSL's default, which asks on the terminal. */
static int key_answer(char *buf, int bytes, int writing, void *ctx)
{
    struct key_asker *asker = ctx;
    const struct pem_file *password = asker->password;
    (void)writing;
    asker->asked = true;
    if (password->text == NULL || bytes < 0 || password->bytes > (uint32_t)bytes) {
        return -1;
    }
    memcpy(buf, password->text, password->bytes);
    return (int)password->bytes;
}

static enum weft_err key_read(const struct pem_file *file, struct key_asker *asker, OSSL_LIB_CTX *library,
                              EVP_PKEY **key, struct weft_error *why)
{
    ERR_clear_error();
    BIO *bio = BIO_new_mem_buf(file->text, (int)file->bytes);
    if (bio == NULL) {
        return library_error(why, WEFT_ERR_NO_MEMORY, "no memory for the key of %s", file->path);
    }
    *key = PEM_read_bio_PrivateKey_ex(bio, NULL, key_answer, asker, library, NULL);
    BIO_free(bio);
    return WEFT_OK;
}

/* Why the text of a file is no key, if it is not for a password. */
static enum weft_err key_refuse(const struct pem_file *file, struct weft_error *why)
{
    if (strstr(file->text, "PRIVATE KEY-----") == NULL) {
        ERR_clear_error();
        bool certificate = strstr(file->text, "BEGIN CERTIFICATE") != NULL;
        return pem_refuse(file,
                          certificate ? "holds a certificate and no key; are certificate and keyfile swapped?"
                                      : "holds no PEM key (-----BEGIN PRIVATE KEY-----); give it in PEM",
                          why);
    }
    return library_error(why, WEFT_ERR_CONFIG, "%s %s: the key is damaged; make the file again", file->what,
                         file->path);
}

enum weft_err pem_key(const struct pem_file *file, OSSL_LIB_CTX *library, EVP_PKEY **key, struct weft_error *why)
{
    static const struct pem_file no_password = {0};
    struct key_asker asker = {.password = &no_password};
    *key = NULL;
    WEFT_TRY(key_read(file, &asker, library, key, why));
    if (*key != NULL) {
        ERR_clear_error();
        return WEFT_OK;
    }
    if (asker.asked) {
        ERR_clear_error();
        return pem_refuse(file, "is encrypted", why);
    }
    return key_refuse(file, why);
}

/* What the first errors of OpenSSL's say: those behind them only say that nothing came of it. */
static enum weft_err key_refuse_password(const struct pem_file *file, const struct pem_file *password,
                                         struct weft_error *why)
{
    unsigned long cause = ERR_peek_error();
    int reason = ERR_GET_REASON(cause);
    if (reason == ERR_R_MALLOC_FAILURE) {
        return library_error(why, WEFT_ERR_NO_MEMORY, "no memory for the key of %s", file->path);
    }
    /* Of its decoders OpenSSL says the same when a wrong password happened to leave a well-formed end. */
    if (ERR_GET_LIB(cause) == ERR_LIB_EVP && reason == ERR_R_UNSUPPORTED) {
        return library_error(why, WEFT_ERR_CONFIG,
                             "%s %s: its encryption is too old for OpenSSL; encrypt it anew (openssl pkcs8 -topk8 -v2 "
                             "aes256)",
                             file->what, file->path);
    }
    ERR_clear_error();
    return weft_error_set(why, WEFT_ERR_CONFIG,
                          "%s %s: does not open %s %s; give the file with the password that the key was encrypted with",
                          password->what, password->path, file->what, file->path);
}

/* The plain key in place of the encrypted one. */
static enum weft_err key_replace(struct pem_file *file, EVP_PKEY *key, OSSL_LIB_CTX *library, struct weft_error *why)
{
    static const struct pem_file no_password = {0};
    char *data = NULL;
    BIO *bio = BIO_new(BIO_s_secmem());
    long bytes = bio != NULL && pem_key_print(key, &no_password, library, bio) ? BIO_get_mem_data(bio, &data) : 0;
    char *text = bytes > 0 ? calloc(1, (size_t)bytes + 1) : NULL;
    if (text == NULL) {
        BIO_free(bio);
        return library_error(why, WEFT_ERR_NO_MEMORY, "no memory for the key of %s", file->path);
    }
    memcpy(text, data, (size_t)bytes);
    BIO_free(bio);
    OPENSSL_cleanse(file->text, file->bytes);
    free(file->text);
    file->text = text;
    file->bytes = (uint32_t)bytes;
    return WEFT_OK;
}

enum weft_err pem_key_unlock(struct pem_file *file, const char *option, const struct pem_file *password,
                             OSSL_LIB_CTX *library, struct weft_error *why)
{
    struct key_asker asker = {.password = password};
    EVP_PKEY *key = NULL;
    WEFT_TRY(key_read(file, &asker, library, &key, why));
    enum weft_err err;
    if (asker.asked && password->text == NULL) {
        ERR_clear_error();
        err = weft_error_set(why, WEFT_ERR_CONFIG,
                             "%s %s: is encrypted; write %s: the path of a file with its password, or store the key "
                             "without one (openssl pkey -in OLD -out NEW)",
                             file->what, file->path, option);
    } else if (key == NULL) {
        err = asker.asked ? key_refuse_password(file, password, why) : key_refuse(file, why);
    } else if (!asker.asked && password->text != NULL) {
        err = weft_error_set(why, WEFT_ERR_CONFIG,
                             "%s %s: is not encrypted, but %s is given; encrypt it (openssl pkcs8 -topk8 -v2 aes256), "
                             "or remove %s",
                             file->what, file->path, option, option);
    } else {
        ERR_clear_error();
        err = asker.asked ? key_replace(file, key, library, why) : WEFT_OK;
    }
    EVP_PKEY_free(key);
    return err;
}

/* As OpenSSL's PEM_write_bio_PKCS8PrivateKey, with more rounds over the password than its 2048. */
static bool key_print_encrypted(EVP_PKEY *key, const struct pem_file *password, OSSL_LIB_CTX *library, BIO *bio)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(library, "AES-256-CBC", NULL);
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(key);
    X509_SIG *encrypted = NULL;
    if (cipher != NULL && plain != NULL) {
        encrypted = PKCS8_encrypt_ex(-1, cipher, password->text, (int)password->bytes, NULL, 0, PASSWORD_ROUNDS, plain,
                                     library, NULL);
    }
    bool ok = encrypted != NULL && PEM_write_bio_PKCS8(bio, encrypted) == 1;
    X509_SIG_free(encrypted);
    PKCS8_PRIV_KEY_INFO_free(plain);
    EVP_CIPHER_free(cipher);
    return ok;
}

bool pem_key_print(EVP_PKEY *key, const struct pem_file *password, OSSL_LIB_CTX *library, BIO *bio)
{
    return password->text != NULL ? key_print_encrypted(key, password, library, bio)
                                  : PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
}
