/* SPDX-License-Identifier: Apache-2.0 */
/* GnuTLS priority strings, translated into what OpenSSL offers and takes.  Pure: knows OpenSSL's names, calls nothing
 * of it. */
#ifndef TLS_PRIORITY_H
#define TLS_PRIORITY_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

#include "tls/tls_version.h"

/* A string that adds every name one by one has about 60 of them. */
#define PRIORITY_TEXT_BYTES_MAX 2048u
#define PRIORITY_TOKENS_MAX 128u
/* The tables' sizes bound what a string can ask for; a test holds them against these. */
#define PRIORITY_SUITES_MAX 80u
#define PRIORITY_GROUPS_MAX 16u
#define PRIORITY_SIGNATURES_MAX 32u
/* Names of versions, ciphers, key exchanges, MACs, groups and signatures, and keywords. */
#define PRIORITY_DROPPED_MAX 64u

struct priority_suite {
    uint8_t id[2];
    uint8_t kx; /* these three are names of priority_table.h; of TLS 1.3 suites kx is PRIORITY_NONE */
    uint8_t cipher;
    uint8_t mac;
    const char *name;    /* IANA's */
    const char *openssl; /* as SSL_CTX_set_cipher_list or SSL_CTX_set_ciphersuites takes it */
};

struct priority_group {
    uint8_t from;
    bool elliptic;
    const char *name; /* IANA's, which OpenSSL takes as well */
};

enum priority_carried { CARRIES_NONE = 0, CARRIES_1_2 = 1, CARRIES_1_3 = 2, CARRIES_BOTH = 3 };

struct priority_signature {
    uint8_t from;
    const char *name;    /* IANA's */
    const char *openssl; /* as SSL_CTX_set1_sigalgs_list takes it */
    uint8_t carries;     /* versions that GnuTLS offers with this one alone; enum priority_carried */
};

/* Bits of flags. */
enum priority_flag {
    PRIORITY_SERVER_PRECEDENCE = 1u << 0, /* an acceptor goes by its own order, not by the dialer's */
    PRIORITY_NO_ETM = 1u << 1,
    PRIORITY_NO_SESSION_HASH = 1u << 2,
    PRIORITY_PADDING = 1u << 3,       /* of a ClientHello that old firewalls stumble over */
    PRIORITY_FALLBACK_SCSV = 1u << 4, /* dialers say that they fell back to a lower version */
    PRIORITY_NO_TLS13_COMPAT = 1u << 5
};

/* All in order of preference, nothing twice.  What it points at is constant. */
struct priority {
    enum tls_version versions[2];
    const struct priority_suite *suites[PRIORITY_SUITES_MAX]; /* those of TLS 1.3 first */
    const struct priority_group *groups[PRIORITY_GROUPS_MAX];
    const struct priority_signature *signatures[PRIORITY_SIGNATURES_MAX];
    const char *dropped[PRIORITY_DROPPED_MAX]; /* what keywords contain and weft has not, by GnuTLS's names */
    uint32_t version_count;
    uint32_t suite_count;
    uint32_t group_count;
    uint32_t signature_count;
    uint32_t dropped_count;
    uint32_t flags;       /* enum priority_flag */
    uint8_t verify_level; /* strength of certificates, 1..5 as OpenSSL's levels; 0: OpenSSL's own */
};

/* @param text as GnuTLS 3.7 takes it   @return ok | CONFIG (why names the token, its place, counted from 1, and what
 * would be right) */
WEFT_NODISCARD enum weft_err priority_parse(struct priority *priority, const char *text, struct weft_error *why);

/* What holds where no string was given.  aes_is_fast: this CPU has instructions for AES, which then goes before
 * ChaCha20. */
void priority_default(struct priority *priority, bool aes_is_fast);
/* The same as a string. */
const char *priority_default_text(bool aes_is_fast);

/* Whether nodes on the one and nodes on the other understand each other, whoever dials.
 * @return WEFT_REASON_NONE; TLS_VERSION: no version in common; TLS_NO_SHARED_CIPHER: no suite, or no group for the
 *         suites, in any version that both have */
enum weft_reason priority_meet(const struct priority *a, const struct priority *b);
bool priority_has_version(const struct priority *priority, enum tls_version version);
/* OpenSSL's names of the suites of one version, ':' between them; "" for none.  @return false if it does not fit */
bool priority_suites_text(const struct priority *priority, enum tls_version version, char *text, uint32_t bytes);
/* Enough for all suites, groups or signatures as text. */
#define PRIORITY_LIST_BYTES 4096u

#endif
