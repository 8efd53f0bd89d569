/* SPDX-License-Identifier: Apache-2.0 */
/* cassandra-rackdc.properties.
 *
 *     # a comment has a line of its own
 *     dc = my data centre
 *     rack = r1
 *     dc_suffix = _backup      (appended to dc)
 *     prefer_local = true      (of no use here)
 *
 * Happy path: four keys, read as Cassandra and Scylla both read them.
 *
 * Failure modes: whatever the two read differently, an unknown key, a key given twice, an empty or too long name, dc or
 * rack missing.  All of them are told. */
#include "topology/cluster/rackdc.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A file of four keys and its comments. */
#define RACKDC_FILE_BYTES_MAX (64u * 1024)

enum rackdc_key { RACKDC_DC = 0, RACKDC_RACK, RACKDC_SUFFIX, RACKDC_PREFER_LOCAL, RACKDC_KEY_COUNT };

static const char *const key_names[RACKDC_KEY_COUNT] = {"dc", "rack", "dc_suffix", "prefer_local"};

struct rackdc_reader {
    struct properties properties;
    char values[RACKDC_KEY_COUNT][WEFT_NAME_BYTES_MAX + 1];
    uint32_t lines[RACKDC_KEY_COUNT]; /* 0: not given */
};

static bool key_find(const struct rackdc_reader *reader, const struct property *property, uint32_t *which)
{
    uint32_t alike = RACKDC_KEY_COUNT;
    for (*which = 0; *which < RACKDC_KEY_COUNT; (*which)++) {
        if (strcmp(key_names[*which], property->key) == 0) {
            return true;
        }
        alike = strcasecmp(key_names[*which], property->key) == 0 ? *which : alike;
    }
    if (alike < RACKDC_KEY_COUNT) {
        properties_fault(&reader->properties, property->line, property->column, property->key,
                         "Cassandra passes over a key in this case, and Scylla refuses it; write %s", key_names[alike]);
    } else {
        properties_fault(&reader->properties, property->line, property->column, property->key,
                         "is no key of this file: Cassandra passes over it, and Scylla refuses it; write dc, rack, "
                         "dc_suffix or prefer_local");
    }
    return false;
}

static void reader_pair(struct rackdc_reader *reader, const struct property *property)
{
    const struct properties *properties = &reader->properties;
    uint32_t which;
    if (!key_find(reader, property, &which)) {
        return;
    }
    if (reader->lines[which] != 0) {
        properties_fault(
            properties, property->line, property->column, property->key,
            "is given twice, first in line %u: Cassandra takes the last, and Scylla refuses both; keep one",
            reader->lines[which]);
        return;
    }
    reader->lines[which] = property->line;
    if (property->value_bytes == 0) {
        properties_fault(properties, property->line, property->column, property->key, "is empty; %s",
                         which == RACKDC_DC || which == RACKDC_RACK ? "write a name" : "write a value or remove it");
    } else if (which == RACKDC_PREFER_LOCAL && strcmp(property->value, "true") != 0 &&
               strcmp(property->value, "false") != 0) {
        properties_fault(properties, property->value_line, property->value_column, property->key,
                         "\"%.64s\" is neither true nor false, and Scylla refuses it; write one of them",
                         property->value);
    } else if (properties_name(properties, property, 0, property->value_bytes, "name")) {
        memcpy(reader->values[which], property->value, property->value_bytes);
    }
}

static void reader_finish(const struct rackdc_reader *reader, struct rackdc *rackdc)
{
    bool dc = reader->lines[RACKDC_DC] != 0;
    bool rack = reader->lines[RACKDC_RACK] != 0;
    const char *suffix = reader->values[RACKDC_SUFFIX];
    size_t bytes = strlen(reader->values[RACKDC_DC]) + strlen(suffix);
    if (!dc || !rack) {
        properties_fault(&reader->properties, 1, 1, dc ? "rack" : "dc", "is missing%s; write both dc=... and rack=...",
                         dc || rack ? "" : ", and so is rack");
    } else if (bytes > WEFT_NAME_BYTES_MAX) {
        properties_fault(&reader->properties, reader->lines[RACKDC_SUFFIX], 1, "dc_suffix",
                         "dc and its suffix have %zu bytes; %d are the most", bytes, WEFT_NAME_BYTES_MAX);
    } else {
        snprintf(rackdc->dc, sizeof rackdc->dc, "%s", reader->values[RACKDC_DC]);
        snprintf(rackdc->dc + strlen(rackdc->dc), sizeof rackdc->dc - strlen(rackdc->dc), "%s", suffix);
        snprintf(rackdc->rack, sizeof rackdc->rack, "%s", reader->values[RACKDC_RACK]);
    }
}

enum weft_err rackdc_parse(struct rackdc *rackdc, const char *file, const char *text, size_t bytes,
                           struct properties_faults *faults)
{
    struct rackdc_reader reader = {.lines = {0}};
    struct property property;
    uint32_t faults_before = faults->count;
    *rackdc = (struct rackdc){.dc = ""};
    if (properties_open(&reader.properties, file, text, bytes, RACKDC_FILE_BYTES_MAX, faults)) {
        reader.properties.scylla = true;
        while (properties_next(&reader.properties, &property)) {
            reader_pair(&reader, &property);
        }
        if (faults->count == faults_before) {
            reader_finish(&reader, rackdc);
        }
    }
    return faults->count == faults_before ? WEFT_OK : WEFT_ERR_CONFIG;
}
