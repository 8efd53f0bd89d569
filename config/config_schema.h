/* SPDX-License-Identifier: Apache-2.0 */
/* Every key of a configuration, once: its block, type, bounds, default, what it is for, and what decodes it.  The
 * decoder, `weft check --schema` and docs/manual/configuration.md are made of this table. */
#ifndef CONFIG_CONFIG_SCHEMA_H
#define CONFIG_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config_scalar.h"

struct config_decoder;
struct yaml_node;

/* Where a key stands. */
enum config_block {
    CONFIG_BLOCK_ROOT = 0,
    CONFIG_BLOCK_SEED_PROVIDER,
    CONFIG_BLOCK_SEED_PARAMETERS,
    CONFIG_BLOCK_ENCRYPTION,
    CONFIG_BLOCK_WEFT,
    CONFIG_BLOCK_LANE,
    CONFIG_BLOCK_NODE,
    CONFIG_BLOCK_COUNT
};

enum config_type {
    CONFIG_TYPE_BLOCK = 0, /* keys, or a list of blocks */
    CONFIG_TYPE_NAME,
    CONFIG_TYPE_TEXT,
    CONFIG_TYPE_ADDRESS,
    CONFIG_TYPE_UUID,
    CONFIG_TYPE_PATH,
    CONFIG_TYPE_BOOL,
    CONFIG_TYPE_NUMBER,
    CONFIG_TYPE_SIZE, /* min and max in bytes */
    CONFIG_TYPE_TIME, /* min and max in nanoseconds */
    CONFIG_TYPE_WORD
};

/* What a 0 of a size or time becomes as an option, whose own 0 is the default. */
enum config_zero {
    CONFIG_ZERO_FORBIDDEN = 0,
    CONFIG_ZERO_DEFAULT,
    CONFIG_ZERO_OFF,  /* no limit */
    CONFIG_ZERO_LEAST /* the shortest */
};

typedef void config_key_fn(struct config_decoder *decoder, const struct yaml_node *value);

struct config_key {
    const char *name;
    enum config_block block;
    enum config_type type;
    const char *standard; /* the default, in words */
    const char *range;    /* where neither bounds nor words say it */
    uint64_t min;
    uint64_t max;
    const struct config_word *words;
    uint32_t word_count;
    enum config_zero zero;
    bool reloadable;
    const char *text;      /* what it is for, one line */
    config_key_fn *decode; /* NULL: as the type says, into the option */
    size_t option;         /* offset in weft_node_options; of an entry of nodes, in weft_peer_options */
    uint32_t option_bytes;
    uint64_t unit_ns; /* of an option that is a time */
};

#define CONFIG_KEY_PATH_BYTES 96u
#define CONFIG_KEY_RANGE_BYTES 192u

/* All keys, block by block. */
uint32_t config_schema_count(void);
const struct config_key *config_schema_at(uint32_t index);
/* NULL: the block has no such key. */
const struct config_key *config_schema_find(enum config_block block, const char *name);
/* The key of the block with the name that is most like it. */
const struct config_key *config_schema_nearest(enum config_block block, const char *name, uint32_t *distance);

/* Such as "weft.nodes[].address". */
void config_key_path(const struct config_key *key, char path[CONFIG_KEY_PATH_BYTES]);
/* What may be written, in words. */
void config_key_range(const struct config_key *key, char range[CONFIG_KEY_RANGE_BYTES]);
/* What the option of a key holds, as a file would write it.  @param options weft_node_options   @param text used where
 * the option is not a text itself   @return NULL: the default, or the key has no option of a node's */
const char *config_key_value(const struct config_key *key, const void *options, char text[CONFIG_QUANTITY_BYTES]);
const char *config_type_name(enum config_type type);
/* The units that a value has; "" for none. */
const char *config_type_unit(enum config_type type);
/* What a block is called in messages, such as "an entry of nodes". */
const char *config_block_name(enum config_block block);

#endif
