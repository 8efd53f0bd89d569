/* SPDX-License-Identifier: Apache-2.0 */
/* From a priority string to what OpenSSL offers: cut into tokens, have them taken, and combine what is left of names.
 *
 * Happy path: versions, groups and signatures are translated one by one; suites of TLS 1.3 follow the order of ciphers,
 * those of 1.2 that of key exchanges, then ciphers, then MACs.
 *
 * Failure modes: too long, a token that is refused, or nothing left to talk with. */
#include "tls/priority.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/priority_parser.h"

/* Forward secrecy and AEAD only.  AES-256 first: with instructions for AES it costs a tenth more than AES-128.
 * X25519 costs a server a sixth less than P-256. */
#define DEFAULT_BEGIN "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+AEAD:+ECDHE-ECDSA:+ECDHE-RSA:"
#define DEFAULT_AES "+AES-256-GCM:+AES-128-GCM:"
#define DEFAULT_CHACHA "+CHACHA20-POLY1305:"
#define DEFAULT_END                                                                                                    \
    "+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SECP384R1-SHA384:"       \
    "+SIGN-ECDSA-SECP521R1-SHA512:+SIGN-EdDSA-Ed25519:+SIGN-EdDSA-Ed448:+SIGN-RSA-PSS-RSAE-SHA256:"                    \
    "+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-RSAE-SHA512:+SIGN-RSA-PSS-SHA256:+SIGN-RSA-PSS-SHA384:"                   \
    "+SIGN-RSA-PSS-SHA512:+SIGN-RSA-SHA256:+SIGN-RSA-SHA384:+SIGN-RSA-SHA512:%SERVER_PRECEDENCE"

/* The next token of text from *at on; *at goes behind its ':', or to the end. */
static void token_cut(struct priority_token *token, const char *text, uint32_t *at)
{
    uint32_t bytes = (uint32_t)strcspn(text + *at, ":");
    uint32_t blanks = (uint32_t)strspn(text + *at, " ");
    blanks = blanks < bytes ? blanks : bytes;
    uint32_t kept = bytes - blanks < PRIORITY_TOKEN_BYTES ? bytes - blanks : PRIORITY_TOKEN_BYTES - 1;
    memcpy(token->text, text + *at + blanks, kept);
    token->text[kept] = '\0';
    token->place = *at + blanks + 1;
    token->cut = kept < bytes - blanks;
    *at += bytes;
}

static enum weft_err text_take(struct priority_parser *parser, const char *text, struct weft_error *why)
{
    uint32_t bytes = (uint32_t)strnlen(text, PRIORITY_TEXT_BYTES_MAX + 1);
    uint32_t tokens = 0;
    if (bytes > PRIORITY_TEXT_BYTES_MAX) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "longer than %u characters; a keyword such as NORMAL says most",
                              PRIORITY_TEXT_BYTES_MAX);
    }
    if (strspn(text, " ") == bytes) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "is empty; write a keyword such as NORMAL, or leave it out");
    }
    for (uint32_t at = 0;; at++) {
        struct priority_token token;
        token_cut(&token, text, &at);
        if (++tokens > PRIORITY_TOKENS_MAX) {
            return parser_refuse(&token, "there are too many tokens; keywords such as CIPHER-ALL stand for many", why);
        }
        WEFT_TRY(parser_take(parser, &token, why));
        if (text[at] == '\0') {
            return WEFT_OK;
        }
    }
}

static void suites_add(struct priority *priority, const struct priority_list *ciphers, const struct priority_list *macs,
                       uint8_t kx)
{
    for (uint32_t c = 0; c < ciphers->count; c++) {
        for (uint32_t m = 0; m < macs->count; m++) {
            for (uint32_t s = 0; s < priority_suite_count; s++) {
                const struct priority_suite *suite = &priority_suites[s];
                if (suite->kx == kx && suite->cipher == ciphers->names[c] && suite->mac == macs->names[m]) {
                    WEFT_ASSERT(priority->suite_count < PRIORITY_SUITES_MAX);
                    priority->suites[priority->suite_count++] = suite;
                }
            }
        }
    }
}

/* The suites of TLS 1.2.  Without any group a key exchange over curves cannot be offered. */
static void suites_add_1_2(struct priority *priority, const struct priority_parser *parser)
{
    const struct priority_list *kxs = &parser->lists[PRIORITY_KX];
    for (uint32_t k = 0; k < kxs->count; k++) {
        bool elliptic = kxs->names[k] == NAME_ECDHE_ECDSA || kxs->names[k] == NAME_ECDHE_RSA;
        if (priority->group_count > 0 || !elliptic) {
            suites_add(priority, &parser->lists[PRIORITY_CIPHER], &parser->lists[PRIORITY_MAC], kxs->names[k]);
        }
    }
}

static bool list_has(const struct priority_list *list, uint8_t name)
{
    return memchr(list->names, name, list->count) != NULL;
}

static void groups_translate(struct priority *priority, const struct priority_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct priority_group *group = priority_group_find(list->names[i]);
        if (group != NULL) {
            WEFT_ASSERT(priority->group_count < PRIORITY_GROUPS_MAX);
            priority->groups[priority->group_count++] = group;
        }
    }
}

static void signatures_translate(struct priority *priority, const struct priority_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct priority_signature *signature = priority_signature_find(list->names[i]);
        bool known = signature == NULL;
        for (uint32_t j = 0; j < priority->signature_count && !known; j++) {
            known = strcmp(priority->signatures[j]->name, signature->name) == 0;
        }
        if (!known) {
            WEFT_ASSERT(priority->signature_count < PRIORITY_SIGNATURES_MAX);
            priority->signatures[priority->signature_count++] = signature;
        }
    }
}

/* Whether any signature can carry any of the versions; DTLS 1.2, which keywords bring along, has those of TLS 1.2. */
static bool signatures_suffice(const struct priority_parser *parser)
{
    const struct priority_list *versions = &parser->lists[PRIORITY_VERSION];
    const struct priority_list *signatures = &parser->lists[PRIORITY_SIGNATURE];
    bool has_1_2 = list_has(versions, NAME_VERS_TLS1_2) || list_has(versions, NAME_VERS_DTLS1_2);
    uint32_t offered =
        (has_1_2 ? CARRIES_1_2 : CARRIES_NONE) | (list_has(versions, NAME_VERS_TLS1_3) ? CARRIES_1_3 : CARRIES_NONE);
    for (uint32_t i = 0; i < signatures->count; i++) {
        const struct priority_signature *signature = priority_signature_find(signatures->names[i]);
        if (signature != NULL && (signature->carries & offered) != 0) {
            return true;
        }
    }
    return false;
}

/* GnuTLS does not offer TLS 1.3 together with versions below 1.2 where 1.2 is left out. */
static bool versions_have_gap(const struct priority_list *versions)
{
    bool old = list_has(versions, NAME_VERS_TLS1_1) || list_has(versions, NAME_VERS_TLS1_0);
    return old && list_has(versions, NAME_VERS_TLS1_3) && !list_has(versions, NAME_VERS_TLS1_2);
}

/* Suites of the versions that have all that they need: signatures; TLS 1.3 a group as well. */
static void suites_translate(struct priority *priority, const struct priority_parser *parser)
{
    const struct priority_list *versions = &parser->lists[PRIORITY_VERSION];
    if (!signatures_suffice(parser)) {
        return;
    }
    if (list_has(versions, NAME_VERS_TLS1_3) && !versions_have_gap(versions) && priority->group_count > 0) {
        suites_add(priority, &parser->lists[PRIORITY_CIPHER], &parser->lists[PRIORITY_MAC], PRIORITY_NONE);
    }
    if (list_has(versions, NAME_VERS_TLS1_2)) {
        suites_add_1_2(priority, parser);
    }
}

static bool suites_have(const struct priority *priority, enum tls_version version)
{
    for (uint32_t i = 0; i < priority->suite_count; i++) {
        if ((priority->suites[i]->kx == PRIORITY_NONE) == (version == TLS_VERSION_1_3)) {
            return true;
        }
    }
    return false;
}

/* A version without a suite cannot be offered. */
static void versions_translate(struct priority *priority, const struct priority_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        uint8_t name = list->names[i];
        enum tls_version version = name == NAME_VERS_TLS1_3 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
        bool ours = priority_names[name].absent == NULL;
        if (ours && suites_have(priority, version)) {
            priority->versions[priority->version_count++] = version;
        } else if (ours) {
            priority_drop(priority, priority_names[name].text);
        }
    }
}

static void absent_drop(struct priority *priority, const struct priority_parser *parser)
{
    for (uint32_t kind = 0; kind < PRIORITY_KIND_COUNT; kind++) {
        const struct priority_list *list = &parser->lists[kind];
        for (uint32_t i = 0; i < list->count; i++) {
            if (priority_names[list->names[i]].absent != NULL) {
                priority_drop(priority, priority_names[list->names[i]].text);
            }
        }
    }
}

/* Whether anything can be done with what is left. */
static enum weft_err rest_check(const struct priority *priority, const struct priority_parser *parser,
                                struct weft_error *why)
{
    const struct priority_list *versions = &parser->lists[PRIORITY_VERSION];
    if (!list_has(versions, NAME_VERS_TLS1_3) && !list_has(versions, NAME_VERS_TLS1_2)) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "leaves no version of TLS that weft has; add \"+VERS-TLS1.3\" or \"+VERS-TLS1.2\"");
    }
    if (versions_have_gap(versions)) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "leaves TLS 1.3 beside versions below 1.2, without 1.2, which GnuTLS does not offer; add "
                              "\"-VERS-ALL:+VERS-TLS1.3\"");
    }
    if (!signatures_suffice(parser)) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "leaves no signature algorithm that suffices; add \"+SIGN-ALL\"");
    }
    if (priority->suite_count == 0) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "leaves no cipher suite; it needs ciphers (\"+CIPHER-ALL\"), MACs (\"+AEAD\"), groups "
                              "(\"+GROUP-ALL\") and, for TLS 1.2, key exchanges (\"+ECDHE-ECDSA\", \"+ECDHE-RSA\")");
    }
    for (uint32_t i = 0; parser->etm.place > 0 && i < priority->suite_count; i++) {
        if (priority->suites[i]->mac != NAME_AEAD) {
            return parser_refuse(&parser->etm,
                                 "OpenSSL cannot demand it; remove suites with CBC instead, by "
                                 "\"-MAC-ALL:+AEAD\"",
                                 why);
        }
    }
    return WEFT_OK;
}

enum weft_err priority_parse(struct priority *priority, const char *text, struct weft_error *why)
{
    struct priority_parser parser = {.priority = priority};
    memset(priority, 0, sizeof *priority);
    WEFT_TRY(text_take(&parser, text, why));
    groups_translate(priority, &parser.lists[PRIORITY_GROUP]);
    signatures_translate(priority, &parser.lists[PRIORITY_SIGNATURE]);
    suites_translate(priority, &parser);
    absent_drop(priority, &parser);
    versions_translate(priority, &parser.lists[PRIORITY_VERSION]);
    return rest_check(priority, &parser, why);
}

const char *priority_default_text(bool aes_is_fast)
{
    return aes_is_fast ? DEFAULT_BEGIN DEFAULT_AES DEFAULT_CHACHA DEFAULT_END
                       : DEFAULT_BEGIN DEFAULT_CHACHA DEFAULT_AES DEFAULT_END;
}

void priority_default(struct priority *priority, bool aes_is_fast)
{
    enum weft_err err = priority_parse(priority, priority_default_text(aes_is_fast), NULL);
    WEFT_ASSERT(err == WEFT_OK);
}

bool priority_has_version(const struct priority *priority, enum tls_version version)
{
    for (uint32_t i = 0; i < priority->version_count; i++) {
        if (priority->versions[i] == version) {
            return true;
        }
    }
    return false;
}

static bool share_group(const struct priority *a, const struct priority *b)
{
    for (uint32_t i = 0; i < a->group_count; i++) {
        for (uint32_t j = 0; j < b->group_count; j++) {
            if (a->groups[i]->from == b->groups[j]->from) {
                return true;
            }
        }
    }
    return false;
}

static bool has_suite(const struct priority *priority, const struct priority_suite *suite)
{
    for (uint32_t i = 0; i < priority->suite_count; i++) {
        if (priority->suites[i] == suite) {
            return true;
        }
    }
    return false;
}

/* A suite of the version that both take.  Those over finite fields or plain RSA need no group in TLS 1.2. */
static bool share_suite(const struct priority *a, const struct priority *b, enum tls_version version)
{
    bool grouped = share_group(a, b);
    for (uint32_t i = 0; i < a->suite_count; i++) {
        const struct priority_suite *suite = a->suites[i];
        bool fits = (suite->kx == PRIORITY_NONE) == (version == TLS_VERSION_1_3);
        bool group_due = version == TLS_VERSION_1_3 || suite->kx == NAME_ECDHE_ECDSA || suite->kx == NAME_ECDHE_RSA;
        if (fits && (grouped || !group_due) && has_suite(b, suite)) {
            return true;
        }
    }
    return false;
}

enum weft_reason priority_meet(const struct priority *a, const struct priority *b)
{
    enum weft_reason missing = WEFT_REASON_TLS_VERSION;
    for (uint32_t i = 0; i < a->version_count; i++) {
        if (priority_has_version(b, a->versions[i])) {
            if (share_suite(a, b, a->versions[i])) {
                return WEFT_REASON_NONE;
            }
            missing = WEFT_REASON_TLS_NO_SHARED_CIPHER;
        }
    }
    return missing;
}

bool priority_suites_text(const struct priority *priority, enum tls_version version, char *text, uint32_t bytes)
{
    uint32_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < priority->suite_count; i++) {
        const struct priority_suite *suite = priority->suites[i];
        if ((suite->kx == PRIORITY_NONE) != (version == TLS_VERSION_1_3)) {
            continue;
        }
        int wrote = snprintf(text + used, bytes - used, "%s%s", used > 0 ? ":" : "", suite->openssl);
        if (wrote < 0 || (uint32_t)wrote >= bytes - used) {
            return false;
        }
        used += (uint32_t)wrote;
    }
    return true;
}
