/* SPDX-License-Identifier: Apache-2.0 */
/* Names, and keywords that stand for several of them. */
#include "tls/priority_table.h"

#include <stddef.h>

const struct priority_name priority_names[PRIORITY_NAME_COUNT] = {
#define WEFT_X(kind, id, text, absent) {PRIORITY_##kind, text, absent},
    PRIORITY_NAMES(WEFT_X)
#undef WEFT_X
};

static const uint8_t versions_all[] = {NAME_VERS_TLS1_3,  NAME_VERS_TLS1_2,  NAME_VERS_TLS1_1, NAME_VERS_TLS1_0,
                                       NAME_VERS_DTLS1_2, NAME_VERS_DTLS1_0, PRIORITY_NONE};
static const uint8_t versions_tls[] = {NAME_VERS_TLS1_3, NAME_VERS_TLS1_2, NAME_VERS_TLS1_1, NAME_VERS_TLS1_0,
                                       PRIORITY_NONE};
static const uint8_t versions_dtls[] = {NAME_VERS_DTLS1_2, NAME_VERS_DTLS1_0, PRIORITY_NONE};
static const uint8_t versions_suiteb[] = {NAME_VERS_TLS1_2, PRIORITY_NONE};

static const uint8_t ciphers_normal[] = {NAME_AES_256_GCM, NAME_CHACHA20_POLY1305, NAME_AES_256_CCM, NAME_AES_256_CBC,
                                         NAME_AES_128_GCM, NAME_AES_128_CCM,       NAME_AES_128_CBC, PRIORITY_NONE};
static const uint8_t ciphers_secure128[] = {NAME_AES_256_GCM, NAME_CHACHA20_POLY1305, NAME_AES_256_CBC,
                                            NAME_AES_256_CCM, NAME_AES_128_GCM,       NAME_AES_128_CBC,
                                            NAME_AES_128_CCM, PRIORITY_NONE};
static const uint8_t ciphers_secure192[] = {NAME_AES_256_GCM, NAME_CHACHA20_POLY1305, NAME_AES_256_CBC,
                                            NAME_AES_256_CCM, PRIORITY_NONE};
static const uint8_t ciphers_performance[] = {NAME_AES_128_GCM, NAME_AES_256_GCM, NAME_CHACHA20_POLY1305,
                                              NAME_AES_128_CCM, NAME_AES_256_CCM, NAME_AES_128_CBC,
                                              NAME_AES_256_CBC, PRIORITY_NONE};
static const uint8_t ciphers_suiteb128[] = {NAME_AES_256_GCM, NAME_AES_128_GCM, PRIORITY_NONE};
static const uint8_t ciphers_suiteb192[] = {NAME_AES_256_GCM, PRIORITY_NONE};
static const uint8_t ciphers_gost[] = {NAME_GOST_TC26Z_CNT, PRIORITY_NONE};

static const uint8_t kx_normal[] = {NAME_ECDHE_ECDSA, NAME_ECDHE_RSA, NAME_RSA, NAME_DHE_RSA, PRIORITY_NONE};
static const uint8_t kx_performance[] = {NAME_RSA, NAME_ECDHE_ECDSA, NAME_ECDHE_RSA, NAME_DHE_RSA, PRIORITY_NONE};
static const uint8_t kx_pfs[] = {NAME_ECDHE_ECDSA, NAME_ECDHE_RSA, NAME_DHE_RSA, PRIORITY_NONE};
static const uint8_t kx_suiteb[] = {NAME_ECDHE_ECDSA, PRIORITY_NONE};
static const uint8_t kx_gost[] = {NAME_VKO_GOST, PRIORITY_NONE};

static const uint8_t macs_normal[] = {NAME_SHA1, NAME_AEAD, PRIORITY_NONE};
static const uint8_t macs_aead[] = {NAME_AEAD, PRIORITY_NONE};
static const uint8_t macs_gost[] = {NAME_GOST_IMIT, PRIORITY_NONE};

static const uint8_t groups_normal[] = {NAME_SECP256R1, NAME_SECP384R1, NAME_SECP521R1, NAME_X25519,
                                        NAME_X448,      NAME_FFDHE2048, NAME_FFDHE3072, NAME_FFDHE4096,
                                        NAME_FFDHE6144, NAME_FFDHE8192, PRIORITY_NONE};
static const uint8_t groups_elliptic[] = {NAME_SECP256R1, NAME_SECP384R1, NAME_SECP521R1,
                                          NAME_X25519,    NAME_X448,      PRIORITY_NONE};
static const uint8_t groups_finite[] = {NAME_FFDHE2048, NAME_FFDHE3072, NAME_FFDHE4096,
                                        NAME_FFDHE6144, NAME_FFDHE8192, PRIORITY_NONE};
static const uint8_t groups_secure192[] = {NAME_SECP384R1, NAME_SECP521R1, NAME_FFDHE8192, PRIORITY_NONE};
static const uint8_t groups_suiteb128[] = {NAME_SECP256R1, NAME_SECP384R1, PRIORITY_NONE};
static const uint8_t groups_suiteb192[] = {NAME_SECP384R1, PRIORITY_NONE};
static const uint8_t groups_gost[] = {NAME_GC256A, NAME_GC256B, NAME_GC256C, NAME_GC256D,
                                      NAME_GC512A, NAME_GC512B, NAME_GC512C, PRIORITY_NONE};

/* clang-format off */
#define SIGNATURES_256                                                                                                 \
    NAME_SIGN_RSA_SHA256, NAME_SIGN_PSS_SHA256, NAME_SIGN_RSAE_SHA256, NAME_SIGN_ECDSA_SHA256, NAME_SIGN_SECP256R1,    \
    NAME_SIGN_ED25519
#define SIGNATURES_384                                                                                                 \
    NAME_SIGN_RSA_SHA384, NAME_SIGN_PSS_SHA384, NAME_SIGN_RSAE_SHA384, NAME_SIGN_ECDSA_SHA384, NAME_SIGN_SECP384R1,    \
    NAME_SIGN_ED448
#define SIGNATURES_512                                                                                                 \
    NAME_SIGN_RSA_SHA512, NAME_SIGN_PSS_SHA512, NAME_SIGN_RSAE_SHA512, NAME_SIGN_ECDSA_SHA512, NAME_SIGN_SECP521R1
/* clang-format on */
static const uint8_t signatures_normal[] = {SIGNATURES_256,     SIGNATURES_384,       SIGNATURES_512,
                                            NAME_SIGN_RSA_SHA1, NAME_SIGN_ECDSA_SHA1, PRIORITY_NONE};
static const uint8_t signatures_secure128[] = {SIGNATURES_256, SIGNATURES_384, SIGNATURES_512, PRIORITY_NONE};
static const uint8_t signatures_secure192[] = {SIGNATURES_384, SIGNATURES_512, PRIORITY_NONE};
static const uint8_t signatures_suiteb128[] = {NAME_SIGN_ECDSA_SHA256, NAME_SIGN_SECP256R1, NAME_SIGN_ECDSA_SHA384,
                                               NAME_SIGN_SECP384R1, PRIORITY_NONE};
static const uint8_t signatures_suiteb192[] = {NAME_SIGN_ECDSA_SHA384, NAME_SIGN_SECP384R1, PRIORITY_NONE};
static const uint8_t signatures_gost[] = {NAME_SIGN_GOST_256, NAME_SIGN_GOST_512, PRIORITY_NONE};

/* Strengths of certificates that GnuTLS demands: OpenSSL's levels are 80, 112, 128, 192 and 256 bits. */
enum strength { STRENGTH_OWN = 0, STRENGTH_80, STRENGTH_112, STRENGTH_128, STRENGTH_192, STRENGTH_256 };

/* In the order of enum priority_kind: versions, ciphers, key exchanges, MACs, groups, signatures. */
const struct priority_level priority_levels[] = {
    {"NORMAL",
     {versions_all, ciphers_normal, kx_normal, macs_normal, groups_normal, signatures_normal},
     STRENGTH_OWN,
     false},
    {"LEGACY",
     {versions_all, ciphers_normal, kx_normal, macs_normal, groups_normal, signatures_normal},
     STRENGTH_OWN,
     false},
    {"PERFORMANCE",
     {versions_all, ciphers_performance, kx_performance, macs_normal, groups_normal, signatures_normal},
     STRENGTH_OWN,
     false},
    {"PFS", {versions_all, ciphers_normal, kx_pfs, macs_normal, groups_normal, signatures_normal}, STRENGTH_OWN, false},
    {"SECURE",
     {versions_all, ciphers_secure128, kx_normal, macs_normal, groups_normal, signatures_secure128},
     STRENGTH_112,
     false},
    {"SECURE128",
     {versions_all, ciphers_secure128, kx_normal, macs_normal, groups_normal, signatures_secure128},
     STRENGTH_112,
     false},
    {"SECURE192",
     {versions_all, ciphers_secure192, kx_normal, macs_aead, groups_secure192, signatures_secure192},
     STRENGTH_128,
     false},
    {"SECURE256",
     {versions_all, ciphers_secure192, kx_normal, macs_aead, groups_secure192, signatures_secure192},
     STRENGTH_128,
     false},
    {"SUITEB128",
     {versions_suiteb, ciphers_suiteb128, kx_suiteb, macs_aead, groups_suiteb128, signatures_suiteb128},
     STRENGTH_128,
     true},
    {"SUITEB192",
     {versions_suiteb, ciphers_suiteb192, kx_suiteb, macs_aead, groups_suiteb192, signatures_suiteb192},
     STRENGTH_192,
     true},
};
const uint32_t priority_level_count = sizeof priority_levels / sizeof priority_levels[0];

const struct priority_bulk priority_bulks[] = {
    {"VERS-ALL", PRIORITY_VERSION, versions_all, true, NULL},
    {"VERS-TLS-ALL", PRIORITY_VERSION, versions_tls, false, NULL},
    {"VERS-DTLS-ALL", PRIORITY_VERSION, versions_dtls, false, ABSENT_VERSION},
    {"CIPHER-ALL", PRIORITY_CIPHER, ciphers_normal, true, NULL},
    {"KX-ALL", PRIORITY_KX, kx_normal, true, NULL},
    {"MAC-ALL", PRIORITY_MAC, macs_normal, true, NULL},
    {"GROUP-ALL", PRIORITY_GROUP, groups_normal, true, NULL},
    {"CURVE-ALL", PRIORITY_GROUP, groups_normal, true, NULL},
    {"GROUP-EC-ALL", PRIORITY_GROUP, groups_elliptic, false, NULL},
    {"GROUP-DH-ALL", PRIORITY_GROUP, groups_finite, false, NULL},
    {"SIGN-ALL", PRIORITY_SIGNATURE, signatures_normal, true, NULL},
    {"CIPHER-GOST-ALL", PRIORITY_CIPHER, ciphers_gost, false, ABSENT_GOST},
    {"KX-GOST-ALL", PRIORITY_KX, kx_gost, false, ABSENT_GOST},
    {"MAC-GOST-ALL", PRIORITY_MAC, macs_gost, false, ABSENT_GOST},
    {"GROUP-GOST-ALL", PRIORITY_GROUP, groups_gost, false, ABSENT_GOST},
    {"SIGN-GOST-ALL", PRIORITY_SIGNATURE, signatures_gost, false, ABSENT_GOST},
};
const uint32_t priority_bulk_count = sizeof priority_bulks / sizeof priority_bulks[0];

#define REFUSED_VERIFY "it would have weft take certificates that are not sound"
#define REFUSED_RENEGOTIATION "weft never renegotiates"

const struct priority_special priority_specials[] = {
    {"%SERVER_PRECEDENCE", EFFECT_SET, PRIORITY_SERVER_PRECEDENCE, NULL},
    {"%NO_ETM", EFFECT_SET, PRIORITY_NO_ETM, NULL},
    {"%NO_SESSION_HASH", EFFECT_SET, PRIORITY_NO_SESSION_HASH, NULL},
    {"%DUMBFW", EFFECT_SET, PRIORITY_PADDING, NULL},
    {"%FALLBACK_SCSV", EFFECT_SET, PRIORITY_FALLBACK_SCSV, NULL},
    {"%DISABLE_TLS13_COMPAT_MODE", EFFECT_SET, PRIORITY_NO_TLS13_COMPAT, NULL},
    {"%FORCE_ETM", EFFECT_ETM, 0, NULL},
    {"%NO_TICKETS", EFFECT_HOLDS, 0, NULL},
    {"%NO_TICKETS_TLS12", EFFECT_HOLDS, 0, NULL},
    {"%STATELESS_COMPRESSION", EFFECT_HOLDS, 0, NULL},
    {"%SAFE_RENEGOTIATION", EFFECT_HOLDS, 0, NULL},
    {"%PARTIAL_RENEGOTIATION", EFFECT_HOLDS, 0, NULL},
    {"%COMPAT", EFFECT_DROPPED, 0, NULL},
    {"%LATEST_RECORD_VERSION", EFFECT_DROPPED, 0, NULL},
    {"%SSL3_RECORD_VERSION", EFFECT_DROPPED, 0, NULL},
    {"%ALLOW_SMALL_RECORDS", EFFECT_DROPPED, 0, NULL},
    {"%PROFILE_LOW", EFFECT_PROFILE, STRENGTH_80, NULL},
    {"%PROFILE_LEGACY", EFFECT_PROFILE, STRENGTH_112, NULL}, /* 96 bits; OpenSSL has no level between */
    {"%PROFILE_MEDIUM", EFFECT_PROFILE, STRENGTH_112, NULL},
    {"%PROFILE_HIGH", EFFECT_PROFILE, STRENGTH_128, NULL},
    {"%PROFILE_ULTRA", EFFECT_PROFILE, STRENGTH_192, NULL},
    {"%PROFILE_FUTURE", EFFECT_PROFILE, STRENGTH_256, NULL},
    {"%PROFILE_SUITEB128", EFFECT_PROFILE, STRENGTH_128, NULL},
    {"%PROFILE_SUITEB192", EFFECT_PROFILE, STRENGTH_192, NULL},
    {"%PROFILE_VERY_WEAK", EFFECT_REFUSED, 0, REFUSED_VERIFY},
    {"%VERIFY_ALLOW_BROKEN", EFFECT_REFUSED, 0, REFUSED_VERIFY},
    {"%VERIFY_ALLOW_SIGN_RSA_MD5", EFFECT_REFUSED, 0, REFUSED_VERIFY},
    {"%VERIFY_ALLOW_SIGN_WITH_SHA1", EFFECT_REFUSED, 0, REFUSED_VERIFY},
    {"%VERIFY_ALLOW_X509_V1_CA_CRT", EFFECT_REFUSED, 0, REFUSED_VERIFY},
    {"%VERIFY_DISABLE_CRL_CHECKS", EFFECT_REFUSED, 0, REFUSED_VERIFY},
    {"%DEBUG_ALLOW_KEY_USAGE_VIOLATIONS", EFFECT_REFUSED, 0, REFUSED_VERIFY},
    {"%DISABLE_WILDCARDS", EFFECT_REFUSED, 0, "names in certificates are judged by require_endpoint_verification"},
    {"%UNSAFE_RENEGOTIATION", EFFECT_REFUSED, 0, REFUSED_RENEGOTIATION},
    {"%DISABLE_SAFE_RENEGOTIATION", EFFECT_REFUSED, 0, REFUSED_RENEGOTIATION},
    {"%NO_EXTENSIONS", EFFECT_REFUSED, 0, "TLS 1.2 and 1.3 need extensions"},
};
const uint32_t priority_special_count = sizeof priority_specials / sizeof priority_specials[0];

const struct priority_fixed priority_fixed_names[] = {
    {"CTYPE-ALL", NULL},
    {"CTYPE-X509", NULL},
    {"CTYPE-X.509", NULL},
    {"CTYPE-CLI-ALL", NULL},
    {"CTYPE-CLI-X509", NULL},
    {"CTYPE-CLI-X.509", NULL},
    {"CTYPE-SRV-ALL", NULL},
    {"CTYPE-SRV-X509", NULL},
    {"CTYPE-SRV-X.509", NULL},
    {"CTYPE-OPENPGP", ABSENT_TYPE},
    {"CTYPE-RAWPK", ABSENT_TYPE},
    {"CTYPE-CLI-RAWPK", ABSENT_TYPE},
    {"CTYPE-SRV-RAWPK", ABSENT_TYPE},
    {"COMP-ALL", NULL},
    {"COMP-NULL", NULL},
    {"COMP-DEFLATE", ABSENT_COMPRESSION},
    {"COMP-LZO", ABSENT_COMPRESSION},
};
const uint32_t priority_fixed_count = sizeof priority_fixed_names / sizeof priority_fixed_names[0];
