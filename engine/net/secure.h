/* SPDX-License-Identifier: Apache-2.0 */
/* The record layer: a pure transformation between application bytes and wire bytes.  No sockets, no clock, no
 * threads.  A connection without a record layer is plain: its bytes go by untouched.
 *
 * Inputs are consumed from the front (`data`/`bytes` move on), outputs are appended behind `used`.  Input that does
 * not make a whole record yet is consumed and kept by the session: after a call that asks for more, `in` is empty.
 */
#ifndef ENGINE_NET_SECURE_H
#define ENGINE_NET_SECURE_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

#include "engine/base/uuid.h"
#include "engine/io/address.h"

/* The most that sealing adds to one record of SECURE_RECORD_BYTES (TLS 1.3: 22, TLS 1.2: 29), rounded up. */
#define SECURE_RECORD_BYTES 16384u
#define SECURE_RECORD_OVERHEAD 64u

struct secure_in {
    const uint8_t *data;
    uint32_t bytes;
};

struct secure_out {
    uint8_t *data;
    uint32_t bytes_max;
    uint32_t used;
};

enum secure_step {
    SECURE_MORE = 0, /* all input is used up (or all that fits was produced): call again with more */
    SECURE_DONE,     /* handshake: finished */
    SECURE_ROOM,     /* the output is full: empty it and call again with the same input */
    SECURE_CLOSED,   /* open: the peer's close_notify arrived */
    SECURE_FAILED    /* secure->error says why; output may hold an alert to send */
};

struct secure;
struct secure_factory;

/* What looking again at a session's peer comes to, after the factory was given other credentials. */
enum secure_review {
    SECURE_REVIEW_DONE = 0, /* there is nothing to look at, or it was done before */
    SECURE_REVIEW_EARLY,    /* its handshake is not done: ask again */
    SECURE_REVIEW_KEPT,     /* looked at now: the peer is believed still */
    SECURE_REVIEW_REFUSED   /* looked at now: it is not */
};

/* What is known once the handshake is done. */
struct secure_facts {
    char version[16];        /* "TLSv1.3" */
    char cipher[64];         /* "TLS_AES_256_GCM_SHA384" */
    bool peer_verified;      /* the peer showed a certificate, and it verified */
    bool crl_expired;        /* beside a revocation list whose time has passed */
    int64_t own_not_after_s; /* the ends of the certificates that were shown, in seconds since 1970; 0: none was */
    int64_t peer_not_after_s;
};

/* A node as a certificate names it; "" is unknown. */
struct secure_name {
    char cluster[WEFT_NAME_BYTES_MAX + 1];
    char dc[WEFT_NAME_BYTES_MAX + 1];
    char rack[WEFT_NAME_BYTES_MAX + 1];
    bool has_id;
    uint8_t id[UUID_BYTES];
};

#define SECURE_PATTERN_BYTES 512u

/* Whom somebody looks for in a certificate. */
struct secure_wanted {
    const struct address *address;                /* where it was shown; the port does not matter; NULL: no matter */
    const char *host_name;                        /* by which the address was found; NULL: none */
    const char (*patterns)[SECURE_PATTERN_BYTES]; /* of SPIFFE ids that nodes have */
    uint32_t pattern_count;                       /* 0: SPIFFE ids are nobody's */
};

#define SECURE_SHOWN_BYTES 256u

/* Whom the peer's certificate names.  All zero where none was shown and verified. */
struct secure_identity {
    bool verified;  /* one was */
    uint32_t names; /* that it claims, of nodes */
    bool named;     /* exactly one, and it is well formed: name is valid */
    bool member;    /* that is a SPIFFE id, and matches a pattern */
    struct secure_name name;
    bool address_named;             /* it holds the address in question */
    bool host_named;                /* and the host name */
    char shown[SECURE_SHOWN_BYTES]; /* its names for people, cut at the end */
};

struct secure_ops {
    const char *name;
    /* Drive the handshake.  MORE: send out, wait for input.  DONE: send out, then open and seal. */
    enum secure_step (*handshake)(struct secure *secure, struct secure_in *in, struct secure_out *out);
    /* Seal up to all of plain into records.  ROOM: out cannot take another whole record. */
    enum secure_step (*seal)(struct secure *secure, struct secure_in *plain, struct secure_out *out);
    /* Open records of in into plain.  `out` receives what the record layer itself wants to send. */
    enum secure_step (*open)(struct secure *secure, struct secure_in *in, struct secure_out *plain,
                             struct secure_out *out);
    /* Produce the closing record. */
    enum secure_step (*shut)(struct secure *secure, struct secure_out *out);
    void (*facts)(const struct secure *secure, struct secure_facts *facts);
    /* Whom does the peer's certificate name, and is who is wanted among them?  After the handshake. */
    void (*identity)(const struct secure *secure, const struct secure_wanted *wanted, struct secure_identity *identity);
    /* Is the peer still believed?  REFUSED: why says it.  NULL, as the next: credentials never change. */
    enum secure_review (*review)(struct secure *secure, struct secure_factory *factory, struct weft_error *why);
    /* How often the factory's credentials were replaced since the session was made. */
    uint32_t (*age)(const struct secure *secure, const struct secure_factory *factory);
    /* Wipe and release. */
    void (*close)(struct secure *secure);
};

/* Every record layer's session begins with this. */
struct secure {
    const struct secure_ops *ops;
    struct weft_error error; /* the first cause */
};

/* Makes sessions for one shard. */
struct secure_factory {
    /* @param server true for an accepted connection   @param session given */
    enum weft_err (*make)(struct secure_factory *factory, bool server, struct secure **session, struct weft_error *why);
};

#endif
