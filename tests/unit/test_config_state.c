/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a node keeps its id over starts and never says an incarnation twice; what cannot be kept is said; a damaged or
 * shared state never becomes an identity by accident.
 * Method: directories made for one test; configurations decoded from memory; the file `node` written and read by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config_state.h"
#include "config/config_state_file.h"

#define ID "6f1c2d3e-4b5a-4978-8695-a4b3c2d1e0f9"
#define OTHER_ID "11111111-4b5a-4978-8695-a4b3c2d1e0f9"

struct fixture {
    char directory[64]; /* exists */
    char state[96];     /* below it, not yet there */
    char node[128];     /* the file in it */
    struct config_report report;
    struct config *config;
};

static int fixture_make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/weft-state-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->state, sizeof fixture->state, "%s/state", fixture->directory);
    snprintf(fixture->node, sizeof fixture->node, "%s/node", fixture->state);
    unsetenv("STATE_DIRECTORY");
    *state = fixture;
    return 0;
}

static int fixture_destroy(void **state)
{
    struct fixture *fixture = *state;
    config_destroy(fixture->config);
    unlink(fixture->node);
    rmdir(fixture->state);
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture);
    return 0;
}

/* A configuration with the state directory, and what it is told of that. */
static enum weft_err take(struct fixture *fixture, const char *more)
{
    static const struct config_surroundings surroundings = {.directory = "/"};
    char yaml[512];
    config_destroy(fixture->config);
    fixture->config = NULL;
    memset(&fixture->report, 0, sizeof fixture->report);
    snprintf(yaml, sizeof yaml, "cluster_name: c\nweft:\n  state_directory: %s\n%s", fixture->state, more);
    assert_int_equal(config_decode(&fixture->config, "w.yaml", yaml, strlen(yaml), &surroundings, &fixture->report),
                     WEFT_OK);
    return config_state_take(fixture->config, &fixture->report);
}

static void write_node(const struct fixture *fixture, const char *text)
{
    mkdir(fixture->state, 0700);
    FILE *file = fopen(fixture->node, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void state__two_starts__one_id_and_a_higher_incarnation(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    char id[UUID_TEXT_BYTES];
    assert_int_equal(take(fixture, ""), WEFT_OK);
    assert_int_equal(fixture->report.warnings.count, 0);
    uint64_t incarnation = fixture->config->options.incarnation;
    assert_true(incarnation > UINT64_C(1600000000000000000));
    snprintf(id, sizeof id, "%s", fixture->config->options.node_id);
    assert_int_equal(id[14], '4');
    assert_int_equal(stat(fixture->node, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(take(fixture, ""), WEFT_OK);
    assert_string_equal(fixture->config->options.node_id, id);
    assert_true(fixture->config->options.incarnation > incarnation);
}

static void state__clock_went_back__one_more_than_the_last(void **state)
{
    struct fixture *fixture = *state;
    write_node(fixture, "weft-node 1\nnode_id " ID "\nincarnation 9000000000000000000\n");
    assert_int_equal(take(fixture, ""), WEFT_OK);
    assert_string_equal(fixture->config->options.node_id, ID);
    assert_int_equal(fixture->config->options.incarnation, UINT64_C(9000000000000000001));
}

static void state__other_id_in_the_file__is_kept_and_said(void **state)
{
    struct fixture *fixture = *state;
    write_node(fixture, "weft-node 1\nnode_id " ID "\nincarnation 7\n");
    assert_int_equal(take(fixture, "  node_id: " OTHER_ID "\n"), WEFT_OK);
    assert_string_equal(fixture->config->options.node_id, OTHER_ID);
    assert_int_equal(fixture->report.warnings.count, 1);
    assert_non_null(strstr(fixture->report.warnings.lines[0], "w.yaml:3:20: state_directory: keeps node_id " ID));
    assert_int_equal(take(fixture, ""), WEFT_OK);
    assert_string_equal(fixture->config->options.node_id, OTHER_ID);
}

static void state__damaged__error_that_names_the_line(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } damaged[] = {
        {"\n", "node:1:1: damaged"},
        {"weft-node 2\n", "node:1:1: damaged"},
        {"weft-node 1\nnode_id x\nincarnation 1\n", "node:2:1: damaged"},
        {"weft-node 1\nnode_id " ID "\n", "node:3:1: damaged"},
        {"weft-node 1\nnode_id " ID "\nincarnation 0\n", "node:3:1: damaged"},
        {"weft-node 1\nnode_id " ID "\nincarnation 18446744073709551615\n", "node:3:1: damaged"},
        {"weft-node 1\nnode_id " ID "\nincarnation 1", "node:3:1: damaged"},
        {"weft-node 1\nnode_id " ID "\nincarnation 1\nmore\n", "node:4:1: damaged"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        write_node(fixture, damaged[i].text);
        assert_int_equal(take(fixture, ""), WEFT_ERR_CONFIG);
        assert_int_equal(fixture->report.errors.count, 1);
        assert_non_null(strstr(fixture->report.errors.lines[0], damaged[i].says));
        assert_non_null(strstr(fixture->report.errors.lines[0], "remove it to start as a new node"));
    }
    write_node(fixture, "");
    assert_int_equal(take(fixture, ""), WEFT_ERR_CONFIG);
    assert_non_null(strstr(fixture->report.errors.lines[0], "is empty"));
}

static void state__text_of_ours__reads_back(void **state)
{
    const struct config_state written = {.node_id = ID, .incarnation = UINT64_MAX - 1};
    struct config_state read = {.incarnation = 0};
    char text[CONFIG_STATE_FILE_BYTES];
    (void)state;
    config_state_print(&written, text);
    assert_int_equal(config_state_parse(&read, "node", text, strlen(text), NULL), WEFT_OK);
    assert_string_equal(read.node_id, written.node_id);
    assert_int_equal(read.incarnation, written.incarnation);
    /* A NUL, and more than any file of ours has. */
    assert_int_equal(config_state_parse(&read, "node", text, strlen(text) + 1, NULL), WEFT_ERR_CONFIG);
    memset(text, 'x', sizeof text);
    assert_int_equal(config_state_parse(&read, "node", text, sizeof text, NULL), WEFT_ERR_CONFIG);
}

static void state__not_a_directory__starts_with_a_warning(void **state)
{
    struct fixture *fixture = *state;
    FILE *file = fopen(fixture->state, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(take(fixture, ""), WEFT_OK);
    assert_null(fixture->config->options.node_id);
    assert_int_equal(fixture->report.warnings.count, 1);
    assert_non_null(strstr(fixture->report.warnings.lines[0], "the node is not remembered"));
    assert_int_equal(unlink(fixture->state), 0);
}

static void state__in_use__error_where_it_was_named(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(take(fixture, ""), WEFT_OK);
    struct config *first = fixture->config;
    fixture->config = NULL;
    assert_int_equal(take(fixture, ""), WEFT_ERR_CONFIG);
    assert_non_null(strstr(fixture->report.errors.lines[0], "in use by another node"));
    config_destroy(first);
    assert_int_equal(take(fixture, ""), WEFT_OK);
}

/* Without a key: the service's directory, else one below the user's, for each address and port. */
static void state__not_named__in_the_directory_of_service_or_user(void **state)
{
    struct fixture *fixture = *state;
    static const struct config_surroundings surroundings = {.directory = "/"};
    static const char yaml[] = "cluster_name: c\nstorage_port: 7777\n";
    char path[256];
    struct stat status;
    struct config *config = NULL;
    char list[192];
    snprintf(list, sizeof list, "%s:/nowhere", fixture->state);
    for (int service = 0; service < 2; service++) {
        assert_int_equal(setenv(service ? "STATE_DIRECTORY" : "XDG_STATE_HOME", service ? list : fixture->state, 1), 0);
        assert_int_equal(config_decode(&config, "w.yaml", yaml, strlen(yaml), &surroundings, &fixture->report),
                         WEFT_OK);
        assert_int_equal(config_state_take(config, &fixture->report), WEFT_OK);
        assert_int_equal(fixture->report.warnings.count, 0);
        config_destroy(config);
        snprintf(path, sizeof path, "%s%s/node", fixture->state, service ? "" : "/weft/127.0.0.1-7777");
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(unlink(path), 0);
    }
    snprintf(path, sizeof path, "%s/weft/127.0.0.1-7777", fixture->state);
    assert_int_equal(rmdir(path), 0);
    snprintf(path, sizeof path, "%s/weft", fixture->state);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(state__two_starts__one_id_and_a_higher_incarnation, fixture_make,
                                        fixture_destroy),
        cmocka_unit_test_setup_teardown(state__clock_went_back__one_more_than_the_last, fixture_make, fixture_destroy),
        cmocka_unit_test_setup_teardown(state__other_id_in_the_file__is_kept_and_said, fixture_make, fixture_destroy),
        cmocka_unit_test_setup_teardown(state__damaged__error_that_names_the_line, fixture_make, fixture_destroy),
        cmocka_unit_test_setup_teardown(state__text_of_ours__reads_back, fixture_make, fixture_destroy),
        cmocka_unit_test_setup_teardown(state__not_a_directory__starts_with_a_warning, fixture_make, fixture_destroy),
        cmocka_unit_test_setup_teardown(state__in_use__error_where_it_was_named, fixture_make, fixture_destroy),
        cmocka_unit_test_setup_teardown(state__not_named__in_the_directory_of_service_or_user, fixture_make,
                                        fixture_destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
