/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster: several weft nodes in one simulated world, calls between them whose destinies are planned, and the oracles
 * that judge what came of each call.
 *
 * cluster.c       the whole: open, step, the calm at the end, close
 * cluster_node.c  one node: start, kill, drain, and what it tells
 * cluster_load.c  calls, and what came of each
 * cluster_serve.c their handlers; cluster_payload.c what both must agree on
 * cluster_check.c what must hold in every turn, at the end of a node, and of the history as a whole
 * cluster_seed.c  many seeds of one scenario, some of them twice; how to repeat a failure */
#ifndef TESTS_SIM_CLUSTER_H
#define TESTS_SIM_CLUSTER_H

#include <weft/node.h>

#include "engine/base/prng.h"
#include "engine/sim/sim_world.h"
#include "tests/sim/toy_secure.h"
#include "topology/cluster/node.h"

#define MS_NS UINT64_C(1000000)
#define SECOND_NS UINT64_C(1000000000)

#define CLUSTER_NODES_MAX 16u
/* Most nodes of a cluster whose number is drawn. */
#define CLUSTER_NODES_DRAWN_MAX 6u
#define CLUSTER_SHARDS_MAX 3u
/* Places for peers that a node may come to use: those of removed ones are used again, but not at once. */
#define CLUSTER_SLOTS_MAX 64u
#define CLUSTER_CALLS_MAX 100000u
#define CLUSTER_CONNS_MAX 2048u
/* Of a node whose plan says nothing. */
#define CLUSTER_CONNS_USUAL 512u
/* The largest payload: it needs a landing buffer on the way in, and several send buffers on the way out. */
#define CLUSTER_PAYLOAD_BYTES_MAX (200u * 1024)
#define CLUSTER_PORT 7000u
/* Whoever asks gets 16 KiB; no entry of the history. */
#define CLUSTER_VERB_LARGE 4u

/* What is to become of a call, if nothing goes wrong. */
enum destiny {
    DESTINY_NOW = 0,   /* answered from the handler */
    DESTINY_LATER,     /* answered by a timer */
    DESTINY_FAIL,      /* failed with a text */
    DESTINY_UNKNOWN,   /* nobody serves the verb */
    DESTINY_ONE_WAY,   /* never answered */
    DESTINY_OVERSLEEP, /* answered when the caller has given up */
    DESTINY_COUNT
};

struct cluster;
struct cluster_node;
typedef void cluster_outsider_fn(void *ctx, struct io *io);

/* One call's entry in the history. */
struct cluster_call {
    struct cluster *cluster;
    uint64_t id; /* its place in the history, from 1 */
    uint32_t node;
    uint32_t life; /* of the calling node */
    uint32_t shard;
    uint32_t peer;
    enum weft_lane lane;
    enum destiny destiny;
    uint32_t request_bytes;
    uint32_t reply_bytes;
    uint64_t timeout_ns;
    uint64_t delay_ns;       /* of the answer */
    uint64_t cancel_ns;      /* after the start its caller gives up; 0: not planned */
    struct weft_timer timer; /* for that */
    uint64_t cancelled_ns;
    bool wait_for_peer;
    bool owned;           /* its verb says which shard of the peer runs it */
    uint32_t named_shard; /* the shard of the peer that is to run it, plus 1; 0: any */
    bool named_known;     /* the peer's number of shards was, when it was made */
    uint64_t begin_ns;
    uint64_t end_ns;
    weft_call_id handle;
    bool started;     /* weft_call returned ok */
    bool cancelled;   /* weft_cancel returned ok */
    bool caller_died; /* its process was killed: nobody is there to be told */
    uint32_t ends;
    uint32_t runs; /* of the handler */
    enum weft_err err;
    enum weft_executed executed;
};

/* A request whose answer comes later. */
struct cluster_held {
    struct list_node link;
    struct weft_timer timer;
    struct cluster_node *node;
    struct cluster_call *call;
    weft_request *request;
    weft_shard *shard;
};

/* Who speaks on an accepted connection, and what was heard last. */
struct cluster_heard {
    uint32_t generation;
    uint32_t node;
    uint32_t life;
    uint32_t shard;
    enum weft_lane lane;
    uint64_t last_id[CLUSTER_SHARDS_MAX]; /* by shard of the caller */
};

/* What a node was told of one peer. */
struct cluster_watch {
    bool up;
    uint32_t ups;
    uint32_t downs;
    uint64_t changed_ns;
    enum weft_reason reason;
};

/* Makes a shard's calls. */
struct cluster_worker {
    struct weft_timer timer;
    struct cluster_node *node;
    struct weft_shard *shard; /* NULL until it is ready */
};

/* Where a node stands; NULL: unknown, to everybody. */
struct cluster_place {
    const char *dc;
    const char *rack;
};

/* How a node differs from its siblings; zero is the default. */
struct cluster_plan {
    const char *cluster_name;
    const char *claimed_dc;   /* what it says of itself, and believes; the others' topology has the true one */
    const char *claimed_rack; /* so is this */
    const char *entry_id;     /* what the others' topology says of its id; NULL: nothing */
    bool stranger;            /* the others' topology does not know it; only the last node can be one */
    enum weft_require_hello require_hello;
    uint32_t connections_max;
    const char *second_address;        /* to listen on, too; NULL: none */
    bool lists_itself;                 /* its own address is among its peers */
    uint32_t connections_per_peer_max; /* 0: as the cluster's options say */
    bool own_policy;                   /* the next two instead of the cluster's; changed between two lives */
    enum weft_encryption encryption;
    bool certificate;                                   /* one is configured: a TLS listener under none */
    void (*prepare)(struct weft_node *node, void *ctx); /* before each start; may be NULL */
    void *prepare_ctx;
};

struct cluster_node {
    struct cluster *cluster;
    uint32_t index;
    uint32_t shard_count;
    struct cluster_plan plan;
    struct cluster_place place;
    weft_peer_id ids[CLUSTER_NODES_MAX];        /* of the others; 0: they are no peers */
    weft_peer_id former_ids[CLUSTER_NODES_MAX]; /* of those that were removed */
    struct weft_node *node;                     /* NULL: down */
    uint32_t life;                              /* counts starts */
    bool draining;
    uint64_t thawed_ns;               /* when it last stood still no longer */
    bool stopped[CLUSTER_SHARDS_MAX]; /* the shard's loop ended */
    struct cluster_worker workers[CLUSTER_SHARDS_MAX];
    struct list held;
    uint32_t held_count[CLUSTER_SHARDS_MAX];
    struct cluster_watch watches[CLUSTER_NODES_MAX];
    uint64_t arena_base[CLUSTER_SHARDS_MAX];
    uint64_t started_calls;                  /* by us, in this life */
    uint32_t open_calls[CLUSTER_SHARDS_MAX]; /* of these, not ended yet */
    uint32_t starts_failed;                  /* and tried again, in all lives */
    struct cluster_heard *heard;
    uint32_t refusals_logged[2]; /* lines "refused in from …" and "refused out to …" of this life */
    char last_refusal[2][256];
    int exit_value; /* of the last life */
};

struct cluster_options {
    uint64_t seed;
    uint32_t node_count;               /* 0: drawn, 2 .. CLUSTER_NODES_DRAWN_MAX */
    uint32_t shard_count;              /* 0: drawn for each node, 1 .. CLUSTER_SHARDS_MAX */
    uint16_t connections;              /* of a normal lane; 0: the default */
    uint32_t connections_per_peer_max; /* 0: the default */
    uint32_t idle_timeout_ms;          /* 0: the default */
    bool ports_taken;                  /* every source port that a dial asks for */
    bool faults;                       /* drawn from the seed */
    struct sim_aim aim;                /* one call that fails */
    uint32_t heartbeat_ms;
    uint32_t drain_timeout_ms;
    uint32_t peers_max;    /* 0: the default; CLUSTER_SLOTS_MAX at most are looked at */
    uint32_t pause_us_max; /* between a worker's calls */
    bool small;            /* no payload above a few hundred bytes */
    bool secure;           /* the scope of encryption is drawn, with a toy record layer for TLS (toy_secure.h) */
    enum weft_encryption encryption; /* unless it is drawn */
};

struct cluster {
    struct cluster_options options;
    enum weft_encryption encryption;
    struct toy_factory toy; /* of all nodes */
    uint64_t looked_plain;  /* connections that were seen to be what the policy says */
    uint64_t looked_secure;
    uint64_t late_replies; /* of nodes that ended in good order */
    struct sim_options sim;
    struct sim_world *world;
    struct prng prng;
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    uint32_t node_count;
    struct cluster_call *calls;
    uint32_t call_count;
    uint32_t open_calls;
    bool moving;                                        /* not everybody knows yet where everybody is */
    bool load;                                          /* workers call */
    bool inside_call;                                   /* weft_call is on the stack */
    bool reply_calls;                                   /* callbacks call again */
    bool calm;                                          /* healed, and everybody found each other */
    bool loud;                                          /* print log lines */
    bool touched[CLUSTER_NODES_MAX][CLUSTER_NODES_MAX]; /* something was done to this pair */
    bool killed;                                        /* some node was */
    uint64_t cancels_late;
    uint64_t bytes_sent; /* by nodes that ended in good order */
    uint64_t bytes_received;
    struct weft_shard *running;
    uint64_t steps;
    cluster_outsider_fn *outsider; /* runs the ios that are no node's */
    void *outsider_ctx;
    uint64_t lateness_ns_max;
    uint8_t *scratch; /* CLUSTER_PAYLOAD_BYTES_MAX */
};

/* What a set of runs added up to. */
struct cluster_totals {
    uint64_t runs;
    uint64_t starts_failed;
    uint64_t calls;
    uint64_t answered;
    uint64_t by_err[32]; /* indexed by enum weft_err: how calls ended */
    uint64_t by_executed[3];
    uint64_t cancels_late; /* planned ones that came when the call had ended */
    uint64_t late_replies;
    uint64_t refused_starts;
    uint64_t bitten[SIM_FAULT_COUNT];
    uint64_t errors[SIM_CALL_COUNT]; /* injected, by kind of call */
    uint64_t lateness_ns_max;
    uint64_t looked_plain;
    uint64_t looked_secure;
};

/* cluster.c */
void cluster_options_init(struct cluster_options *options, uint64_t seed);
/* The world and the plan of its nodes, none of which runs yet. */
void cluster_open(struct cluster *cluster, const struct cluster_options *options);
/* One turn of one shard; false if nothing will ever happen again. */
bool cluster_step(struct cluster *cluster);
void cluster_run(struct cluster *cluster, uint64_t for_ns);
typedef bool cluster_condition_fn(struct cluster *cluster);
/* Run until it holds, at most for so long; whether it holds. */
bool cluster_run_until(struct cluster *cluster, uint64_t for_ns, cluster_condition_fn *condition);
/* Between two nodes nothing passes, in both directions or in one (sim_world.h). */
void cluster_partition(struct cluster *cluster, uint32_t a, uint32_t b, bool cut);
void cluster_cut(struct cluster *cluster, uint32_t from, uint32_t to, bool cut);
/* The process stands still until it is told otherwise, and then is late with everything. */
void cluster_freeze(struct cluster_node *node, bool frozen);
/* Something was done to a node: none of its pairs is expected to be undisturbed. */
void cluster_touch(struct cluster *cluster, uint32_t node);
/* The topology of a node lists the other. */
bool cluster_knows(const struct cluster_node *node, uint32_t peer);
/* Dials of a node in this life. */
uint64_t cluster_dialed(const struct cluster_node *node);
/* Most dials of one link within a time in which none succeeds, as the back-off allows. */
uint64_t cluster_dials_max(uint64_t time_ns);
/* Most links that a node has to another. */
uint64_t cluster_links(const struct cluster_node *from, const struct cluster_node *to);
/* Every node that runs has every other one that runs, and that it knows, as a peer that is up. */
bool cluster_all_up(struct cluster *cluster);
bool cluster_no_open_calls(struct cluster *cluster);
/* Run something on a shard, in a turn of its own, and step until it ran. */
void cluster_run_on(struct cluster_node *node, uint32_t shard, weft_task_fn *fn, void *ctx);
/* The faults end; then everybody must find each other, and every call must be answered. */
void cluster_calm(struct cluster *cluster);
/* Drain all nodes that run, to the end of their loops. */
void cluster_drain(struct cluster *cluster);
/* Drain all nodes, check everything, free everything.  @param totals may be NULL   @return the hash of the run */
uint64_t cluster_close(struct cluster *cluster, struct cluster_totals *totals);
/* The id of a peer on a node. */
weft_peer_id cluster_peer_id(const struct cluster_node *node, uint32_t peer);

/* cluster_node.c */
void cluster_start_node(struct cluster_node *node);
void cluster_start(struct cluster *cluster);
void cluster_kill_node(struct cluster_node *node);
void cluster_drain_node(struct cluster_node *node);
/* All loops have ended. */
bool cluster_node_stopped(const struct cluster_node *node);
/* The scope of a node in this life. */
enum weft_encryption cluster_encryption(const struct cluster_node *node);
/* Add a peer, which is not listed, to a node that was made. */
void cluster_add_peer(struct cluster_node *node, uint32_t peer);
void cluster_remove_peer(struct cluster_node *node, uint32_t peer);
/* Tell a node where another is, or it itself. */
void cluster_tell_place(struct cluster_node *node, uint32_t peer);
/* Whether the policy of one node wants TLS to another, by their places. */
bool cluster_wants_secure(const struct cluster *cluster, uint32_t from, uint32_t to, enum weft_lane lane);
/* Wait for, check and destroy a node whose loops have ended. */
void cluster_end_node(struct cluster_node *node);

/* cluster_serve.c */
void cluster_handle_verbs(struct cluster_node *node);
void cluster_drop_held(struct cluster_node *node);
/* Ours, on the shards of a node whose loops have ended. */
void cluster_stop_timers(struct cluster_node *node);

/* cluster_load.c */
/* Draw a call of this shard, enter it into the history, and start it; the entry. */
struct cluster_call *cluster_call_random(struct cluster_node *node, uint32_t shard);
/* Fill in what cluster_call_start needs: an immediate answer, small, on the normal lane, ten seconds. */
struct cluster_call *cluster_call_new(struct cluster_node *node, uint32_t shard, uint32_t peer);
/* Start it, from the shard's turn in progress or in one of its own. */
enum weft_err cluster_call_start(struct cluster_call *call);
void cluster_worker_start(struct cluster_worker *worker);

/* cluster_check.c */
/* Budgets and accounts of the shard that just ran. */
void cluster_check_turn(struct cluster *cluster, struct weft_shard *shard);
/* Every connection of every shard is plain or sealed as the policy says. */
void cluster_check_classes(struct cluster *cluster);
/* Whether nothing is in use anywhere but what stays: connections and a heartbeat's timers. */
bool cluster_is_quiet(struct cluster *cluster);
/* Pairs of nodes that nothing was done to have not lost each other. */
void cluster_check_undisturbed(struct cluster *cluster);
/* Nothing is left of a node whose loops have ended, and its counters add up. */
void cluster_check_node_empty(struct cluster_node *node);
void cluster_check_history(struct cluster *cluster);
void cluster_add_totals(const struct cluster *cluster, struct cluster_totals *totals);

/* cluster_seed.c */
/* Fails the test with the seed and the command that repeats it. */
#define cluster_check(cluster, condition, ...)                                                                         \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            cluster_failed(cluster, __FILE__, __LINE__, #condition, __VA_ARGS__);                                      \
        }                                                                                                              \
    } while (0)
_Noreturn void cluster_failed(const struct cluster *cluster, const char *file, int line, const char *what,
                              const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Runs one seed of a scenario from open to close; the hash. */
typedef uint64_t cluster_scenario_fn(uint64_t seed, struct cluster_totals *totals);
/* Run seeds [first, first + count), every `twice_every`th a second time, which must give the same hash; different
 * seeds must give different ones.  In the environment, WEFT_SIM_SEED replaces the range; WEFT_SIM_SHARE=NUMBER/PARTS
 * makes it a PARTS-th as long, and lets it begin NUMBER ranges behind. */
void cluster_run_seeds(uint64_t first, uint32_t count, uint32_t twice_every, cluster_scenario_fn *scenario,
                       struct cluster_totals *totals);
/* The seed that WEFT_SIM_SEED asks for. */
bool cluster_seed_asked(uint64_t *seed);
/* Whether all seeds of a scenario run, so that the sums over them say something. */
bool cluster_seeds_all(void);

#endif
