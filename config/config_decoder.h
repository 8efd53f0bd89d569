/* SPDX-License-Identifier: Apache-2.0 */
/* The decoding of one configuration: what its parts share.  Private to this folder.
 *
 * Each key is decoded where it stands, in the order of the file; what depends on several keys is checked in the
 * finish functions afterwards.  Nothing returns early: every fault goes to the report, and decoding goes on. */
#ifndef CONFIG_CONFIG_DECODER_H
#define CONFIG_CONFIG_DECODER_H

#include "config/config.h"
#include "config/config_scalar.h"
#include "config/config_schema.h"
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
    const char *text; /* of the file */
    size_t bytes;
    const struct yaml_node *root;
    bool memory_out;
    const struct config_key *key; /* the one that is being decoded */

    struct address own_addresses[DECODER_OWN_ADDRESSES_MAX];
    uint32_t own_address_count;
    const struct yaml_node *listen_address;
    const struct yaml_node *listen_interface;
    bool listen_on_broadcast;
    bool prefer_ipv6;
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
    const struct yaml_node *peers_max;

    /* server_encryption_options */
    const struct yaml_node *scope;
    const struct yaml_node *certificate;
    const struct yaml_node *keyfile;
    const struct yaml_node *truststore;
    const struct yaml_node *crl;
    const struct yaml_node *client_auth;
    const struct yaml_node *endpoint_verification; /* written as true */

    /* weft: */
    const struct yaml_node *dc;
    const struct yaml_node *rack;
    const struct yaml_node *keyfile_password;
    bool client_auth_plaintext_refused;
    const struct yaml_node *spiffe_ids;
    struct decoder_entry *entries;
    uint32_t entry_count;
    struct decoder_entry *entry; /* the one that is being decoded */
    int lane;                    /* the same of lanes: which one, -1 for none */
    bool lane_named;
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

/* Decode each member of a block; unknown keys are errors that name the nearest one. */
void decoder_block(struct config_decoder *decoder, const struct yaml_node *mapping, enum config_block block);
/* Decode a member with its key. */
void decoder_member(struct config_decoder *decoder, const struct yaml_node *value, const struct config_key *key);
/* Store a value in the option of its key, as the key's type says. */
void decoder_store(struct config_decoder *decoder, const struct yaml_node *value);
void decoder_store_text(struct config_decoder *decoder, const char *text);
void decoder_store_bool(struct config_decoder *decoder, bool value);

/* Values of the key that is being decoded.  Each reports what is wrong; false and NULL: there is nothing to use. */
const char *decoder_text(struct config_decoder *decoder, const struct yaml_node *value);
const char *decoder_name(struct config_decoder *decoder, const struct yaml_node *value);
bool decoder_bool(struct config_decoder *decoder, const struct yaml_node *value, bool *out);
/* Within the bounds of the key. */
bool decoder_number(struct config_decoder *decoder, const struct yaml_node *value, uint64_t *out);
bool decoder_size(struct config_decoder *decoder, const struct yaml_node *value, uint64_t *bytes);
bool decoder_time(struct config_decoder *decoder, const struct yaml_node *value, uint64_t *ns);
/* One of the words of the key. */
bool decoder_word(struct config_decoder *decoder, const struct yaml_node *value, int *out);
/* A number or a host name.  text, for messages and the resolver, may be a part of the value. */
bool decoder_resolve(struct config_decoder *decoder, const char *text, struct address *out, struct weft_error *why);
/* An address that a connection can go to or come from: no wildcard, multicast or broadcast address. */
bool decoder_host(struct config_decoder *decoder, const struct yaml_node *value, struct address *out);
/* The printed form, in the configuration's memory. */
const char *decoder_address_text(struct config_decoder *decoder, const struct address *address);
const char *decoder_arena_text(struct config_decoder *decoder, const char *text);
/* Memory of the configuration; NULL and noted if there is none. */
void *decoder_take(struct config_decoder *decoder, size_t bytes);
/* A path as it is written: NULL if there is none, or if it is a placeholder or would need a shell, which is told. */
const char *decoder_written_path(struct config_decoder *decoder, const struct yaml_node *value);
/* directory/name, or name if it is absolute. */
const char *decoder_path(struct config_decoder *decoder, const char *name);

/* One of the node's own addresses. */
bool decoder_is_own_address(const struct config_decoder *decoder, const struct address *address);
/* The entry that is the node itself; NULL: there is none. */
const struct decoder_entry *decoder_own_entry(const struct config_decoder *decoder);
void decoder_own_address_add(struct config_decoder *decoder, const struct address *address);

/* Keys with a function of their own.  The top level: */
config_key_fn decoder_listen_address, decoder_listen_interface, decoder_listen_interface_prefer_ipv6,
    decoder_broadcast_address, decoder_listen_on_broadcast_address, decoder_storage_port, decoder_ssl_storage_port,
    decoder_endpoint_snitch, decoder_seed_provider, decoder_encryption, decoder_internode_compression,
    decoder_inter_dc_tcp_nodelay, decoder_weft;
/* server_encryption_options: */
config_key_fn decoder_internode_encryption, decoder_certificate, decoder_keyfile, decoder_truststore, decoder_crl,
    decoder_client_auth, decoder_priority_string, decoder_endpoint_verification;
/* weft: */
config_key_fn decoder_weft_dc, decoder_weft_rack, decoder_state_directory, decoder_keyfile_password,
    decoder_dial_address, decoder_require_hello, decoder_shards, decoder_lanes, decoder_lane_name,
    decoder_tcp_congestion, decoder_backend, decoder_client_auth_plaintext, decoder_peers_max, decoder_spiffe_ids,
    decoder_nodes;
/* An entry of nodes: */
config_key_fn decoder_entry_address, decoder_entry_addresses, decoder_entry_dc, decoder_entry_rack;

/* What depends on several keys, after all of them. */
void decoder_encryption_finish(struct config_decoder *decoder);
void decoder_listen_finish(struct config_decoder *decoder);
/* A wildcard that peers cannot tell, and ports that collide. */
void decoder_listen_check(struct config_decoder *decoder);
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
