/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the lists that OpenSSL reads.  Happy path: every list is set, in the priority's order.  Fails when OpenSSL was
 * built without what it shall offer, or nothing is left between the bounds. */
#include "tls/openssl_priority.h"

#include <stdio.h>

static int version_number(enum tls_version version)
{
    return version == TLS_VERSION_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
}

static bool versions_apply(const struct priority *priority, SSL_CTX *context, enum tls_version version_min,
                           enum tls_version version_max)
{
    enum tls_version lowest = priority_has_version(priority, TLS_VERSION_1_2) ? TLS_VERSION_1_2 : TLS_VERSION_1_3;
    enum tls_version highest = priority_has_version(priority, TLS_VERSION_1_3) ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
    lowest = version_min > lowest ? version_min : lowest;
    highest = version_max != TLS_VERSION_DEFAULT && version_max < highest ? version_max : highest;
    return lowest <= highest && SSL_CTX_set_min_proto_version(context, version_number(lowest)) == 1 &&
           SSL_CTX_set_max_proto_version(context, version_number(highest)) == 1;
}

static bool suites_apply(const struct priority *priority, SSL_CTX *context)
{
    char text[PRIORITY_LIST_BYTES];
    if (!priority_suites_text(priority, TLS_VERSION_1_3, text, sizeof text) ||
        SSL_CTX_set_ciphersuites(context, text) != 1) {
        return false;
    }
    if (!priority_has_version(priority, TLS_VERSION_1_2)) {
        return true; /* an empty list is none that OpenSSL takes; what it has as default is of a version that is off */
    }
    return priority_suites_text(priority, TLS_VERSION_1_2, text, sizeof text) &&
           SSL_CTX_set_cipher_list(context, text) == 1;
}

/* Append one name; false if it does not fit. */
static bool list_append(char *text, uint32_t bytes, uint32_t *used, const char *name)
{
    int wrote = snprintf(text + *used, bytes - *used, "%s%s", *used > 0 ? ":" : "", name);
    if (wrote < 0 || (uint32_t)wrote >= bytes - *used) {
        return false;
    }
    *used += (uint32_t)wrote;
    return true;
}

/* Without any group there is no suite that would use one. */
static bool groups_apply(const struct priority *priority, SSL_CTX *context)
{
    char text[PRIORITY_LIST_BYTES];
    uint32_t used = 0;
    for (uint32_t i = 0; i < priority->group_count; i++) {
        if (!list_append(text, sizeof text, &used, priority->groups[i]->name)) {
            return false;
        }
    }
    return used == 0 || SSL_CTX_set1_groups_list(context, text) == 1;
}

static bool signatures_apply(const struct priority *priority, SSL_CTX *context)
{
    char text[PRIORITY_LIST_BYTES];
    uint32_t used = 0;
    for (uint32_t i = 0; i < priority->signature_count; i++) {
        if (!list_append(text, sizeof text, &used, priority->signatures[i]->openssl)) {
            return false;
        }
    }
    return SSL_CTX_set1_sigalgs_list(context, text) == 1;
}

static void flags_apply(const struct priority *priority, SSL_CTX *context)
{
    static const struct {
        enum priority_flag flag;
        uint64_t option;
    } options[] = {
        {PRIORITY_SERVER_PRECEDENCE, SSL_OP_CIPHER_SERVER_PREFERENCE},
        {PRIORITY_NO_ETM, SSL_OP_NO_ENCRYPT_THEN_MAC},
        {PRIORITY_NO_SESSION_HASH, SSL_OP_NO_EXTENDED_MASTER_SECRET},
        {PRIORITY_PADDING, SSL_OP_TLSEXT_PADDING},
    };
    for (uint32_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if ((priority->flags & options[i].flag) != 0) {
            SSL_CTX_set_options(context, options[i].option);
        }
    }
    if ((priority->flags & PRIORITY_NO_TLS13_COMPAT) != 0) {
        SSL_CTX_clear_options(context, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    }
    if ((priority->flags & PRIORITY_FALLBACK_SCSV) != 0) {
        SSL_CTX_set_mode(context, SSL_MODE_SEND_FALLBACK_SCSV);
    }
}

/* Certificates may be demanded to be stronger than OpenSSL's own level, never weaker. */
static void strength_apply(const struct priority *priority, SSL_CTX *context)
{
    if (priority->verify_level > SSL_CTX_get_security_level(context)) {
        X509_VERIFY_PARAM_set_auth_level(SSL_CTX_get0_param(context), priority->verify_level);
    }
}

bool priority_apply(const struct priority *priority, SSL_CTX *context, enum tls_version version_min,
                    enum tls_version version_max)
{
    flags_apply(priority, context);
    strength_apply(priority, context);
    SSL_CTX_set_dh_auto(context, 1); /* for DHE of TLS 1.2: as strong as the certificate's key */
    return versions_apply(priority, context, version_min, version_max) && suites_apply(priority, context) &&
           groups_apply(priority, context) && signatures_apply(priority, context);
}
