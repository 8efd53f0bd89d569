/* SPDX-License-Identifier: Apache-2.0 */
/* A node: the topology, the policy and the engine put together.
 *
 * Split by event: node.c (create, destroy, registration), node_start.c (placement, shards), node_listen.c (ports and
 * listeners), node_ports.c (ports that come and go), node_shard.c (one shard's share: open, close), node_call.c
 * (calling a peer), node_accept.c (who may connect, and what we say of ourselves), node_fence.c (former lives of
 * peers), node_drain.c (the end), node_query.c (links and counters), node_topology.c (peers come, go and move),
 * node_adopt.c (and a shard takes that over), node_part.c (connections that must go), node_stand_in.c (for shards that
 * are not run), node_hosted.c (shards on threads of the host's), node_foreign.c (threads that are no shards),
 * node_guard.c (what the host is asked), node_identity.c (whom certificates name), node_expiry.c (when ours
 * ends), node_metrics.c. */
#ifndef TOPOLOGY_CLUSTER_NODE_H
#define TOPOLOGY_CLUSTER_NODE_H

#include <weft/guard.h>
#include <weft/node.h>

#include "engine/net/listener.h"
#include "engine/reactor/engine.h"
#include "engine/rpc/channel.h"
#include "tls/contexts.h"
#include "tls/credentials.h"
#include "tls/crypto.h"
#include "topology/cluster/budget.h"
#include "topology/cluster/link.h"
#include "topology/cluster/log.h"
#include "topology/cluster/node_listen.h"
#include "topology/cluster/peer.h"
#include "topology/cluster/peer_links.h"
#include "topology/cluster/settings.h"
#include "topology/cluster/topology.h"
#include "topology/machine/machine.h"
#include "topology/machine/plan.h"

enum node_state { NODE_CREATED = 0, NODE_STARTED, NODE_STOPPED };

/* Listeners on the sockets of another shard. */
struct stand_in {
    struct listener listeners[NODE_PORTS];
    bool standing;
};

/* The certificate that new connections show, and when its end was told last. */
struct certificate_end {
    int64_t not_after_s; /* since 1970; 0: there is none */
    int64_t told_s;      /* 0: by who read it, and by no shard yet */
    char not_after[24];
    char path[256];
};

/* One shard's share of a node. */
struct node_shard {
    struct weft_node *node;
    struct weft_shard *shard;
    struct net net;
    struct rpc rpc;
    struct secure_factory *factory; /* of TLS sessions; NULL: this node neither dials nor accepts TLS */
    struct listener listeners[NODE_PORTS];
    bool holds[NODE_PORTS];        /* and counted among the port's holders: node_ports.c */
    uint64_t leave_ns[NODE_PORTS]; /* when to stop accepting there; 0: the port is wanted */
    struct timer ports_timer;      /* while one is to be left, or taken up again */
    struct stand_in *stand_ins;    /* by shard; NULL: no shard is hosted, or there is no other */
    struct timer stand_in_timer;
    atomic_uint_fast64_t asked_ns;      /* when it was asked whether it is run, and has not answered; 0: it has */
    const struct topology *topology;    /* as far as this shard knows */
    enum weft_encryption encryption;    /* the scope by which what is there was decided */
    atomic_uint_fast64_t topology_seen; /* its version; what is newer, and it, stays; TOPOLOGY_NONE: reads none */
    uint32_t peers_mask;                /* of what is in there: a power of two, less one */
    struct peer_links *peers;           /* by the peer's slot plus one, touched as far as used; the first is nobody's */
    struct slots links;                 /* struct link, of all peers */
    struct timer part_timer;            /* while connections or peers are to go; node_part.c */
    bool parting;                       /* it is armed */
    struct log log;
    struct timer drain_timer;
    uint64_t drain_deadline_ns;
    struct list carried; /* calls of other shards that are under way here; call_hop.c */
    uint32_t carrying;   /* how many */
    bool begun;          /* it listens and dials */
    bool draining;
    bool settled;                           /* and counted in node->settled */
    bool drained;                           /* and counted in node->drained */
    struct tls_contexts tls;                /* zeroed: no credentials */
    _Atomic(struct tls_context *) tls_next; /* what the control thread left here, to be taken; NULL: nothing */
    struct timer expiry_timer;              /* of the first shard: node_expiry.c */
    struct timer judge_timer;               /* while certificates are; node_judge.c */
    struct timer review_timer;              /* while connections are looked at again; node_credentials.c */
};

struct weft_node {
    struct weft_allocator given_allocator;
    const struct weft_allocator *allocator; /* the one that was given; NULL: the system's */
    struct settings settings;
    struct verb_table verbs;
    struct topology *topology; /* the newest, of a list; shards read it under the lock */
    atomic_flag topology_lock;
    atomic_flag changing;       /* by the control thread: topology or credentials */
    atomic_uint slots_used;     /* of peers */
    struct peer_shared *shared; /* peers_max, by the peer's slot */
    struct tls_credentials *credentials;
    struct certificate_end certificate_end; /* under the lock of the topology */
    atomic_uint_fast64_t credentials_replaced;
    atomic_uint_fast64_t credentials_refused;
    enum weft_crypto crypto; /* with credentials: who encrypts, and why */
    char crypto_text[TLS_CRYPTO_TEXT_BYTES];
    struct engine *engine;
    struct node_shard *shards;
    struct weft_peer_counters *tallies;     /* by shard, then slot plus one (0: nobody's), then lane */
    struct weft_peer_counters *tally_bases; /* the same: what they were when the slot's peer came */
    uint32_t shard_count;
    struct machine *machine; /* while shards are placed and pinned */
    struct plan plan;
    bool pinned;
    bool hosted;
    struct io_place place;
    struct port_group groups[NODE_PORTS];
    struct log log; /* the control thread's */
    weft_task_fn *on_ready;
    void *on_ready_ctx;
    weft_admit_fn *admit;
    void *admit_ctx;
    weft_authorize_fn *authorize;
    void *authorize_ctx;
    weft_peer_fn *on_peer;
    void *on_peer_ctx;
    weft_peer_fn *on_lane;
    void *on_lane_ctx;
    atomic_bool drain_asked;
    atomic_uint draining;            /* shards that know, and have told their peers */
    atomic_uint settled;             /* shards that have no connections left but those of a goodbye */
    atomic_uint drained;             /* shards that have nothing left to do */
    atomic_bool drain_cut;           /* the drain timeout cut something off */
    atomic_uint_fast64_t sink_calls; /* of the standard verbs SINK and COUNT */
    atomic_uint_fast64_t sink_bytes;
    enum node_state state;
    atomic_uint attached; /* hosted shards that are on a thread */
};

/* Where the shards of a node run. */
struct node_placement {
    struct io_place place;
    uint32_t shard_count;
    bool pinned; /* node->plan says where */
    bool driven; /* the caller steps the shards: the simulator */
    bool hosted; /* threads of the host's attach to the shards */
    /* Of this process; 0: not known, or nobody's concern. */
    uint64_t descriptors_max;
    uint32_t descriptors_open;
    uint32_t ports; /* that dials get */
};

/* At a start: where the node stands, what its listeners admit, how it dials, the suites of TLS. */
void node_log_table(struct weft_node *node);

/* Where this machine would run the node's shards, checked as far as possible without starting. */
WEFT_NODISCARD enum weft_err node_place(struct weft_node *node, struct node_placement *placement,
                                        struct weft_error *why);

/* The sum of what this node guarantees where it would run.  @return ok | CONFIG: it does not fit; why is the sum */
WEFT_NODISCARD enum weft_err node_budget(const struct weft_node *node, const struct node_placement *placement,
                                         struct budget *budget, struct weft_error *why);

/* The machine was looked at for the last time. */
void node_forget_machine(struct weft_node *node);
/* What node_start_on made for the shards; NULL there is fine. */
void node_drop_shares(struct weft_node *node);

/* weft_node_start with a placement of the caller's. */
WEFT_NODISCARD enum weft_err node_start_on(struct weft_node *node, const struct node_placement *placement,
                                           weft_task_fn *on_ready, void *ctx, struct weft_error *why);

/* Every shard is open: settle who we are, and send each its first mail. */
void node_begin(struct weft_node *node);

static inline struct weft_peer_counters *node_tally(const struct weft_node *node, uint32_t shard, uint32_t peer,
                                                    enum weft_lane lane)
{
    return &node->tallies[((uint64_t)shard * (node->settings.peers_max + 1) + peer) * WEFT_LANE_COUNT + (uint32_t)lane];
}

static inline const struct weft_peer_counters *node_tally_base(const struct weft_node *node,
                                                               const struct weft_peer_counters *tally)
{
    return &node->tally_bases[tally - node->tallies];
}

static inline struct node_shard *node_shard_of(struct weft_shard *shard)
{
    return shard->user;
}

/* Does this node need TLS at all? */
/* @return ok | INVALID: NULL, where `what` was asked for */
WEFT_NODISCARD enum weft_err node_check_given(const struct weft_node *node, const char *what, struct weft_error *why);
/* The same for what belongs to the control thread.  @return ok | INVALID | STATE: called from inside of a shard's turn,
 * where it would wait for itself */
WEFT_NODISCARD enum weft_err node_check_control(const struct weft_node *node, const char *what, struct weft_error *why);
/* The same, and nothing else of that kind begins before node_control_end: a log hook of the first must not come in
 * between.  @return STATE also: another one is under way */
WEFT_NODISCARD enum weft_err node_control_begin(struct weft_node *node, const char *what, struct weft_error *why);
void node_control_end(struct weft_node *node);
bool node_uses_tls(const struct weft_node *node);

/* The engine's events, one shard's share. */
enum weft_err node_shard_open(void *ctx, struct weft_shard *shard, struct weft_error *why);
/* The first mail: listen, dial, tell the embedder. */
void node_shard_start(void *ctx, struct weft_shard *shard);
void node_shard_close(void *ctx, struct weft_shard *shard);
void node_shard_signal(void *ctx, struct weft_shard *shard);

/* The acceptor's half: a socket arrived at a listener of the share's. */
void node_arrived(struct listener *listener, int32_t socket, const struct address *from);
/* Is this an address that this node listens on? */
bool node_listens_on(const struct weft_node *node, const struct address *address);
/* Standing in for shards that their host does not run; node_stand_in.c. */
void node_stand_in_start(struct node_shard *share);
void node_stand_in_stop(struct node_shard *share);
bool node_stand_in_rests(const struct node_shard *share);
/* Fill a hello of ours. */
void node_introduce(const struct node_shard *share, const char *lane, struct hello *hello);
/* What a peer's hello claims, against what we know; WEFT_REASON_NONE: fits.  @param why NULL, or may say more if not */
enum weft_reason node_check_hello(const struct node_shard *share, const struct hello *hello, const struct peer *entry,
                                  struct weft_error *why);
/* What ended a connection is known by the reason alone. */
bool node_text_says_no_more(const struct weft_error *error);
/* What a certificate names, against the peer that shows it; node_identity.c.
 * @param theirs NULL: what the certificate alone decides   @param why NULL, or says more if it refuses */
enum weft_reason node_check_identity(const struct node_shard *share, const struct channel *channel,
                                     const struct negotiation *theirs, const struct peer *entry,
                                     struct weft_error *why);
/* Whom its certificate names, and whether that is as require_endpoint_verification would have it, on or off. */
enum weft_reason node_identify(const struct node_shard *share, const struct channel *channel,
                               const struct negotiation *theirs, const struct peer *entry,
                               struct secure_identity *identity);
/* The host's say, node_guard.c: about a connection that is fine otherwise, and about a request. */
enum weft_reason node_ask_admit(struct node_shard *share, struct channel *channel, const struct negotiation *theirs,
                                const struct peer *entry);
bool node_ask_authorize(struct node_shard *share, const struct channel *channel, uint64_t verb);
/* The name of the peer of a channel, the zero id if none. */
weft_peer_id node_peer_of(const struct node_shard *share, const struct channel *channel);
/* After the topology changed: may it stay, and whose is it? */
void node_review_accepted(struct node_shard *share, struct channel *channel);
/* The same for its certificate alone. */
void node_judge_accepted(struct node_shard *share, struct channel *channel);
/* node_judge.c.  Have it compared with the topology again, soon.  @return false: no certificate is to be looked at */
bool node_judge(struct node_shard *share, struct channel *channel);
/* Somebody spoke as this peer, from its address alone or by a certificate of its id; node_fence.c. */
void node_fence_note(struct node_shard *share, uint32_t peer, const struct hello *hello, bool certified);
/* Close what former lives of peers left on this shard. */
void node_fence_look(struct node_shard *share);
/* Count and log a refusal. */
void node_refused(struct node_shard *share, const struct channel *channel, const char *direction);

/* Of topology_seen. */
#define TOPOLOGY_NONE UINT64_MAX
void node_topology_lock(struct weft_node *node);
void node_topology_unlock(struct weft_node *node);
/* A shard begins to read the topology; it reads the newest from now on; it ends; node_adopt.c. */
void node_adopt_first(struct node_shard *share);
void node_adopt(struct node_shard *share);
void node_adopt_end(struct node_shard *share);
/* Is this a peer that was added, but that the shard has not been told of?  It knows it from now on. */
bool node_meet(struct node_shard *share, weft_peer_id id);
/* The links for calls to a peer; NULL: there is no such peer (any more), or none that the shard has met.  The zero id
 * gives those of nobody, which have no link. */
static inline struct peer_links *node_peer_links(struct node_shard *share, weft_peer_id id)
{
    struct peer_links *links = &share->peers[(uint32_t)id.bits & share->peers_mask];
    return WEFT_LIKELY(links->id.bits == id.bits) ? links : NULL;
}

/* Dial the control connection of a peer that is here, if its home is this shard. */
void node_greet(struct node_shard *share, uint32_t peer);
/* node_credentials.c.  A context by the node's settings; the shard takes what the control thread left for it; it has
 * no session any more; the node has no shard any more. */
WEFT_NODISCARD enum weft_err node_make_context(const struct weft_node *node, const struct tls_credentials *credentials,
                                               struct tls_context **context, struct weft_error *why);
void node_credentials_adopt(struct node_shard *share);
/* node_expiry.c: the node's credentials are others; a shard begins, or has others. */
void node_expiry_set(struct weft_node *node);
void node_expiry_watch(struct node_shard *share);
void node_credentials_end(struct node_shard *share);
void node_credentials_forget(struct weft_node *node);
/* Have a connection close when its calls, or requests, have ended: by the drain timeout at the latest.  Ours has no
 * link from now on; node_part.c. */
void node_part(struct node_shard *share, struct channel *channel, enum weft_reason reason);
/* See to it that a removed peer's slot becomes free. */
void node_part_peer(struct node_shard *share);
/* How long who should close a connection may leave it idle. */
uint64_t node_grace_ns(const struct weft_node *node);
/* The peer's home: the shard that holds its control connection. */
uint32_t node_home_shard(const struct weft_node *node, uint32_t peer);
/* Most connections with a peer in one direction, over all shards. */
uint32_t node_connections_max(const struct node_shard *share, uint32_t peer);
/* The link in use with the lowest slot from `index` on, which is moved behind it; NULL: no more. */
struct link *node_shard_next_link(struct node_shard *share, uint32_t *index);

#endif
