/* SPDX-License-Identifier: Apache-2.0 */
/* The decoding of one configuration: what its parts share.  Private to this folder.
 *
 * Each key is decoded where it stands, in the order of the file; what depends on several keys is checked in the
 * finish functions afterwards.  Nothing returns early: every fault goes to the report, and decoding goes on. */
#ifndef CONFIG_CONFIG_DECODER_H
#define CONFIG_CONFIG_DECODER_H

#include "config/config.h"
#include "config/config_scalar.h"
#include "config/config_snitch.h"
#include "config/yaml_tree.h"
#include "topology/cluster/topology_file.h"

/* listen_address, broadcast_address and dial_address. */
#define DECODER_OWN_ADDRESSES_MAX 3u

/* An entry of weft: nodes, or a line of the topology file. */
struct decoder_entry {
    const struct yaml_node *node;
    struct address addresses[WEFT_PEER_ADDRESSES_MAX];
    uint32_t address_count;
    const struct yaml_node *addresses_from; /* the key that gave them */
    const struct yaml_node *dc;
    const struct yaml_node *rack;
    struct weft_peer_options peer;
    bool own;
    bool by_name;   /* some address was given as a host name, which proves no location */
    bool from_file; /* the topology file's alone */
    bool completed; /* by a line of the topology file */
};

struct config_decoder {
    struct config *config;
    struct config_report *report;
    const struct config_surroundings *surroundings;
    const char *file;
    const struct yaml_node *root;
    bool memory_out;

    struct address own_addresses[DECODER_OWN_ADDRESSES_MAX];
    uint32_t own_address_count;
    const struct yaml_node *listen_address;
    const struct yaml_node *broadcast_address;
    const struct yaml_node *storage_port;
    const struct yaml_node *ssl_storage_port;
    bool ssl_storage_port_off; /* written as 0 */
    const struct yaml_node *snitch;
    enum snitch snitch_kind;
    struct address broadcast; /* family 0: not given */
    bool topology_read;
    struct topology_file topology; /* of PropertyFileSnitch */
    const struct yaml_node *seeds;

    /* server_encryption_options */
    const struct yaml_node *scope;
    const struct yaml_node *certificate;
    const struct yaml_node *keyfile;
    const struct yaml_node *truststore;
    const struct yaml_node *client_auth;

    /* weft: */
    const struct yaml_node *dc;
    const struct yaml_node *rack;
    bool client_auth_plaintext_refused;
    struct decoder_entry *entries;
    uint32_t entry_count;
    struct decoder_entry *entry; /* the one that is being decoded */
};

typedef void decoder_field_fn(struct config_decoder *decoder, const struct yaml_node *value);

/* A key of a block and what decodes its value. */
struct decoder_field {
    const char *name;
    decoder_field_fn *fn;
};

/* Faults at a value, under its own key or under another one. */
void decoder_error(struct config_decoder *decoder, const struct yaml_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void decoder_error_as(struct config_decoder *decoder, const struct yaml_node *at, const char *key, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));
void decoder_warning(struct config_decoder *decoder, const struct yaml_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void decoder_warning_as(struct config_decoder *decoder, const struct yaml_node *at, const char *key, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));
/* A fault of a key, where the key stands. */
void decoder_key_error(struct config_decoder *decoder, const struct yaml_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void decoder_key_warning(struct config_decoder *decoder, const struct yaml_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Decode each member of a block; unknown keys are errors that name the nearest one.  block: how to call it. */
void decoder_fields(struct config_decoder *decoder, const struct yaml_node *mapping, const char *block,
                    const struct decoder_field *fields, uint32_t field_count);
const struct decoder_field *decoder_field_find(const struct decoder_field *fields, uint32_t field_count,
                                               const char *name);

/* Values.  Each reports what is wrong; false and NULL: there is nothing to use. */
const char *decoder_text(struct config_decoder *decoder, const struct yaml_node *value);
const char *decoder_name(struct config_decoder *decoder, const struct yaml_node *value);
bool decoder_bool(struct config_decoder *decoder, const struct yaml_node *value, bool *out);
bool decoder_number(struct config_decoder *decoder, const struct yaml_node *value, uint64_t min, uint64_t max,
                    uint64_t *out);
bool decoder_size(struct config_decoder *decoder, const struct yaml_node *value, uint64_t *bytes);
bool decoder_time_ms(struct config_decoder *decoder, const struct yaml_node *value, uint32_t *out);
bool decoder_word(struct config_decoder *decoder, const struct yaml_node *value, const struct config_word *words,
                  uint32_t word_count, int *out);
/* A number or a host name.  text, for messages and the resolver, may be a part of the value. */
bool decoder_resolve(struct config_decoder *decoder, const char *text, struct address *out, struct weft_error *why);
/* An address that a connection can go to or come from: no wildcard, multicast or broadcast address. */
bool decoder_host(struct config_decoder *decoder, const struct yaml_node *value, struct address *out);
/* The printed form, in the configuration's memory. */
const char *decoder_address_text(struct config_decoder *decoder, const struct address *address);
const char *decoder_arena_text(struct config_decoder *decoder, const char *text);
/* Memory of the configuration; NULL and noted if there is none. */
void *decoder_take(struct config_decoder *decoder, size_t bytes);
/* directory/name, or name if it is absolute. */
const char *decoder_path(struct config_decoder *decoder, const char *name);

/* One of the node's own addresses. */
bool decoder_is_own_address(const struct config_decoder *decoder, const struct address *address);
/* The entry that is the node itself; NULL: there is none. */
const struct decoder_entry *decoder_own_entry(const struct config_decoder *decoder);
void decoder_own_address_add(struct config_decoder *decoder, const struct address *address);

/* The blocks. */
void decoder_encryption(struct config_decoder *decoder, const struct yaml_node *value);
/* The key belongs into server_encryption_options. */
bool decoder_encryption_has_key(const char *key);
void decoder_encryption_finish(struct config_decoder *decoder);
void decoder_seed_provider(struct config_decoder *decoder, const struct yaml_node *value);
void decoder_weft(struct config_decoder *decoder, const struct yaml_node *value);
bool decoder_weft_has_key(const char *key);
void decoder_weft_frame_timeout(struct config_decoder *decoder, const struct yaml_node *value);
void decoder_weft_send_timeout(struct config_decoder *decoder, const struct yaml_node *value);
void decoder_weft_first_request_timeout(struct config_decoder *decoder, const struct yaml_node *value);
void decoder_weft_tcp_user_timeout(struct config_decoder *decoder, const struct yaml_node *value);
void decoder_weft_tcp_keepalive_idle(struct config_decoder *decoder, const struct yaml_node *value);
void decoder_weft_tcp_keepalive_interval(struct config_decoder *decoder, const struct yaml_node *value);
void decoder_weft_tcp_keepalive_count(struct config_decoder *decoder, const struct yaml_node *value);
void decoder_weft_tcp_unsent_bytes_max(struct config_decoder *decoder, const struct yaml_node *value);
void decoder_nodes(struct config_decoder *decoder, const struct yaml_node *value);
/* Own entry, doubles, and the peers of entries and seeds. */
void decoder_peers_finish(struct config_decoder *decoder);
/* endpoint_snitch: what its file or the addresses say of the entries. */
void decoder_snitch_finish(struct config_decoder *decoder);
void decoder_snitch_fini(struct config_decoder *decoder);
void decoder_location_finish(struct config_decoder *decoder);
/* A file beside the configuration: its name in messages, and its text.  located: the own location is known without, so
 * that a missing file is only a warning */
const char *decoder_beside(struct config_decoder *decoder, const char *name);
bool decoder_read_beside(struct config_decoder *decoder, const char *name, bool located, char **text, size_t *bytes);
struct properties_faults decoder_properties_faults(struct config_decoder *decoder);
/* Two sources of one name; here may be NULL. */
void decoder_names_agree(struct config_decoder *decoder, const struct yaml_node *here, const char *there,
                         const char *source);
/* What RackInferringSnitch reads from an address.  @return false: nothing */
bool decoder_octets(struct config_decoder *decoder, const struct address *address, const char **dc, const char **rack);
/* Add the seeds behind the listed peers. */
void decoder_seeds_finish(struct config_decoder *decoder, struct weft_peer_options *peers, uint32_t peers_max);
/* Seeds written, listed or not. */
uint32_t decoder_seeds_count(const struct config_decoder *decoder);

#endif
