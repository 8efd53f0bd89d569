/* SPDX-License-Identifier: Apache-2.0 */
/* A toy record layer: what TLS does to a connection, without any cryptography.
 *
 *   record   u8 kind   u16 bytes (little-endian)   that many bytes, XORed with a byte that counts records
 *
 * The dialer sends a hello, the acceptor its answer, the dialer its finish: three flights of one record each.  It can
 * be told to fail at any step, to stop answering, to hand out its output a few bytes at a time, to answer records by
 * itself, and to damage what it seals.  A lost, repeated or reordered record is noticed by the count. */
#ifndef TESTS_SIM_TOY_SECURE_H
#define TESTS_SIM_TOY_SECURE_H

#include "engine/net/secure.h"

#define TOY_RECORD_HEAD_BYTES 3u
/* What every failure of its own is called; a peer that is told by an alert says it too. */
#define TOY_REASON WEFT_REASON_CERT_UNTRUSTED

/* Zero means: everything works. */
struct toy_options {
    uint32_t flight_bytes;  /* of one flight's record; 0: 100 */
    uint32_t output_bytes;  /* at most so many per call; 0: as many as fit */
    uint32_t fail_flight;   /* 1..3: the receiver of this flight does not like it */
    uint32_t silent_flight; /* 1..3: its receiver never answers */
    uint64_t fail_seal;     /* the nth record sealed fails */
    uint64_t damage_seal;   /* the nth record sealed is damaged: the peer cannot open it */
    uint64_t answer_every;  /* every nth record opened is answered by an empty one of the layer's own */
    bool refuse_to_make;    /* no session can be made */
};

struct toy_factory {
    struct secure_factory factory;
    struct toy_options options;
    uint32_t made;
    uint32_t live; /* sessions not closed */
};

void toy_factory_init(struct toy_factory *toy, const struct toy_options *options);

#endif
