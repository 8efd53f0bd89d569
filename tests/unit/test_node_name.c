/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a node's name in a certificate has one spelling; whatever else stands there names nobody.
 * Method: a table of URIs; names written by tls_node_uri are read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/uuid.h"
#include "tls/issue.h"
#include "tls/node_name.h"

#define ID "6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00"

static bool parse(struct secure_name *name, const char *text)
{
    memset(name, 0, sizeof *name);
    return node_name_parse(name, weft_span_of(text));
}

static void parse__names_as_written__read_back(void **state)
{
    static const char *const names[] = {
        "c", "Test Cluster", "dc/1", "100%", "\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80", "--", "~a"};
    (void)state;
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *uri = NULL;
        struct secure_name name;
        char id[UUID_TEXT_BYTES];
        assert_int_equal(tls_node_uri(&uri, names[i], names[i], i == 0 ? NULL : names[i], ID, NULL), WEFT_OK);
        assert_true(node_name_is_one(weft_span_of(uri)));
        assert_true(parse(&name, uri));
        assert_string_equal(name.cluster, names[i]);
        assert_string_equal(name.dc, names[i]);
        assert_string_equal(name.rack, i == 0 ? "" : names[i]);
        uuid_print(name.id, id);
        assert_string_equal(id, ID);
        free(uri);
    }
}

static void parse__anything_else__names_nobody(void **state)
{
    static const char *const uris[] = {
        "",
        "weft://",
        "weft://c",
        "weft://c/d/r",
        "weft://c/d/r/",
        "weft://c/d/r/" ID "/",
        "weft://c/d/r/x/" ID,
        "weft://c//r/" ID,
        "weft:///d/r/" ID,
        "weft://-/d/r/" ID,
        "weft://c/d/r/-",
        "weft://c/d/r/1",
        "WEFT://c/d/r/" ID,
        "weft:/c/d/r/" ID,
        "weft://c d/d/r/" ID,
        "weft://c%/d/r/" ID,
        "weft://c%2/d/r/" ID,
        "weft://c%2g/d/r/" ID,
        "weft://c%c3%a9/d/r/" ID,
        "weft://%41/d/r/" ID,
        "weft://c%00/d/r/" ID,
        "weft://%FF/d/r/" ID,
        "weft://%C0%AF/d/r/" ID,
        "weft://%ED%A0%80/d/r/" ID,
        "weft://%E0%80%80/d/r/" ID,
        "weft://%F4%90%80%80/d/r/" ID,
        "weft://%C3/d/r/" ID,
        "weft://c?x/d/r/" ID,
        "weft://c#x/d/r/" ID,
        "weft://u@c/d/r/" ID,
        "weft://c:1/d/r/" ID,
        "http://c/d/r/" ID,
        "weft://c/d/r/" ID " ",
        " weft://c/d/r/" ID,
        "weft://c/d/r/%36f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00",
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        struct secure_name name;
        if (parse(&name, uris[i])) {
            fail_msg("\"%s\" was taken for a name", uris[i]);
        }
    }
}

static void parse__part_of_any_length__bounded(void **state)
{
    char uri[1024];
    (void)state;
    for (uint32_t bytes = WEFT_NAME_BYTES_MAX; bytes <= WEFT_NAME_BYTES_MAX + 1; bytes++) {
        struct secure_name name;
        memcpy(uri, "weft://", 7);
        memset(uri + 7, 'c', bytes);
        memcpy(uri + 7 + bytes, "/d/r/" ID, sizeof "/d/r/" ID);
        assert_int_equal(parse(&name, uri), bytes == WEFT_NAME_BYTES_MAX);
    }
}

static void parse__bytes_behind_a_nul__are_part_of_it(void **state)
{
    static const char uri[] = "weft://c/d/r/" ID "\0x";
    struct secure_name name;
    (void)state;
    assert_false(node_name_parse(&name, (struct weft_span){(const uint8_t *)uri, sizeof uri - 1}));
}

static void is_one__scheme_of_any_case__claims_a_name(void **state)
{
    (void)state;
    assert_true(node_name_is_one(weft_span_of("WeFt://x")));
    assert_false(node_name_is_one(weft_span_of("weft:/x")));
    assert_false(node_name_is_one(weft_span_of("spiffe://x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__names_as_written__read_back),
        cmocka_unit_test(parse__anything_else__names_nobody),
        cmocka_unit_test(parse__part_of_any_length__bounded),
        cmocka_unit_test(parse__bytes_behind_a_nul__are_part_of_it),
        cmocka_unit_test(is_one__scheme_of_any_case__claims_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
