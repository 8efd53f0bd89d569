/* SPDX-License-Identifier: Apache-2.0 */
/* cassandra-topology.properties.
 *
 *     10.0.0.10=DC1:RAC1
 *     fe80\:0\:0\:0\:202\:b3ff\:fe1e\:8329=DC1:RAC3     (a colon of the key needs its backslash)
 *     default=DC1:r1                                    (nodes without a line)
 *
 * Happy path: each pair is an address and the data centre and rack of the node that has it.
 *
 * Failure modes: a key that is no single address, a host name (names prove no location), an address with two lines, a
 * value that is not exactly a data centre and a rack.  Where Cassandra would go on with something that nobody meant
 * (default:default, a cut name, the last of several), the fault says so.  All of them are told. */
#include "topology/cluster/topology_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <weft/node.h>

struct topology_reader {
    struct properties properties;
    struct topology_file *topology;
    bool full;
};

static void key_fault(const struct topology_reader *reader, const struct property *property)
{
    struct address address;
    const char *key = property->key;
    const char *what;
    if (address_parse_with_port(&address, key) == WEFT_OK) {
        what = "has a port; write the address alone, and ports in weft: nodes";
    } else if (property->separator == ':') {
        what = "is no address, since an unescaped colon ends it; in IPv6 addresses write each colon as \\:";
    } else if (strcasecmp(key, "default") == 0) {
        what = "is a host name for Cassandra in this case; write default";
    } else if (strpbrk(key, ":/%[]") == NULL && key[strspn(key, "0123456789.")] != '\0') {
        what = "is a host name, which proves no location; write the node's address";
    } else {
        what = "is no address; write one such as 10.0.0.1 or fe80\\:\\:1";
    }
    properties_fault(&reader->properties, property->line, property->column, key, "%s", what);
}

static bool key_parse(const struct topology_reader *reader, const struct property *property, struct address *address)
{
    /* Cassandra takes away slashes: addresses were printed with one in front. */
    const char *text = property->key + (property->key[0] == '/' ? 1 : 0);
    if (address_parse(address, text, 0) != WEFT_OK) {
        key_fault(reader, property);
        return false;
    }
    if (address_is_any(address) || address_is_group(address)) {
        properties_fault(&reader->properties, property->line, property->column, property->key,
                         "is no address of a single node; write the node's own");
        return false;
    }
    return true;
}

static void blanks_trim(const char *text, uint32_t *begin, uint32_t *bytes)
{
    while (*bytes > 0 && (uint8_t)text[*begin] <= ' ') {
        (*begin)++;
        (*bytes)--;
    }
    while (*bytes > 0 && (uint8_t)text[*begin + *bytes - 1] <= ' ') {
        (*bytes)--;
    }
}

/* One of the two names of a value. */
static bool part_take(const struct topology_reader *reader, const struct property *property, uint32_t begin,
                      uint32_t bytes, const char *what, char to[WEFT_NAME_BYTES_MAX + 1])
{
    blanks_trim(property->value, &begin, &bytes);
    if (bytes == 0) {
        properties_fault(&reader->properties, property->value_line, property->value_column, property->key,
                         "the %s is empty; write DC:RACK", what);
        return false;
    }
    if (!properties_name(&reader->properties, property, begin, bytes, what)) {
        return false;
    }
    memcpy(to, property->value + begin, bytes);
    to[bytes] = '\0';
    return true;
}

static bool value_parse(const struct topology_reader *reader, const struct property *property,
                        struct topology_entry *entry)
{
    const struct properties *properties = &reader->properties;
    const char *value = property->value;
    const char *colon = strchr(value, ':');
    if (colon == NULL) {
        properties_fault(properties, property->value_line, property->value_column, property->key,
                         "\"%.64s\" has no rack, and Cassandra would take default:default; write DC:RACK", value);
        return false;
    }
    if (strchr(colon + 1, ':') != NULL) {
        properties_fault(properties, property->value_line, property->value_column, property->key,
                         "\"%.64s\" has more than one colon, and Cassandra would pass over what follows the rack; "
                         "write DC:RACK",
                         value);
        return false;
    }
    if (property->separator != '=' && memchr(value, '=', property->value_bytes) != NULL) {
        properties_fault(
            properties, property->value_line, property->value_column, property->key,
            "\"%.64s\": Cassandra ends the key at the first blank or colon, so this = is a part of a name; "
            "write ADDRESS=DC:RACK",
            value);
        return false;
    }
    uint32_t dc_bytes = (uint32_t)(colon - value);
    bool dc = part_take(reader, property, 0, dc_bytes, "data centre", entry->dc);
    bool rack = part_take(reader, property, dc_bytes + 1, property->value_bytes - dc_bytes - 1, "rack", entry->rack);
    return dc && rack;
}

static void fault_twice(const struct topology_reader *reader, const struct property *property, uint32_t first)
{
    properties_fault(&reader->properties, property->line, property->column, property->key,
                     "is given twice, first in line %u, and Cassandra would take one of them; keep one", first);
}

static void reader_pair(struct topology_reader *reader, const struct property *property)
{
    struct topology_file *topology = reader->topology;
    struct topology_entry entry = {.line = property->line};
    bool others = strcmp(property->key, "default") == 0;
    if (!others && !key_parse(reader, property, &entry.address)) {
        return;
    }
    const struct topology_entry *earlier = others ? &topology->others : topology_file_find(topology, &entry.address);
    if (earlier != NULL && earlier->line != 0) {
        fault_twice(reader, property, earlier->line);
    } else if (!value_parse(reader, property, &entry)) {
        return;
    } else if (others) {
        topology->others = entry;
    } else if (topology->count < WEFT_PEERS_MAX) {
        topology->entries[topology->count++] = entry;
    } else if (!reader->full) {
        reader->full = true;
        properties_fault(&reader->properties, property->line, property->column, property->key,
                         "one node too many; %d are the most", WEFT_PEERS_MAX);
    }
}

enum weft_err topology_file_parse(struct topology_file *topology, const char *file, const char *text, size_t bytes,
                                  struct properties_faults *faults)
{
    struct topology_reader reader = {.topology = topology};
    struct property property;
    uint32_t faults_before = faults->count;
    *topology = (struct topology_file){.entries = calloc(WEFT_PEERS_MAX, sizeof *topology->entries)};
    if (topology->entries == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    if (properties_open(&reader.properties, file, text, bytes, TOPOLOGY_FILE_BYTES_MAX, faults)) {
        while (properties_next(&reader.properties, &property)) {
            reader_pair(&reader, &property);
        }
        if (faults->count == faults_before && topology->count == 0 && topology->others.line == 0) {
            properties_fault(&reader.properties, 1, 1, "file", "names no node; write lines such as 10.0.0.1=DC1:RAC1");
        }
    }
    if (faults->count != faults_before) {
        topology_file_fini(topology);
        return WEFT_ERR_CONFIG;
    }
    return WEFT_OK;
}

void topology_file_fini(struct topology_file *topology)
{
    free(topology->entries);
    *topology = (struct topology_file){.entries = NULL};
}

const struct topology_entry *topology_file_find(const struct topology_file *topology, const struct address *address)
{
    for (uint32_t i = 0; i < topology->count; i++) {
        if (address_same_ip(&topology->entries[i].address, address)) {
            return &topology->entries[i];
        }
    }
    return NULL;
}
