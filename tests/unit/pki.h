/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of certificates for tests: what a pki holds is gone when it is closed. */
#ifndef TESTS_UNIT_PKI_H
#define TESTS_UNIT_PKI_H

#include "tls/credentials.h"
#include "tls/issue.h"

#define PKI_PATH_BYTES 256
#define PKI_DAY_S 86400

struct pki {
    char directory[128];
};

void pki_open(struct pki *pki);
void pki_close(struct pki *pki);

/* Set-up and tear-down of a cmocka group: a directory with ca, other, and nodes good, foreign, expired and early. */
int pki_setup(void **state);
int pki_teardown(void **state);

/* DIRECTORY/file, in a buffer of the caller. */
const char *pki_path(const struct pki *pki, const char *file, char path[PKI_PATH_BYTES]);
/* NAME.crt and NAME.key: a CA. */
void pki_ca(const struct pki *pki, const char *name);
/* NAME.crt and NAME.key, signed by the CA of that name, valid in the given seconds from now (0, 0: as usual). */
void pki_node(const struct pki *pki, const char *name, const char *ca, int64_t from_s, int64_t until_s);
/* lonely.crt and lonely.key: a leaf that is its own issuer. */
void pki_lonely(const struct pki *pki);
void pki_file(const struct pki *pki, const char *file, const char *text);
/* Everything of a file; release with free. */
char *pki_text(const struct pki *pki, const char *file);
/* A file of other files, one behind the other; the list ends with NULL. */
void pki_bundle(const struct pki *pki, const char *file, const char *const *parts);
/* Credentials of NAME.crt and NAME.key (NULL: none) with a trust store file.  They must load. */
struct tls_credentials *pki_credentials(const struct pki *pki, const char *name, const char *trust);
/* The same, with a file of revocation lists (NULL: none) and what else options say. */
struct tls_credentials *pki_credentials_with(const struct pki *pki, const char *name, const char *trust,
                                             const char *lists, const struct weft_node_options *options);

/* pki_lists.c.  NAME.crt and NAME.key: a CA that may have CAs below it.  parent NULL: a root */
void pki_authority(const struct pki *pki, const char *name, const char *parent);
/* A revocation list of a CA that names one certificate file (NULL: none), valid in these seconds from now. */
void pki_list(const struct pki *pki, const char *file, const char *ca, const char *revoked, int64_t from_s,
              int64_t until_s);

#endif
