/* SPDX-License-Identifier: Apache-2.0 */
/* Owns reading PEM.  Happy path: open, check that it is a regular file of sane size, read it whole, without buffers
 * that would keep a copy; parse.  Fails with one line that names the configuration key, the path and the remedy: file
 * missing, not readable, a directory, a FIFO (never blocks on it), empty, too large, nothing usable inside, damaged,
 * no password where one is meant. */
#include "tls/openssl_pem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/openssl_library.h"

static enum weft_err pem_refuse_errno(const struct pem_file *file, int os_errno, const char *what,
                                      struct weft_error *why)
{
    char cause[128];
    bool first = why != NULL && why->code == WEFT_OK;
    weft_error_set(why, WEFT_ERR_CONFIG, "%s %s: %s: %s; give %s that this user may read", file->what, file->path, what,
                   strerror_r(os_errno, cause, sizeof cause), file->kind);
    if (first) {
        why->os_errno = os_errno;
    }
    return WEFT_ERR_CONFIG;
}

enum weft_err pem_refuse(const struct pem_file *file, const char *what, struct weft_error *why)
{
    return weft_error_set(why, WEFT_ERR_CONFIG, "%s %s: %s", file->what, file->path, what);
}

/* The size, if the open file is one that can be taken. */
static enum weft_err pem_file_check(struct pem_file *file, int descriptor, uint32_t bytes_max, struct weft_error *why)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        return pem_refuse_errno(file, errno, "cannot be examined", why);
    }
    if (!S_ISREG(status.st_mode)) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "%s %s: is %s; give %s", file->what, file->path,
                              S_ISDIR(status.st_mode) ? "a directory" : "not a regular file", file->kind);
    }
    if (status.st_size == 0) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "%s %s: is empty; give %s", file->what, file->path, file->kind);
    }
    if (status.st_size > (off_t)bytes_max) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "%s %s: has %lld bytes, the limit is %u; give %s", file->what,
                              file->path, (long long)status.st_size, bytes_max, file->kind);
    }
    file->bytes = (uint32_t)status.st_size;
    file->mode = status.st_mode & 07777;
    return WEFT_OK;
}

static enum weft_err pem_file_fill(struct pem_file *file, int descriptor, uint32_t bytes_max, struct weft_error *why)
{
    enum weft_err err = pem_file_check(file, descriptor, bytes_max, why);
    if (err != WEFT_OK) {
        close(descriptor);
        return err;
    }
    FILE *stream = fdopen(descriptor, "r");
    if (stream == NULL) {
        close(descriptor);
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to read %s", file->path);
    }
    setvbuf(stream, NULL, _IONBF, 0);
    file->text = calloc(1, (size_t)file->bytes + 1);
    if (file->text == NULL) {
        err = weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to read %s", file->path);
    } else if (fread(file->text, 1, file->bytes, stream) != file->bytes) {
        err = ferror(stream) ? pem_refuse_errno(file, errno, "cannot be read", why)
                             : pem_refuse(file, "became shorter while it was read; try again", why);
    }
    fclose(stream);
    return err;
}

static enum weft_err pem_file_open(struct pem_file *file, const char *path, uint32_t bytes_max, struct weft_error *why)
{
    file->path = strdup(path);
    if (file->path == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to read %s", path);
    }
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    enum weft_err err;
    if (descriptor < 0) {
        err = pem_refuse_errno(file, errno, "cannot be opened", why);
    } else {
        err = pem_file_fill(file, descriptor, bytes_max, why);
    }
    if (err != WEFT_OK) {
        pem_file_fini(file);
    }
    return err;
}

enum weft_err pem_file_read(struct pem_file *file, const char *what, const char *path, uint32_t bytes_max,
                            struct weft_error *why)
{
    *file = (struct pem_file){.what = what, .kind = "a PEM file"};
    return pem_file_open(file, path, bytes_max, why);
}

/* One line and its end.  What an editor may have added without being asked is told, not guessed at. */
static enum weft_err password_trim(struct pem_file *file, struct weft_error *why)
{
    if (file->text[file->bytes - 1] == '\n') {
        file->text[--file->bytes] = '\0';
    }
    if (file->bytes == 0) {
        return pem_refuse(file, "holds an empty password; write the key's password into its first line", why);
    }
    if (file->text[file->bytes - 1] == '\r') {
        return pem_refuse(file, "ends its line with CR LF; end it with LF alone", why);
    }
    if (memchr(file->text, '\0', file->bytes) != NULL || memchr(file->text, '\n', file->bytes) != NULL) {
        return pem_refuse(file, "holds more than one line of text; give a file with the password alone", why);
    }
    return WEFT_OK;
}

enum weft_err pem_password_read(struct pem_file *file, const char *what, const char *path, struct weft_error *why)
{
    *file = (struct pem_file){.what = what, .kind = "a file with one line, the password,"};
    WEFT_TRY(pem_file_open(file, path, PEM_PASSWORD_BYTES_MAX + 1, why));
    enum weft_err err = password_trim(file, why);
    if (err == WEFT_OK && file->bytes > PEM_PASSWORD_BYTES_MAX) {
        err = weft_error_set(why, WEFT_ERR_CONFIG, "%s %s: holds %u bytes, the limit is %u; give a shorter password",
                             file->what, file->path, file->bytes, PEM_PASSWORD_BYTES_MAX);
    }
    if (err != WEFT_OK) {
        pem_file_fini(file);
    }
    return err;
}

void pem_file_fini(struct pem_file *file)
{
    if (file == NULL) {
        return;
    }
    if (file->text != NULL) {
        OPENSSL_cleanse(file->text, file->bytes);
    }
    free(file->text);
    free(file->path);
    *file = (struct pem_file){0};
}

/* The parser found no further block, rather than a bad one. */
static bool pem_is_end(void)
{
    unsigned long cause = ERR_peek_last_error();
    bool end = ERR_GET_LIB(cause) == ERR_LIB_PEM && ERR_GET_REASON(cause) == PEM_R_NO_START_LINE;
    if (end) {
        ERR_clear_error();
    }
    return end;
}

/* Without memory for its key a certificate is read all the same, and then signs nothing: OpenSSL takes such a key for
 * one of an unknown kind.  If a second attempt can read it, the first lacked memory. */
static bool pem_public_key_lost(X509 *certificate, OSSL_LIB_CTX *library)
{
    if (X509_get0_pubkey(certificate) != NULL) {
        return false;
    }
    unsigned char *der = NULL;
    int bytes = i2d_X509(certificate, &der);
    const unsigned char *at = der;
    X509 *again = X509_new_ex(library, NULL);
    bool lost = bytes < 0 || again == NULL || d2i_X509(&again, &at, bytes) == NULL || X509_get0_pubkey(again) != NULL;
    X509_free(again);
    OPENSSL_free(der);
    ERR_clear_error();
    return lost;
}

static enum weft_err pem_parse_all(const struct pem_file *file, BIO *bio, OSSL_LIB_CTX *library, uint32_t count_max,
                                   STACK_OF(X509) * certificates, struct weft_error *why)
{
    for (uint32_t count = 0;; count++) {
        X509 *certificate = X509_new_ex(library, NULL);
        if (certificate == NULL) {
            return library_error(why, WEFT_ERR_NO_MEMORY, "no memory for the certificates of %s", file->path);
        }
        if (PEM_read_bio_X509(bio, &certificate, NULL, NULL) == NULL) {
            X509_free(certificate);
            if (!pem_is_end()) {
                return library_error(why, WEFT_ERR_CONFIG, "%s %s: certificate %u is damaged; make the file again",
                                     file->what, file->path, count + 1);
            }
            return WEFT_OK;
        }
        if (count == count_max) {
            X509_free(certificate);
            return weft_error_set(why, WEFT_ERR_CONFIG, "%s %s: holds more than %u certificates", file->what,
                                  file->path, count_max);
        }
        if (pem_public_key_lost(certificate, library) || sk_X509_push(certificates, certificate) == 0) {
            X509_free(certificate);
            return library_error(why, WEFT_ERR_NO_MEMORY, "no memory for the certificates of %s", file->path);
        }
    }
}

enum weft_err pem_certificates(const struct pem_file *file, OSSL_LIB_CTX *library, uint32_t count_max,
                               STACK_OF(X509) * *certificates, struct weft_error *why)
{
    ERR_clear_error();
    STACK_OF(X509) *parsed = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(file->text, (int)file->bytes);
    enum weft_err err;
    if (parsed == NULL || bio == NULL) {
        err = library_error(why, WEFT_ERR_NO_MEMORY, "no memory for the certificates of %s", file->path);
    } else {
        err = pem_parse_all(file, bio, library, count_max, parsed, why);
    }
    if (err == WEFT_OK && sk_X509_num(parsed) == 0) {
        bool key = strstr(file->text, "PRIVATE KEY-----") != NULL;
        err = pem_refuse(file,
                         key ? "holds a key and no certificate; are certificate and keyfile swapped?"
                             : "holds no PEM certificate (-----BEGIN CERTIFICATE-----); give it in PEM",
                         why);
    }
    BIO_free(bio);
    if (err != WEFT_OK) {
        pem_certificates_free(parsed);
        parsed = NULL;
    }
    *certificates = parsed;
    return err;
}

void pem_certificates_free(STACK_OF(X509) * certificates)
{
    sk_X509_pop_free(certificates, X509_free);
}
