/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file as the options of a node: scylla.yaml, or the same with a `weft:` block.
 *
 *     struct config *config;
 *     if (config_load(&config, "weft.yaml", report) == WEFT_OK) {
 *         weft_node_create(&node, &config->options, &why);
 *         config_destroy(config);
 *     }
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <weft/node.h>

#include "config/config_arena.h"
#include "config/config_report.h"
#include "engine/io/address.h"

/* listen_address, broadcast_address, dial_address, and those of the own entry of weft: nodes. */
#define CONFIG_OWN_ADDRESSES_MAX (3u + WEFT_PEER_ADDRESSES_MAX)

/* Where the own location comes from. */
enum config_location_source {
    CONFIG_LOCATION_UNKNOWN = 0,
    CONFIG_LOCATION_WEFT,     /* weft: dc and rack */
    CONFIG_LOCATION_NODES,    /* the own entry of weft: nodes */
    CONFIG_LOCATION_RACKDC,   /* cassandra-rackdc.properties */
    CONFIG_LOCATION_TOPOLOGY, /* cassandra-topology.properties */
    CONFIG_LOCATION_ADDRESS,  /* RackInferringSnitch: octets of the own address */
    CONFIG_LOCATION_SNITCH    /* SimpleSnitch, which knows only datacenter1/rack1 */
};

struct yaml_node;

/* A host name of the configuration, and the address that it was taken for. */
struct config_name {
    const struct config_name *next;
    const char *name;
    struct address address;
};

/* Files beside a configuration that it reads. */
#define CONFIG_FILES_MAX 1u

struct config {
    struct weft_node_options options; /* points into this struct's memory */
    const struct yaml_node *root;     /* of the file, as it was written */
    enum config_location_source location_source;
    const char *state_directory; /* absolute; NULL: the default */
    uint32_t state_line;         /* where it stands; 1 for the default */
    uint32_t state_column;
    int state_fd;               /* the directory, locked by config_state_take; -1: not taken */
    uint32_t listed_peer_count; /* of options.peers: the first, from weft: nodes; those behind are seeds */
    struct address own_addresses[CONFIG_OWN_ADDRESSES_MAX]; /* numeric; none that stands for any */
    uint32_t own_address_count;
    const struct config_name *names;     /* those that were resolved */
    const char *files[CONFIG_FILES_MAX]; /* absolute; read or looked for */
    uint32_t file_count;
    const char *path; /* of the file, as it was named */
    /* What config_reread decodes again. */
    const char *directory;
    const char *text;
    size_t text_bytes;
    struct config_arena arena;
};

/* What a configuration asks of the machine it is read on; a test or a fuzzer answers itself. */
struct config_surroundings {
    void *ctx;
    const char *directory; /* of the file, absolute: relative paths start here */
    /* The address of a host name, IPv4 first. */
    enum weft_err (*resolve)(void *ctx, const char *name, struct address *address, struct weft_error *why);
    /* The one address of a network interface in a family, IPv4 unless asked otherwise. */
    enum weft_err (*interface_address)(void *ctx, const char *name, bool prefer_ipv6, struct address *address,
                                       struct weft_error *why);
    /* Whether a file could be read: a regular one, not empty.  @param mode given: its permissions */
    enum weft_err (*check_file)(void *ctx, const char *path, uint32_t *mode, struct weft_error *why);
    /* A small text file, whole.  @param text given; freed by the caller */
    enum weft_err (*read_file)(void *ctx, const char *path, char **text, size_t *bytes, struct weft_error *why);
};

/* Read, decode and check a file.  @param config given, on ok only   @param report filled: errors and warnings
 * @return ok | CONFIG (report->errors says why) | NO_MEMORY */
WEFT_NODISCARD enum weft_err config_load(struct config **config, const char *path, struct config_report *report);

/* The same from memory, for the given surroundings.  @param file name in messages */
WEFT_NODISCARD enum weft_err config_decode(struct config **config, const char *file, const char *text, size_t bytes,
                                           const struct config_surroundings *surroundings,
                                           struct config_report *report);

struct resolver;

/* Decode the text of a loaded configuration again, as the files beside it and its host names are by now; the text
 * itself is not read again.  A name that cannot be resolved keeps its address.
 * @param failed names that could not be resolved   @return as config_load */
WEFT_NODISCARD enum weft_err config_reread(struct config **config, const struct config *loaded,
                                           struct resolver *resolver, uint32_t *failed, struct config_report *report);
/* Whether two configurations say the same of where everybody is: all that weft_node_topology_apply would change. */
bool config_same_topology(const struct config *a, const struct config *b);

/* A fault that a node found in the options of a configuration, as one of the configuration's own. */
void config_report_node_error(const struct config *config, const struct weft_error *why, struct config_report *report);
/* What a node only warns of, in the same way.
 * @param told  how many warnings the configuration itself gave: what stands at the place of one of them is known */
void config_report_node_warning(const struct config *config, const char *text, uint32_t told,
                                struct config_report *report);

/* NULL is fine. */
void config_destroy(struct config *config);

/* What the options mean with their defaults. */
const char *config_cluster_name(const struct config *config);
const char *config_listen_address(const struct config *config);
uint16_t config_storage_port(const struct config *config);
uint16_t config_ssl_storage_port(const struct config *config);
/* Whether the node itself has the address. */
bool config_has_address(const struct config *config, const struct address *address);
/* What the file says of a key: the line of its value, and the value's text (NULL for a block or a list).  0: nothing.
 * @param block the key that it stands below; NULL: none   @param text may be NULL */
uint32_t config_written(const struct config *config, const char *block, const char *key, const char **text);
/* Such as "weft: dc and rack". */
const char *config_location_source_name(enum config_location_source source);

#endif
