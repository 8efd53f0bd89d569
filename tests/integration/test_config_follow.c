/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a changed file of locations becomes another topology, a broken one changes nothing and is said once, and what
 * is not different is not handed out. Method: configurations and their files in a folder of the test's own, followed
 * with looks that come fast; the test waits for the counter of what it caused. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "config/config_follow.h"

struct fixture {
    char folder[64];
    struct config *config;
    struct config_report report;
    struct config_follow *follow;
    pthread_mutex_t lock;
    char said[2048];
};

static void keep_line(void *ctx, char level, const char *line)
{
    struct fixture *fixture = ctx;
    pthread_mutex_lock(&fixture->lock);
    size_t used = strlen(fixture->said);
    snprintf(fixture->said + used, sizeof fixture->said - used, "%c %s\n", level, line);
    pthread_mutex_unlock(&fixture->lock);
}

static int fixture_make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    pthread_mutex_init(&fixture->lock, NULL);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/weft-follow-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    *state = fixture;
    return 0;
}

static const char *path_of(const struct fixture *fixture, const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", fixture->folder, name);
    return path;
}

static int fixture_destroy(void **state)
{
    static const char *const names[] = {"w.yaml", "cassandra-topology.properties", "cassandra-rackdc.properties",
                                        "new"};
    struct fixture *fixture = *state;
    char path[256];
    config_follow_stop(fixture->follow);
    config_destroy(fixture->config);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unlink(path_of(fixture, names[i], path));
    }
    assert_int_equal(rmdir(fixture->folder), 0);
    pthread_mutex_destroy(&fixture->lock);
    free(fixture);
    return 0;
}

/* Replaced at once, as careful people do. */
static void file_replace(const struct fixture *fixture, const char *name, const char *text)
{
    char new[256];
    char path[256];
    FILE *file = fopen(path_of(fixture, "new", new), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(new, path_of(fixture, name, path)), 0);
}

static void follow(struct fixture *fixture, const char *yaml, uint64_t names_ns)
{
    const struct config_follow_options options = {.watch = {.poll_ns = 20000000, .settle_ns = 1000000},
                                                  .names_ns = names_ns,
                                                  .log = keep_line,
                                                  .log_ctx = fixture};
    struct weft_error why = {0};
    char path[256];
    file_replace(fixture, "w.yaml", yaml);
    if (config_load(&fixture->config, path_of(fixture, "w.yaml", path), &fixture->report) != WEFT_OK) {
        fail_msg("%s", fixture->report.errors.lines[0]);
    }
    assert_int_equal(config_follow_start(&fixture->follow, fixture->config, &options, &why), WEFT_OK);
}

static const struct config *taken(struct fixture *fixture)
{
    const struct config *fresh;
    while ((fresh = config_follow_take(fixture->follow)) == NULL) {
        sched_yield();
    }
    return fresh;
}

static void wait_for_faults(struct fixture *fixture, uint64_t faults)
{
    while (config_follow_counts(fixture->follow).faults < faults) {
        sched_yield();
    }
}

#define TOPOLOGY "cassandra-topology.properties"
#define YAML "cluster_name: c\nlisten_address: 10.0.0.1\nendpoint_snitch: PropertyFileSnitch\n"

static void follow__topology_changes__another_one_to_take(void **state)
{
    struct fixture *fixture = *state;
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:R\n10.0.0.2=D:R\n");
    follow(fixture, YAML, 0);
    assert_null(config_follow_take(fixture->follow));
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:S\n10.0.0.2=E:R\n10.0.0.3=D:R\n");
    const struct config *fresh = taken(fixture);
    assert_string_equal(fresh->options.rack, "S");
    assert_int_equal(fresh->options.peer_count, 2);
    assert_string_equal(fresh->options.peers[0].dc, "E");
    assert_string_equal(fresh->options.peers[1].addresses[0], "10.0.0.3");
    assert_null(config_follow_take(fixture->follow));
    /* And on from there. */
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:S\n");
    assert_int_equal(taken(fixture)->options.peer_count, 0);
    assert_int_equal(config_follow_counts(fixture->follow).changes, 2);
    assert_string_equal(fixture->said, "");
}

static void follow__broken_file__nothing_to_take_and_one_line(void **state)
{
    struct fixture *fixture = *state;
    char path[256];
    char line[512];
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:R\n10.0.0.2=D:R\n");
    follow(fixture, YAML, 0);
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:R\n10.0.0.2=D\n");
    wait_for_faults(fixture, 1);
    file_replace(fixture, TOPOLOGY, "# longer\n10.0.0.1=D:R\n10.0.0.2=D\n");
    wait_for_faults(fixture, 2);
    assert_null(config_follow_take(fixture->follow));
    assert_int_equal(unlink(path_of(fixture, TOPOLOGY, path)), 0);
    wait_for_faults(fixture, 3);
    assert_null(config_follow_take(fixture->follow));
    snprintf(
        line, sizeof line,
        "W topology: what was stays, since the files say: %s:2:10: 10.0.0.2: \"D\" has no rack, and Cassandra would "
        "take default:default; write DC:RACK\n",
        path);
    assert_memory_equal(fixture->said, line, strlen(line));
    /* Another place of the same fault is another line, the missing file a third. */
    const char *rest = fixture->said + strlen(line);
    assert_non_null(strstr(rest, ":3:10: 10.0.0.2: "));
    assert_non_null(strstr(rest, "cannot open"));
    /* Repaired: what is there now counts, and where it is as before there is nothing to take. */
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:R\n10.0.0.2=D:S\n");
    assert_string_equal(taken(fixture)->options.peers[0].rack, "S");
}

static void wait_for_reads(struct fixture *fixture, uint64_t reads)
{
    while (config_follow_counts(fixture->follow).reads < reads) {
        sched_yield();
    }
}

static void follow__fault_repaired_and_made_again__said_again(void **state)
{
    struct fixture *fixture = *state;
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:R\n");
    follow(fixture, YAML, 0);
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D\n");
    wait_for_faults(fixture, 1);
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:S\n");
    taken(fixture);
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D\n");
    wait_for_faults(fixture, 2);
    const char *second = strchr(fixture->said, '\n') + 1;
    assert_memory_equal(second, fixture->said, (size_t)(second - fixture->said));
}

static void follow__undone_before_it_was_taken__what_was_to_take(void **state)
{
    struct fixture *fixture = *state;
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:R\n");
    follow(fixture, YAML, 0);
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:S\n");
    while (config_follow_counts(fixture->follow).changes < 1) {
        sched_yield();
    }
    uint64_t reads = config_follow_counts(fixture->follow).reads;
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:R\n");
    wait_for_reads(fixture, reads + 1);
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D\n");
    wait_for_faults(fixture, 1); /* it reads one after the other: the undoing is over */
    assert_int_equal(config_follow_counts(fixture->follow).changes, 2);
    assert_string_equal(taken(fixture)->options.rack, "R");
    assert_null(config_follow_take(fixture->follow));
}

static void follow__only_the_comments_change__nothing_to_take(void **state)
{
    struct fixture *fixture = *state;
    file_replace(fixture, "cassandra-rackdc.properties", "dc=d\nrack=r\n");
    follow(fixture, "cluster_name: c\nendpoint_snitch: GossipingPropertyFileSnitch\n", 0);
    file_replace(fixture, "cassandra-rackdc.properties", "# why\ndc=d\nrack=r\n");
    wait_for_reads(fixture, 1);
    file_replace(fixture, "cassandra-rackdc.properties", "dc=d\nrack=s\n");
    assert_string_equal(taken(fixture)->options.rack, "s");
    assert_int_equal(config_follow_counts(fixture->follow).changes, 1);
}

/* The configuration itself is read at the start, and when somebody asks for it. */
static void follow__configuration_itself_changes__not_read(void **state)
{
    struct fixture *fixture = *state;
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:R\n10.0.0.2=D:R\n");
    follow(fixture, YAML, 0);
    file_replace(fixture, "w.yaml", "cluster_name: c\nlisten_address: 10.0.0.2\nendpoint_snitch: PropertyFileSnitch\n");
    file_replace(fixture, TOPOLOGY, "10.0.0.1=D:R\n10.0.0.2=D:S\n");
    const struct config *fresh = taken(fixture);
    assert_string_equal(fresh->options.listen_address, "10.0.0.1");
    assert_string_equal(fresh->options.peers[0].addresses[0], "10.0.0.2");
}

static void follow__names__asked_again(void **state)
{
    struct fixture *fixture = *state;
    follow(fixture, "cluster_name: c\nlisten_address: 10.0.0.1\nweft: { nodes: [ { address: localhost } ] }\n",
           1000000);
    wait_for_reads(fixture, 3);
    assert_int_equal(config_follow_counts(fixture->follow).names_failed, 0);
    assert_null(config_follow_take(fixture->follow));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_make, fixture_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(follow__topology_changes__another_one_to_take),
        CASE(follow__broken_file__nothing_to_take_and_one_line),
        CASE(follow__fault_repaired_and_made_again__said_again),
        CASE(follow__undone_before_it_was_taken__what_was_to_take),
        CASE(follow__only_the_comments_change__nothing_to_take),
        CASE(follow__configuration_itself_changes__not_read),
        CASE(follow__names__asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
