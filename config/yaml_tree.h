/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML document as a small tree, with the place of everything.  The only file that knows libyaml is yaml_tree.c.
 *
 * Bounded: depth, nodes, keys per mapping.  Refused: anchors, aliases, tags, a second document, keys that are not
 * plain words, keys given twice. */
#ifndef CONFIG_YAML_TREE_H
#define CONFIG_YAML_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

#include "config/config_arena.h"
#include "config/config_report.h"

/* scylla.yaml needs five. */
#define YAML_TREE_DEPTH_MAX 16u
/* A thousand nodes of a cluster, each with a dozen values, and the rest of the file. */
#define YAML_TREE_NODES_MAX 65536u
/* scylla.yaml has about three hundred keys. */
#define YAML_TREE_KEYS_MAX 1024u
/* Bytes of a file.  A commented scylla.yaml has 46 KiB. */
#define YAML_TREE_FILE_BYTES_MAX (1024u * 1024)

enum yaml_tree_kind { YAML_TREE_SCALAR = 0, YAML_TREE_MAPPING, YAML_TREE_SEQUENCE };

struct yaml_node {
    enum yaml_tree_kind kind;
    bool quoted;       /* a scalar in quotes, or a block of text */
    uint32_t line;     /* from 1 */
    uint32_t column;   /* from 1 */
    const char *text;  /* of a scalar, NUL-terminated, without NUL inside */
    uint32_t bytes;    /* of text */
    const char *key;   /* of a mapping's member; an item of a sequence has its sequence's; "yaml" at the root */
    uint32_t key_line; /* where the key stands; an item's own place */
    uint32_t key_column;
    uint32_t child_count;
    struct yaml_node *first;
    struct yaml_node *last;
    struct yaml_node *next; /* sibling */
};

/* Parse a document.  Nodes and texts come from the arena.  Errors go to the report, as many as can be told apart.
 * @return ok (root is never NULL) | CONFIG (root is set if only keys were given twice; the first of them stays) |
 *         NO_MEMORY */
WEFT_NODISCARD enum weft_err yaml_tree_parse(const struct yaml_node **root, struct config_arena *arena,
                                             const char *file, const char *text, size_t bytes,
                                             struct config_report *report);

/* The member of a mapping; NULL if there is none. */
const struct yaml_node *yaml_node_member(const struct yaml_node *mapping, const char *key);
/* Nothing was written: empty, ~ or null, without quotes. */
bool yaml_node_is_null(const struct yaml_node *node);
/* "text", "a list" or "a block of keys": for messages. */
const char *yaml_node_kind_name(const struct yaml_node *node);

#endif
