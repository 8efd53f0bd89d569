/* SPDX-License-Identifier: Apache-2.0 */
/* A host: a real node on a loopback address of its own, its log, the events of its peers, and calls made from the
 * test's thread.  Addresses are 127.x.y.z with x and y from the process number, so that default ports do not meet those
 * of other tests.  Every wait ends after half a minute with a failure. */
#ifndef TESTS_INTEGRATION_NODE_HOST_H
#define TESTS_INTEGRATION_NODE_HOST_H

#include <pthread.h>

#include <weft/weft.h>

#include "tls/issue.h"

#define HOST_LINES_MAX 256u
#define HOST_EVENTS_MAX 64u
#define HOST_PEERS_MAX 4u
#define HOST_PATH_BYTES 192u

enum {
    VERB_HELLO = 1,
    VERB_ECHO,
    VERB_WRITE,
    VERB_SINK,
    VERB_COUNT,
    VERB_SOURCE,
    VERB_SLEEP,
    VERB_FAIL,
    VERB_NOBODY = 99
};

struct host {
    /* Options: host_init fills them, a test changes them before host_start. */
    struct weft_node_options options;
    struct weft_peer_options peers[HOST_PEERS_MAX];
    char address[32];
    void (*prepare)(struct host *host); /* between create and start; may be NULL */
    weft_node *node;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    char lines[HOST_LINES_MAX][256];
    uint32_t line_count;
    struct {
        bool up;
        enum weft_reason reason;
    } events[HOST_EVENTS_MAX];
    uint32_t event_count;
};

/* How a call ended.  A copy of the payload, up to its room; all of it is compared with the pattern. */
struct answer {
    enum weft_err started; /* what weft_call returned; the rest is valid if ok */
    uint32_t count;
    enum weft_err err;
    struct weft_error error;
    enum weft_executed executed;
    uint32_t bytes;
    uint64_t wrong_bytes;
    uint8_t head[16];
};

struct asked {
    struct host *host;
    uint32_t shard;
    weft_peer_id peer;
    uint64_t verb;
    struct weft_span args;
    struct weft_call_options options;
    bool by_reference;     /* the arguments go as a weft_buf, which is dropped if the call is refused */
    enum weft_err started; /* what weft_call returned */
    struct answer answer;
};

/* Node number `number` (from 1) of this process, not created yet. */
void host_init(struct host *host, uint32_t number, const char *backend);
/* Add another host to its topology.  NULL: unknown */
void host_knows(struct host *host, const struct host *other, const char *dc, const char *rack);
/* Hosts 1 and 2 of this process, each in the topology of the other, in dc1 and rack r1. */
void host_pair_init(struct host *a, struct host *b, const char *backend);
/* Create with the standard verbs, and start; must work. */
void host_start(struct host *host);
void host_stop(struct host *host);
void host_fini(struct host *host);
/* Where its plain listener is. */
uint16_t host_port(const struct host *host);

/* Wait until a line of the log holds this text. */
void host_until_logged(struct host *host, const char *text);
bool host_logged(struct host *host, const char *text);
/* Wait until so many peer events came. */
void host_until_events(struct host *host, uint32_t count);
/* Wait until a counter is at least this; offsetof(struct weft_counters, …). */
void host_until_counter(struct host *host, size_t offset, uint64_t least);
uint64_t host_refused(const struct host *host, enum weft_reason reason);

/* Bytes of the pattern, from the heap. */
uint8_t *pattern_new(uint32_t bytes);
/* Start on the host's shard; false if weft_call refused. */
bool asked_start(struct asked *asked);
/* Wait for its end. */
void asked_wait(struct asked *asked);
/* Both, on shard 0, of the host's first peer, with the pattern as arguments.  timeout_ms 0: 20 seconds */
struct answer host_call(struct host *host, uint64_t verb, uint32_t bytes, uint32_t timeout_ms);
/* The same until it works: the peer has to come up first. */
struct answer host_call_patient(struct host *host, uint64_t verb, uint32_t bytes);

/* Certificates, in a directory of their own. */
struct authority {
    char directory[HOST_PATH_BYTES / 2];
};
void authority_open(struct authority *authority);
void authority_close(struct authority *authority);
void authority_ca(const struct authority *authority, const char *name);
void authority_node(const struct authority *authority, const char *name, const char *ca);
void authority_node_with(const struct authority *authority, const struct tls_node_options *options, const char *ca);

/* TLS options of a host, and the paths that they point at. */
struct host_tls {
    char certificate[HOST_PATH_BYTES];
    char keyfile[HOST_PATH_BYTES];
    char truststore[HOST_PATH_BYTES];
};
/* @param name NULL: no certificate */
void host_use_tls(struct host *host, struct host_tls *tls, const struct authority *authority, const char *name,
                  const char *trusted_ca);

#endif
