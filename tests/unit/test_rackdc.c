/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: cassandra-rackdc.properties gives the own location, or one line that points at what is wrong with it.
 * Method: tables of texts with the names or the line that they must give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "topology/cluster/rackdc.h"

static void rackdc__good_files__names_trimmed_and_suffixed(void **state)
{
    static const struct {
        const char *text;
        const char *dc;
        const char *rack;
    } files[] = {
        {"dc=d\nrack=r\n", "d", "r"},
        {"dc=d\nrack=r", "d", "r"},
        {"rack=r\r\ndc=d\r\n", "d", "r"},
        {"\xef\xbb\xbf"
         "dc=d\nrack=r\n",
         "d", "r"},
        {"# dc=x\n\n  \t dc \t= my data centre  \n rack=\track 1\n  # end", "my data centre", "rack 1"},
        {"dc=d\nrack=r\ndc_suffix=_b\nprefer_local=true\n", "d_b", "r"},
        {"dc=d\nrack=r\ndc_suffix=\nprefer_local=\n", "d", "r"},
        {"dc=a=b\nrack=#1\n", "a=b", "#1"},
        {"dc=no\nrack=010\n", "no", "010"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct rackdc rackdc;
        struct weft_error why = {0};
        assert_int_equal(rackdc_parse(&rackdc, "f", files[i].text, strlen(files[i].text), &why), WEFT_OK);
        assert_string_equal(rackdc.dc, files[i].dc);
        assert_string_equal(rackdc.rack, files[i].rack);
        assert_int_equal(why.code, WEFT_OK);
    }
}

static void rackdc__bad_files__one_line_at_the_place(void **state)
{
    static const struct {
        const char *text;
        const char *line;
    } files[] = {
        {"", "f:1:1: dc: and rack are missing; write both dc=... and rack=..."},
        {"# dc=d\n# rack=r\n", "f:1:1: dc: and rack are missing; write both dc=... and rack=..."},
        {"dc=d\n", "f:1:1: rack: is missing; write both dc=... and rack=..."},
        {"rack=r\n", "f:1:1: dc: is missing; write both dc=... and rack=..."},
        {"dc=d\nrack=r\n  dc=e\n", "f:3:3: dc: is given twice, first in line 1; keep one"},
        {"dc=d\nrack=r\nprefer_local=true\nprefer_local=true\n",
         "f:4:1: prefer_local: is given twice, first in line 3; keep one"},
        {"dc=\nrack=r\n", "f:1:1: dc: is empty; write a name"},
        {"dc=d\nrack = \n", "f:2:1: rack: is empty; write a name"},
        {"dc=d\nrack r\n", "f:2:1: rack r: not of the form key=value"},
        {"dc=d\n Rack=r\n", "f:2:2: Rack: not a key of this file; write dc, rack, dc_suffix or prefer_local"},
        {"dc=d\nrack=a\x1b[0m\n", "f:2:7: rack: a control character; names are plain text"},
        {"dc=d # east\nrack=r\n",
         "f:1:6: dc: a comment behind a value would become part of the name; give it a line of its own"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct rackdc rackdc;
        struct weft_error why = {0};
        assert_int_equal(rackdc_parse(&rackdc, "f", files[i].text, strlen(files[i].text), &why), WEFT_ERR_CONFIG);
        assert_string_equal(why.text, files[i].line);
    }
}

static void rackdc__nul_in_a_name__refused(void **state)
{
    static const char text[] = "dc=a\0b\nrack=r\n";
    struct rackdc rackdc;
    struct weft_error why = {0};
    (void)state;
    assert_int_equal(rackdc_parse(&rackdc, "f", text, sizeof text - 1, &why), WEFT_ERR_CONFIG);
    assert_string_equal(why.text, "f:1:5: dc: a control character; names are plain text");
}

static void rackdc__names_at_the_limit__taken_and_one_byte_more_refused(void **state)
{
    char text[1024];
    char name[WEFT_NAME_BYTES_MAX + 2];
    struct rackdc rackdc;
    struct weft_error why = {0};
    (void)state;
    memset(name, 'n', sizeof name);
    int bytes = snprintf(text, sizeof text, "dc=%.255s\nrack=%.255s\n", name, name);
    assert_int_equal(rackdc_parse(&rackdc, "f", text, (size_t)bytes, &why), WEFT_OK);
    assert_int_equal(strlen(rackdc.dc), WEFT_NAME_BYTES_MAX);
    assert_int_equal(strlen(rackdc.rack), WEFT_NAME_BYTES_MAX);
    bytes = snprintf(text, sizeof text, "rack=r\ndc=%.256s\n", name);
    assert_int_equal(rackdc_parse(&rackdc, "f", text, (size_t)bytes, &why), WEFT_ERR_CONFIG);
    assert_string_equal(why.text, "f:2:4: dc: a name of 256 bytes; 255 are the most");
    memset(&why, 0, sizeof why);
    bytes = snprintf(text, sizeof text, "rack=r\ndc=%.250s\ndc_suffix=%.6s\n", name, name);
    assert_int_equal(rackdc_parse(&rackdc, "f", text, (size_t)bytes, &why), WEFT_ERR_CONFIG);
    assert_string_equal(why.text, "f:3:1: dc_suffix: dc and its suffix have 256 bytes; 255 are the most");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rackdc__good_files__names_trimmed_and_suffixed),
        cmocka_unit_test(rackdc__bad_files__one_line_at_the_place),
        cmocka_unit_test(rackdc__nul_in_a_name__refused),
        cmocka_unit_test(rackdc__names_at_the_limit__taken_and_one_byte_more_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
