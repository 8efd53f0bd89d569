/* SPDX-License-Identifier: Apache-2.0 */
/* A shard: one thread's reactor, with its memory, its timers and its mail.  Nothing here is shared for writing,
 * except where a comment says so.
 *
 * The life of the thread is the turn (turn.c): wait for completions, dispatch them, take mail, fire timers, run
 * tasks, flush what became dirty; each phase has a budget, and what is left makes the next wait not sleep. */
#ifndef ENGINE_REACTOR_SHARD_H
#define ENGINE_REACTOR_SHARD_H

#include <pthread.h>
#include <stdatomic.h>

#include <weft/node.h>
#include <weft/shard.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/metric.h"
#include "engine/base/payload.h"
#include "engine/base/prng.h"
#include "engine/base/spsc.h"
#include "engine/io/io.h"
#include "engine/reactor/timer_wheel.h"

/* Who is flushed first at the end of a turn. */
enum flush_rank { FLUSH_CONTROL = 0, FLUSH_NORMAL, FLUSH_BULK, FLUSH_RANKS };

/* Something whose output is written once per turn. */
struct flush_hook {
    struct list_node link;
    uint8_t rank; /* enum flush_rank */
    void (*flush)(struct flush_hook *hook);
};

/* Something to run later in this turn, or in the next: for what must not happen inside the call that caused it. */
struct task {
    struct list_node link;
    void (*run)(struct task *task);
};

struct shard_options {
    uint32_t recv_bufs;      /* a power of two */
    uint32_t recv_buf_bytes; /* 0: RECV_BUF_BYTES */
    uint32_t send_bufs;
    uint32_t send_buf_bytes; /* 0: SEND_BUF_BYTES */
    uint64_t arena_bytes;    /* a power of two */
    uint32_t payloads_max;   /* 0: PAYLOADS_MAX */
    uint32_t mailbox_slots;  /* a power of two; 0: MAILBOX_SLOTS */
    uint32_t events_max;     /* of a turn; 0: TURN_COMPLETIONS_MAX */
    uint32_t operations_max;
    bool busy_poll;
    bool memory_register; /* the arena, for sends without a copy */
    struct io_clock clock;
    bool pollable;                          /* a host watches the shard's descriptor */
    const struct weft_allocator *allocator; /* outlives the shard; NULL: the system's */
};

struct engine;
struct parcel;

struct weft_shard {
    struct io *io;
    struct io_place place;
    uint64_t now_ns; /* of this turn */
    uint64_t turn_number;
    uint64_t turn_ns;     /* when this turn began */
    uint32_t turn_frames; /* taken since the clock was read */
    bool turn_over;       /* they took as long as they may */
    struct timer_wheel wheel;
    struct list dirty[FLUSH_RANKS]; /* struct flush_hook */
    uint64_t lively_until_ns;       /* something other than bulk was flushed a moment ago */
    struct list tasks;              /* struct task */
    struct list starved;            /* struct task: what waits for memory or for its next turn; tried again in each */
    struct list waiting;            /* struct task: of these, whose turn has not come for want of time */
    struct spsc *inboxes;           /* one per sending shard, then one for the control thread */
    uint32_t inbox_count;
    uint32_t inbox_next; /* whose turn it is to be read first */
    bool work_left;      /* a phase ran out of budget */
    bool stop_asked;     /* by the owner: the loop ends after this turn */
    bool open;           /* guarded by the engine's lock: it runs, or ran */
    bool ended;          /* guarded by the engine's lock: takes no more mail */
    bool attached;       /* guarded by the engine's lock: hosted, and owner runs it */
    bool running;        /* hosted: inside of a turn */
    uint64_t due_ns;     /* hosted: when the next turn was due at the latest; UINT64_MAX: no timer asks for one */
    pthread_t owner;
    bool owned;               /* guarded by the engine's lock, but for owner: only it may touch the shard */
    atomic_bool sleeping;     /* other threads read and clear it */
    atomic_bool taking;       /* foreign threads may post; they read it */
    atomic_uint foreign_mask; /* whose rings to look at; set by them, cleared by the owner */
    uint32_t foreign_next;
    uint32_t signal_seen;
    uint32_t index;
    struct engine *engine;
    struct buf_pool send_pool;
    struct arena arena;     /* frames that must be assembled, arguments that must wait */
    bool memory_registered; /* of the arena */
    struct payload_pool payloads;
    struct {
        struct list waiting;               /* struct parcel: on their way back, and the mailbox was full */
        struct task retry;                 /* sends them */
        uint32_t out;                      /* made of this shard's arena, and not ended */
        _Atomic(struct parcel *) returned; /* dropped by other shards, which push; the owner takes all */
    } parcels;
    void *rpc; /* the layer above's, for its own kind on other shards; NULL: there is none */
    struct prng prng;
    struct weft_counters counters;                /* written here only, by COUNT; read by anybody, relaxed */
    struct weft_metrics metrics;                  /* in the same way, by METRIC */
    struct metric_run calls_run[WEFT_LANE_COUNT]; /* recorded at the end of the turn */
    struct metric_run requests_run[WEFT_LANE_COUNT];
    struct {
        const uint32_t *connections;
        const uint32_t *calls;
        const uint32_t *requests;
    } held; /* where the layers above keep their numbers, to be published; NULL: nobody does */
    void *user;
    uint32_t events_max;
    struct io_event events[]; /* events_max */
};

/* Count on a shard's own counters. */
#define COUNT_ADD(shard, name, n)                                                                                      \
    __atomic_store_n(&(shard)->counters.name, (shard)->counters.name + (n), __ATOMIC_RELAXED)
#define COUNT(shard, name) COUNT_ADD(shard, name, 1)
/* Measure on a shard's own metrics. */
#define METRIC(shard, name, value) metric_record(&(shard)->metrics.name, (value))

/* Open on the thread that will run the turns; close when nobody can wake the shard any more. */
WEFT_NODISCARD enum weft_err shard_open(struct weft_shard *shard, const struct shard_options *options,
                                        struct weft_error *why);
void shard_close(struct weft_shard *shard);

/* One turn, which sleeps at most so long. */
void shard_turn_within(struct weft_shard *shard, uint64_t sleep_ns_max);
static inline void shard_turn(struct weft_shard *shard)
{
    shard_turn_within(shard, IO_TIMEOUT_NEVER);
}
/* Is there something that the next turn would not sleep for? */
bool shard_has_work(const struct weft_shard *shard);
/* Between the turns of a host: have the descriptor that it watches tell when the next one is due. */
void shard_rest(struct weft_shard *shard);

static inline bool shard_is_dirty(const struct weft_shard *shard)
{
    return !list_empty(&shard->dirty[FLUSH_NORMAL]) || !list_empty(&shard->dirty[FLUSH_CONTROL]) ||
           !list_empty(&shard->dirty[FLUSH_BULK]);
}

/* engine_hosted.c.  Aborts with one line if the calling thread is not the owner. */
void shard_check_owner(const struct weft_shard *shard);

/* What a shard holds has no locks: on another thread every step would break it.  Shards that nobody runs, before and
 * after their loop and in the simulator, are anybody's. */
static inline void shard_check_thread(const struct weft_shard *shard)
{
    if (shard->owned) {
        shard_check_owner(shard);
    }
}

/* The first thing that is queued for a connection in a turn: often enough to notice a wrong thread, and no cost of a
 * call. */
static inline void shard_mark_dirty(struct weft_shard *shard, struct flush_hook *hook)
{
    if (!list_node_linked(&hook->link)) {
        shard_check_thread(shard);
        list_push_back(&shard->dirty[hook->rank], &hook->link);
    }
}

/* Give back a buffer of any queue of sends: the shard's own, or a reference. */
static inline void shard_buf_give_back(struct weft_shard *shard, struct buf *buf)
{
    if (WEFT_UNLIKELY(buf->payload != NULL)) {
        payload_drop(buf);
    } else {
        buf_give_back(&shard->send_pool, buf);
    }
}

static inline void shard_run_later(struct weft_shard *shard, struct task *task)
{
    if (!list_node_linked(&task->link)) {
        list_push_back(&shard->tasks, &task->link);
    }
}

/* Run at the beginning of the next turn, which comes soon: for what waits until others give back memory. */
static inline void shard_run_when_fed(struct weft_shard *shard, struct task *task)
{
    if (!list_node_linked(&task->link)) {
        list_push_back(&shard->starved, &task->link);
    }
}

/* The turn's clock, read again. */
static inline void shard_clock(struct weft_shard *shard)
{
    shard->now_ns = shard->io->backend->now_ns(shard->io);
    shard->turn_over = shard->now_ns - shard->turn_ns > TURN_FRAMES_NS;
}

static inline void shard_timer_start(struct weft_shard *shard, struct timer *timer, uint64_t delay_ns)
{
    timer_wheel_start(&shard->wheel, timer, shard->now_ns + delay_ns);
}

#endif
