/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: cassandra-topology.properties is read as java.util.Properties reads it, and what Cassandra would go on with
 * though nobody meant it is one line that says so.
 * Method: tables of texts with the entries or the lines that they must give.  Entries are written as
 * address,dc,rack; one each, and the default as *,dc,rack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weft/node.h>

#include "tests/unit/told.h"
#include "topology/cluster/topology_file.h"

static enum weft_err parse(struct topology_file *topology, const char *text, size_t bytes, struct told *told)
{
    struct properties_faults faults = {.add = tell, .ctx = told};
    told->text[0] = '\0';
    enum weft_err err = topology_file_parse(topology, "f", text, bytes, &faults);
    assert_int_equal(err == WEFT_OK, faults.count == 0);
    assert_int_equal(err == WEFT_OK, topology->entries != NULL);
    return err;
}

static void topology_write(const struct topology_file *topology, char *text, size_t room)
{
    char address[ADDRESS_TEXT_BYTES];
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < topology->count; i++) {
        const struct topology_entry *entry = &topology->entries[i];
        address_print_ip(&entry->address, address);
        used += (size_t)snprintf(text + used, room - used, "%s,%s,%s;", address, entry->dc, entry->rack);
    }
    if (topology->others.line != 0) {
        snprintf(text + used, room - used, "*,%s,%s;", topology->others.dc, topology->others.rack);
    }
}

static void topology__good_files__read_as_java_reads_them(void **state)
{
    static const struct {
        const char *text;
        const char *entries;
    } files[] = {
        {"192.168.1.100=DC1:RAC1\n192.168.2.200=DC2:RAC2\n\n# default\ndefault=DC1:r1\n",
         "192.168.1.100,DC1,RAC1;192.168.2.200,DC2,RAC2;*,DC1,r1;"},
        {"fe80\\:0\\:0\\:0\\:202\\:b3ff\\:fe1e\\:8329=DC1:RAC3", "fe80::202:b3ff:fe1e:8329,DC1,RAC3;"},
        {"10.0.0.1 DC1:RAC1\n10.0.0.2:DC1:RAC2\n10.0.0.3\t= \tDC1:RAC3\n",
         "10.0.0.1,DC1,RAC1;10.0.0.2,DC1,RAC2;10.0.0.3,DC1,RAC3;"},
        {"! a comment\n  # another\n10.0.0.1=DC1\\:RAC1\n", "10.0.0.1,DC1,RAC1;"},
        {"10.0.0.1 = DC 1 : RAC 1 \r\n", "10.0.0.1,DC 1,RAC 1;"},
        {"10.0.\\\n   0.1=DC1:\\\r\n\tRAC1\\\n\n10.0.0.2=DC2:RAC2\\", "10.0.0.1,DC1,RAC1;10.0.0.2,DC2,RAC2;"},
        {"\\\n10.0.0.1=DC1:\\\n#RAC1\n", "10.0.0.1,DC1,#RAC1;"},
        {"/10.0.0.1=DC1:RAC1\n", "10.0.0.1,DC1,RAC1;"},
        {"\\:\\:ffff\\:10.0.0.1=DC1:RAC1\n", "10.0.0.1,DC1,RAC1;"},
        {"[\\:\\:1]=DC1:RAC1\n", "::1,DC1,RAC1;"},
        {"fe80\\:\\:1%1=DC1:RAC1\nfe80\\:\\:1%2=DC1:RAC2\n", "fe80::1%1,DC1,RAC1;fe80::1%2,DC1,RAC2;"},
        {"10.0.0.1=Z\\u00fcrich:\\u4e1c\\uD83D\\uDE00\\ \n", "10.0.0.1,Z\xc3\xbcrich,\xe4\xb8\x9c\xf0\x9f\x98\x80;"},
        {"10.0.0.1=\\D\\C1:a\\=b\\\\\n", "10.0.0.1,DC1,a=b\\;"},
        {"default=DC1:r1", "*,DC1,r1;"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct topology_file topology;
        struct told told;
        char entries[1024];
        enum weft_err err = parse(&topology, files[i].text, strlen(files[i].text), &told);
        assert_string_equal(told.text, "");
        assert_int_equal(err, WEFT_OK);
        topology_write(&topology, entries, sizeof entries);
        assert_string_equal(entries, files[i].entries);
        topology_file_fini(&topology);
    }
}

static void topology__bad_files__one_line_at_the_place(void **state)
{
    static const struct {
        const char *text;
        const char *lines;
    } files[] = {
        {"", "f:1:1: file: names no node; write lines such as 10.0.0.1=DC1:RAC1\n"},
        {"fe80::1=DC1:RAC1\n", "f:1:1: fe80: is no address, since an unescaped colon ends it; in IPv6 addresses write "
                               "each colon as \\:\n"},
        {"10.0.0.1\\:7000=DC1:RAC1\n",
         "f:1:1: 10.0.0.1:7000: has a port; write the address alone, and ports in weft: nodes\n"},
        {"10.0.0.1:7000=DC1\n", "f:1:10: 10.0.0.1: \"7000=DC1\" has no rack, and Cassandra would take default:default; "
                                "write DC:RACK\n"},
        {"10.0.0.1:7000=DC1:RAC1\n",
         "f:1:10: 10.0.0.1: \"7000=DC1:RAC1\": Cassandra ends the key at the first blank or colon, so this = is a part "
         "of a name; write ADDRESS=DC:RACK\n"},
        {"Default=DC1:RAC1\n", "f:1:1: Default: is a host name for Cassandra in this case; write default\n"},
        {"node1.example=DC1:RAC1\n",
         "f:1:1: node1.example: is a host name, which proves no location; write the node's address\n"},
        {"10.0.1=DC1:RAC1\n10/1=D:R\n", "f:1:1: 10.0.1: is no address; write one such as 10.0.0.1 or fe80\\:\\:1\n"
                                        "f:2:1: 10/1: is no address; write one such as 10.0.0.1 or fe80\\:\\:1\n"},
        {"0.0.0.0=DC1:RAC1\n224.0.0.1=DC1:RAC1\n",
         "f:1:1: 0.0.0.0: is no address of a single node; write the node's own\n"
         "f:2:1: 224.0.0.1: is no address of a single node; write the node's own\n"},
        {"10.0.0.1=DC1:RAC1\n/10.0.0.1=DC1:RAC1\n",
         "f:2:1: /10.0.0.1: is given twice, first in line 1, and Cassandra would take one of them; keep one\n"},
        {"default=DC1:RAC1\n\ndefault=DC1:RAC1\n",
         "f:3:1: default: is given twice, first in line 1, and Cassandra would take one of them; keep one\n"},
        {"10.0.0.1=DC1:RAC1\n\\:\\:ffff\\:10.0.0.1=DC1:RAC1\n", "f:2:1: ::ffff:10.0.0.1: is given twice, first in line "
                                                                "1, and Cassandra would take one of them; keep one\n"},
        {"10.0.0.1=DC1\n",
         "f:1:10: 10.0.0.1: \"DC1\" has no rack, and Cassandra would take default:default; write DC:RACK\n"},
        {"10.0.0.1\n", "f:1:9: 10.0.0.1: \"\" has no rack, and Cassandra would take default:default; write DC:RACK\n"},
        {"10.0.0.1=DC1: \n10.0.0.2= :R\n", "f:1:10: 10.0.0.1: the rack is empty; write DC:RACK\n"
                                           "f:2:11: 10.0.0.2: the data centre is empty; write DC:RACK\n"},
        {"10.0.0.1=DC1:RAC1:x\n", "f:1:10: 10.0.0.1: \"DC1:RAC1:x\" has more than one colon, and Cassandra would pass "
                                  "over what follows the rack; write DC:RACK\n"},
        {"10.0.0.1=DC1:RAC1 # east\n",
         "f:1:19: 10.0.0.1: a comment behind a value would become a part of the name; give it a line of its own\n"},
        {"10.0.0.1=Z\xc3\xbcrich:R\n", "f:1:11: line: byte 0xc3 is ISO 8859-1 for Cassandra, not the UTF-8 it seems to "
                                       "be; write \\u00fc\n"},
        {"10.0.0.1=\xf0\x9f\x98\x80:R\n", "f:1:10: line: byte 0xf0 is ISO 8859-1 for Cassandra, not the UTF-8 it seems "
                                          "to be; write \\ud83d\\ude00\n"},
        {"10.0.0.1=Z\xfcrich:R\n10.0.0.2=\\\xed\xa0\x80:R\n",
         "f:1:11: line: byte 0xfc is not ASCII; write it as an escape, such as \\u00fc\n"
         "f:2:11: line: byte 0xed is not ASCII; write it as an escape, such as \\u00ed\n"},
        {"10.0.0.1=\\u12g4:R\n10.0.0.2=\\u1", "f:1:10: line: \\u needs four hexadecimal digits, such as \\u00fc\n"
                                              "f:2:10: line: \\u needs four hexadecimal digits, such as \\u00fc\n"},
        {"10.0.0.1=\\ud83d:R\n10.0.0.2=\\ude00:R\n10.0.0.3=\\ud83d\\u0041:R\n",
         "f:1:10: line: \\ud83d is half of a character; write both halves, or another\n"
         "f:2:10: line: \\ude00 is half of a character; write both halves, or another\n"
         "f:3:10: line: \\ud83d is half of a character; write both halves, or another\n"},
        {"10.0.0.1=a\\nb:R\n10.0.0.2=\\u0000:R\n10.0.0.3=\\u0085:R\n",
         "f:1:11: line: the escape makes a control character; names are plain text\n"
         "f:2:10: line: the escape makes a control character; names are plain text\n"
         "f:3:10: line: the escape makes a control character; names are plain text\n"},
        {"10.0.0.1=a\x0b:R\n", "f:1:11: line: a control character; names are plain text\n"},
        {":x\n", "f:1:1: line: nothing stands before the :; write key=value\n"},
        {"#x\r10.0.0.1=DC1:RAC1\n", "f:1:3: file: a carriage return alone ends the line for Cassandra, but not for an "
                                    "editor; end lines with \\n or \\r\\n\n"},
        {"10.0.0.1=a\\\n#=b:c:d\n", "f:1:10: 10.0.0.1: \"a#=b:c:d\" has more than one colon, and Cassandra would pass "
                                    "over what follows the rack; write DC:RACK\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct topology_file topology;
        struct told told;
        assert_int_equal(parse(&topology, files[i].text, strlen(files[i].text), &told), WEFT_ERR_CONFIG);
        assert_string_equal(told.text, files[i].lines);
    }
}

static void topology__as_many_nodes_as_there_may_be__taken_and_one_more_refused(void **state)
{
    struct topology_file topology;
    struct told told;
    size_t used = 0;
    size_t room = 64u * 1024;
    char *text = calloc(1, room);
    (void)state;
    assert_non_null(text);
    for (unsigned i = 0; i < WEFT_PEERS_MAX; i++) {
        used += (size_t)snprintf(text + used, room - used, "10.1.%u.%u=DC1:RAC1\n", i / 250, i % 250 + 1);
    }
    assert_int_equal(parse(&topology, text, used, &told), WEFT_OK);
    assert_int_equal(topology.count, WEFT_PEERS_MAX);
    topology_file_fini(&topology);
    used += (size_t)snprintf(text + used, room - used, "10.2.0.1=DC1:RAC1\n10.2.0.2=DC1:RAC1\n");
    assert_int_equal(parse(&topology, text, used, &told), WEFT_ERR_CONFIG);
    assert_string_equal(told.text, "f:1025:1: 10.2.0.1: one node too many; 1024 are the most\n");
    free(text);
}

static void topology__find__default_is_nobodys(void **state)
{
    static const char text[] = "10.0.0.1=DC1:RAC1\nfe80\\:\\:1%3=DC2:RAC2\ndefault=DC1:r1\n";
    struct topology_file topology;
    struct told told;
    struct address address;
    (void)state;
    assert_int_equal(parse(&topology, text, sizeof text - 1, &told), WEFT_OK);
    assert_int_equal(address_parse(&address, "::ffff:10.0.0.1", 7000), WEFT_OK);
    assert_string_equal(topology_file_find(&topology, &address)->dc, "DC1");
    assert_int_equal(address_parse(&address, "fe80::1%3", 0), WEFT_OK);
    assert_string_equal(topology_file_find(&topology, &address)->dc, "DC2");
    assert_int_equal(address_parse(&address, "fe80::1", 0), WEFT_OK);
    assert_null(topology_file_find(&topology, &address));
    assert_int_equal(address_parse(&address, "10.0.0.2", 0), WEFT_OK);
    assert_null(topology_file_find(&topology, &address));
    topology_file_fini(&topology);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topology__good_files__read_as_java_reads_them),
        cmocka_unit_test(topology__bad_files__one_line_at_the_place),
        cmocka_unit_test(topology__as_many_nodes_as_there_may_be__taken_and_one_more_refused),
        cmocka_unit_test(topology__find__default_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
