/* SPDX-License-Identifier: Apache-2.0 */
/* Two TLS sessions mouth to mouth, memory to memory.  A driver passes bytes between them in pieces of any size, through
 * outputs of any size, and checks the contract of secure.h at each step. */
#ifndef TESTS_UNIT_TLS_PAIR_H
#define TESTS_UNIT_TLS_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/net/secure.h"
#include "pki.h"
#include "tls/context.h"

#define WIRE_BYTES (256u * 1024)
/* Steps of a driver after which it is certain to go in circles. */
#define STEPS_MAX 2000000u
#define MIB (1024u * 1024)
#define LARGE 65536u

/* Bytes on their way in one direction. */
struct wire {
    uint8_t data[WIRE_BYTES];
    uint32_t begin;
    uint32_t end;
    uint64_t moved; /* bytes in and out, ever */
};

/* One end of a connection. */
struct side {
    struct tls_context *context;
    struct secure *secure;
    struct wire sent;
    bool done;
    bool failed;
    bool room_seen;
};

struct pair {
    struct side client;
    struct side server;
};

/* How bytes are cut. */
struct cut {
    uint32_t feed; /* most input bytes of a call */
    uint32_t room; /* output bytes of a call */
};

struct end {
    const char *name; /* of the certificate; NULL: none */
    const char *trust;
};

static const struct cut cut_large = {LARGE, LARGE};
static const struct end end_good = {"good", "ca.crt"};

void pair_renew(struct pair *pair);
struct pair *pair_open(const struct pki *pki, const struct end *client, const struct end *server,
                       const struct tls_context_options *client_options,
                       const struct tls_context_options *server_options);
/* The same of credentials, which are destroyed. */
struct pair *pair_open_with(struct tls_credentials *client, struct tls_credentials *server,
                            const struct tls_context_options *client_options,
                            const struct tls_context_options *server_options);
void pair_close(struct pair *pair);
struct pair *pair_open_plain(const struct pki *pki, enum tls_version version);
void wire_append(struct wire *wire, const uint8_t *data, uint32_t bytes);
/* One step of an end's handshake. */
void side_handshake(struct side *side, struct wire *from, const struct cut *cut);
/* Read whatever there is; application bytes go to plain. */
enum secure_step side_open_records(struct side *side, struct wire *from, const struct cut *cut, uint8_t *plain,
                                   uint32_t plain_max, uint32_t *plain_used);
/* Hand shakes until both are done or nobody gets further; an end that is done reads on, as TLS 1.3 clients must. */
void pair_handshake(struct pair *pair, const struct cut *cut);
void pair_expect_done(const struct pair *pair);
void fill(uint8_t *data, uint32_t bytes, uint64_t seed);
/* Send bytes from one end to the other and compare.  The cut's room is that of sealing outputs; opened bytes come out
 * in pieces of plain_room. */
void pair_send(struct side *from, struct side *to, uint32_t bytes, const struct cut *cut, uint32_t plain_room);

#endif
