/* SPDX-License-Identifier: Apache-2.0 */
/* Creating and destroying a node, and what is registered in between. */
#include "topology/cluster/node.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/base/mapping.h"
#include "engine/base/options.h"

bool node_uses_tls(const struct weft_node *node)
{
    return policy_dials_tls(node->settings.encryption) ||
           policy_has_tls_listener(node->settings.encryption, node->settings.certificate_in_block);
}

static void node_free(struct weft_node *node)
{
    node_forget_machine(node);
    node_credentials_forget(node);
    node_drop_groups(node);
    node_drop_shares(node);
    while (node->topology != NULL) {
        struct topology *older = node->topology->older;
        topology_drop(node->allocator, node->topology);
        node->topology = older;
    }
    mapping_drop(node->allocator, node->shared, node->settings.peers_max * sizeof *node->shared);
    const struct weft_allocator given = node->given_allocator;
    heap_drop(node->allocator != NULL ? &given : NULL, node, sizeof *node);
}

static enum weft_err node_init(struct weft_node *node, const struct weft_node_options *options, struct weft_error *why)
{
    WEFT_TRY(settings_init(&node->settings, options, why));
    log_init(&node->log, node->settings.log, node->settings.log_ctx, NULL);
    node->topology = topology_new(node->allocator, NULL, node->settings.peers_max);
    if (node->topology != NULL) {
        node->topology->encryption = node->settings.encryption;
        node->topology->certificate = node->settings.certificate_in_block;
    }
    node->shared = mapping_make(node->allocator, node->settings.peers_max * sizeof *node->shared);
    if (node->topology == NULL || node->shared == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for the topology");
    }
    memcpy(node->topology->dc, node->settings.dc, sizeof node->topology->dc);
    memcpy(node->topology->rack, node->settings.rack, sizeof node->topology->rack);
    WEFT_TRY(peer_array_check(options->peers, options->peer_count, why));
    /* The array is the caller's: its elements are as large as the caller knows them. */
    const uint8_t *peer = (const uint8_t *)options->peers;
    for (uint32_t i = 0; i < options->peer_count; i++, peer += options->peers->size) {
        WEFT_TRY(weft_node_peer_add(node, (const struct weft_peer_options *)(const void *)peer, NULL, why));
    }
    if (node_uses_tls(node)) {
        WEFT_TRY(tls_crypto_describe(node->settings.crypto, &node->crypto, node->crypto_text, why));
        WEFT_TRY(tls_credentials_load(&node->credentials, options, why));
        node_expiry_set(node);
    }
    return WEFT_OK;
}

enum weft_err weft_node_create(weft_node **out, const struct weft_node_options *given, struct weft_error *why)
{
    struct weft_node_options options;
    if (why != NULL) {
        memset(why, 0, sizeof *why);
    }
    WEFT_TRY(options_take(&options, sizeof options, given, "struct weft_node_options", why));
    if (out == NULL) {
        return weft_error_set(why, WEFT_ERR_INVALID, "creating a node: no place to put it; node is NULL");
    }
    const struct weft_allocator *allocator = options.allocator;
    if (allocator != NULL && (allocator->allocate == NULL || allocator->release == NULL)) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "allocator: both of allocate and release must be given");
    }
    struct weft_node *node = heap_make(allocator, sizeof *node);
    if (node == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for a node");
    }
    if (allocator != NULL) {
        node->given_allocator = *allocator;
        node->allocator = &node->given_allocator;
    }
    enum weft_err err = node_init(node, &options, why);
    if (err != WEFT_OK) {
        node_free(node);
        return err;
    }
    *out = node;
    return WEFT_OK;
}

void weft_node_destroy(weft_node *node)
{
    if (node == NULL) {
        return;
    }
    struct weft_error why = {0};
    if (node_check_control(node, "destroying the node", &why) != WEFT_OK) {
        log_event(&node->log, LOG_UNLIMITED, LOG_MISUSE, 'E', "%s", why.text);
        return;
    }
    if (node->state == NODE_STARTED) {
        weft_node_drain(node);
        (void)weft_node_wait(node);
    }
    engine_destroy(node->engine);
    node_free(node);
}

enum weft_err node_check_given(const struct weft_node *node, const char *what, struct weft_error *why)
{
    return node != NULL ? WEFT_OK
                        : weft_error_set(why, WEFT_ERR_INVALID, "%s: the node is NULL; create one first", what);
}

enum weft_err node_check_control(const struct weft_node *node, const char *what, struct weft_error *why)
{
    WEFT_TRY(node_check_given(node, what, why));
    if (node->engine != NULL && engine_is_inside(node->engine)) {
        return weft_error_set(why, WEFT_ERR_STATE, "%s: from inside of one of the node's shards; %s", what,
                              "have another thread do it, as weft_foreign_notify can");
    }
    return WEFT_OK;
}

enum weft_err node_control_begin(struct weft_node *node, const char *what, struct weft_error *why)
{
    WEFT_TRY(node_check_control(node, what, why));
    if (atomic_flag_test_and_set_explicit(&node->changing, memory_order_acquire)) {
        return weft_error_set(why, WEFT_ERR_STATE, "%s: another change of this node has not returned yet", what);
    }
    return WEFT_OK;
}

void node_control_end(struct weft_node *node)
{
    atomic_flag_clear_explicit(&node->changing, memory_order_release);
}

static enum weft_err node_check_created(const struct weft_node *node, const char *what, struct weft_error *why)
{
    WEFT_TRY(node_check_control(node, what, why));
    if (node->state != NODE_CREATED) {
        return weft_error_set(why, WEFT_ERR_STATE, "%s: the node was started already; do this before weft_node_start",
                              what);
    }
    return WEFT_OK;
}

static enum weft_err node_handle(struct weft_node *node, const struct verb *verb, struct weft_error *why)
{
    WEFT_TRY(node_check_created(node, "handling a verb", why));
    enum weft_err err = verb_table_add(&node->verbs, verb);
    if (err == WEFT_ERR_INVALID) {
        return weft_error_set(why, err,
                              "verb %llu: reserved for weft (from 2^63 up), without a function, or handled already",
                              (unsigned long long)verb->number);
    }
    return err == WEFT_OK ? err
                          : weft_error_set(why, err, "verb %llu: the table holds %u verbs",
                                           (unsigned long long)verb->number, VERBS_MAX);
}

enum weft_err weft_node_handle(weft_node *node, uint64_t number, weft_handler_fn *fn, void *ctx, struct weft_error *why)
{
    const struct verb verb = {.number = number, .fn = fn, .ctx = ctx};
    return node_handle(node, &verb, why);
}

enum weft_err weft_node_handle_one_way(weft_node *node, uint64_t number, weft_handler_fn *fn, void *ctx,
                                       struct weft_error *why)
{
    const struct verb verb = {.number = number, .fn = fn, .ctx = ctx, .one_way = true};
    return node_handle(node, &verb, why);
}

enum weft_err weft_node_shard_of(weft_node *node, uint64_t number, weft_shard_of_fn *fn, void *ctx,
                                 struct weft_error *why)
{
    WEFT_TRY(node_check_created(node, "routing a verb", why));
    if (verb_table_route(&node->verbs, number, fn, ctx) != WEFT_OK) {
        return weft_error_set(why, WEFT_ERR_NOT_FOUND,
                              "verb %llu: routed, but not handled; call weft_node_handle first",
                              (unsigned long long)number);
    }
    return WEFT_OK;
}

enum weft_err weft_node_on_peer(weft_node *node, weft_peer_fn *fn, void *ctx)
{
    WEFT_TRY(node_check_created(node, "peer events", NULL));
    node->on_peer = fn;
    node->on_peer_ctx = ctx;
    return WEFT_OK;
}

enum weft_err weft_node_on_lane(weft_node *node, weft_peer_fn *fn, void *ctx)
{
    WEFT_TRY(node_check_created(node, "lane events", NULL));
    node->on_lane = fn;
    node->on_lane_ctx = ctx;
    return WEFT_OK;
}
