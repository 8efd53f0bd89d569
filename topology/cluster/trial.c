/* SPDX-License-Identifier: Apache-2.0 */
/* A node without listeners, peers to dial and log, which makes one connection and then drains.
 *
 * Failure modes: what cannot be dialed at all ends the trial like what was dialed in vain; the node always drains. */
#include "topology/cluster/trial.h"

#include <string.h>

#include "engine/base/error.h"
#include "tls/reason.h"
#include "topology/cluster/node.h"

/* Below every incarnation of a node, which is a time: nobody is fenced by it. */
#define TRIAL_INCARNATION 1u

struct trial_run {
    const struct trial *trial;
    struct trial_result *result;
    struct weft_node *node;
    struct channel *channel;
};

static struct trial_run *trial_of(const struct channel *channel)
{
    return channel->owner;
}

static void trial_introduce(struct channel *channel, const struct negotiation *offer, struct negotiation *own)
{
    (void)offer;
    own->timeout = true;
    own->handler_duration = true;
    own->has_hello = true;
    node_introduce(node_shard_of(channel->rpc->shard), weft_lane_name(WEFT_LANE_NORMAL), &own->hello);
}

static const struct peer *trial_entry(const struct channel *channel)
{
    const struct topology *topology = node_shard_of(channel->rpc->shard)->topology;
    return peer_match_address(topology->peers, topology->slot_count, &channel->conn.remote).only;
}

static enum weft_reason trial_secured(struct channel *channel)
{
    struct trial_run *run = trial_of(channel);
    const struct node_shard *share = node_shard_of(channel->rpc->shard);
    const struct secure *secure = channel->conn.secure;
    run->result->secured = true;
    secure->ops->facts(secure, &run->result->facts);
    return node_check_identity(share, channel, NULL, trial_entry(channel), &channel->conn.error);
}

static enum weft_reason trial_admit(struct channel *channel, const struct negotiation *answer)
{
    struct trial_run *run = trial_of(channel);
    const struct node_shard *share = node_shard_of(channel->rpc->shard);
    const struct peer *entry = trial_entry(channel);
    if (answer->has_hello) {
        run->result->has_hello = true;
        run->result->hello = answer->hello;
        enum weft_reason reason = node_check_hello(share, &answer->hello, entry, NULL);
        return reason != WEFT_REASON_NONE ? reason
                                          : node_check_identity(share, channel, answer, entry, &channel->conn.error);
    }
    bool due = (entry != NULL && entry->id_known) || run->node->settings.require_hello == WEFT_REQUIRE_HELLO_ALWAYS;
    return due ? WEFT_REASON_HELLO_MISSING : WEFT_REASON_NONE;
}

static enum weft_reason trial_disclose(struct channel *channel, enum weft_reason reason)
{
    (void)channel;
    return reason;
}

static void trial_up(struct channel *channel)
{
    struct trial_run *run = trial_of(channel);
    run->result->reached = true;
    conn_close(&channel->conn, WEFT_REASON_LOCAL_CLOSE);
}

static void trial_down(struct channel *channel)
{
    struct trial_run *run = trial_of(channel);
    if (!run->result->reached) {
        run->result->error = channel->conn.error;
        run->result->told = channel->refused_by_peer || tls_reason_is_told(channel->conn.error.tls_code);
    }
    weft_node_drain(run->node);
}

static const struct channel_events trial_channel_events = {
    .introduce = trial_introduce,
    .secured = trial_secured,
    .admit = trial_admit,
    .disclose = trial_disclose,
    .up = trial_up,
    .down = trial_down,
};

/* Without listeners a node does not stick to listen_address; the one that is meant has them. */
static struct address trial_source(const struct settings *settings)
{
    struct address source = settings->dial_address;
    if (source.family == 0 && !address_is_any(&settings->listen_address)) {
        source = settings->listen_address;
        source.port = 0;
    }
    return source;
}

static void trial_begin(void *ctx, struct weft_shard *shard)
{
    struct trial_run *run = ctx;
    struct node_shard *share = node_shard_of(shard);
    struct conn_target target = {.remote = run->trial->to, .local = trial_source(&run->node->settings)};
    if (target.local.family != target.remote.family) {
        target.local.family = 0;
    }
    enum weft_err err = channel_dial(&share->rpc, &target, run->trial->tls ? share->factory : NULL,
                                     &trial_channel_events, run, &run->channel, &run->result->error);
    if (err != WEFT_OK) {
        weft_node_drain(run->node);
    }
}

static void trial_no_log(void *ctx, char level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

enum weft_err trial_run(const struct weft_node_options *options, const struct trial *trial, struct trial_result *result,
                        struct weft_error *why)
{
    struct weft_node_options own = *options;
    struct trial_run run = {.trial = trial, .result = result};
    memset(result, 0, sizeof *result);
    own.client_only = true;
    own.shards = "1";
    own.heartbeat_ms = UINT32_MAX; /* the peers are known, and not dialed */
    own.incarnation = TRIAL_INCARNATION;
    own.log = trial_no_log;
    WEFT_TRY(weft_node_create(&run.node, &own, why));
    enum weft_err err = WEFT_OK;
    if (trial->tls && !node_uses_tls(run.node)) {
        err = weft_error_set(why, WEFT_ERR_CONFIG,
                             "this node has no certificate for TLS: set certificate and keyfile in "
                             "server_encryption_options");
    }
    if (err == WEFT_OK) {
        err = weft_node_start(run.node, trial_begin, &run, why);
    }
    if (err == WEFT_OK) {
        (void)weft_node_wait(run.node);
    }
    weft_node_destroy(run.node);
    return err;
}
