/* SPDX-License-Identifier: Apache-2.0 */
/* Owns reading SPIFFE ids and patterns of them.  Both are walked segment by segment, side by side, once.  Fails on
 * every form that is not the standard's: it is no id, and matches nothing. */
#include "tls/spiffe.h"

#include <string.h>
#include <strings.h>

#include "engine/base/error.h"

enum segment_kind { SEGMENT_PLAIN = 0, SEGMENT_ANY, SEGMENT_CLUSTER, SEGMENT_DC, SEGMENT_RACK, SEGMENT_ID };

static const char *const segment_words[] = {
    [SEGMENT_ANY] = "*",       [SEGMENT_CLUSTER] = "{cluster}", [SEGMENT_DC] = "{dc}",
    [SEGMENT_RACK] = "{rack}", [SEGMENT_ID] = "{id}",
};

static bool span_same(struct weft_span a, struct weft_span b)
{
    return a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0;
}

static bool span_is(struct weft_span span, const char *text)
{
    return span_same(span, weft_span_of(text));
}

/* Up to the next slash or the end; the slash is taken with it.  @return whether one stood there */
static bool segment_take(struct weft_span *in, struct weft_span *segment)
{
    const uint8_t *slash = in->bytes > 0 ? memchr(in->data, '/', in->bytes) : NULL;
    *segment = (struct weft_span){in->data, slash != NULL ? (uint32_t)(slash - in->data) : in->bytes};
    uint32_t taken = segment->bytes + (slash != NULL ? 1 : 0);
    in->data += taken;
    in->bytes -= taken;
    return slash != NULL;
}

static enum segment_kind segment_kind_of(struct weft_span segment)
{
    for (int kind = SEGMENT_ANY; kind <= SEGMENT_ID; kind++) {
        if (span_is(segment, segment_words[kind])) {
            return (enum segment_kind)kind;
        }
    }
    return SEGMENT_PLAIN;
}

static bool bytes_are(struct weft_span span, bool upper)
{
    for (uint32_t i = 0; i < span.bytes; i++) {
        uint8_t byte = span.data[i];
        bool fine = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '.' || byte == '-' ||
                    byte == '_' || (upper && byte >= 'A' && byte <= 'Z');
        if (!fine) {
            return false;
        }
    }
    return span.bytes > 0;
}

static bool segment_is_valid(struct weft_span segment)
{
    return bytes_are(segment, true) && !span_is(segment, ".") && !span_is(segment, "..");
}

/* Take scheme and trust domain.  @return NULL, or what is wrong; more: a path follows */
static const char *spiffe_take_domain(struct weft_span *in, struct weft_span *domain, bool *more)
{
    uint32_t scheme = (uint32_t)strlen(SPIFFE_SCHEME);
    if (in->bytes > SPIFFE_ID_BYTES_MAX) {
        return "it is longer than 2048 bytes";
    }
    if (in->bytes < scheme || memcmp(in->data, SPIFFE_SCHEME, scheme) != 0) {
        return "it must begin with spiffe://";
    }
    in->data += scheme;
    in->bytes -= scheme;
    *more = segment_take(in, domain);
    return bytes_are(*domain, false) && domain->bytes <= SPIFFE_DOMAIN_BYTES_MAX
               ? NULL
               : "a trust domain is of lower-case letters, digits, dots, hyphens and underscores";
}

bool spiffe_is_one(struct weft_span uri)
{
    size_t bytes = strlen(SPIFFE_SCHEME);
    return uri.bytes >= bytes && strncasecmp((const char *)uri.data, SPIFFE_SCHEME, bytes) == 0;
}

/* @param kinds NULL for an id; else words are allowed, each at most once, and noted by their kinds */
static const char *spiffe_fault(struct weft_span in, uint32_t *kinds)
{
    struct weft_span segment;
    bool more = false;
    const char *fault = spiffe_take_domain(&in, &segment, &more);
    while (fault == NULL && more) {
        more = segment_take(&in, &segment);
        enum segment_kind kind = kinds != NULL ? segment_kind_of(segment) : SEGMENT_PLAIN;
        uint32_t bit = 1u << kind;
        if (kind == SEGMENT_PLAIN && !segment_is_valid(segment)) {
            fault = "a segment is of letters, digits, dots, hyphens and underscores, or as a whole *, {cluster}, {dc}, "
                    "{rack} or {id}";
        } else if (kind > SEGMENT_ANY && (*kinds & bit) != 0) {
            fault = "a word in braces stands twice";
        }
        if (kinds != NULL) {
            *kinds |= bit;
        }
    }
    return fault;
}

bool spiffe_is_valid(struct weft_span uri)
{
    return spiffe_fault(uri, NULL) == NULL;
}

enum weft_err spiffe_check_pattern(const char *pattern, struct weft_error *why)
{
    uint32_t kinds = 0;
    const char *fault = spiffe_fault(weft_span_of(pattern), &kinds);
    if (fault == NULL && strlen(pattern) >= SECURE_PATTERN_BYTES) {
        fault = "it has more than 511 bytes";
    }
    return fault == NULL
               ? WEFT_OK
               : weft_error_set(why, WEFT_ERR_INVALID, "\"%.64s\" is no pattern of SPIFFE ids: %s", pattern, fault);
}

static bool segment_copy(struct weft_span segment, char to[WEFT_NAME_BYTES_MAX + 1])
{
    if (segment.bytes > WEFT_NAME_BYTES_MAX) {
        return false;
    }
    memcpy(to, segment.data, segment.bytes);
    to[segment.bytes] = '\0';
    return true;
}

static bool segment_match(struct weft_span pattern, struct weft_span segment, struct secure_name *name)
{
    char text[WEFT_NAME_BYTES_MAX + 1];
    switch (segment_kind_of(pattern)) {
    case SEGMENT_PLAIN:
        return span_same(pattern, segment);
    case SEGMENT_ANY:
        return true;
    case SEGMENT_CLUSTER:
        return segment_copy(segment, name->cluster);
    case SEGMENT_DC:
        return segment_copy(segment, name->dc);
    case SEGMENT_RACK:
        return segment_copy(segment, name->rack);
    case SEGMENT_ID:
        break;
    }
    name->has_id = true;
    return segment_copy(segment, text) && uuid_parse(name->id, text);
}

bool spiffe_match(const char *pattern, struct weft_span uri, struct secure_name *name)
{
    struct weft_span wanted = weft_span_of(pattern);
    struct weft_span wanted_segment;
    struct weft_span segment;
    bool wanted_more = false;
    bool more = false;
    *name = (struct secure_name){.has_id = false};
    if (!spiffe_is_valid(uri) || spiffe_take_domain(&wanted, &wanted_segment, &wanted_more) != NULL ||
        spiffe_take_domain(&uri, &segment, &more) != NULL) {
        return false;
    }
    bool same = span_same(wanted_segment, segment);
    while (same && wanted_more && more) {
        wanted_more = segment_take(&wanted, &wanted_segment);
        more = segment_take(&uri, &segment);
        same = segment_match(wanted_segment, segment, name);
    }
    return same && wanted_more == more;
}
