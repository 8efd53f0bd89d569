/* SPDX-License-Identifier: Apache-2.0 */
/* Other credentials while the node runs.
 *
 * Happy path: the control thread reads and checks the whole set, builds a TLS context for each shard, and leaves it
 * there; a shard takes it in its next turn.  New connections have it then, the others stay as they are.  After that the
 * shard looks again at who is connected, a few at a time: whose certificate was revoked, or is not trusted any longer,
 * is cut off.
 *
 * A connection keeps its credentials in memory, keys too, as long as it lives.  So that there are never many sets, our
 * own connections are made again once their credentials were replaced twice, and accepted ones, which their dialers
 * make again in the same way, end at last when eight sets have passed.
 *
 * Failure modes: whatever is wrong with the new set leaves the old one in use, and is one line and a count. */
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/mapping.h"
#include "engine/base/options.h"
#include "topology/cluster/node.h"

/* Replacements that a connection lives through.  Contexts of connections that end have two places more. */
#define DIALED_AGE_MAX 1u
#define ACCEPTED_AGE_MAX (TLS_CONTEXTS_FORMER_MAX - 3)
/* Verifying a chain takes some 0.2 ms: not more than half of a shard's time goes there. */
#define REVIEW_PAUSE_NS UINT64_C(2000000)
#define REVIEWS_PER_LOOK 5u

enum weft_err node_make_context(const struct weft_node *node, const struct tls_credentials *credentials,
                                struct tls_context **context, struct weft_error *why)
{
    const struct settings *settings = &node->settings;
    const struct tls_context_options options = {
        .client_auth = settings->client_auth,
        .crypto = settings->crypto,
        .priority_string = settings->priority_given ? settings->priority_string : NULL,
    };
    return tls_context_create(context, credentials, &options, why);
}

static void review_refuse(struct channel *channel, const struct weft_error *why)
{
    weft_error_set_reason(&channel->conn.error, why->code, why->reason, "%s", why->text);
    conn_abort(&channel->conn, why->code, why->reason);
}

/* It has had its credentials for too long.  @return it goes now */
static bool review_age(struct node_shard *share, struct channel *channel)
{
    uint32_t age = channel->conn.secure->ops->age(channel->conn.secure, share->factory);
    bool accepted = channel->conn.accepted;
    if (age <= (accepted ? ACCEPTED_AGE_MAX : DIALED_AGE_MAX) || channel->part_reason != WEFT_REASON_NONE) {
        return false;
    }
    COUNT(share->shard, credentials_outlived);
    if (accepted) {
        node_part(share, channel, WEFT_REASON_CREDENTIALS_REPLACED);
    } else {
        link_renew(channel->owner, WEFT_REASON_CREDENTIALS_REPLACED);
    }
    return true;
}

/* @param left set if there is more to do later   @return whether it took time */
static bool review_channel(struct node_shard *share, struct channel *channel, bool *left)
{
    struct secure *secure = channel->conn.secure;
    struct weft_error why = {0};
    if (secure == NULL || channel->conn.state == CONN_CLOSING) {
        return false;
    }
    switch (secure->ops->review(secure, share->factory, &why)) {
    case SECURE_REVIEW_EARLY:
        *left = true;
        return false;
    case SECURE_REVIEW_REFUSED:
        COUNT(share->shard, credentials_cut_off);
        review_refuse(channel, &why);
        return true;
    case SECURE_REVIEW_KEPT:
        review_age(share, channel);
        return true;
    case SECURE_REVIEW_DONE:
        break;
    }
    return channel_is_up(channel) && review_age(share, channel);
}

static void review_look(struct timer *timer, void *ctx)
{
    struct node_shard *share = ctx;
    uint32_t done = 0;
    bool left = false;
    LIST_FOR_EACH_SAFE(node, following, &share->net.live)
    {
        if (done >= REVIEWS_PER_LOOK) {
            left = true;
            break;
        }
        done += review_channel(share, channel_of(WEFT_CONTAINER_OF(node, struct conn, live)), &left);
    }
    if (left) {
        shard_timer_start(share->shard, timer, REVIEW_PAUSE_NS);
    }
}

void node_credentials_adopt(struct node_shard *share)
{
    struct tls_context *next = atomic_exchange(&share->tls_next, NULL);
    if (next == NULL) {
        return;
    }
    tls_contexts_replace(&share->tls, next);
    node_expiry_watch(share);
    timer_wheel_stop(&share->shard->wheel, &share->review_timer);
    share->review_timer = (struct timer){.fn = review_look, .ctx = share};
    review_look(&share->review_timer, share);
}

void node_credentials_end(struct node_shard *share)
{
    tls_context_destroy(atomic_exchange(&share->tls_next, NULL));
    tls_contexts_close(&share->tls);
}

void node_credentials_forget(struct weft_node *node)
{
    for (uint32_t i = 0; node->shards != NULL && i < node->shard_count; i++) {
        tls_context_destroy(atomic_exchange(&node->shards[i].tls_next, NULL)); /* left after it had ended */
    }
    tls_credentials_destroy(node->credentials);
    node->credentials = NULL;
}

/* Shards must be there, and have room for what they have now beside what they get. */
static enum weft_err replace_check(const struct weft_node *node, struct weft_error *why)
{
    if (node->credentials == NULL) {
        return weft_error_set(why, WEFT_ERR_STATE, "this node was started without TLS; restart it to have it");
    }
    if (node->state == NODE_STOPPED || atomic_load(&node->drain_asked)) {
        return weft_error_set(why, WEFT_ERR_DRAINING, "the node is stopping");
    }
    if (node->hosted && node->state == NODE_STARTED && atomic_load(&node->attached) < node->shard_count) {
        return weft_error_set(why, WEFT_ERR_STATE, "not every shard is attached yet");
    }
    for (uint32_t i = 0; node->state == NODE_STARTED && i < node->shard_count; i++) {
        /* One may wait to be taken, and another one is about to. */
        if (atomic_load(&node->shards[i].tls.former_count) + 2 > TLS_CONTEXTS_FORMER_MAX) {
            return weft_error_set(why, WEFT_ERR_QUEUE_FULL,
                                  "connections by %u earlier sets are still there; try again after drain_timeout",
                                  atomic_load(&node->shards[i].tls.former_count));
        }
    }
    return WEFT_OK;
}

static enum weft_err replace_build(const struct weft_node *node, const struct tls_credentials *fresh,
                                   struct tls_context **contexts, struct weft_error *why)
{
    enum weft_err err = WEFT_OK;
    for (uint32_t i = 0; err == WEFT_OK && i < node->shard_count; i++) {
        err = node_make_context(node, fresh, &contexts[i], why);
        if (err == WEFT_OK) {
            tls_context_leave(contexts[i]);
        }
    }
    for (uint32_t i = 0; err != WEFT_OK && i < node->shard_count; i++) {
        tls_context_destroy(contexts[i]);
    }
    return err;
}

/* Every shard gets the new set, or none. */
static enum weft_err replace_hand_out(struct weft_node *node, const struct tls_credentials *fresh,
                                      struct weft_error *why)
{
    size_t bytes = node->shard_count * sizeof(struct tls_context *);
    struct tls_context **contexts = heap_make(node->allocator, bytes);
    if (contexts == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u TLS contexts", node->shard_count);
    }
    enum weft_err err = replace_build(node, fresh, contexts, why);
    for (uint32_t i = 0; err == WEFT_OK && i < node->shard_count; i++) {
        /* What a shard has not taken is replaced, too. */
        tls_context_destroy(atomic_exchange(&node->shards[i].tls_next, contexts[i]));
    }
    heap_drop(node->allocator, contexts, bytes);
    if (err == WEFT_OK) {
        engine_signal(node->engine);
    }
    return err;
}

static enum weft_err replace_credentials(struct weft_node *node, const struct weft_node_options *options,
                                         struct weft_error *why)
{
    struct tls_credentials *fresh;
    char text[WEFT_ERROR_TEXT_BYTES];
    WEFT_TRY(replace_check(node, why));
    WEFT_TRY(tls_credentials_load(&fresh, options, why));
    if (tls_credentials_same(fresh, node->credentials)) {
        tls_credentials_destroy(fresh);
        return WEFT_OK;
    }
    enum weft_err err = tls_credentials_check_replacement(fresh, node->credentials, why);
    if (err == WEFT_OK && node->state == NODE_STARTED) {
        err = replace_hand_out(node, fresh, why);
    }
    if (err != WEFT_OK) {
        tls_credentials_destroy(fresh);
        return err;
    }
    tls_credentials_destroy(node->credentials);
    node->credentials = fresh;
    node_expiry_set(node);
    atomic_fetch_add(&node->credentials_replaced, 1);
    for (uint32_t i = 0; i < tls_credentials_warning_count(fresh); i++) {
        log_event(&node->log, 0, LOG_START, 'W', "%s", tls_credentials_warning(fresh, i));
    }
    tls_credentials_describe(fresh, text, sizeof text);
    log_event(&node->log, 0, LOG_START, 'I', "credentials: replaced for new connections: %s", text);
    return WEFT_OK;
}

enum weft_err weft_node_credentials_reload(weft_node *node, const struct weft_node_options *given,
                                           struct weft_error *why)
{
    struct weft_node_options options;
    struct weft_error fault = {0};
    if (why != NULL) {
        memset(why, 0, sizeof *why);
    }
    WEFT_TRY(node_check_given(node, "credentials", why));
    WEFT_TRY(options_take(&options, sizeof options, given, "struct weft_node_options", why));
    WEFT_TRY(node_control_begin(node, "credentials", why));
    options.require_endpoint_verification = node->settings.endpoint_verification; /* takes a restart */
    enum weft_err err = replace_credentials(node, &options, &fault);
    if (err != WEFT_OK) {
        atomic_fetch_add(&node->credentials_refused, 1);
        log_event(&node->log, 0, LOG_START, 'W', "credentials: what was stays in use: %s", fault.text);
        if (why != NULL) {
            *why = fault;
        }
    }
    node_control_end(node);
    return err;
}
