/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the translation of priority strings: the input is the string.
 * Oracles: it is taken, or refused in one printable line; what is taken is whole: each list within its bound and
 * without doubles, a version exactly if it has a suite, and only things that can be combined; removing what weft has
 * not changes nothing, and removing a cipher leaves no suite of it. */
#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/assert.h"
#include "tls/priority.h"
#include "tls/priority_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void line_check(const char *line)
{
    WEFT_ASSERT(line[0] != '\0');
    for (; *line != '\0'; line++) {
        WEFT_ASSERT(isprint((unsigned char)*line));
    }
}

static void versions_check(const struct priority *priority)
{
    bool seen[2] = {false, false};
    WEFT_ASSERT(priority->version_count >= 1 && priority->version_count <= 2);
    WEFT_ASSERT(priority->version_count == 1 || priority->versions[0] != priority->versions[1]);
    for (uint32_t i = 0; i < priority->suite_count; i++) {
        bool newest = priority->suites[i]->kx == PRIORITY_NONE;
        WEFT_ASSERT(!newest || !seen[0]); /* those of TLS 1.3 first */
        seen[newest ? 1 : 0] = true;
    }
    WEFT_ASSERT(priority_has_version(priority, TLS_VERSION_1_2) == seen[0]);
    WEFT_ASSERT(priority_has_version(priority, TLS_VERSION_1_3) == seen[1]);
    WEFT_ASSERT(!seen[1] || priority->group_count > 0);
    WEFT_ASSERT(priority->signature_count > 0);
}

static void doubles_check(const struct priority *priority)
{
    for (uint32_t i = 0; i < priority->suite_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            WEFT_ASSERT(priority->suites[i] != priority->suites[j]);
        }
    }
    for (uint32_t i = 0; i < priority->group_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            WEFT_ASSERT(priority->groups[i] != priority->groups[j]);
        }
    }
    for (uint32_t i = 0; i < priority->signature_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            WEFT_ASSERT(strcmp(priority->signatures[i]->name, priority->signatures[j]->name) != 0);
        }
    }
    for (uint32_t i = 0; i < priority->dropped_count; i++) {
        line_check(priority->dropped[i]);
        for (uint32_t j = 0; j < i; j++) {
            WEFT_ASSERT(strcmp(priority->dropped[i], priority->dropped[j]) != 0);
        }
    }
}

static void lists_check(const struct priority *priority)
{
    char text[PRIORITY_LIST_BYTES];
    WEFT_ASSERT(priority_suites_text(priority, TLS_VERSION_1_2, text, sizeof text));
    WEFT_ASSERT((text[0] != '\0') == priority_has_version(priority, TLS_VERSION_1_2));
    WEFT_ASSERT(priority_suites_text(priority, TLS_VERSION_1_3, text, sizeof text));
    WEFT_ASSERT((text[0] != '\0') == priority_has_version(priority, TLS_VERSION_1_3));
}

/* The string with one more token, which may be one too many. */
static bool taken_with(struct priority *priority, const char *text, const char *token)
{
    static char longer[PRIORITY_TEXT_BYTES_MAX + 32];
    snprintf(longer, sizeof longer, "%s:%s", text, token);
    return priority_parse(priority, longer, NULL) == WEFT_OK;
}

static bool same(const struct priority *a, const struct priority *b)
{
    return a->version_count == b->version_count && a->suite_count == b->suite_count &&
           a->group_count == b->group_count && a->signature_count == b->signature_count && a->flags == b->flags &&
           memcmp(a->versions, b->versions, sizeof a->versions) == 0 &&
           memcmp(a->suites, b->suites, sizeof a->suites) == 0 && memcmp(a->groups, b->groups, sizeof a->groups) == 0 &&
           memcmp(a->signatures, b->signatures, sizeof a->signatures) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static char text[PRIORITY_TEXT_BYTES_MAX + 2];
    static struct priority priority;
    static struct priority other;
    struct weft_error why = {.code = WEFT_OK};
    bytes = bytes < sizeof text ? bytes : sizeof text - 1;
    if (bytes > 0) {
        memcpy(text, data, bytes);
    }
    text[bytes] = '\0';
    enum weft_err err = priority_parse(&priority, text, &why);
    if (err != WEFT_OK) {
        WEFT_ASSERT(err == WEFT_ERR_CONFIG);
        line_check(why.text);
        return 0;
    }
    versions_check(&priority);
    doubles_check(&priority);
    lists_check(&priority);
    if (taken_with(&other, text, "-ARCFOUR-128")) {
        WEFT_ASSERT(same(&priority, &other));
    }
    if (taken_with(&other, text, "!aes-256-gcm")) {
        for (uint32_t i = 0; i < other.suite_count; i++) {
            WEFT_ASSERT(other.suites[i]->cipher != NAME_AES_256_GCM);
        }
        WEFT_ASSERT(other.suite_count <= priority.suite_count);
    }
    return 0;
}
