/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: only the standard's SPIFFE ids are ids, patterns match what they say and nothing else, and what stands in the
 * place of a word in braces comes out.
 * Method: tables of ids, patterns and pairs of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/uuid.h"
#include "tls/node_name.h"
#include "tls/spiffe.h"

#define ID "6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00"

static void id__as_the_standard_has_it__valid(void **state)
{
    static const char *const ids[] = {
        "spiffe://example.org",      "spiffe://example.org/weft", "spiffe://a-b_c.d1/ns/Prod/sa/weft.1_x-y",
        "spiffe://example.org/a..b", "spiffe://example.org/...",  "spiffe://10.0.0.1/x",
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        assert_true(spiffe_is_one(weft_span_of(ids[i])));
        assert_true(spiffe_is_valid(weft_span_of(ids[i])));
    }
}

static void id__in_any_other_form__none(void **state)
{
    static const char *const ids[] = {
        "spiffe://",
        "spiffe:///weft",
        "SPIFFE://example.org/weft",
        "spiffe://Example.org/weft",
        "spiffe://example.org/",
        "spiffe://example.org/weft/",
        "spiffe://example.org//weft",
        "spiffe://example.org/./weft",
        "spiffe://example.org/weft/..",
        "spiffe://example.org/we%66t",
        "spiffe://example.org/weft?x=1",
        "spiffe://example.org/weft#x",
        "spiffe://example.org:443/weft",
        "spiffe://user@example.org/weft",
        "spiffe://example.org/*",
        "spiffe://example.org/{id}",
        "spiffe://example.org/\xc3\xa9",
        "weft://example.org/weft",
        "",
    };
    static char text[SPIFFE_ID_BYTES_MAX + 2] = "spiffe://example.org/";
    static const uint8_t zero[] = "spiffe://example.org/we\0ft";
    (void)state;
    for (uint32_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        assert_false(spiffe_is_valid(weft_span_of(ids[i])));
    }
    assert_false(spiffe_is_valid((struct weft_span){zero, sizeof zero - 1}));
    memset(text + strlen(text), 'a', SPIFFE_ID_BYTES_MAX - strlen(text));
    assert_true(spiffe_is_valid(weft_span_of(text)));
    text[SPIFFE_ID_BYTES_MAX] = 'a';
    assert_false(spiffe_is_valid(weft_span_of(text)));
    memset(text + strlen(SPIFFE_SCHEME), 'a', SPIFFE_DOMAIN_BYTES_MAX);
    text[strlen(SPIFFE_SCHEME) + SPIFFE_DOMAIN_BYTES_MAX] = '\0';
    assert_true(spiffe_is_valid(weft_span_of(text)));
    text[strlen(SPIFFE_SCHEME) + SPIFFE_DOMAIN_BYTES_MAX] = 'a';
    text[strlen(SPIFFE_SCHEME) + SPIFFE_DOMAIN_BYTES_MAX + 1] = '\0';
    assert_false(spiffe_is_valid(weft_span_of(text)));
}

static void pattern__checked__says_what_is_wrong(void **state)
{
    static const struct {
        const char *pattern;
        const char *says; /* NULL: nothing */
    } rows[] = {
        {"spiffe://example.org/weft", NULL},
        {"spiffe://example.org/*/*/weft", NULL},
        {"spiffe://example.org/{cluster}/{dc}/{rack}/{id}", NULL},
        {"", "must begin with spiffe://"},
        {"weft://c/d/r/" ID, "must begin with spiffe://"},
        {"spiffe://*/weft", "trust domain"},
        {"spiffe://{cluster}/weft", "trust domain"},
        {"spiffe://example.org/", "a segment is"},
        {"spiffe://example.org/weft*", "a segment is"},
        {"spiffe://example.org/**", "a segment is"},
        {"spiffe://example.org/{node}", "a segment is"},
        {"spiffe://example.org/{id}x", "a segment is"},
        {"spiffe://example.org/{id}/{id}", "stands twice"},
    };
    char text[SECURE_PATTERN_BYTES + 1] = "spiffe://example.org/";
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weft_error why = {.code = WEFT_OK};
        enum weft_err err = spiffe_check_pattern(rows[i].pattern, &why);
        assert_int_equal(err, rows[i].says == NULL ? WEFT_OK : WEFT_ERR_INVALID);
        if (rows[i].says != NULL) {
            assert_non_null(strstr(why.text, rows[i].says));
        }
    }
    memset(text + strlen(text), 'a', sizeof text - 1 - strlen(text));
    text[sizeof text - 1] = '\0';
    assert_int_equal(spiffe_check_pattern(text, NULL), WEFT_ERR_INVALID);
    text[sizeof text - 2] = '\0';
    assert_int_equal(spiffe_check_pattern(text, NULL), WEFT_OK);
}

static void match__segment_by_segment__whole_ids_alone(void **state)
{
    static const struct {
        const char *pattern;
        const char *id;
        bool matches;
    } rows[] = {
        {"spiffe://a.b/weft", "spiffe://a.b/weft", true},
        {"spiffe://a.b", "spiffe://a.b", true},
        {"spiffe://a.b", "spiffe://a.b/weft", false},
        {"spiffe://a.b/weft", "spiffe://a.b", false},
        {"spiffe://a.b/weft", "spiffe://a.b/Weft", false},
        {"spiffe://a.b/weft", "spiffe://a.c/weft", false},
        {"spiffe://a.b/weft", "spiffe://a.b.evil/weft", false},
        {"spiffe://a.b/weft", "spiffe://a.b/weft/more", false},
        {"spiffe://a.b/weft", "spiffe://a.b/wef", false},
        {"spiffe://a.b/weft", "spiffe://a.b/wefty", false},
        {"spiffe://a.b/*", "spiffe://a.b/weft", true},
        {"spiffe://a.b/*", "spiffe://a.b/weft/more", false},
        {"spiffe://a.b/*", "spiffe://a.b", false},
        {"spiffe://a.b/*", "spiffe://a.b/", false},
        {"spiffe://a.b/ns/*/sa/weft", "spiffe://a.b/ns/prod/sa/weft", true},
        {"spiffe://a.b/ns/*/sa/weft", "spiffe://a.b/ns/prod/x/sa/weft", false},
        {"spiffe://a.b/{id}", "spiffe://a.b/" ID, true},
        {"spiffe://a.b/{id}", "spiffe://a.b/no-uuid", false},
        {"spiffe://a.b/{dc}", "spiffe://a.b/*", false},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct secure_name name;
        assert_int_equal(spiffe_match(rows[i].pattern, weft_span_of(rows[i].id), &name), rows[i].matches);
    }
}

static void match__words_in_braces__come_out(void **state)
{
    struct secure_name name;
    char id[UUID_TEXT_BYTES];
    (void)state;
    assert_true(
        spiffe_match("spiffe://a.b/{rack}/{cluster}/{id}/{dc}", weft_span_of("spiffe://a.b/r1/c1/" ID "/dc1"), &name));
    assert_string_equal(name.cluster, "c1");
    assert_string_equal(name.dc, "dc1");
    assert_string_equal(name.rack, "r1");
    assert_true(name.has_id);
    uuid_print(name.id, id);
    assert_string_equal(id, ID);
    assert_true(spiffe_match("spiffe://a.b/*/{dc}", weft_span_of("spiffe://a.b/c1/dc1"), &name));
    assert_string_equal(name.cluster, "");
    assert_string_equal(name.dc, "dc1");
    assert_false(name.has_id);
}

static void name__proven_against_wanted__unknown_fits_everything(void **state)
{
    static const struct secure_name proven = {"c", "d", "r", true, {1}};
    static const struct {
        struct secure_name wanted;
        enum weft_reason reason;
    } rows[] = {
        {{"c", "d", "r", true, {1}}, WEFT_REASON_NONE},
        {{"", "", "", false, {0}}, WEFT_REASON_NONE},
        {{"c2", "", "", true, {2}}, WEFT_REASON_WRONG_CLUSTER},
        {{"c", "d2", "r", true, {2}}, WEFT_REASON_WRONG_NODE},
        {{"c", "d", "r", false, {2}}, WEFT_REASON_NONE},
        {{"c", "d2", "r", true, {1}}, WEFT_REASON_LOCATION_CLAIM_MISMATCH},
        {{"c", "d", "R", true, {1}}, WEFT_REASON_LOCATION_CLAIM_MISMATCH},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(node_name_fits(&proven, &rows[i].wanted), rows[i].reason);
        assert_int_equal(node_name_fits(&rows[i].wanted, &proven), rows[i].reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id__as_the_standard_has_it__valid),
        cmocka_unit_test(id__in_any_other_form__none),
        cmocka_unit_test(pattern__checked__says_what_is_wrong),
        cmocka_unit_test(match__segment_by_segment__whole_ids_alone),
        cmocka_unit_test(match__words_in_braces__come_out),
        cmocka_unit_test(name__proven_against_wanted__unknown_fits_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
