/* SPDX-License-Identifier: Apache-2.0 */
/* cassandra-topology.properties: where nodes stand, as PropertyFileSnitch reads it. */
#ifndef TOPOLOGY_CLUSTER_TOPOLOGY_FILE_H
#define TOPOLOGY_CLUSTER_TOPOLOGY_FILE_H

#include <weft/error.h>

#include "engine/io/address.h"
#include "topology/cluster/properties.h"

/* Its name; it lies beside the configuration. */
#define TOPOLOGY_FILE "cassandra-topology.properties"
/* WEFT_PEERS_MAX lines of two longest names in escapes would have 3 MiB, and real ones have 20 to 40 bytes. */
#define TOPOLOGY_FILE_BYTES_MAX (1024u * 1024)

/* A line of the file. */
struct topology_entry {
    struct address address;
    char dc[WEFT_NAME_BYTES_MAX + 1];
    char rack[WEFT_NAME_BYTES_MAX + 1];
    uint32_t line;
};

struct topology_file {
    struct topology_entry *entries; /* by line */
    uint32_t count;
    /* default=: what Cassandra takes nodes for that have no line.  line 0: not given. */
    struct topology_entry others;
};

/* Parse the text of a file.  Pure.  @param topology given, on ok only   @param file name in messages
 * @return ok | CONFIG: every fault was told | NO_MEMORY */
WEFT_NODISCARD enum weft_err topology_file_parse(struct topology_file *topology, const char *file, const char *text,
                                                 size_t bytes, struct properties_faults *faults);
/* Zeroed is fine. */
void topology_file_fini(struct topology_file *topology);
/* The line of an address, or NULL; default= is nobody's. */
const struct topology_entry *topology_file_find(const struct topology_file *topology, const struct address *address);

#endif
