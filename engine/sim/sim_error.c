/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sim/sim_error.h"

#include <errno.h>

#include "engine/base/assert.h"

/* The codes of one kind of call end with 0 where they are fewer. */
static const int32_t error_codes[SIM_CALL_COUNT][SIM_ERROR_CODES_MAX] = {
    [IO_ACCEPT] = {EAGAIN, EINTR, ENOBUFS, ENOMEM, ECANCELED, EMFILE, ENFILE, EIO},
    [IO_CONNECT] = {EAGAIN, EINTR, ENOBUFS, ENOMEM, ECANCELED, EMFILE, ENFILE, EIO},
    [IO_RECV] = {EAGAIN, EINTR, ENOBUFS, ENOMEM, ECANCELED, EIO},
    [IO_SEND] = {EAGAIN, EINTR, ENOBUFS, ENOMEM, ECANCELED, EIO},
    [IO_SHUTDOWN] = {EAGAIN, EINTR, ENOBUFS, ENOMEM, ECANCELED, EIO},
    [IO_CLOSE] = {EINTR, EIO},
    [IO_LAND] = {EAGAIN, EINTR, ENOBUFS, ENOMEM, ECANCELED, EIO},
    [SIM_CALL_LISTEN] = {ENOBUFS, ENOMEM, EMFILE, ENFILE},
    [SIM_CALL_OPEN] = {EAGAIN, ENOMEM, EMFILE, ENFILE},
};

const char *sim_call_name(uint32_t call)
{
    static const char *const names[SIM_CALL_COUNT] = {
        [IO_ACCEPT] = "accept", [IO_CONNECT] = "connect",     [IO_RECV] = "recv",
        [IO_SEND] = "send",     [IO_SHUTDOWN] = "shutdown",   [IO_CLOSE] = "close",
        [IO_LAND] = "land",     [SIM_CALL_LISTEN] = "listen", [SIM_CALL_OPEN] = "open",
    };
    return call < SIM_CALL_COUNT ? names[call] : "unknown";
}

uint32_t sim_error_codes(uint32_t call, const int32_t **codes)
{
    WEFT_ASSERT(call < SIM_CALL_COUNT);
    uint32_t count = 0;
    while (count < SIM_ERROR_CODES_MAX && error_codes[call][count] != 0) {
        count++;
    }
    *codes = error_codes[call];
    return count;
}

uint32_t sim_error_place(uint32_t call, int32_t code)
{
    const int32_t *codes;
    uint32_t count = sim_error_codes(call, &codes);
    for (uint32_t place = 0; place < count; place++) {
        if (codes[place] == code) {
            return place;
        }
    }
    return SIM_ERROR_CODES_MAX;
}

uint32_t sim_error_aimed(struct sim_errors *errors, uint32_t call)
{
    errors->calls[call]++;
    if (errors->aim.nth == 0 || errors->aim.call != call || errors->aim.nth != errors->calls[call]) {
        return SIM_ERROR_CODES_MAX;
    }
    return sim_error_place(call, errors->aim.code);
}
