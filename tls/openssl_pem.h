/* SPDX-License-Identifier: Apache-2.0 */
/* PEM files: read once into memory, parsed from there into any library context. */
#ifndef TLS_OPENSSL_PEM_H
#define TLS_OPENSSL_PEM_H

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

/* A file's text, wiped when it is released. */
struct pem_file {
    const char *what; /* the key of the configuration, for error texts; a constant */
    char *path;
    char *text; /* bytes, then a NUL */
    uint32_t bytes;
    mode_t mode;
};

/* Read a regular file of 1 to bytes_max bytes.  CONFIG: why says which file, what is wrong and what would be right. */
WEFT_NODISCARD enum weft_err pem_file_read(struct pem_file *file, const char *what, const char *path,
                                           uint32_t bytes_max, struct weft_error *why);
void pem_file_fini(struct pem_file *file);

/* All certificates of a file, at least one. */
WEFT_NODISCARD enum weft_err pem_certificates(const struct pem_file *file, OSSL_LIB_CTX *library, uint32_t count_max,
                                              STACK_OF(X509) * *certificates, struct weft_error *why);
/* The first private key of a file; an encrypted one is refused, nobody is asked for a password. */
WEFT_NODISCARD enum weft_err pem_key(const struct pem_file *file, OSSL_LIB_CTX *library, EVP_PKEY **key,
                                     struct weft_error *why);

void pem_certificates_free(STACK_OF(X509) * certificates);

#endif
