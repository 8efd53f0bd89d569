/* SPDX-License-Identifier: Apache-2.0 */
/* Errors that a system call has for reasons of its own: which codes each kind of call can have, and which call of a
 * run has one.  Drawn at a rate (OP_ERROR, START_ERROR), or aimed at the nth call of one kind.
 *
 * A call that fails has done nothing, except a close: as on Linux its socket is gone all the same. */
#ifndef ENGINE_SIM_SIM_ERROR_H
#define ENGINE_SIM_SIM_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/io/io.h"

/* The operations of io.h, and what is called before there are any. */
enum sim_call { SIM_CALL_LISTEN = IO_KIND_COUNT, SIM_CALL_OPEN, SIM_CALL_COUNT };

#define SIM_ERROR_CODES_MAX 8u

/* One call of a run that is to fail: the nth of its kind, from 1.  An accept and a receive are counted when they start
 * and at each result that they are about to have.  Zero: none. */
struct sim_aim {
    uint32_t call; /* enum io_kind or enum sim_call */
    int32_t code;  /* an errno of that kind of call */
    uint64_t nth;
};

struct sim_errors {
    struct sim_aim aim;
    uint64_t calls[SIM_CALL_COUNT]; /* of each kind, until now */
    uint64_t struck[SIM_CALL_COUNT][SIM_ERROR_CODES_MAX];
};

const char *sim_call_name(uint32_t call);
/* The codes of a kind of call.  @return how many */
uint32_t sim_error_codes(uint32_t call, const int32_t **codes);
/* The place of a code among those of its kind of call; SIM_ERROR_CODES_MAX if it is none of them. */
uint32_t sim_error_place(uint32_t call, int32_t code);
/* Count a call.  @return the place of the code that was aimed at it, SIM_ERROR_CODES_MAX: none */
uint32_t sim_error_aimed(struct sim_errors *errors, uint32_t call);

#endif
