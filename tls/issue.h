/* SPDX-License-Identifier: Apache-2.0 */
/* Making a CA and certificates of nodes, and writing them to files that are never overwritten by accident. */
#ifndef TLS_ISSUE_H
#define TLS_ISSUE_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

#include "engine/base/uuid.h"

/* Addresses and DNS names of one certificate, each. */
#define TLS_ISSUE_NAMES_MAX 16u

/* Seconds from now; both zero: the default. */
struct tls_validity {
    int64_t from_s;
    int64_t until_s;
};

struct tls_ca_options {
    const char *cluster;          /* named in the subject */
    struct tls_validity validity; /* default: ten years */
    const char *password_file;    /* of the key; NULL: it is not encrypted */
};

/* NULL is unknown for cluster, dc and rack. */
struct tls_node_options {
    const char *name; /* of the node and its files: 1..64 of A-Z a-z 0-9 . _ - */
    const char *cluster;
    const char *dc;
    const char *rack;
    const char *id;                             /* UUID; NULL: a random one */
    const char *addresses[TLS_ISSUE_NAMES_MAX]; /* numeric */
    uint32_t address_count;
    const char *dns_names[TLS_ISSUE_NAMES_MAX];
    uint32_t dns_count;
    struct tls_validity validity; /* default: two years; never beyond the CA's end */
    const char *password_file;    /* of the key; NULL: it is not encrypted */
    const char *ca_password_file; /* of the CA's key, likewise */
};

/* A certificate and its key, both PEM. */
struct tls_material {
    char *certificate;
    uint32_t certificate_bytes;
    char *key;
    uint32_t key_bytes;
    char id[UUID_TEXT_BYTES]; /* of a node */
    char *uri;                /* of a node: weft://cluster/dc/rack/id */
};

/* @param material given; release with tls_material_fini   @return ok | INVALID | CONFIG (the password) | TLS |
 * NO_MEMORY */
WEFT_NODISCARD enum weft_err tls_issue_ca(struct tls_material *material, const struct tls_ca_options *options,
                                          struct weft_error *why);
/* @param ca_certificate, ca_key paths of PEM files
 * @return ok | INVALID | CONFIG (the CA's files, a password) | TLS | NO_MEMORY */
WEFT_NODISCARD enum weft_err tls_issue_node(struct tls_material *material, const struct tls_node_options *options,
                                            const char *ca_certificate, const char *ca_key, struct weft_error *why);
/* Wipes the key.  A zeroed one is fine. */
void tls_material_fini(struct tls_material *material);

/* Whether name may name a node and its files. */
bool tls_node_name_is_valid(const char *name);

/* The URI of a node, percent-encoded; NULL parts become "-".  @param uri given; release with free
 * @return ok | INVALID | NO_MEMORY */
WEFT_NODISCARD enum weft_err tls_node_uri(char **uri, const char *cluster, const char *dc, const char *rack,
                                          const char *id, struct weft_error *why);

/* Write DIRECTORY/NAME.crt (0644) and DIRECTORY/NAME.key (0600), both or none; DIRECTORY is made (0700) if it is
 * missing.  Files that exist are refused unless force, which replaces them whole.
 * @return ok | INVALID | STATE (a file exists) | SYSTEM */
WEFT_NODISCARD enum weft_err tls_material_write(const struct tls_material *material, const char *directory,
                                                const char *name, bool force, struct weft_error *why);

#endif
