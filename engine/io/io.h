/* SPDX-License-Identifier: Apache-2.0 */
/* The seam: everything the engine wants from the outside world goes through here.
 *
 * An operation is embedded in the object that waits for it.  io_submit queues it; the backend starts all queued
 * operations of a turn in one wait() call, and hands back events.  An event is never delivered from inside
 * io_submit or io_cancel.  The object that embeds an operation must live until the operation's last event (the one
 * without `more`), which always comes: cancelling asks for it, and never replaces it.
 *
 * Operations, and what their events carry (result is >= 0, or -errno):
 *   ACCEPT    stays armed; each event is a new socket with the peer's address, options set, not blocking anybody.
 *             Ends (no more) on -EMFILE/-ENFILE and on cancel: the owner re-arms, after a pause.
 *   CONNECT   makes a socket, binds `local` if it is given, connects; result is the socket.  On error there is none.
 *             -EADDRINUSE and -EADDRNOTAVAIL with a source_pair: both of its ports are taken.
 *   RECV      stays armed; each event with result > 0 lends a buffer, to be returned by io_lend_return in any later
 *             turn.  0 is the end of the stream and ends it.  -ENOBUFS ends it: re-arm when buffers came back.
 *             With `once` it ends with its first event, so that one turn takes no more than one buffer.
 *   LAND      receives once, into a buffer of the owner's from buf->end on, in the registry state KERNEL_WRITES from
 *             flush to event; result is the number of bytes, possibly fewer than there is room for, 0 at the end of
 *             the stream.  On one socket either RECV or LAND is in flight, never both.
 *   SEND      sends a gathered list of buffers, in the registry state KERNEL_READS from flush to event.  result is the
 *             number of bytes accepted, possibly fewer than asked; the owner submits the rest.
 *             With `zero_copy` a backend that can may say this in a first event with `more`: the kernel goes on reading
 *             the buffers until the last event, which says whether it copied them after all.  From the first event on
 *             the socket is no longer in use by the operation.
 *   SHUTDOWN  shuts down sending.
 *   CLOSE     closes a socket.  No other operation may be in flight on it.  With `reset` what the peer did not confirm
 *             is dropped, and the peer told so.
 *
 * Three backends: io_uring (the product), epoll (where io_uring is forbidden), and the simulator (engine/sim).
 */
#ifndef ENGINE_IO_IO_H
#define ENGINE_IO_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <weft/error.h>
#include <weft/node.h>

#include "engine/base/buf.h"
#include "engine/base/limits.h"
#include "engine/base/list.h"
#include "engine/io/address.h"
#include "engine/io/landing.h"

enum io_kind { IO_ACCEPT = 0, IO_CONNECT, IO_RECV, IO_SEND, IO_SHUTDOWN, IO_CLOSE, IO_LAND, IO_KIND_COUNT };
enum io_state { IO_IDLE = 0, IO_QUEUED, IO_IN_FLIGHT };

#define IO_TIMEOUT_NEVER UINT64_MAX
#define IO_SOCKET_NONE (-1)

/* Options of a socket, accepted or dialed. */
struct io_socket_options {
    const char *congestion; /* NULL: the system's */
    bool nagle;             /* true leaves Nagle's algorithm on */
    bool bind_source;       /* choose source ports by bind, as kernels before 6.3 must */
    /* 0 leaves the system's. */
    uint32_t unsent_bytes_max; /* in the kernel: more waits with us, where it can still be dropped */
    uint32_t user_timeout_ms;  /* until unacknowledged data ends the connection */
    uint32_t keepalive_idle_s; /* 0: no probes */
    uint32_t keepalive_interval_s;
    uint32_t keepalive_count;
};

struct io_op;

/* What happened to an operation. */
struct io_event {
    struct io_op *op;
    int32_t result;
    bool more;           /* the operation is still armed: more events follow */
    bool copied;         /* SEND with zero_copy, the last event: the kernel copied after all */
    struct buf *lent;    /* RECV with result > 0: bytes [begin, end) */
    struct address from; /* ACCEPT with result >= 0 */
};

typedef void io_done_fn(struct io_op *op, const struct io_event *event);

struct io_op {
    struct list_node link; /* of io->queued while QUEUED; the backend's while IN_FLIGHT, until io_cancel moves it to
                              io->cancels */
    io_done_fn *done;
    int32_t socket;
    uint32_t generation; /* counts submissions: a completion that names another one is a bug */
    uint8_t kind;
    uint8_t state;
    bool cancel_asked; /* set by io_cancel, cleared by io_submit */
    union {
        struct {
            struct address remote;
            struct address local;                    /* family 0: any */
            const struct io_socket_options *options; /* alive until the event */
            uint16_t source_pair;                    /* even: the source port is this or the next; 0: any */
            struct sockaddr_storage storage;         /* the backend's: `remote` in the system's form */
        } connect;
        struct {
            const struct io_socket_options *options; /* alive as long as the operation is armed */
        } accept;
        struct {
            bool once;
            bool single; /* the backend's: it was started so that it takes one buffer, and must be started again */
            bool hungry; /* the backend's: it found no buffer the last time */
        } recv;
        struct {
            struct buf *buf;
        } land;
        struct {
            struct buf *bufs[SEND_BUFS_MAX];
            struct iovec iov[SEND_BUFS_MAX]; /* filled by io_send_prepare */
            struct msghdr message;
            uint32_t count;
            bool zero_copy;
        } send;
        struct {
            bool reset;
        } close;
    };
};

/* Counters that a backend keeps; read by any thread, relaxed. */
struct io_counters {
    uint64_t enters;      /* system calls of the turn: io_uring_enter, or epoll_wait and every socket call */
    uint64_t operations;  /* operations started */
    uint64_t completions; /* events delivered */
    uint64_t registered;  /* sends from registered memory */
};

struct io_backend;

/* Clocks of the host's instead of the system's; NULL where it has none. */
struct io_clock {
    weft_clock_fn *monotonic;
    weft_clock_fn *wall;
    void *ctx;
};

/* Every backend's own struct begins with this. */
struct io {
    const struct io_backend *backend;
    struct io_clock clock;
    struct list queued;  /* operations to start at the next wait */
    struct list cancels; /* in-flight operations whose cancel was asked since the last wait */
    struct io_counters counters;
    bool sparing;           /* set by its owner: what arrives now has to be put aside, so let little of it arrive */
    bool never_sleeps;      /* wait only looks, and `idle` can tell beforehand whether it would look in vain */
    uint32_t queue_entries; /* of a ring: as many as memory could be locked for */
    uint32_t queue_wanted;
};

struct io_options {
    uint32_t recv_bufs; /* a power of two */
    uint32_t recv_buf_bytes;
    uint32_t operations_max;                /* in flight at once: sizes queues */
    bool busy_poll;                         /* wait never sleeps */
    struct io_clock clock;                  /* of the two real backends; the simulator's time is its own */
    bool pollable;                          /* somebody else's loop sleeps: keep a descriptor for it to watch */
    const struct weft_allocator *allocator; /* outlives the io; NULL: the system's */
};

/* The table: one call per turn, not per operation.  `host` is the machine: NULL for the real one, a simulated node
 * for the simulator. */
struct io_backend {
    const char *name;
    /* A group of listening sockets on one address, for `count` shards in their order, among which the source port
     * decides (landing.h); if it cannot, `steered` is false.  Nobody else listens there.  Any thread.  The text of the
     * error names the address; none stays open then. */
    enum weft_err (*listen)(void *host, const struct address *address, uint32_t count, int32_t *sockets, bool *steered,
                            struct weft_error *why);
    /* The source ports that dials get.  Any thread. */
    void (*port_range)(void *host, struct landing_range *range);
    /* Close a socket that no operation uses: a listening one, with all others of its group, or an accepted one that
     * nobody wants.  Any thread. */
    void (*socket_close)(void *host, int32_t socket);
    /* Open and close: on the thread that will call wait. */
    enum weft_err (*open)(void *host, const struct io_options *options, struct io **io, struct weft_error *why);
    void (*close)(struct io *io);
    /* Start everything queued, then wait until an event is there, timeout_ns passed or wake was called, and fill
     * events.  timeout 0 only looks; where io.never_sleeps, without room for events it only starts. */
    uint32_t (*wait)(struct io *io, uint64_t timeout_ns, struct io_event *events, uint32_t events_max);
    /* Where io.never_sleeps: would wait start nothing and find nothing?  A look into memory. */
    bool (*idle)(const struct io *io);
    void (*lend_return)(struct io *io, struct buf *buf);
    /* Register memory from which sends with `zero_copy` will come, so that the kernel looks its pages up once instead
     * of at each of them; once per io, and until close.  False: the system refused, and sends work as before.  NULL:
     * this backend copies. */
    bool (*memory_register)(struct io *io, void *memory, uint64_t bytes);
    /* Make wait return.  Any thread. */
    void (*wake)(struct io *io);
    /* With io_options.pollable: the descriptor to watch, always the same.  IO_SOCKET_NONE without, and in the
     * simulator, where nobody sleeps. */
    int32_t (*pollable)(struct io *io);
    /* Leave the sleeping to somebody else until the next wait: the descriptor is readable if wait would not sleep, once
     * wake is called (or was, since the last wait began), and from deadline_ns on; 0: at once. */
    void (*rest)(struct io *io, uint64_t deadline_ns);
    uint64_t (*now_ns)(struct io *io);
    uint64_t (*wall_ns)(struct io *io);
    void (*entropy)(struct io *io, void *to, uint32_t bytes);
};

/* Where a shard runs: a backend and its machine. */
struct io_place {
    const struct io_backend *backend;
    void *host;
};

extern const struct io_backend io_uring_backend;
extern const struct io_backend io_epoll_backend;

/* Prepare an operation for its first submission. */
void io_op_init(struct io_op *op, enum io_kind kind, io_done_fn *done);
/* Queue an idle operation. */
void io_submit(struct io *io, struct io_op *op);
/* Ask for the end of an operation; nothing happens if it is idle.  Its last event still comes: -ECANCELED, or what
 * it was anyway.  A queued operation that was not started yet is cancelled too. */
void io_cancel(struct io *io, struct io_op *op);
/* Hand the landing buffer to the kernel.  @return where the bytes go; *bytes is how many fit */
uint8_t *io_land_prepare(struct io_op *op, uint32_t *bytes);
/* Fill iov and message from bufs[0..count), and count the bytes. */
uint32_t io_send_prepare(struct io_op *op);

static inline bool io_op_busy(const struct io_op *op)
{
    return op->state != IO_IDLE;
}

static inline void io_lend_return(struct io *io, struct buf *buf)
{
    io->backend->lend_return(io, buf);
}

/* What both real backends mean by now_ns and wall_ns. */
uint64_t io_monotonic_ns(struct io *io);
uint64_t io_wall_ns(struct io *io);

/* For backends: the base part of opening. */
void io_init(struct io *io, const struct io_backend *backend);
/* Deliver an event: close the operation's books (idle unless more follows, send buffers taken back from the kernel),
 * then tell its owner.  The turn calls this for each event that wait gave, in order; until then an operation whose last
 * event is still to come counts as busy. */
void io_deliver(struct io *io, const struct io_event *event);

#endif
