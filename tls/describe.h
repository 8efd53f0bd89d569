/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in a certificate, in words: for `weft certs show`, start tables and logs.  All texts are printable
 * ASCII, whatever the certificate holds. */
#ifndef TLS_DESCRIBE_H
#define TLS_DESCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

/* Alternative names that are kept; a node has a handful. */
#define TLS_NAMES_MAX 64u

struct tls_name {
    const char *kind; /* "IP", "DNS", "URI", "email" or "other"; a constant */
    char *value;
};

struct tls_description {
    char subject[512];
    char issuer[512];
    char serial[64];     /* hexadecimal */
    char not_before[24]; /* 2026-01-31T00:00:00Z */
    char not_after[24];
    char key[64];         /* "EC P-256", "RSA 2048" */
    char signature[64];   /* "ecdsa-with-SHA256" */
    char fingerprint[65]; /* SHA-256 of the certificate */
    int32_t days_left;    /* negative once it has expired */
    int64_t not_after_s;  /* since 1970; 0: not in a way that weft takes */
    bool expired;
    bool not_yet_valid;
    bool is_ca;
    bool is_self_signed;
    bool server_auth; /* may be used by a server */
    bool client_auth; /* may be used by a client */
    struct tls_name names[TLS_NAMES_MAX];
    uint32_t name_count;
    uint32_t names_left_out;
};

/* Describe every certificate of a PEM file.  @param list given; release with tls_descriptions_destroy */
WEFT_NODISCARD enum weft_err tls_describe_file(const char *path, struct tls_description **list, uint32_t *count,
                                               struct weft_error *why);
void tls_descriptions_destroy(struct tls_description *list, uint32_t count);

/* Several lines for people, cut at bytes. */
void tls_description_print(const struct tls_description *description, char *text, uint32_t bytes);
/* One line: subject, issuer, names, notAfter; cut at bytes. */
void tls_description_print_line(const struct tls_description *description, char *text, uint32_t bytes);

#endif
