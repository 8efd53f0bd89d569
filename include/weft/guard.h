/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  Having a say in who connects and what is run: two questions that the host answers.
 *
 *  Both come on top of the policy, never instead of it: what the policy refuses is not asked about.  They run on the
 *  shard, between receiving and answering, so they must not block; the facts are borrowed until they return.
 */
#ifndef WEFT_GUARD_H
#define WEFT_GUARD_H

#include <weft/call.h>
#include <weft/defs.h>
#include <weft/error.h>
#include <weft/node.h>
#include <weft/shard.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What is known of a connection that is being set up.  Grows at its end only. */
struct weft_admission {
    bool outgoing;           /**< we dialed it */
    bool encrypted;          /**< over TLS */
    bool verified;           /**< the other side showed a certificate, and it verified */
    bool hello;              /**< it introduced itself: the claims below */
    enum weft_lane lane;     /**< what the connection is for */
    weft_peer_id peer;       /**< the entry of the topology that has its address; zero if none, or several, do */
    const char *address;     /**< its address and port */
    const char *dc;          /**< claimed; "" without a hello */
    const char *rack;        /**< claimed; "" without a hello */
    const uint8_t *id;       /**< claimed: 16 bytes of a UUID, zeros without a hello */
    uint64_t incarnation;    /**< claimed: grows with each start of that node; 0 without a hello */
    const char *tls_version; /**< "" on plain connections */
    const char *tls_cipher;  /**< "" on plain connections */
    /* What a certificate says that verified; nothing of it without one.  Whether it has to fit is
     * require_endpoint_verification; these facts are there in any case. */
    const char *names; /**< alternative names for people, such as "IP:10.0.0.1 DNS:n1.example", cut at 255 bytes; "" */
    bool named;        /**< they are this node's, as require_endpoint_verification would demand */
    bool certified;    /**< it holds the very id that the hello claims, and no other cluster: the id is proven */
    const char *certified_cluster; /**< by its weft URI, or a SPIFFE id that matches a pattern; "" where it says none */
    const char *certified_dc;
    const char *certified_rack;
    const uint8_t *certified_id; /**< 16 bytes of a UUID, zeros where it says none */
};

/** Shall this connection stay?  @return false refuses it: `admit_callback` */
typedef bool weft_admit_fn(void *ctx, weft_shard *shard, const struct weft_admission *admission);

/** Be asked about every connection, once what both sides say of themselves is known and was found right: incoming ones
 *  with what the dialer said, outgoing ones with the answer.  Before start only.
 *  @return ok | STATE   @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_admit(weft_node *node, weft_admit_fn *fn, void *ctx);

/** What is known of a request that is about to run.  Grows at its end only. */
struct weft_access {
    uint64_t verb;
    enum weft_lane lane;
    bool encrypted;    /**< it came over TLS */
    bool verified;     /**< its sender showed a certificate, and it verified */
    bool hello;        /**< its sender introduced itself */
    weft_peer_id peer; /**< as in struct weft_admission */
};

/** May this request run?  @return false: the caller gets REFUSED, or, if it is not a weft node, the failure
 * "forbidden"; a one-way request is dropped.  Either is counted as requests_forbidden. */
typedef bool weft_authorize_fn(void *ctx, weft_shard *shard, const struct weft_access *access);

/** Be asked before every handler.  weft's own verbs are not asked about.  Before start only.
 *  @return ok | STATE   @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_authorize(weft_node *node, weft_authorize_fn *fn, void *ctx);

#ifdef __cplusplus
}
#endif

#endif
