/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  A node: options, life, handlers, peers, links and counters.
 *
 *  After fork the child must not use a node; it may exec or _exit.
 *
 *  Life: create, register handlers, start, (drain,) stop, destroy.  Control functions may be called from
 *  any one thread at a time that is not a shard's; on a shard's thread they say STATE.  What else is treated how that
 *  is called wrongly: weft.h.
 */
#ifndef WEFT_NODE_H
#define WEFT_NODE_H

#include <weft/allocator.h>
#include <weft/call.h>
#include <weft/defs.h>
#include <weft/error.h>
#include <weft/shard.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most addresses of one peer. */
#define WEFT_PEER_ADDRESSES_MAX 4
/** Most peers of one node. */
#define WEFT_PEERS_MAX 1024

/** Which links are encrypted: server_encryption_options, internode_encryption. */
enum weft_encryption {
    WEFT_ENCRYPTION_NONE = 0,
    WEFT_ENCRYPTION_RACK,
    WEFT_ENCRYPTION_DC,
    WEFT_ENCRYPTION_ALL,
    WEFT_ENCRYPTION_TRANSITIONAL
};

/** Most patterns of SPIFFE ids. */
#define WEFT_SPIFFE_IDS_MAX 16

/** Whether accepting TLS asks for a client certificate. */
enum weft_client_auth { WEFT_CLIENT_AUTH_NONE = 0, WEFT_CLIENT_AUTH_OPTIONAL, WEFT_CLIENT_AUTH_REQUIRED };

/** Who must introduce itself with a hello. */
enum weft_require_hello { WEFT_REQUIRE_HELLO_AUTO = 0, WEFT_REQUIRE_HELLO_ALWAYS, WEFT_REQUIRE_HELLO_NEVER };

/** Who encrypts.  What is asked for by name and is not there is an error, never something else instead. */
enum weft_crypto {
    WEFT_CRYPTO_AUTO = 0, /**< libipsec-mb's AES-GCM where the CPU has VAES and OpenSSL (before 3.1) does not use it */
    WEFT_CRYPTO_OPENSSL,  /**< OpenSSL alone */
    WEFT_CRYPTO_VAES,     /**< libipsec-mb's AES-GCM */
    WEFT_CRYPTO_FIPS      /**< OpenSSL's FIPS module alone */
};

/** Whether large payloads are sent without copying them into the kernel. */
enum weft_send_zerocopy {
    WEFT_SEND_ZEROCOPY_OFF = 0,
    WEFT_SEND_ZEROCOPY_AUTO,  /**< until the kernel reports on a connection that it had to copy, as on loopback */
    WEFT_SEND_ZEROCOPY_ALWAYS /**< even then: to measure it */
};

/** What a revocation list does whose time has passed. */
enum weft_crl_expired { WEFT_CRL_EXPIRED_REFUSE = 0, WEFT_CRL_EXPIRED_WARN };

/** A peer of the configured topology.  Strings are borrowed and copied. */
struct weft_peer_options {
    size_t size;
    const char *addresses[WEFT_PEER_ADDRESSES_MAX]; /**< numeric; the first is dialed, each counts as a source */
    const char *dc;                                 /**< NULL: unknown */
    const char *rack;                               /**< NULL: unknown */
    const char *id;                                 /**< UUID; NULL: not checked */
    uint16_t storage_port;                          /**< 0: the node's own */
    uint16_t ssl_storage_port;                      /**< 0: the node's own */
    uint16_t connections;                           /**< per shard on the normal lane; 0: 1 */
    const char *host_name; /**< by which the address to dial was found, so that the address proves nothing: under
                              require_endpoint_verification the peer's certificate holds this name.  NULL: none */
};
#define WEFT_PEER_OPTIONS_INIT WEFT_INIT(struct weft_peer_options)

/** TLS material and demands.  NULL paths mean not configured.  A part of struct weft_node_options that never grows:
 *  what TLS needs further stands at the end of that. */
struct weft_tls_options {
    const char *certificate; /**< PEM chain, leaf first */
    const char *keyfile;     /**< PEM key */
    const char *truststore;  /**< PEM bundle; NULL or "system": the system's trust store */
    enum weft_client_auth client_auth;
    bool certificate_in_block; /**< the certificate was named on purpose: makes a passive listener under `none` */
};

/** A logged event, rendered.  level: 'E', 'W', 'I' or 'D'.  The line has no newline.  Runs on the thread where
 *  the event happened, and must not block. */
typedef void weft_log_fn(void *ctx, char level, const char *line);

/** A clock of the host's, in nanoseconds: for tests, and for hosts with a time of their own.  Called on every shard,
 * some times in each turn; must not block, and the monotonic one must neither go back nor stand still for long:
 * deadlines follow it, the one that ends a drain among them. */
typedef uint64_t weft_clock_fn(void *ctx);

/** Everything a node can be told.  Zero means the default.  Strings are borrowed and copied by weft_node_create. */
struct weft_node_options {
    size_t size;
    const char *cluster_name;   /**< NULL: "Test Cluster" */
    const char *dc;             /**< NULL: unknown */
    const char *rack;           /**< NULL: unknown */
    const char *node_id;        /**< UUID; NULL: a random one for this run */
    uint64_t incarnation;       /**< 0: the start time */
    const char *listen_address; /**< numeric; NULL: "127.0.0.1" */
    const char *dial_address;   /**< numeric source of outgoing connections; NULL: listen_address,
                                     or the system's choice if that is any address or the node is client_only */
    uint16_t storage_port;      /**< 0: 7000 */
    uint16_t ssl_storage_port;  /**< 0: 7001 */
    bool client_only;           /**< open no listener: of listen_address and the ports nothing is used */
    enum weft_encryption encryption;
    struct weft_tls_options tls;
    enum weft_require_hello require_hello;
    const char *shards;                    /**< "auto", a count, or a CPU list such as "0-3,8"; NULL: "auto" */
    uint64_t memory_per_shard_bytes;       /**< 0: 256 MiB */
    uint32_t connections_max;              /**< per shard; 0: 4096 */
    uint32_t calls_max;                    /**< outgoing calls in flight per shard; 0: 16384 */
    uint32_t requests_max;                 /**< incoming requests in flight per shard; 0: 16384 */
    uint32_t handshake_timeout_ms;         /**< connect, TLS and negotiation, each; 0: 5000 */
    uint32_t heartbeat_ms;                 /**< 0: 1000; UINT32_MAX: no control connections */
    uint32_t drain_timeout_ms;             /**< 0: 5000 */
    const char *tcp_congestion;            /**< NULL: the system's */
    bool tcp_delay;                        /**< leave Nagle's algorithm on: inter_dc_tcp_nodelay: false */
    bool busy_poll;                        /**< shards never sleep */
    const char *backend;                   /**< "auto", "io_uring" or "epoll"; NULL: "auto" */
    const struct weft_peer_options *peers; /**< borrowed and copied */
    uint32_t peer_count;
    weft_log_fn *log; /**< NULL: lines on stderr */
    void *log_ctx;
    uint32_t connections_per_peer_max; /**< with one peer, all shards together, in each direction; 3 at least; 0: 256,
                                          or what the peer's `connections` needs */
    uint32_t idle_timeout_ms; /**< of a bulk connection, and of one to a named shard; 0: 30000; UINT32_MAX: never */
    enum weft_send_zerocopy send_zerocopy; /**< plain connections over io_uring only */
    weft_clock_fn *monotonic_clock; /**< NULL: the system's.  Timers and deadlines follow it; sleeping, handshakes of
                                       the kernel and the validity of certificates do not */
    weft_clock_fn *wall_clock;      /**< NULL: the system's.  Says when a node was started */
    void *clock_ctx;
    /* The peer of a connection must be alive and keep up.  UINT32_MAX turns a limit off. */
    uint32_t frame_timeout_ms;         /**< from the first byte of a frame to its last; 0: 30000 */
    uint32_t send_timeout_ms;          /**< until the peer took what one send carries, at most 256 KiB; 0: 30000 */
    uint32_t first_request_timeout_ms; /**< until an accepted connection brings its first whole frame; 0: 60000 */
    uint32_t tcp_unsent_bytes_max;     /**< TCP_NOTSENT_LOWAT; 0: 256 KiB */
    uint32_t tcp_user_timeout_ms;      /**< TCP_USER_TIMEOUT; 0: 30000 */
    uint32_t tcp_keepalive_idle_s;     /**< until the first probe of a silent connection; 0: 30 */
    uint32_t tcp_keepalive_interval_s; /**< between probes; 0: 10 */
    uint32_t tcp_keepalive_count;      /**< probes without an answer that end it; 0: 3 */
    bool smt; /**< shards: "auto" takes each hardware thread, not only the first of each core */
    enum weft_crypto crypto;
    uint32_t peers_max; /**< of the topology, at any time, with removed ones that are still being left; 0:
                           WEFT_PEERS_MAX, which is the most */
    const char *certificate_revocation_list; /**< PEM; NULL: none */
    const char *priority_string;             /**< as GnuTLS writes it; NULL: forward secrecy and AEAD */
    bool require_endpoint_verification;      /**< a certificate must name the node that shows it */
    enum weft_crl_expired crl_expired;
    const struct weft_allocator *allocator; /**< of the node's memory, as far as allocator.h says; copied; NULL: the
                                               system's.  Not for nodes from a configuration file */
    const char *second_listen_address;      /**< numeric; listened on too, at the same ports; NULL: none */
    const char *keyfile_password_file;      /**< of tls.keyfile: one line; NULL: the key is not encrypted */
    /** Patterns such as "spiffe://example.org/weft/{dc}/{id}", at most WEFT_SPIFFE_IDS_MAX; borrowed and copied.  Under
     *  require_endpoint_verification a certificate whose SPIFFE id matches one is a node's, if what it says in the
     * place of {cluster}, {dc}, {rack} and {id} fits; one whose SPIFFE id matches none is not.  NULL: they prove
     * nothing */
    const char *const *spiffe_ids;
    uint32_t spiffe_id_count;
};
#define WEFT_NODE_OPTIONS_INIT WEFT_INIT(struct weft_node_options)

/** Make a node; nothing runs yet.  @param node given   @param options borrowed   @param why may be NULL
 *  @return ok | INVALID or CONFIG (why says what is wrong and what would be right) | NO_MEMORY | TLS |
 *          TOO_NEW (an option is set that this library does not know)
 *  @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_create(WEFT_GIVE weft_node **node,
                                                       const struct weft_node_options *options, struct weft_error *why);

/** Make a node from a configuration file: scylla.yaml, or the same with a `weft:` block.
 *  @return as weft_node_create; why holds the first error as `file:line:column: key: …`   @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_create_from_file(WEFT_GIVE weft_node **node, const char *path,
                                                                 struct weft_error *why);

/** Serve a verb.  Before start only.  @return ok | INVALID (reserved verb) | STATE | QUEUE_FULL (verb table)
 *  @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_handle(weft_node *node, uint64_t verb, weft_handler_fn *fn, void *ctx,
                                                       struct weft_error *why);

/** Serve a verb that is never answered.  Otherwise as weft_node_handle.  @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_handle_one_way(weft_node *node, uint64_t verb, weft_handler_fn *fn,
                                                               void *ctx, struct weft_error *why);

/** Say which shard owns the requests of a verb that is handled already.  One that lands on another shard hops there
 * once, with a copy of its payload, and its answer hops back; without room for that the caller gets BUSY.  Before start
 * only.
 *  @param fn NULL: the shard where it lands   @return ok | NOT_FOUND (nobody handles the verb) | STATE
 *  @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_shard_of(weft_node *node, uint64_t verb, weft_shard_of_fn *fn,
                                                         void *ctx, struct weft_error *why);

/** Serve the verbs that every `weft node` serves (HELLO, ECHO, WRITE, SINK, COUNT, SOURCE, SLEEP, FAIL), so that
 *  any client can drive this node.  Before start only.  @return as weft_node_handle   @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_handle_standard(weft_node *node, struct weft_error *why);

/** Add a peer to the topology, before the start or while the node runs.  Calls can be made to it as soon as this
 *  returns, on any shard.  @param id may be NULL
 *  @return ok | INVALID | NO_MEMORY | DRAINING (the node stops) | QUEUE_FULL (peers_max, counting removed peers
 *          until every shard has finished with them; or a shard that is not run has not taken over the last 16 changes)
 *  @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_peer_add(weft_node *node, const struct weft_peer_options *options,
                                                         weft_peer_id *id, struct weft_error *why);

/** Read certificate, key, trust store and revocation lists again, and have connections that are made from now on use
 *  them.  The whole set is checked first: it must parse, fit together, and be valid now; else the one in use stays,
 * which is one line of the log.  Those who are connected stay, unless their certificate is revoked or not trusted any
 * longer by the new set: they are cut off, a few in each turn.  Keys of the former set are wiped with its last
 * connection; our own connections are made again, without losing a call, when their set was replaced twice.  Files with
 * the same contents as before change nothing.  Blocks while it reads and checks.
 *  @param options of these the files count (tls.certificate, tls.keyfile, keyfile_password_file, tls.truststore,
 *         certificate_revocation_list) and crl_expired
 *  @return ok | CONFIG (a file; why names it) | TLS | NO_MEMORY | STATE (no TLS since the start; a hosted shard is not
 *          attached yet) | DRAINING | QUEUE_FULL (connections by ten former sets have not ended)   @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_credentials_reload(weft_node *node,
                                                                   const struct weft_node_options *options,
                                                                   struct weft_error *why);

/** Remove a peer.  From the next turn of each shard on, its id is nobody's (calls: NOT_FOUND); calls that wait to be
 *  sent fail, those under way and the peer's requests have the drain timeout, and connections with it, in both
 *  directions, close when they have ended, with the reason peer_removed.
 *  @return ok | NOT_FOUND | otherwise as weft_node_peer_add   @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_peer_remove(weft_node *node, weft_peer_id id, struct weft_error *why);

/** A peer is somewhere else, or it is known by now where, or no longer.  Connections about which the policy decides
 *  otherwise now close when their calls have ended, by the drain timeout, and are made again; new calls wait for those.
 *  @param dc    NULL: unknown   @param rack NULL: unknown
 *  @return ok | INVALID (a name) | NOT_FOUND | otherwise as weft_node_peer_add   @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_peer_relocate(weft_node *node, weft_peer_id id, const char *dc,
                                                              const char *rack, struct weft_error *why);

/** This node is somewhere else; otherwise as weft_node_peer_relocate.  @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_relocate(weft_node *node, const char *dc, const char *rack,
                                                         struct weft_error *why);

/** Encrypt by another scope from now on, without a restart.  As with weft_node_relocate, connections about which the
 *  policy decides otherwise now close when their calls have ended, and are made again; accepted ones that it no longer
 *  admits have the drain timeout.  Ports that the scope wants are open when this returns; those that it does not want
 *  refuse everybody by no_listener for that long, and close then.  TLS takes a start with a certificate.
 *  A cluster loses no call if each step is one that `weft check --from` calls safe.
 *  @return ok | INVALID (no scope) | STATE (not started; no TLS since the start; rack or dc, and this node's location
 * is unknown) | SYSTEM (a port cannot be had; nothing changed) | otherwise as weft_node_peer_add   @shard control
 *  @blocks up to 0.3 s, where a port is taken */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_encryption_set(weft_node *node, enum weft_encryption scope,
                                                               struct weft_error *why);

/** When the certificate ends that new connections show, in seconds since 1970; 0: there is none.  From 30 days ahead of
 *  that on the log says so once a day, and certificate_notices counts it.  @shard any */
WEFT_API int64_t weft_node_certificate_not_after_s(weft_node *node);

/** The scope in use; none for NULL.  @shard control */
WEFT_API enum weft_encryption weft_node_encryption(const weft_node *node);

/** Where everybody is.  Strings are borrowed and copied. */
struct weft_topology {
    size_t size;
    const char *dc;                        /**< of this node; NULL: unknown */
    const char *rack;                      /**< the same */
    const struct weft_peer_options *peers; /**< all of them; borrowed and copied */
    uint32_t peer_count;
};
#define WEFT_TOPOLOGY_INIT WEFT_INIT(struct weft_topology)

/** What became of it. */
struct weft_topology_change {
    uint32_t added;
    uint32_t removed;
    uint32_t relocated;
    uint32_t kept; /**< peers about which nothing is different */
    bool moved;    /**< this node is somewhere else */
};

/** Make this the topology, as one change, before the start or while the node runs: who is not listed is removed, who is
 *  listed and was not there is added, who is somewhere else is relocated.  A peer is who is dialed at the same address
 *  and port; one of whom anything but the location is different is removed and added.  On an error nothing changes.
 *  @param change may be NULL   @param bytes sizeof *change
 *  @return ok | INVALID (also: a peer listed twice) | otherwise as weft_node_peer_add   @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_topology_apply(weft_node *node, const struct weft_topology *topology,
                                                               struct weft_topology_change *change, size_t bytes,
                                                               struct weft_error *why);

/** The peer that has this numeric address, the zero id if none or NULL.  @shard any */
WEFT_API weft_peer_id weft_node_peer_find(weft_node *node, const char *address);

/** A peer went up or down. */
struct weft_peer_event {
    weft_peer_id peer;
    const char *address; /**< borrowed until return */
    bool up;
    enum weft_reason reason; /**< why it is down; draining: the peer leaves, or this node does */
    enum weft_lane lane;     /**< control: the peer as a whole */
};
typedef void weft_peer_fn(void *ctx, weft_shard *shard, const struct weft_peer_event *event);

/** Be told when peers go up and down, on the shard that holds the peer's control connection.  Before start only.
 *  @return ok | STATE   @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_on_peer(weft_node *node, weft_peer_fn *fn, void *ctx);

/** Be told when lanes to peers go up and down, each on the shard that uses it: up with its first connection there, down
 *  when the last is lost or cannot be made again; a connection that closed for idleness takes nothing down.  A peer can
 *  be up while one of its lanes is down.  Before start only.  @return ok | STATE   @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_on_lane(weft_node *node, weft_peer_fn *fn, void *ctx);

/** Start the shards and listeners.  @param on_ready called once on each shard, before anything else there; may be NULL
 *  @return ok | SYSTEM | CONFIG | UNSUPPORTED | STATE   @shard control   @blocks until every shard runs */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_start(weft_node *node, weft_task_fn *on_ready, void *ctx,
                                                      struct weft_error *why);

/** Refuse new connections (`draining`) and calls, finish what runs, within drain_timeout.  Callable from a signal
 *  handler or any thread; returns at once, and weft_node_wait returns when it is done.  NULL is fine.  @shard any */
WEFT_API void weft_node_drain(weft_node *node);

/** Wait until the node has stopped.  @return 0 if it drained, 1 if the drain timeout cut something off; 0 for NULL; -1
 * on a thread of one of the node's shards, where waiting would never end, and in the log
 *  @shard control   @blocks */
WEFT_API int weft_node_wait(weft_node *node);

/** Drain, wait and free.  NULL is fine.  On a thread of one of the node's shards nothing happens but a line of the log.
 *  @shard control   @blocks */
WEFT_API void weft_node_destroy(WEFT_TAKE weft_node *node);

/** How many shards a peer has, as it said when a connection came up; 0: not known yet, or it did not say.
 *  @shard any */
WEFT_API uint32_t weft_peer_shards(const weft_shard *shard, weft_peer_id peer);

/** The peer that has this numeric address, the zero id if none or NULL.  @shard any */
WEFT_API weft_peer_id weft_peer_find(const weft_shard *shard, const char *address);

/** No shard that is known. */
#define WEFT_SHARD_UNKNOWN UINT32_MAX

/** One connection, as it was made, or a lane to a peer that is waiting to be dialed again.  Grows at
 *  its end only, as everything that a callback is lent. */
struct weft_link {
    uint32_t shard;
    bool outgoing;
    bool encrypted;
    bool up; /**< negotiated: calls can pass */
    enum weft_lane lane;
    enum weft_reason decision; /**< why plain or TLS */
    char peer_address[64];
    char dc[WEFT_NAME_BYTES_MAX + 1]; /**< the topology's, "" where unknown */
    char rack[WEFT_NAME_BYTES_MAX + 1];
    char tls_version[16]; /**< "" on plain links */
    char tls_cipher[64];
    uint64_t connection_id;  /**< outgoing: what a Seastar acceptor with streams calls it; 0: it said no name */
    uint32_t peer_shard;     /**< at the other end, as the peer said; WEFT_SHARD_UNKNOWN if it did not */
    bool waiting;            /**< there is no connection: the next dial is due after a pause */
    enum weft_reason reason; /**< why it is not up, WEFT_REASON_NONE where it is or nothing failed yet */
    /** When the certificates end that the link was made with, in seconds since 1970; 0: plain, or none was shown */
    int64_t certificate_not_after_s;
    int64_t peer_certificate_not_after_s;
};
typedef void weft_link_fn(void *ctx, const struct weft_link *link);

/** Visit a snapshot of every live connection, and of what waits to be dialed again.  On a thread of one of the node's
 *  shards nobody is visited, and the log says so.
 *  @param fn runs on the calling thread; NULL: nobody is told   @shard control   @blocks */
WEFT_API void weft_node_links(weft_node *node, weft_link_fn *fn, void *ctx);

/** Counters of one shard, only ever growing.  New ones are added at the end.  The manual's page on the status explains
 * each.  calls_failed contains calls_expired and calls_cancelled here, and requests_failed requests_busy, unlike in
 * struct weft_peer_counters. */
/* clang-format off */
#define WEFT_COUNTERS(X)                                                                                               \
    X(turns)                                                                                                           \
    X(enters)                                                                                                          \
    X(operations)                                                                                                      \
    X(completions)                                                                                                     \
    X(accepted)                                                                                                        \
    X(dialed)                                                                                                          \
    X(dial_failures)                                                                                                   \
    X(connections_closed)                                                                                              \
    X(refused)                                                                                                         \
    X(calls_started)                                                                                                   \
    X(calls_answered)                                                                                                  \
    X(calls_failed)                                                                                                    \
    X(calls_expired)                                                                                                   \
    X(requests_received)                                                                                               \
    X(requests_answered)                                                                                               \
    X(requests_failed)                                                                                                 \
    X(requests_expired)                                                                                                \
    X(requests_busy)                                                                                                   \
    X(requests_forbidden)                                                                                              \
    X(host_late)                                                                                                       \
    X(one_way_sent)                                                                                                    \
    X(one_way_received)                                                                                                \
    X(late_replies)                                                                                                    \
    X(bytes_sent)                                                                                                      \
    X(bytes_received)                                                                                                  \
    X(plain_bytes_sent)                                                                                                \
    X(tls_bytes_sent)                                                                                                  \
    X(heartbeats_sent)                                                                                                 \
    X(heartbeats_answered)                                                                                             \
    X(peers_up)                                                                                                        \
    X(peers_down)                                                                                                      \
    X(log_suppressed)                                                                                                  \
    X(answers_waited)                                                                                                  \
    X(answers_without_room)                                                                                            \
    X(bytes_referenced)                                                                                                \
    X(bytes_landed)                                                                                                    \
    X(misrouted)                                                                                                       \
    X(calls_cancelled)                                                                                                 \
    X(cancels_sent)                                                                                                    \
    X(cancels_received)                                                                                                \
    X(requests_aborted)                                                                                                \
    X(calls_carried)                                                                                                   \
    X(accepts_gone)                                                                                                    \
    X(accept_pauses)                                                                                                   \
    X(requests_hopped)                                                                                                 \
    X(zero_copy_sends)                                                                                                 \
    X(zero_copy_copied)                                                                                                \
    X(goodbyes_sent)                                                                                                   \
    X(goodbyes_received)                                                                                               \
    X(peers_silent)                                                                                                    \
    X(handshakes_waited)                                                                                               \
    X(zero_copy_registered)                                                                                            \
    X(links_moved)                                                                                                     \
    X(accepted_for_others)                                                                                             \
    X(frames_over_share)                                                                                               \
    X(crl_expired_admitted)                                                                                            \
    X(credentials_replaced)                                                                                            \
    X(credentials_refused)                                                                                             \
    X(credentials_cut_off)                                                                                             \
    X(credentials_outlived)                                                                                            \
    X(requests_over_share)                                                                                             \
    X(certificate_notices)                                                                                             \
    X(requests_oversized)
/* clang-format on */

/** What one shard holds at the moment, as of the end of its last turn: connections in any state, calls not answered
 *  and requests not answered, send buffers, bytes of the arena as rounded up to blocks, and armed timers. */
#define WEFT_GAUGES(X) X(connections) X(calls) X(requests) X(send_buffers) X(arena_bytes) X(timers)
struct weft_counters {
    uint64_t refused_by_reason[64]; /**< indexed by enum weft_reason, refusals only */
    uint64_t ended_by_reason[64];   /**< ends of connections, indexed by reason - WEFT_REASON_ENDS_BEGIN */
#define WEFT_X(name) uint64_t name;
    struct {
        WEFT_GAUGES(WEFT_X)
    } in_use; /**< not counted but held: these fall again */
    WEFT_COUNTERS(WEFT_X)
#undef WEFT_X
};

/** Read the counters of all shards, summed, without stopping them.
 *  @param bytes sizeof *out; counters that this library does not have are 0   @shard any */
WEFT_API void weft_node_counters_read(const weft_node *node, struct weft_counters *out, size_t bytes);

/** weft_node_counters_read of what this header knows.  @shard any */
static inline void weft_node_counters(const weft_node *node, struct weft_counters *out)
{
    weft_node_counters_read(node, out, sizeof *out);
}

/** What passed between this node and one peer on one lane, since the peer was added.  On each shard, between two of its
 * turns: calls_started    = calls_answered + calls_one_way + calls_failed + calls_expired + calls_cancelled + those in
 * flight requests_received = requests_answered + requests_one_way + requests_failed + requests_expired + requests_busy
 * + requests_aborted + requests_own + those in flight Weft's own heartbeats, cancellations and goodbyes count too: as
 * calls, and as requests_own where they arrive. calls_one_way were handed to the network; requests_one_way ended.
 * requests_failed were answered by an exception, requests_aborted by nothing, since their caller was gone or had
 * cancelled. */
/* clang-format off */
#define WEFT_PEER_COUNTERS(X)                                                                                          \
    X(calls_started)                                                                                                   \
    X(calls_answered)                                                                                                  \
    X(calls_one_way)                                                                                                   \
    X(calls_failed)                                                                                                    \
    X(calls_expired)                                                                                                   \
    X(calls_cancelled)                                                                                                 \
    X(requests_received)                                                                                               \
    X(requests_answered)                                                                                               \
    X(requests_one_way)                                                                                                \
    X(requests_failed)                                                                                                 \
    X(requests_expired)                                                                                                \
    X(requests_busy)                                                                                                   \
    X(requests_aborted)                                                                                                \
    X(requests_own)
/* clang-format on */
struct weft_peer_counters {
#define WEFT_X(name) uint64_t name;
    WEFT_PEER_COUNTERS(WEFT_X)
#undef WEFT_X
};

/** All shards of a node, where one can be named. */
#define WEFT_SHARD_ALL UINT32_MAX

/** Read the account of a peer and lane, without stopping anybody.
 *  @param peer  the zero id: connections of nobody in the topology, and calls that another shard carried for one
 *  @param shard WEFT_SHARD_ALL: the sum of all   @param bytes sizeof *out; what this library does not have is 0
 *  @return ok | NOT_FOUND: no such peer (any more), lane or shard   @shard any */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_peer_counters_read(const weft_node *node, weft_peer_id peer,
                                                                   enum weft_lane lane, uint32_t shard,
                                                                   struct weft_peer_counters *out, size_t bytes);

/** weft_node_peer_counters_read of all shards, and of what this header knows.  @shard any */
static inline WEFT_NODISCARD enum weft_err weft_node_peer_counters(const weft_node *node, weft_peer_id peer,
                                                                   enum weft_lane lane, struct weft_peer_counters *out)
{
    return weft_node_peer_counters_read(node, peer, lane, WEFT_SHARD_ALL, out, sizeof *out);
}

/** Number of shards; 0 for NULL.  @shard any */
WEFT_API uint32_t weft_node_shard_count(const weft_node *node);

/** Name of the backend in use: "io_uring" or "epoll"; "" before start.  @shard any */
WEFT_API const char *weft_node_backend(const weft_node *node);

/** Name of a scope as in the configuration.  @shard any */
WEFT_API const char *weft_encryption_name(enum weft_encryption encryption);

#ifdef __cplusplus
}
#endif

#endif
