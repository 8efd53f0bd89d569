/* SPDX-License-Identifier: Apache-2.0 */
/* PEM files: read once into memory, parsed from there into any library context. */
#ifndef TLS_OPENSSL_PEM_H
#define TLS_OPENSSL_PEM_H

#include <stdbool.h>
#include <sys/types.h>

#include <openssl/x509.h>

#include <weft/error.h>

/* A certificate file or key file: a chain of 16 RSA-8192 certificates is 70 KiB; the rest is room for comments. */
#define PEM_FILE_BYTES_MAX (1024u * 1024)
/* A trust store: the Mozilla bundle is 220 KiB. */
#define PEM_TRUST_BYTES_MAX (8u * 1024 * 1024)
/* Certificates of a chain; libssl refuses longer ones from a peer at a depth of 10 too. */
#define PEM_CHAIN_MAX 16u
/* Certificates of a trust store: the Mozilla bundle has 140. */
#define PEM_TRUST_MAX 4096u

/* A password: what OpenSSL's own buffer for one holds. */
#define PEM_PASSWORD_BYTES_MAX 1023u

/* A file's text, wiped when it is released. */
struct pem_file {
    const char *what; /* the key of the configuration, for error texts; a constant */
    const char *kind; /* what it should be, likewise */
    char *path;
    char *text; /* bytes, then a NUL */
    uint32_t bytes;
    mode_t mode;
};

/* Read a regular file of 1 to bytes_max bytes.  CONFIG: why says which file, what is wrong and what would be right. */
WEFT_NODISCARD enum weft_err pem_file_read(struct pem_file *file, const char *what, const char *path,
                                           uint32_t bytes_max, struct weft_error *why);
/* Read a file that holds one password: a line, whose end is not a part of it.  CONFIG: as above. */
WEFT_NODISCARD enum weft_err pem_password_read(struct pem_file *file, const char *what, const char *path,
                                               struct weft_error *why);
void pem_file_fini(struct pem_file *file);
/* CONFIG, and "what path: text". */
enum weft_err pem_refuse(const struct pem_file *file, const char *text, struct weft_error *why);

/* All certificates of a file, at least one. */
WEFT_NODISCARD enum weft_err pem_certificates(const struct pem_file *file, OSSL_LIB_CTX *library, uint32_t count_max,
                                              STACK_OF(X509) * *certificates, struct weft_error *why);
/* openssl_key.c.  The first private key of a file; an encrypted one is refused, nobody is asked for a password. */
WEFT_NODISCARD enum weft_err pem_key(const struct pem_file *file, OSSL_LIB_CTX *library, EVP_PKEY **key,
                                     struct weft_error *why);
/* Make an encrypted key's text the plain one, in memory.  @param option names where the password is given, for error
 * texts   @param password text NULL: there is none   @return ok | CONFIG (also if only one of both is there) |
 * NO_MEMORY */
WEFT_NODISCARD enum weft_err pem_key_unlock(struct pem_file *file, const char *option, const struct pem_file *password,
                                            OSSL_LIB_CTX *library, struct weft_error *why);
/* A key as PEM (PKCS #8), encrypted if there is a password. */
WEFT_NODISCARD bool pem_key_print(EVP_PKEY *key, const struct pem_file *password, OSSL_LIB_CTX *library, BIO *bio);

void pem_certificates_free(STACK_OF(X509) * certificates);

#endif
