/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that a test issues and reads back. */
#ifndef TESTS_UNIT_PKI_ISSUE_H
#define TESTS_UNIT_PKI_ISSUE_H

#include "pki.h"
#include "tls/describe.h"

/* With every kind of name. */
struct tls_node_options pki_node_options(void);
/* What tls_issue_node makes of them with these files of the directory. */
enum weft_err pki_issue(const struct pki *pki, const struct tls_node_options *options, const char *ca_certificate,
                        const char *ca_key, struct tls_material *material, struct weft_error *why);
/* The only certificate of a file; release with tls_descriptions_destroy. */
struct tls_description *pki_description(const struct pki *pki, const char *file);

#endif
