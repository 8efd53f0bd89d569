/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: cassandra-rackdc.properties gives the own location where Cassandra and Scylla read the same from it; otherwise
 * each fault is one line that points at the place and says what either would have read.
 * Method: tables of texts with the names or the lines that they must give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/told.h"
#include "topology/cluster/rackdc.h"

static enum weft_err parse(struct rackdc *rackdc, const char *text, size_t bytes, struct told *told)
{
    struct properties_faults faults = {.add = tell, .ctx = told};
    told->text[0] = '\0';
    enum weft_err err = rackdc_parse(rackdc, "f", text, bytes, &faults);
    assert_int_equal(err == WEFT_OK, faults.count == 0);
    return err;
}

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
        {"rack=r\r\ndc=d\r", "d", "r"},
        {"# dc=x\n\n  \t dc \t= my data centre  \n rack=\track 1\f\n  # end", "my data centre", "rack 1"},
        {"dc=d\nrack=r\ndc_suffix=_b\nprefer_local=true\n", "d_b", "r"},
        {"dc=d\nrack=r\nprefer_local=false\n", "d", "r"},
        {"dc=a:b\nrack=#1\n", "a:b", "#1"},
        {"dc=no\nrack=010\n", "no", "010"},
        {"# a comment may end with a backslash \\\ndc=d\nrack=r\n", "d", "r"},
        {"# and have bytes such as \xe4\x01\ndc=d\nrack=r\n", "d", "r"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct rackdc rackdc;
        struct told told;
        enum weft_err err = parse(&rackdc, files[i].text, strlen(files[i].text), &told);
        assert_string_equal(told.text, "");
        assert_int_equal(err, WEFT_OK);
        assert_string_equal(rackdc.dc, files[i].dc);
        assert_string_equal(rackdc.rack, files[i].rack);
    }
}

struct bad_file {
    const char *text;
    const char *lines;
};

static void bad_files_check(const struct bad_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct rackdc rackdc;
        struct told told;
        assert_int_equal(parse(&rackdc, files[i].text, strlen(files[i].text), &told), WEFT_ERR_CONFIG);
        assert_string_equal(told.text, files[i].lines);
    }
}

static void rackdc__bad_files__one_line_at_the_place(void **state)
{
    static const struct bad_file files[] = {
        {"", "f:1:1: dc: is missing, and so is rack; write both dc=... and rack=...\n"},
        {"# dc=d\n# rack=r\n", "f:1:1: dc: is missing, and so is rack; write both dc=... and rack=...\n"},
        {"dc=d\n", "f:1:1: rack: is missing; write both dc=... and rack=...\n"},
        {"rack=r\n", "f:1:1: dc: is missing; write both dc=... and rack=...\n"},
        {"dc=d\nrack=r\n  dc=e\n", "f:3:3: dc: is given twice, first in line 1: Cassandra takes the last, and Scylla "
                                   "refuses both; keep one\n"},
        {"dc=\nrack = \ndc_suffix=\n", "f:1:1: dc: is empty; write a name\nf:2:1: rack: is empty; write a name\n"
                                       "f:3:1: dc_suffix: is empty; write a value or remove it\n"},
        {"dc=d\nrack=r\nprefer_local=True\n",
         "f:3:14: prefer_local: \"True\" is neither true nor false, and Scylla refuses it; write one of them\n"},
        {"dc=d\n Rack=r\n",
         "f:2:2: Rack: Cassandra passes over a key in this case, and Scylla refuses it; write rack\n"},
        {"dc=d\nrack=r\nzone=z\n", "f:3:1: zone: is no key of this file: Cassandra passes over it, and Scylla refuses "
                                   "it; write dc, rack, dc_suffix or prefer_local\n"},
        {"dc=d\nrack=a\x1b[0m\n", "f:2:7: line: a control character; names are plain text\n"},
        {"dc=d\nrack=a\tb\n", "f:2:7: rack: a tabulator or form feed inside a name; names are plain text\n"},
        {"dc=d # east\nrack=r\n", "f:1:6: dc: a comment behind a value would become a part of the name; give it a line "
                                  "of its own\n"},
        {"=d\nrack=r\n", "f:1:1: line: nothing stands before the =; write key=value\n"},
    };
    (void)state;
    bad_files_check(files, sizeof files / sizeof files[0]);
}

static void rackdc__read_differently_by_two__each_reading_named(void **state)
{
    static const struct bad_file files[] = {
        {"dc=d\nrack r\n", "f:2:1: line: \"rack\" is \"r\" for Cassandra, and a line without = a fault for Scylla; "
                           "write rack=r\n"},
        {"dc:d\nrack=r\n", "f:1:1: line: \"dc\" is \"d\" for Cassandra, and a line without = a fault for Scylla; "
                           "write dc=d\n"},
        {"dc\nrack=r\n", "f:1:1: line: \"dc\" is \"\" for Cassandra, and a line without = a fault for Scylla; "
                         "write dc=\n"},
        {"! x\ndc=d\nrack=r\n", "f:1:1: line: begins with !, a comment for Cassandra and a fault for Scylla; begin "
                                "comments with #\n"},
        {"dc=a=b\nrack=r\n", "f:1:5: line: a second =, a part of the value for Cassandra and a fault for Scylla; use a "
                             "name without\n"},
        {"dc=a\\tb\nrack=r\n", "f:1:5: line: a backslash begins an escape for Cassandra and is a part of the name for "
                               "Scylla; use names without\n"},
        {"dc=a\\\n  b\nrack=r\n", "f:1:5: line: a backslash continues the line for Cassandra and is a part of it for "
                                  "Scylla; write one line\n"},
        {"dc=d\nrack=r\\", "f:2:7: line: a backslash continues the line for Cassandra and is a part of it for "
                           "Scylla; write one line\n"},
        {"dc=z\xc3\xbcri\nrack=r\n", "f:1:5: line: byte 0xc3 is ISO 8859-1 for Cassandra and taken as it is by Scylla; "
                                     "use ASCII letters\n"},
        {"\xef\xbb\xbf"
         "dc=d\nrack=r\n",
         "f:1:1: file: begins with a byte order mark, which Cassandra and Scylla read as a part of the first line; "
         "save it without\n"},
        {"dc=d\nrack=r\rdc=e\n", "f:2:7: file: a carriage return alone ends the line for Cassandra, but not for an "
                                 "editor; end lines with \\n or \\r\\n\n"},
    };
    (void)state;
    bad_files_check(files, sizeof files / sizeof files[0]);
}

static void rackdc__no_text__refused(void **state)
{
    static const char nul[] = "dc=d\nrack=a\0b\n";
    static const char utf16[] = "\xff\xfe"
                                "d\0c\0=\0d\0";
    static char huge[64 * 1024 + 1];
    struct rackdc rackdc;
    struct told told;
    (void)state;
    assert_int_equal(parse(&rackdc, nul, sizeof nul - 1, &told), WEFT_ERR_CONFIG);
    assert_string_equal(told.text,
                        "f:2:7: file: a NUL byte, so this is no text or UTF-16; save it as plain ASCII text\n");
    assert_int_equal(parse(&rackdc, utf16, sizeof utf16 - 1, &told), WEFT_ERR_CONFIG);
    assert_string_equal(told.text, "f:1:1: file: is UTF-16; save it as plain ASCII text\n");
    memset(huge, '\n', sizeof huge);
    assert_int_equal(parse(&rackdc, huge, sizeof huge, &told), WEFT_ERR_CONFIG);
    assert_string_equal(told.text, "f:1:1: file: has 65537 bytes; 64 KiB are the most\n");
}

static void rackdc__names_at_the_limit__taken_and_one_byte_more_refused(void **state)
{
    char text[4096];
    char name[2048];
    struct rackdc rackdc;
    struct told told;
    (void)state;
    memset(name, 'n', sizeof name);
    int bytes = snprintf(text, sizeof text, "dc=%.255s\nrack=%.255s\n", name, name);
    assert_int_equal(parse(&rackdc, text, (size_t)bytes, &told), WEFT_OK);
    assert_int_equal(strlen(rackdc.dc), WEFT_NAME_BYTES_MAX);
    assert_int_equal(strlen(rackdc.rack), WEFT_NAME_BYTES_MAX);
    bytes = snprintf(text, sizeof text, "rack=r\ndc=%.256s\n", name);
    assert_int_equal(parse(&rackdc, text, (size_t)bytes, &told), WEFT_ERR_CONFIG);
    assert_string_equal(told.text, "f:2:4: dc: a name of 256 bytes; 255 are the most\n");
    bytes = snprintf(text, sizeof text, "rack=r\ndc=%.250s\ndc_suffix=%.6s\n", name, name);
    assert_int_equal(parse(&rackdc, text, (size_t)bytes, &told), WEFT_ERR_CONFIG);
    assert_string_equal(told.text, "f:3:1: dc_suffix: dc and its suffix have 256 bytes; 255 are the most\n");
    bytes = snprintf(text, sizeof text, "rack=r\ndc=%.1025s\n", name);
    assert_int_equal(parse(&rackdc, text, (size_t)bytes, &told), WEFT_ERR_CONFIG);
    assert_string_equal(told.text, "f:2:4: line: a value of more than 1024 bytes; is this line right?\n");
    bytes = snprintf(text, sizeof text, "rack=r\ndc=d\n%.257s=d\n", name);
    assert_int_equal(parse(&rackdc, text, (size_t)bytes, &told), WEFT_ERR_CONFIG);
    assert_string_equal(told.text, "f:3:1: line: a key of more than 256 bytes; is this line right?\n");
}

static void rackdc__several_faults__all_told(void **state)
{
    static const struct bad_file files[] = {
        {"dc d\nrack=a=b\nzone=1\n",
         "f:1:1: line: \"dc\" is \"d\" for Cassandra, and a line without = a fault for Scylla; write dc=d\n"
         "f:2:7: line: a second =, a part of the value for Cassandra and a fault for Scylla; use a name without\n"
         "f:3:1: zone: is no key of this file: Cassandra passes over it, and Scylla refuses it; write dc, rack, "
         "dc_suffix or prefer_local\n"},
    };
    (void)state;
    bad_files_check(files, sizeof files / sizeof files[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rackdc__good_files__names_trimmed_and_suffixed),
        cmocka_unit_test(rackdc__bad_files__one_line_at_the_place),
        cmocka_unit_test(rackdc__read_differently_by_two__each_reading_named),
        cmocka_unit_test(rackdc__no_text__refused),
        cmocka_unit_test(rackdc__names_at_the_limit__taken_and_one_byte_more_refused),
        cmocka_unit_test(rackdc__several_faults__all_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
