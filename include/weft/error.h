/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  Errors: a typed code, and one record with the detail.  Functions that can fail return
 *  `enum weft_err`; results go to out-parameters.
 */
#ifndef WEFT_ERROR_H
#define WEFT_ERROR_H

#include <weft/defs.h>
#include <weft/reason.h>

/** Every code with its stable value, its name and what it means. */
#define WEFT_ERRORS(X)                                                                                                 \
    X(OK, 0, "ok", "no error")                                                                                         \
    X(INVALID, 1, "invalid", "an argument or option is wrong")                                                         \
    X(CONFIG, 2, "config", "the configuration does not start")                                                         \
    X(SYSTEM, 3, "system", "the operating system refused; see os_errno")                                               \
    X(NO_MEMORY, 4, "no_memory", "a budget or the machine's memory is used up")                                        \
    X(QUEUE_FULL, 5, "queue_full", "a bounded queue is full; try again when it drained")                               \
    X(CLOSED, 6, "closed", "the connection ended before the outcome was known")                                        \
    X(TIMEOUT, 7, "timeout", "the deadline passed")                                                                    \
    X(CANCELLED, 8, "cancelled", "cancelled on this side")                                                             \
    X(UNREACHABLE, 9, "unreachable", "the peer is down; see reason")                                                   \
    X(REFUSED, 10, "refused", "a policy refused; see reason")                                                          \
    X(PROTOCOL, 11, "protocol", "the peer broke the protocol")                                                         \
    X(TLS, 12, "tls", "TLS failed; see reason")                                                                        \
    X(REMOTE, 13, "remote", "the remote handler failed; see text")                                                     \
    X(UNKNOWN_VERB, 14, "unknown_verb", "the peer has no handler for the verb")                                        \
    X(BUSY, 15, "busy", "the peer had no room for the request")                                                        \
    X(EXPIRED, 16, "expired", "the deadline passed at the peer before the handler ran")                                \
    X(TOO_LARGE, 17, "too_large", "a message or name is over its limit")                                               \
    X(TOO_NEW, 18, "too_new", "an option struct is newer than this library")                                           \
    X(NOT_FOUND, 19, "not_found", "no such peer, verb, file or entry")                                                 \
    X(DRAINING, 20, "draining", "the node is stopping")                                                                \
    X(STATE, 21, "state", "not possible in this state")                                                                \
    X(UNSUPPORTED, 22, "unsupported", "not available on this machine or in this build")

/** What went wrong, by kind.  Values and names are stable. */
enum weft_err {
#define WEFT_X(name, value, text, meaning) WEFT_ERR_##name = value,
    WEFT_ERRORS(WEFT_X)
#undef WEFT_X
        WEFT_OK = WEFT_ERR_OK
};

/** Longest text of an error record, in bytes, with its NUL. */
#define WEFT_ERROR_TEXT_BYTES 512

/** The detail of a failure.  The first cause wins: a filled record is not overwritten. */
struct weft_error {
    enum weft_err code;
    enum weft_reason reason;
    int32_t os_errno;                 /**< 0 where the system has no say */
    uint64_t tls_code;                /**< OpenSSL's packed error, 0 where TLS has no say */
    char text[WEFT_ERROR_TEXT_BYTES]; /**< one line, no newline, safe to print */
};

#ifdef __cplusplus
extern "C" {
#endif

/** The stable name of a code, without prefix, such as "queue_full"; "unknown" outside the list.
 *  @return a constant string   @shard any   @allocates never */
WEFT_API const char *weft_err_name(enum weft_err err);

/** What a code means, as one short phrase.
 *  @return a constant string   @shard any   @allocates never */
WEFT_API const char *weft_err_meaning(enum weft_err err);

#ifdef __cplusplus
}
#endif

#endif
