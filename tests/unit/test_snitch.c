/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: each endpoint_snitch gives the own location and those of peers from its source and from nowhere else; what
 * proves nothing stays unknown.
 * Method: configurations are decoded from memory, with the file beside them as the case gives it.  A result is written
 * as `own dc/rack; address dc/rack; ...`, - being unknown, so that a table holds it whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/error.h"
#include "tests/unit/config_fakes.h"

#define SNITCH(name) "cluster_name: c\nlisten_address: 10.1.2.3\nendpoint_snitch: " name "\n"
#define RACK "server_encryption_options: { internode_encryption: rack }\n"

struct file_beside {
    const char *name;
    const char *text; /* NULL: there is none */
};

static enum weft_err fake_resolve(void *ctx, const char *name, struct address *address, struct weft_error *why)
{
    (void)ctx;
    if (strcmp(name, "named") == 0) {
        return address_parse(address, "10.1.2.9", 0);
    }
    return weft_error_set(why, WEFT_ERR_NOT_FOUND, "cannot resolve \"%s\"", name);
}

static enum weft_err fake_read_file(void *ctx, const char *path, char **text, size_t *bytes, struct weft_error *why)
{
    const struct file_beside *file = ctx;
    const char *slash = strrchr(path, '/');
    if (file->text == NULL || strcmp(slash + 1, file->name) != 0) {
        return weft_error_set(why, WEFT_ERR_SYSTEM, "cannot open %s", path);
    }
    *text = strdup(file->text);
    *bytes = strlen(file->text);
    return WEFT_OK;
}

static void location_append(char *text, size_t room, const char *whose, const char *dc, const char *rack)
{
    size_t used = strlen(text);
    snprintf(text + used, room - used, "%s %s/%s; ", whose, dc != NULL ? dc : "-", rack != NULL ? rack : "-");
}

static void result_write(const struct config *config, char *text, size_t room)
{
    const struct weft_node_options *options = &config->options;
    text[0] = '\0';
    location_append(text, room, "own", options->dc, options->rack);
    for (uint32_t i = 0; i < options->peer_count; i++) {
        location_append(text, room, options->peers[i].addresses[0], options->peers[i].dc, options->peers[i].rack);
    }
}

/* expected: the result; or the beginning of the only error. */
static void snitch_check(const char *yaml, const char *file, const char *file_text, const char *expected,
                         const char *warning)
{
    struct file_beside beside = {file, file_text};
    struct config_surroundings surroundings = {.ctx = &beside,
                                               .directory = "/etc/weft",
                                               .resolve = fake_resolve,
                                               .interface_address = fake_interface,
                                               .check_file = fake_check_file,
                                               .read_file = fake_read_file};
    struct config_report *report = calloc(1, sizeof *report);
    struct config *config = NULL;
    char result[1024];
    assert_non_null(report);
    enum weft_err err = config_decode(&config, "w.yaml", yaml, strlen(yaml), &surroundings, report);
    if (err == WEFT_OK) {
        result_write(config, result, sizeof result);
        assert_string_equal(result, expected);
    } else {
        assert_int_equal(report->errors.count, 1);
        assert_string_equal(report->errors.lines[0], expected);
    }
    assert_int_equal(report->warnings.count, warning != NULL ? 1 : 0);
    if (warning != NULL) {
        assert_string_equal(report->warnings.lines[0], warning);
    }
    config_destroy(config);
    free(report);
}

struct snitch_case {
    const char *yaml;
    const char *file_text;
    const char *expected;
    const char *warning;
};

static void cases_check(const struct snitch_case *cases, size_t count, const char *file)
{
    for (size_t i = 0; i < count; i++) {
        snitch_check(cases[i].yaml, file, cases[i].file_text, cases[i].expected, cases[i].warning);
    }
}

static void snitch__gossiping__own_location_of_the_file_alone(void **state)
{
    static const struct snitch_case cases[] = {
        {SNITCH("GossipingPropertyFileSnitch") "weft: { nodes: [ { address: 10.0.0.1 } ] }\n",
         "dc=d\nrack=r\ndc_suffix=_x\n", "own d_x/r; 10.0.0.1 -/-; ", NULL},
        {SNITCH("org.apache.cassandra.locator.GossipingPropertyFileSnitch") "weft: { dc: d_x, rack: r }\n",
         "dc=d\nrack=r\ndc_suffix=_x\n", "own d_x/r; ", NULL},
        {SNITCH("GossipingPropertyFileSnitch") "weft: { dc: d, rack: r }\n", "dc=d\nrack=r\ndc_suffix=_x\n",
         "w.yaml:4:13: dc: \"d\", but cassandra-rackdc.properties says \"d_x\"; make them equal, or remove one", NULL},
        {SNITCH("GossipingPropertyFileSnitch"), "dc d\nrack=r\n",
         "cassandra-rackdc.properties:1:1: line: \"dc\" is \"d\" for Cassandra, and a line without = a fault for "
         "Scylla; write dc=d",
         NULL},
    };
    (void)state;
    cases_check(cases, sizeof cases / sizeof cases[0], "cassandra-rackdc.properties");
}

#define PROPERTY_FILE SNITCH("PropertyFileSnitch")

static void snitch__property_file__own_and_peers_of_the_file(void **state)
{
    static const struct snitch_case cases[] = {
        {PROPERTY_FILE, "10.1.2.3=D:R\n10.1.2.4=D:S\nfe80\\:\\:1%1=E:R\n", "own D/R; 10.1.2.4 D/S; fe80::1%1 E/R; ",
         NULL},
        /* Entries of weft: nodes are completed; those that the file does not know stay. */
        {PROPERTY_FILE "weft: { nodes: [ { addresses: [10.1.2.4, 10.9.9.9], storage_port: 7100 }, { address: 10.1.2.5, "
                       "dc: X, rack: Y }, { address: 10.1.2.6, dc: D } ] }\n",
         "10.1.2.3=D:R\n10.9.9.9=D:S\n10.1.2.6=D:T\n", "own D/R; 10.1.2.4 D/S; 10.1.2.5 X/Y; 10.1.2.6 D/T; ", NULL},
        /* The own entry counts, too. */
        {PROPERTY_FILE "weft: { nodes: [ { address: 10.1.2.3 } ] }\n", "10.1.2.3=D:R\n", "own D/R; ", NULL},
        {PROPERTY_FILE "weft: { dc: D, rack: R }\n", "10.1.2.3=D:R\n", "own D/R; ", NULL},
        {PROPERTY_FILE "weft: { dc: D, rack: Q }\n", "10.1.2.3=D:R\n",
         "w.yaml:4:22: rack: \"Q\", but cassandra-topology.properties says \"R\"; make them equal, or remove one",
         NULL},
        {PROPERTY_FILE "weft: { nodes: [ { address: 10.1.2.4, dc: E, rack: S } ] }\n", "10.1.2.3=D:R\n10.1.2.4=D:S\n",
         "w.yaml:4:43: dc: \"E\", but cassandra-topology.properties says \"D\"; make them equal, or remove one", NULL},
        {PROPERTY_FILE "weft: { nodes: [ { addresses: [10.1.2.4, 10.1.2.5] } ] }\n",
         "10.1.2.3=D:R\n10.1.2.4=D:S\n10.1.2.5=D:T\n",
         "w.yaml:4:31: addresses: the addresses of this entry stand in different places by "
         "cassandra-topology.properties, such as \"D\" by its line 3; make them equal",
         NULL},
        {SNITCH("PropertyFileSnitch") "broadcast_address: 10.1.2.4\n", "10.1.2.3=D:R\n10.1.2.4=D:S\n",
         "w.yaml:3:18: endpoint_snitch: lines 1 and 2 of cassandra-topology.properties give this node's own addresses "
         "different locations; make them equal",
         NULL},
        /* A seed that has a line is no stranger. */
        {PROPERTY_FILE "seed_provider: [ { parameters: [ { seeds: '10.1.2.4,10.1.2.8' } ] } ]\n",
         "10.1.2.3=D:R\n10.1.2.4=D:S\n", "own D/R; 10.1.2.4 D/S; 10.1.2.8 -/-; ", NULL},
        {PROPERTY_FILE, NULL,
         "w.yaml:3:18: endpoint_snitch: cannot open /etc/weft/cassandra-topology.properties; write the file, or set "
         "weft: dc and rack",
         NULL},
        {PROPERTY_FILE "weft: { dc: D, rack: R }\n", NULL, "own D/R; ",
         "w.yaml:3:18: endpoint_snitch: cannot open /etc/weft/cassandra-topology.properties; weft: dc and rack are "
         "used"},
    };
    (void)state;
    cases_check(cases, sizeof cases / sizeof cases[0], "cassandra-topology.properties");
}

static void snitch__property_file__default_proves_nothing(void **state)
{
    static const struct snitch_case cases[] = {
        {PROPERTY_FILE "weft: { nodes: [ { address: 10.1.2.5 } ] }\n", "10.1.2.3=D:R\ndefault=D:R\n",
         "own D/R; 10.1.2.5 -/-; ", NULL},
        {PROPERTY_FILE, "10.1.2.4=D:S\ndefault=D:R\n", "own -/-; 10.1.2.4 D/S; ",
         "w.yaml:3:18: endpoint_snitch: only the default of cassandra-topology.properties covers this node, which "
         "proves no location, so its own is unknown; add a line such as 10.1.2.3=DC:RACK"},
        {PROPERTY_FILE "weft: { dc: D, rack: R }\n", "10.1.2.4=D:S\ndefault=E:R\n", "own D/R; 10.1.2.4 D/S; ", NULL},
        {PROPERTY_FILE, "10.1.2.4=D:S\n",
         "w.yaml:3:18: endpoint_snitch: cassandra-topology.properties has no line for this node; add one such as "
         "10.1.2.3=DC:RACK",
         NULL},
    };
    (void)state;
    cases_check(cases, sizeof cases / sizeof cases[0], "cassandra-topology.properties");
}

#define INFERRING SNITCH("RackInferringSnitch")

static void snitch__rack_inferring__octets_of_listed_nodes_alone(void **state)
{
    static const struct snitch_case cases[] = {
        {INFERRING "weft: { nodes: [ { address: 10.1.200.4 }, { address: 10.2.2.4, dc: X, rack: Y }, { addresses: "
                   "[10.1.2.5, 192.1.2.6] } ] }\n",
         NULL, "own 1/2; 10.1.200.4 1/200; 10.2.2.4 X/Y; 10.1.2.5 1/2; ", NULL},
        {INFERRING "broadcast_address: 10.7.8.9\n", NULL, "own 7/8; ", NULL},
        {INFERRING "weft: { dc: d, rack: r }\n", NULL, "own d/r; ", NULL},
        {INFERRING "seed_provider: [ { parameters: [ { seeds: 10.1.2.8 } ] } ]\n", NULL, "own 1/2; 10.1.2.8 -/-; ",
         NULL},
        {INFERRING "weft: { nodes: [ { addresses: [10.1.2.5, 10.1.3.5] } ] }\n", NULL, "own 1/2; 10.1.2.5 -/-; ",
         "w.yaml:4:31: addresses: RackInferringSnitch cannot tell a location from IPv6 or from addresses that differ "
         "in "
         "octets 2 and 3, so it is unknown; write dc and rack"},
        {INFERRING RACK, NULL, "own 1/2; ",
         "w.yaml:3:18: endpoint_snitch: locations are guessed from octets 2 and 3 of the addresses of weft: nodes, and "
         "decide what goes in plaintext; name dc and rack instead"},
        {"cluster_name: c\nlisten_address: '::1'\nendpoint_snitch: RackInferringSnitch\n", NULL,
         "w.yaml:3:18: endpoint_snitch: RackInferringSnitch needs this node's own IPv4 address; set broadcast_address, "
         "or weft: dc and rack",
         NULL},
        {"cluster_name: c\nlisten_address: '::1'\nendpoint_snitch: RackInferringSnitch\nweft: { dc: d, rack: r }\n",
         NULL, "own d/r; ", NULL},
    };
    (void)state;
    cases_check(cases, sizeof cases / sizeof cases[0], "");
}

static void snitch__clouds_and_unknown_names__refused_with_the_remedy(void **state)
{
    static const struct snitch_case cases[] = {
        {SNITCH("Ec2MultiRegionSnitch"), NULL,
         "w.yaml:3:18: endpoint_snitch: \"Ec2MultiRegionSnitch\" asks a cloud where this node is, which weft does not; "
         "set weft: dc and rack",
         NULL},
        {SNITCH("AzureSnitch") "weft: { dc: d }\n", NULL,
         "w.yaml:3:18: endpoint_snitch: \"AzureSnitch\" asks a cloud where this node is, which weft does not; set "
         "weft: "
         "dc and rack",
         NULL},
        {SNITCH("org.apache.cassandra.locator.GoogleCloudSnitch") "weft: { dc: d, rack: r }\n", NULL, "own d/r; ",
         "w.yaml:3:18: endpoint_snitch: \"org.apache.cassandra.locator.GoogleCloudSnitch\" is not asked; weft: dc, "
         "rack "
         "and nodes are used"},
        {SNITCH("simplesnitch"), NULL,
         "w.yaml:3:18: endpoint_snitch: \"simplesnitch\" is not a snitch; the nearest one is SimpleSnitch (or write "
         "SimpleSnitch, and set weft: dc and rack)",
         NULL},
        {SNITCH("org.apache.cassandra.Locator.PropertyFilesnitch") "weft: { dc: d, rack: r }\n", NULL,
         "w.yaml:3:18: endpoint_snitch: \"org.apache.cassandra.Locator.PropertyFilesnitch\" is not a snitch; the "
         "nearest one is PropertyFileSnitch (or write SimpleSnitch, and set weft: dc and rack)",
         NULL},
    };
    (void)state;
    cases_check(cases, sizeof cases / sizeof cases[0], "");
}

static void snitch__nodes_by_name__location_not_used(void **state)
{
    static const struct snitch_case cases[] = {
        {"cluster_name: c\n" RACK "weft: { nodes: [ { address: named, dc: d, rack: r } ] }\n", NULL,
         "own datacenter1/rack1; 10.1.2.9 -/-; ",
         "w.yaml:3:29: address: a host name proves no location, so this node's dc and rack are not used, and its links "
         "are encrypted; write its address"},
        {"cluster_name: c\nweft: { nodes: [ { address: named, dc: d, rack: r } ] }\n", NULL,
         "own datacenter1/rack1; 10.1.2.9 -/-; ", NULL},
        /* One name among the addresses spoils the entry: its connections may come from wherever the name leads. */
        {"cluster_name: c\nweft: { nodes: [ { addresses: [10.0.0.1, named], dc: d, rack: r } ] }\n", NULL,
         "own datacenter1/rack1; 10.0.0.1 -/-; ", NULL},
        /* What is said of the node itself needs no proof. */
        {"cluster_name: c\nlisten_address: named\nweft: { nodes: [ { address: named, dc: d, rack: r } ] }\n", NULL,
         "own d/r; ", NULL},
        {PROPERTY_FILE "weft: { nodes: [ { address: named } ] }\n", "10.1.2.3=D:R\n10.1.2.9=D:S\n",
         "own D/R; 10.1.2.9 -/-; ", NULL},
        {INFERRING "weft: { nodes: [ { address: named } ] }\n", NULL, "own 1/2; 10.1.2.9 -/-; ", NULL},
    };
    (void)state;
    cases_check(cases, sizeof cases / sizeof cases[0], "cassandra-topology.properties");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snitch__gossiping__own_location_of_the_file_alone),
        cmocka_unit_test(snitch__property_file__own_and_peers_of_the_file),
        cmocka_unit_test(snitch__property_file__default_proves_nothing),
        cmocka_unit_test(snitch__rack_inferring__octets_of_listed_nodes_alone),
        cmocka_unit_test(snitch__clouds_and_unknown_names__refused_with_the_remedy),
        cmocka_unit_test(snitch__nodes_by_name__location_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
