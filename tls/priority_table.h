/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that a priority string can name, as data: names and what they are, keywords and what they contain, cipher
 * suites and what they are made of.  Orders of keywords are those of GnuTLS 3.7. */
#ifndef TLS_PRIORITY_TABLE_H
#define TLS_PRIORITY_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "tls/priority.h"

enum priority_kind {
    PRIORITY_VERSION,
    PRIORITY_CIPHER,
    PRIORITY_KX,
    PRIORITY_MAC,
    PRIORITY_GROUP,
    PRIORITY_SIGNATURE,
    PRIORITY_KIND_COUNT
};

#define ABSENT_VERSION "weft has TLS 1.2 and 1.3 only"
#define ABSENT_CIPHER "OpenSSL has no TLS suite with it"
#define ABSENT_WEAK "OpenSSL refuses it as too weak"
#define ABSENT_NULL "it does not encrypt"
#define ABSENT_PSK "weft authenticates by certificates, not by shared keys or passwords"
#define ABSENT_ANON "it authenticates nobody"
#define ABSENT_GOST "OpenSSL has no GOST"
#define ABSENT_MAC "no TLS suite has it"
#define ABSENT_SHA1 "OpenSSL refuses signatures with SHA-1 as too weak"
#define ABSENT_SIGNATURE "OpenSSL has no such signatures in TLS"
#define ABSENT_TYPE "weft authenticates by X.509 certificates only"
#define ABSENT_COMPRESSION "weft does not compress below TLS"

/* X(kind, identifier, GnuTLS's name, why weft has no such thing or NULL) */
/* clang-format off */
#define PRIORITY_NAMES(X)                                                                                              \
    X(VERSION, VERS_TLS1_3, "VERS-TLS1.3", NULL)                                                                       \
    X(VERSION, VERS_TLS1_2, "VERS-TLS1.2", NULL)                                                                       \
    X(VERSION, VERS_TLS1_1, "VERS-TLS1.1", ABSENT_VERSION)                                                             \
    X(VERSION, VERS_TLS1_0, "VERS-TLS1.0", ABSENT_VERSION)                                                             \
    X(VERSION, VERS_SSL3_0, "VERS-SSL3.0", ABSENT_VERSION)                                                             \
    X(VERSION, VERS_DTLS1_2, "VERS-DTLS1.2", ABSENT_VERSION)                                                           \
    X(VERSION, VERS_DTLS1_0, "VERS-DTLS1.0", ABSENT_VERSION)                                                           \
    X(VERSION, VERS_DTLS0_9, "VERS-DTLS0.9", ABSENT_VERSION)                                                           \
    X(CIPHER, AES_256_GCM, "AES-256-GCM", NULL)                                                                        \
    X(CIPHER, AES_128_GCM, "AES-128-GCM", NULL)                                                                        \
    X(CIPHER, CHACHA20_POLY1305, "CHACHA20-POLY1305", NULL)                                                            \
    X(CIPHER, AES_256_CCM, "AES-256-CCM", NULL)                                                                        \
    X(CIPHER, AES_128_CCM, "AES-128-CCM", NULL)                                                                        \
    X(CIPHER, AES_256_CCM_8, "AES-256-CCM-8", NULL)                                                                    \
    X(CIPHER, AES_128_CCM_8, "AES-128-CCM-8", NULL)                                                                    \
    X(CIPHER, AES_256_CBC, "AES-256-CBC", NULL)                                                                        \
    X(CIPHER, AES_128_CBC, "AES-128-CBC", NULL)                                                                        \
    X(CIPHER, CAMELLIA_256_CBC, "CAMELLIA-256-CBC", NULL)                                                              \
    X(CIPHER, CAMELLIA_128_CBC, "CAMELLIA-128-CBC", NULL)                                                              \
    X(CIPHER, CAMELLIA_256_GCM, "CAMELLIA-256-GCM", ABSENT_CIPHER)                                                     \
    X(CIPHER, CAMELLIA_128_GCM, "CAMELLIA-128-GCM", ABSENT_CIPHER)                                                     \
    X(CIPHER, CAMELLIA_192_CBC, "CAMELLIA-192-CBC", ABSENT_CIPHER)                                                     \
    X(CIPHER, AES_192_CBC, "AES-192-CBC", ABSENT_CIPHER)                                                               \
    X(CIPHER, AES_192_GCM, "AES-192-GCM", ABSENT_CIPHER)                                                               \
    X(CIPHER, AES_128_CFB8, "AES-128-CFB8", ABSENT_CIPHER)                                                             \
    X(CIPHER, AES_192_CFB8, "AES-192-CFB8", ABSENT_CIPHER)                                                             \
    X(CIPHER, AES_256_CFB8, "AES-256-CFB8", ABSENT_CIPHER)                                                             \
    X(CIPHER, AES_128_XTS, "AES-128-XTS", ABSENT_CIPHER)                                                               \
    X(CIPHER, AES_256_XTS, "AES-256-XTS", ABSENT_CIPHER)                                                               \
    X(CIPHER, AES_128_SIV, "AES-128-SIV", ABSENT_CIPHER)                                                               \
    X(CIPHER, AES_256_SIV, "AES-256-SIV", ABSENT_CIPHER)                                                               \
    X(CIPHER, ESTREAM_SALSA20_256, "ESTREAM-SALSA20-256", ABSENT_CIPHER)                                               \
    X(CIPHER, SALSA20_256, "SALSA20-256", ABSENT_CIPHER)                                                               \
    X(CIPHER, CHACHA20_32, "CHACHA20-32", ABSENT_CIPHER)                                                               \
    X(CIPHER, CHACHA20_64, "CHACHA20-64", ABSENT_CIPHER)                                                               \
    X(CIPHER, ARCFOUR_128, "ARCFOUR-128", ABSENT_WEAK)                                                                 \
    X(CIPHER, TRIPLE_DES_CBC, "3DES-CBC", ABSENT_WEAK)                                                                 \
    X(CIPHER, DES_CBC, "DES-CBC", ABSENT_WEAK)                                                                         \
    X(CIPHER, RC2_40, "RC2-40", ABSENT_WEAK)                                                                           \
    X(CIPHER, NULL_CIPHER, "NULL", ABSENT_NULL)                                                                        \
    X(CIPHER, GOST_TC26Z_CNT, "GOST28147-TC26Z-CNT", ABSENT_GOST)                                                      \
    X(CIPHER, GOST_TC26Z_CFB, "GOST28147-TC26Z-CFB", ABSENT_GOST)                                                      \
    X(CIPHER, GOST_CPA_CFB, "GOST28147-CPA-CFB", ABSENT_GOST)                                                          \
    X(CIPHER, GOST_CPB_CFB, "GOST28147-CPB-CFB", ABSENT_GOST)                                                          \
    X(CIPHER, GOST_CPC_CFB, "GOST28147-CPC-CFB", ABSENT_GOST)                                                          \
    X(CIPHER, GOST_CPD_CFB, "GOST28147-CPD-CFB", ABSENT_GOST)                                                          \
    X(CIPHER, MAGMA, "MAGMA-CTR-ACPKM", ABSENT_GOST)                                                                   \
    X(CIPHER, KUZNYECHIK, "KUZNYECHIK-CTR-ACPKM", ABSENT_GOST)                                                         \
    X(KX, ECDHE_ECDSA, "ECDHE-ECDSA", NULL)                                                                            \
    X(KX, ECDHE_RSA, "ECDHE-RSA", NULL)                                                                                \
    X(KX, RSA, "RSA", NULL)                                                                                            \
    X(KX, DHE_RSA, "DHE-RSA", NULL)                                                                                    \
    X(KX, DHE_DSS, "DHE-DSS", NULL)                                                                                    \
    X(KX, PSK, "PSK", ABSENT_PSK)                                                                                      \
    X(KX, RSA_PSK, "RSA-PSK", ABSENT_PSK)                                                                              \
    X(KX, DHE_PSK, "DHE-PSK", ABSENT_PSK)                                                                              \
    X(KX, ECDHE_PSK, "ECDHE-PSK", ABSENT_PSK)                                                                          \
    X(KX, SRP, "SRP", ABSENT_PSK)                                                                                      \
    X(KX, SRP_RSA, "SRP-RSA", ABSENT_PSK)                                                                              \
    X(KX, SRP_DSS, "SRP-DSS", ABSENT_PSK)                                                                              \
    X(KX, ANON_DH, "ANON-DH", ABSENT_ANON)                                                                             \
    X(KX, ANON_ECDH, "ANON-ECDH", ABSENT_ANON)                                                                         \
    X(KX, RSA_EXPORT, "RSA-EXPORT", ABSENT_WEAK)                                                                       \
    X(KX, VKO_GOST, "VKO-GOST-12", ABSENT_GOST)                                                                        \
    X(MAC, AEAD, "AEAD", NULL)                                                                                         \
    X(MAC, SHA1, "SHA1", NULL)                                                                                         \
    X(MAC, SHA256, "SHA256", NULL)                                                                                     \
    X(MAC, SHA384, "SHA384", NULL)                                                                                     \
    X(MAC, MD5, "MD5", ABSENT_WEAK)                                                                                    \
    X(MAC, SHA224, "SHA224", ABSENT_MAC)                                                                               \
    X(MAC, SHA512, "SHA512", ABSENT_MAC)                                                                               \
    X(MAC, UMAC_96, "UMAC-96", ABSENT_MAC)                                                                             \
    X(MAC, UMAC_128, "UMAC-128", ABSENT_MAC)                                                                           \
    X(MAC, AES_CMAC_128, "AES-CMAC-128", ABSENT_MAC)                                                                   \
    X(MAC, AES_CMAC_256, "AES-CMAC-256", ABSENT_MAC)                                                                   \
    X(MAC, AES_GMAC_128, "AES-GMAC-128", ABSENT_MAC)                                                                   \
    X(MAC, AES_GMAC_192, "AES-GMAC-192", ABSENT_MAC)                                                                   \
    X(MAC, AES_GMAC_256, "AES-GMAC-256", ABSENT_MAC)                                                                   \
    X(MAC, GOSTR341194, "GOSTR341194", ABSENT_GOST)                                                                    \
    X(MAC, STREEBOG_256, "STREEBOG-256", ABSENT_GOST)                                                                  \
    X(MAC, STREEBOG_512, "STREEBOG-512", ABSENT_GOST)                                                                  \
    X(MAC, GOST_IMIT, "GOST28147-TC26Z-IMIT", ABSENT_GOST)                                                             \
    X(MAC, OMAC_MAGMA, "OMAC-MAGMA", ABSENT_GOST)                                                                      \
    X(MAC, OMAC_KUZNYECHIK, "OMAC-KUZNYECHIK", ABSENT_GOST)                                                            \
    X(GROUP, SECP256R1, "GROUP-SECP256R1", NULL)                                                                       \
    X(GROUP, SECP384R1, "GROUP-SECP384R1", NULL)                                                                       \
    X(GROUP, SECP521R1, "GROUP-SECP521R1", NULL)                                                                       \
    X(GROUP, X25519, "GROUP-X25519", NULL)                                                                             \
    X(GROUP, X448, "GROUP-X448", NULL)                                                                                 \
    X(GROUP, FFDHE2048, "GROUP-FFDHE2048", NULL)                                                                       \
    X(GROUP, FFDHE3072, "GROUP-FFDHE3072", NULL)                                                                       \
    X(GROUP, FFDHE4096, "GROUP-FFDHE4096", NULL)                                                                       \
    X(GROUP, FFDHE6144, "GROUP-FFDHE6144", NULL)                                                                       \
    X(GROUP, FFDHE8192, "GROUP-FFDHE8192", NULL)                                                                       \
    X(GROUP, SECP224R1, "GROUP-SECP224R1", NULL)                                                                       \
    X(GROUP, SECP192R1, "GROUP-SECP192R1", ABSENT_WEAK)                                                                \
    X(GROUP, GC256A, "GROUP-GC256A", ABSENT_GOST)                                                                      \
    X(GROUP, GC256B, "GROUP-GC256B", ABSENT_GOST)                                                                      \
    X(GROUP, GC256C, "GROUP-GC256C", ABSENT_GOST)                                                                      \
    X(GROUP, GC256D, "GROUP-GC256D", ABSENT_GOST)                                                                      \
    X(GROUP, GC512A, "GROUP-GC512A", ABSENT_GOST)                                                                      \
    X(GROUP, GC512B, "GROUP-GC512B", ABSENT_GOST)                                                                      \
    X(GROUP, GC512C, "GROUP-GC512C", ABSENT_GOST)                                                                      \
    X(SIGNATURE, SIGN_RSA_SHA256, "SIGN-RSA-SHA256", NULL)                                                             \
    X(SIGNATURE, SIGN_RSA_SHA384, "SIGN-RSA-SHA384", NULL)                                                             \
    X(SIGNATURE, SIGN_RSA_SHA512, "SIGN-RSA-SHA512", NULL)                                                             \
    X(SIGNATURE, SIGN_RSA_SHA224, "SIGN-RSA-SHA224", NULL)                                                             \
    X(SIGNATURE, SIGN_PSS_SHA256, "SIGN-RSA-PSS-SHA256", NULL)                                                         \
    X(SIGNATURE, SIGN_PSS_SHA384, "SIGN-RSA-PSS-SHA384", NULL)                                                         \
    X(SIGNATURE, SIGN_PSS_SHA512, "SIGN-RSA-PSS-SHA512", NULL)                                                         \
    X(SIGNATURE, SIGN_RSAE_SHA256, "SIGN-RSA-PSS-RSAE-SHA256", NULL)                                                   \
    X(SIGNATURE, SIGN_RSAE_SHA384, "SIGN-RSA-PSS-RSAE-SHA384", NULL)                                                   \
    X(SIGNATURE, SIGN_RSAE_SHA512, "SIGN-RSA-PSS-RSAE-SHA512", NULL)                                                   \
    X(SIGNATURE, SIGN_ECDSA_SHA256, "SIGN-ECDSA-SHA256", NULL)                                                         \
    X(SIGNATURE, SIGN_ECDSA_SHA384, "SIGN-ECDSA-SHA384", NULL)                                                         \
    X(SIGNATURE, SIGN_ECDSA_SHA512, "SIGN-ECDSA-SHA512", NULL)                                                         \
    X(SIGNATURE, SIGN_ECDSA_SHA224, "SIGN-ECDSA-SHA224", NULL)                                                         \
    X(SIGNATURE, SIGN_SECP256R1, "SIGN-ECDSA-SECP256R1-SHA256", NULL)                                                  \
    X(SIGNATURE, SIGN_SECP384R1, "SIGN-ECDSA-SECP384R1-SHA384", NULL)                                                  \
    X(SIGNATURE, SIGN_SECP521R1, "SIGN-ECDSA-SECP521R1-SHA512", NULL)                                                  \
    X(SIGNATURE, SIGN_ED25519, "SIGN-EdDSA-Ed25519", NULL)                                                             \
    X(SIGNATURE, SIGN_ED448, "SIGN-EdDSA-Ed448", NULL)                                                                 \
    X(SIGNATURE, SIGN_DSA_SHA224, "SIGN-DSA-SHA224", NULL)                                                             \
    X(SIGNATURE, SIGN_DSA_SHA256, "SIGN-DSA-SHA256", NULL)                                                             \
    X(SIGNATURE, SIGN_DSA_SHA384, "SIGN-DSA-SHA384", NULL)                                                             \
    X(SIGNATURE, SIGN_DSA_SHA512, "SIGN-DSA-SHA512", NULL)                                                             \
    X(SIGNATURE, SIGN_RSA_SHA1, "SIGN-RSA-SHA1", ABSENT_SHA1)                                                          \
    X(SIGNATURE, SIGN_ECDSA_SHA1, "SIGN-ECDSA-SHA1", ABSENT_SHA1)                                                      \
    X(SIGNATURE, SIGN_DSA_SHA1, "SIGN-DSA-SHA1", ABSENT_SHA1)                                                          \
    X(SIGNATURE, SIGN_RSA_MD5, "SIGN-RSA-MD5", ABSENT_WEAK)                                                            \
    X(SIGNATURE, SIGN_RSA_MD2, "SIGN-RSA-MD2", ABSENT_WEAK)                                                            \
    X(SIGNATURE, SIGN_RSA_RMD160, "SIGN-RSA-RMD160", ABSENT_SIGNATURE)                                                 \
    X(SIGNATURE, SIGN_RSA_RAW, "SIGN-RSA-RAW", ABSENT_SIGNATURE)                                                       \
    X(SIGNATURE, SIGN_ECDSA_SHA3_224, "SIGN-ECDSA-SHA3-224", ABSENT_SIGNATURE)                                         \
    X(SIGNATURE, SIGN_ECDSA_SHA3_256, "SIGN-ECDSA-SHA3-256", ABSENT_SIGNATURE)                                         \
    X(SIGNATURE, SIGN_ECDSA_SHA3_384, "SIGN-ECDSA-SHA3-384", ABSENT_SIGNATURE)                                         \
    X(SIGNATURE, SIGN_ECDSA_SHA3_512, "SIGN-ECDSA-SHA3-512", ABSENT_SIGNATURE)                                         \
    X(SIGNATURE, SIGN_RSA_SHA3_224, "SIGN-RSA-SHA3-224", ABSENT_SIGNATURE)                                             \
    X(SIGNATURE, SIGN_RSA_SHA3_256, "SIGN-RSA-SHA3-256", ABSENT_SIGNATURE)                                             \
    X(SIGNATURE, SIGN_RSA_SHA3_384, "SIGN-RSA-SHA3-384", ABSENT_SIGNATURE)                                             \
    X(SIGNATURE, SIGN_RSA_SHA3_512, "SIGN-RSA-SHA3-512", ABSENT_SIGNATURE)                                             \
    X(SIGNATURE, SIGN_DSA_SHA3_224, "SIGN-DSA-SHA3-224", ABSENT_SIGNATURE)                                             \
    X(SIGNATURE, SIGN_DSA_SHA3_256, "SIGN-DSA-SHA3-256", ABSENT_SIGNATURE)                                             \
    X(SIGNATURE, SIGN_DSA_SHA3_384, "SIGN-DSA-SHA3-384", ABSENT_SIGNATURE)                                             \
    X(SIGNATURE, SIGN_DSA_SHA3_512, "SIGN-DSA-SHA3-512", ABSENT_SIGNATURE)                                             \
    X(SIGNATURE, SIGN_GOST_512, "SIGN-GOSTR341012-512", ABSENT_GOST)                                                   \
    X(SIGNATURE, SIGN_GOST_256, "SIGN-GOSTR341012-256", ABSENT_GOST)                                                   \
    X(SIGNATURE, SIGN_GOST_2001, "SIGN-GOSTR341001", ABSENT_GOST)
/* clang-format on */

enum priority_name_id {
#define WEFT_X(kind, id, text, absent) NAME_##id,
    PRIORITY_NAMES(WEFT_X)
#undef WEFT_X
        PRIORITY_NAME_COUNT,
    PRIORITY_NONE = 255 /* ends a list; a suite's key exchange where the suite says none */
};
_Static_assert(PRIORITY_NAME_COUNT < PRIORITY_NONE, "a name fits a byte");

struct priority_name {
    enum priority_kind kind;
    const char *text;
    const char *absent; /* why weft has no such thing; NULL: it has */
};
extern const struct priority_name priority_names[PRIORITY_NAME_COUNT];

/* A keyword such as NORMAL.  Lists end with PRIORITY_NONE. */
struct priority_level {
    const char *text;
    const uint8_t *lists[PRIORITY_KIND_COUNT];
    uint8_t verify_level; /* as struct priority counts */
    bool adds_versions;   /* wherever it stands; versions of others count only where they come first */
};
extern const struct priority_level priority_levels[];
extern const uint32_t priority_level_count;

/* A word for many names, such as CIPHER-ALL. */
struct priority_bulk {
    const char *text;
    enum priority_kind kind;
    const uint8_t *list;
    bool clears;        /* removed, it removes every name of its kind */
    const char *absent; /* why it cannot be added; NULL: it can */
};
extern const struct priority_bulk priority_bulks[];
extern const uint32_t priority_bulk_count;

/* What a %keyword does. */
enum priority_effect {
    EFFECT_SET,     /* sets the bits of flag */
    EFFECT_PROFILE, /* sets the level of certificates */
    EFFECT_HOLDS,   /* is so in any case */
    EFFECT_DROPPED, /* helps peers that weft does not have; told as dropped */
    EFFECT_ETM,     /* demands what only suites without CBC can give */
    EFFECT_REFUSED
};
struct priority_special {
    const char *text; /* with its % */
    enum priority_effect effect;
    uint32_t value;     /* a flag or a level */
    const char *absent; /* why it is refused */
};
extern const struct priority_special priority_specials[];
extern const uint32_t priority_special_count;

/* Names that change nothing: kinds of certificates and of compression, of which weft has one each. */
struct priority_fixed {
    const char *text;
    const char *absent; /* why it cannot be added; NULL: it is so in any case */
};
extern const struct priority_fixed priority_fixed_names[];
extern const uint32_t priority_fixed_count;

extern const struct priority_suite priority_suites[];
extern const uint32_t priority_suite_count;

/* NULL where OpenSSL has none. */
const struct priority_group *priority_group_find(uint8_t name);
const struct priority_signature *priority_signature_find(uint8_t name);

#endif
