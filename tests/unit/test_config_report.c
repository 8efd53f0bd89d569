/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: faults that lie outside of one line, in other files or without end, are told at the right place and within
 * bounds, and no input forges a line of the report.
 *
 * Method: texts decoded with fakes for resolver, files and interfaces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/config_fakes.h"

static void config__default_files_missing__names_both_paths(void **state)
{
    static const char yaml[] = NAMED SEO "    internode_encryption: all\n";
    struct config_report *report = calloc(1, sizeof *report);
    struct config *config = NULL;
    (void)state;
    assert_non_null(report);
    assert_int_equal(config_decode_faked(&config, yaml, strlen(yaml), "/missing", NULL, report), WEFT_ERR_CONFIG);
    assert_int_equal(report->errors.count, 2);
    assert_string_equal(report->errors.lines[0],
                        "w.yaml:3:27: certificate: cannot open /missing/scylla.crt: no such file; "
                        "internode_encryption: all needs a readable file");
    assert_non_null(strstr(report->errors.lines[1], "w.yaml:3:27: keyfile: cannot open /missing/scylla.key"));
    free(report);
}

static void config__snitch_file_differs__error_at_the_yaml(void **state)
{
    static const char yaml[] =
        NAMED "endpoint_snitch: org.apache.cassandra.locator.GossipingPropertyFileSnitch\nweft: { dc: d2, rack: r1 }\n";
    struct config_report *report = calloc(1, sizeof *report);
    struct config *config = NULL;
    (void)state;
    assert_non_null(report);
    assert_int_equal(config_decode_faked(&config, yaml, strlen(yaml), "/etc/weft", "dc=d1\nrack=r1\n", report),
                     WEFT_ERR_CONFIG);
    assert_int_equal(report->errors.count, 1);
    assert_string_equal(report->errors.lines[0],
                        "w.yaml:3:13: dc: \"d2\", but cassandra-rackdc.properties says \"d1\"; make them equal, or "
                        "remove one");
    assert_int_equal(config_decode_faked(&config, yaml, strlen(yaml), "/etc/weft", "dc=d1\n", report), WEFT_ERR_CONFIG);
    assert_int_equal(report->errors.count, 1);
    assert_non_null(strstr(report->errors.lines[0], "cassandra-rackdc.properties:1:1: rack: is missing"));
    free(report);
}

/* Both spellings: one value is one list, two values are a question. */
static void config__both_spellings_of_the_revocation_list__must_agree(void **state)
{
    static const char same[] =
        NAMED SEO "    certficate_revocation_list: a.crl\n    certificate_revocation_list: a.crl\n";
    static const char other[] =
        NAMED SEO "    certficate_revocation_list: a.crl\n    certificate_revocation_list: b.crl\n";
    struct config_report *report = calloc(1, sizeof *report);
    struct config *config = NULL;
    (void)state;
    assert_non_null(report);
    assert_int_equal(config_decode_faked(&config, same, strlen(same), "/etc/weft", NULL, report), WEFT_OK);
    assert_string_equal(config->options.certificate_revocation_list, "/etc/weft/a.crl");
    config_destroy(config);
    assert_int_equal(config_decode_faked(&config, other, strlen(other), "/etc/weft", NULL, report), WEFT_ERR_CONFIG);
    assert_int_equal(report->errors.count, 1);
    assert_string_equal(report->errors.lines[0],
                        "w.yaml:4:34: certificate_revocation_list: \"b.crl\", but certficate_revocation_list in line 3 "
                        "says \"a.crl\"; keep one of them");
    free(report);
}

static char *repeated(const char *unit, size_t count, size_t *bytes)
{
    size_t unit_bytes = strlen(unit);
    char *text = calloc(1, unit_bytes * count + 1);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + i * unit_bytes, unit, unit_bytes);
    }
    *bytes = unit_bytes * count;
    return text;
}

static void config__endless_nesting_or_lists__refused_at_the_limit(void **state)
{
    static const struct {
        const char *unit;
        size_t count;
        const char *says;
    } floods[] = {{"[", 50000, "w.yaml:1:17: yaml: nested too deep"},
                  {"- ", 50000, "yaml: nested too deep"},
                  {"{a: ", 50000, "yaml: nested too deep"},
                  {"- a\n", 70000, "w.yaml:65536:3: yaml: too many values"},
                  {"# 4567890123456\n", 70000, "w.yaml:1:1: yaml: larger than 1 MiB"}};
    struct config_report *report = calloc(1, sizeof *report);
    (void)state;
    assert_non_null(report);
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        struct config *config = NULL;
        size_t bytes;
        char *text = repeated(floods[i].unit, floods[i].count, &bytes);
        assert_int_equal(config_decode_faked(&config, text, bytes, "/etc/weft", NULL, report), WEFT_ERR_CONFIG);
        assert_int_equal(report->errors.count, 1);
        assert_non_null(strstr(report->errors.lines[0], floods[i].says));
        free(text);
    }
    free(report);
}

static void report__more_lines_than_kept__counts_them(void **state)
{
    struct config_report *report = calloc(1, sizeof *report);
    struct config *config = NULL;
    char yaml[4096] = "weft:\n";
    size_t used = strlen(yaml);
    (void)state;
    assert_non_null(report);
    for (int i = 0; i < 100; i++) {
        used += (size_t)snprintf(yaml + used, sizeof yaml - used, "  unknown_%d: 1\n", i);
    }
    assert_int_equal(config_decode_faked(&config, yaml, used, "/etc/weft", NULL, report), WEFT_ERR_CONFIG);
    assert_int_equal(report->errors.count, 100);
    assert_int_equal(config_report_kept(&report->errors), CONFIG_REPORT_LINES_MAX);
    assert_non_null(strstr(report->errors.lines[CONFIG_REPORT_LINES_MAX - 1], "unknown_63"));
    free(report);
}

static void report__control_characters__cannot_forge_a_line(void **state)
{
    static const char yaml[] = "\"k\\n2026 ERROR \\e[31m\": 1\ncluster_name: c\n";
    struct config_report *report = calloc(1, sizeof *report);
    struct config *config = NULL;
    (void)state;
    assert_non_null(report);
    assert_int_equal(config_decode_faked(&config, yaml, strlen(yaml), "/etc/weft", NULL, report), WEFT_OK);
    assert_int_equal(report->warnings.count, 1);
    assert_non_null(strstr(report->warnings.lines[0], "k\\x0a2026 ERROR \\x1b[31m"));
    config_destroy(config);
    free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config__default_files_missing__names_both_paths),
        cmocka_unit_test(config__both_spellings_of_the_revocation_list__must_agree),
        cmocka_unit_test(config__snitch_file_differs__error_at_the_yaml),
        cmocka_unit_test(config__endless_nesting_or_lists__refused_at_the_limit),
        cmocka_unit_test(report__more_lines_than_kept__counts_them),
        cmocka_unit_test(report__control_characters__cannot_forge_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
