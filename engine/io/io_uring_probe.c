/* SPDX-License-Identifier: Apache-2.0 */
/* Tries a ring with the flags and operations that io_uring.c relies on.  A kernel, a seccomp profile or a sysctl may
 * forbid any of them; the text names the first that failed. */
#include "engine/io/io_uring_probe.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>

#include "engine/io/io_uring_kernel.h"

static const struct {
    int op;
    const char *name;
} needed[] = {
    {IORING_OP_ACCEPT, "accept"},
    {IORING_OP_CONNECT, "connect"},
    {IORING_OP_RECV, "recv"},
    {IORING_OP_SEND, "send"},
    {IORING_OP_SENDMSG, "sendmsg"},
    {IORING_OP_SHUTDOWN, "shutdown"},
    {IORING_OP_CLOSE, "close"},
    {IORING_OP_READ, "read"},
    {IORING_OP_ASYNC_CANCEL, "cancel"},
    {IORING_OP_SEND_ZC, "send_zc (stands for kernel 6.0: multishot recv, buffer rings)"},
};

static enum weft_err probe_operations(struct io_uring *ring, char *text, uint32_t text_bytes)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (probe == NULL) {
        snprintf(text, text_bytes, "the kernel does not list its operations (needs Linux 6.1)");
        return WEFT_ERR_UNSUPPORTED;
    }
    const char *missing = NULL;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0] && missing == NULL; i++) {
        if (!io_uring_opcode_supported(probe, needed[i].op)) {
            missing = needed[i].name;
        }
    }
    io_uring_free_probe(probe);
    if (missing != NULL) {
        snprintf(text, text_bytes, "operation %s is missing (needs Linux 6.1)", missing);
        return WEFT_ERR_UNSUPPORTED;
    }
    return WEFT_OK;
}

static const char *probe_refusal(int error, char *text, uint32_t text_bytes)
{
    switch (error) {
    case ENOSYS:
        return "this kernel has no io_uring (needs Linux 6.1)";
    case EPERM:
    case EACCES:
        return "io_uring is forbidden here: allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp "
               "profile, and set sysctl kernel.io_uring_disabled=0";
    case ENOMEM:
        return "not enough locked memory: raise RLIMIT_MEMLOCK (ulimit -l)";
    case EINVAL:
        return "SINGLE_ISSUER and DEFER_TASKRUN are missing (needs Linux 6.1)";
    default:
        return strerror_r(error, text, text_bytes);
    }
}

enum weft_err io_uring_probe(char *text, uint32_t text_bytes)
{
    struct io_uring ring;
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CLAMP;
    int result = io_uring_queue_init_params(8, &ring, &params);
    if (result < 0) {
        char cause[128];
        snprintf(text, text_bytes, "%s", probe_refusal(-result, cause, sizeof cause));
        return WEFT_ERR_UNSUPPORTED;
    }
    enum weft_err err = probe_operations(&ring, text, text_bytes);
    io_uring_queue_exit(&ring);
    if (err == WEFT_OK) {
        snprintf(text, text_bytes, "single issuer, deferred task work, multishot accept and recv, buffer rings%s%s%s",
                 (params.features & IORING_FEAT_NODROP) != 0 ? ", no dropped completions" : "",
                 (params.features & FEAT_REG_REG_RING) != 0 ? ", zero-copy send" : "",
                 (params.features & FEAT_RECVSEND_BUNDLE) != 0 ? ", receives into several buffers" : "");
    }
    return err;
}
