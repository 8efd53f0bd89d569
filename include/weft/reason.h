/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  Why a connection was refused, ended or made the way it was.  Names are stable: they stand in logs,
 *  counters, refusal records and in the output of `weft explain`.
 */
#ifndef WEFT_REASON_H
#define WEFT_REASON_H

#include <weft/defs.h>

/** Refusals.  The position, from 1, is the code of the refusal record on the wire: append only. */
#define WEFT_REFUSALS(X)                                                                                               \
    X(REFUSED, "refused")                                                                                              \
    X(NO_LISTENER, "no_listener")                                                                                      \
    X(PLAINTEXT_FORBIDDEN, "plaintext_forbidden")                                                                      \
    X(PLAINTEXT_UNKNOWN_LOCATION, "plaintext_unknown_location")                                                        \
    X(PLAINTEXT_ON_TLS_PORT, "plaintext_on_tls_port")                                                                  \
    X(TLS_ON_PLAINTEXT_PORT, "tls_on_plaintext_port")                                                                  \
    X(TLS_VERSION, "tls_version")                                                                                      \
    X(TLS_NO_SHARED_CIPHER, "tls_no_shared_cipher")                                                                    \
    X(CERT_MISSING, "cert_missing")                                                                                    \
    X(CERT_UNTRUSTED, "cert_untrusted")                                                                                \
    X(CERT_EXPIRED, "cert_expired")                                                                                    \
    X(CERT_NOT_YET_VALID, "cert_not_yet_valid")                                                                        \
    X(CERT_REVOKED, "cert_revoked")                                                                                    \
    X(CERT_NAME_MISMATCH, "cert_name_mismatch")                                                                        \
    X(LOCATION_CLAIM_MISMATCH, "location_claim_mismatch")                                                              \
    X(WRONG_CLUSTER, "wrong_cluster")                                                                                  \
    X(WRONG_NODE, "wrong_node")                                                                                        \
    X(HANDSHAKE_TIMEOUT, "handshake_timeout")                                                                          \
    X(TOO_MANY_CONNECTIONS, "too_many_connections")                                                                    \
    X(BAD_MAGIC, "bad_magic")                                                                                          \
    X(FRAME_TOO_LARGE, "frame_too_large")                                                                              \
    X(HELLO_MISSING, "hello_missing")                                                                                  \
    X(HELLO_TIMEOUT, "hello_timeout")                                                                                  \
    X(LANE_FORBIDDEN, "lane_forbidden")                                                                                \
    X(DRAINING, "draining")                                                                                            \
    X(SELF_CONNECTION, "self_connection")                                                                              \
    X(CRL_EXPIRED, "crl_expired")                                                                                      \
    X(ADMIT_CALLBACK, "admit_callback")

/** Ends of a connection that are nobody's policy; never on the wire. */
#define WEFT_ENDS(X)                                                                                                   \
    X(CONNECT_FAILED, "connect_failed")                                                                                \
    X(CONNECT_TIMEOUT, "connect_timeout")                                                                              \
    X(CLOSED_BY_PEER, "closed_by_peer")                                                                                \
    X(CONNECTION_RESET, "connection_reset")                                                                            \
    X(TRUNCATED, "truncated")                                                                                          \
    X(BAD_NEGOTIATION, "bad_negotiation")                                                                              \
    X(BAD_FRAME, "bad_frame")                                                                                          \
    X(STREAMS_UNSUPPORTED, "streams_unsupported")                                                                      \
    X(TLS_FAILED, "tls_failed")                                                                                        \
    X(HEARTBEAT_MISSED, "heartbeat_missed")                                                                            \
    X(SEND_OVERFLOW, "send_overflow")                                                                                  \
    X(OUT_OF_BUFFERS, "out_of_buffers")                                                                                \
    X(LOCAL_CLOSE, "local_close")                                                                                      \
    X(IDLE, "idle")                                                                                                    \
    X(STALE_INCARNATION, "stale_incarnation")                                                                          \
    X(FRAME_TIMEOUT, "frame_timeout")                                                                                  \
    X(SEND_TIMEOUT, "send_timeout")                                                                                    \
    X(FIRST_REQUEST_TIMEOUT, "first_request_timeout")                                                                  \
    X(PEER_REMOVED, "peer_removed")                                                                                    \
    X(LOCATION_CHANGED, "location_changed")                                                                            \
    X(KERNEL_OUT_OF_MEMORY, "kernel_out_of_memory")                                                                    \
    X(NETWORK_FAILED, "network_failed")                                                                                \
    X(SYSTEM_FAILED, "system_failed")                                                                                  \
    X(CREDENTIALS_REPLACED, "credentials_replaced")                                                                    \
    X(SCOPE_CHANGED, "scope_changed")

/** Why a connection was made plain or TLS, or admitted. */
#define WEFT_DECISIONS(X)                                                                                              \
    X(SCOPE_NONE, "scope_none")                                                                                        \
    X(SCOPE_ALL, "scope_all")                                                                                          \
    X(SAME_RACK, "same_rack")                                                                                          \
    X(SAME_DC, "same_dc")                                                                                              \
    X(OTHER_RACK, "other_rack")                                                                                        \
    X(OTHER_DC, "other_dc")                                                                                            \
    X(LOCATION_UNKNOWN, "location_unknown")                                                                            \
    X(OWN_LOCATION_UNKNOWN, "own_location_unknown")                                                                    \
    X(CONTROL_LANE, "control_lane")                                                                                    \
    X(TRANSITIONAL, "transitional")                                                                                    \
    X(TLS_LISTENER, "tls_listener")                                                                                    \
    X(PASSIVE_LISTENER, "passive_listener")

/** A named reason; WEFT_REASON_NONE where there is none. */
enum weft_reason {
    WEFT_REASON_NONE = 0,
#define WEFT_X(name, text) WEFT_REASON_##name,
    WEFT_REFUSALS(WEFT_X) WEFT_REASON_REFUSALS_END,
    WEFT_REASON_ENDS_BEGIN = 63,
    WEFT_ENDS(WEFT_X) WEFT_REASON_ENDS_END,
    WEFT_REASON_DECISIONS_BEGIN = 127,
    WEFT_DECISIONS(WEFT_X) WEFT_REASON_COUNT
#undef WEFT_X
};

#ifdef __cplusplus
extern "C" {
#endif

/** The stable name of a reason, "none" for WEFT_REASON_NONE, "unknown" for a value outside the list.
 *  @return a constant string   @shard any   @allocates never */
WEFT_API const char *weft_reason_name(enum weft_reason reason);

#ifdef __cplusplus
}
#endif

#endif
