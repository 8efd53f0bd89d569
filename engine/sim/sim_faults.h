/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of trouble that a simulated network makes, how likely each one is, and how often it struck. */
#ifndef ENGINE_SIM_SIM_FAULTS_H
#define ENGINE_SIM_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/prng.h"

/* Every kind: name, text, and what happens.  Rates are drawn per opportunity: a send, a delivery, a dial. */
#define SIM_FAULTS(X)                                                                                                  \
    X(SHORT_SEND, "short_send", "a send accepts fewer bytes than it was given")                                        \
    X(SHORT_RECV, "short_recv", "arrived bytes are delivered in pieces, down to one byte")                             \
    X(LATE, "late", "a chunk takes much longer than the latency")                                                      \
    X(STALL, "stall", "one direction delivers nothing for a while")                                                    \
    X(RESET, "reset", "both ends find the connection reset")                                                           \
    X(HALF_CLOSE, "half_close", "the stream of one direction ends early, as if the sender had shut it down")           \
    X(CONNECT_REFUSED, "connect_refused", "a dial is refused though somebody listens")                                 \
    X(CONNECT_LOST, "connect_lost", "a dial gets no answer until the faults end or it times out")                      \
    X(ENOBUFS, "enobufs", "a receive ends for want of buffers")                                                        \
    X(EMFILE, "emfile", "an accept ends for want of descriptors; the connection keeps waiting")                        \
    X(OP_ERROR, "op_error", "an operation fails with one of the codes that its kind can have (sim_error.h)")           \
    X(START_ERROR, "start_error", "a shard or a listening socket cannot be opened")                                    \
    X(DISARM, "disarm", "an armed receive or accept ends with a good result and has to be submitted again")            \
    X(PORT_TAKEN, "port_taken", "both source ports that a dial asks for are taken")

enum sim_fault {
#define SIM_X(name, text, meaning) SIM_FAULT_##name,
    SIM_FAULTS(SIM_X)
#undef SIM_X
        SIM_FAULT_COUNT
};

struct sim_faults {
    bool on;
    uint32_t per_million[SIM_FAULT_COUNT];
    uint64_t bitten[SIM_FAULT_COUNT];
};

const char *sim_fault_name(enum sim_fault fault);
/* Draw, and count if it struck. */
bool sim_fault_bites(struct sim_faults *faults, struct prng *prng, enum sim_fault fault);

#endif
