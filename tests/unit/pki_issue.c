/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of issuing share. */
#include "pki_issue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct tls_node_options pki_node_options(void)
{
    return (struct tls_node_options){.name = "n1",
                                     .cluster = "Test Cluster",
                                     .dc = "dc/1",
                                     .rack = "r\xc3\xa4k",
                                     .id = "6F1C0C5E-8f3b-4a51-9d0e-2b7a4c9e1f00",
                                     .addresses = {"10.0.0.1", "fd00::1"},
                                     .address_count = 2,
                                     .dns_names = {"n1.example.org"},
                                     .dns_count = 1};
}

enum weft_err pki_issue(const struct pki *pki, const struct tls_node_options *options, const char *ca_certificate,
                        const char *ca_key, struct tls_material *material, struct weft_error *why)
{
    char certificate[PKI_PATH_BYTES];
    char key[PKI_PATH_BYTES];
    *why = (struct weft_error){0};
    return tls_issue_node(material, options, pki_path(pki, ca_certificate, certificate), pki_path(pki, ca_key, key),
                          why);
}

struct tls_description *pki_description(const struct pki *pki, const char *file)
{
    char path[PKI_PATH_BYTES];
    struct tls_description *list = NULL;
    uint32_t count = 0;
    struct weft_error why = {0};
    assert_int_equal(tls_describe_file(pki_path(pki, file, path), &list, &count, &why), WEFT_OK);
    assert_int_equal(count, 1);
    return list;
}
