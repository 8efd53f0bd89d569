/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/cluster/remedy.h"

#include <errno.h>
#include <stddef.h>

#include "engine/base/assert.h"

#define HERE(text)                                                                                                     \
    {                                                                                                                  \
        REMEDY_HERE, text                                                                                              \
    }
#define THERE(text)                                                                                                    \
    {                                                                                                                  \
        REMEDY_THERE, text                                                                                             \
    }
#define EITHER(text)                                                                                                   \
    {                                                                                                                  \
        REMEDY_EITHER, text                                                                                            \
    }
/* Where it does not matter who says it. */
#define BOTH(remedy) remedy, remedy

static const struct remedy_row {
    enum weft_reason reason;
    struct remedy told;
    struct remedy found;
} rows[] = {
    {WEFT_REASON_REFUSED,
     THERE("its log has the reason, by our address; add this node's address to its nodes, since "
           "it tells no more to those that it does not know"),
     THERE("its log has the reason")},
    {WEFT_REASON_NO_LISTENER,
     BOTH(THERE("its internode_encryption opens no such port; dial the other one, or change it"))},
    {WEFT_REASON_PLAINTEXT_FORBIDDEN,
     BOTH(EITHER("its internode_encryption admits no plaintext from where this node is: give both nodes the same "
                 "internode_encryption, dc and rack, or dial its ssl_storage_port"))},
    {WEFT_REASON_PLAINTEXT_UNKNOWN_LOCATION,
     BOTH(THERE("add this node's address with its dc and rack to its nodes or topology file, and its own dc and rack "
                "if they are unset"))},
    {WEFT_REASON_PLAINTEXT_ON_TLS_PORT,
     BOTH(HERE("that is a TLS port: dial it with --security tls, or dial its storage_port; check storage_port of its "
               "entry in nodes"))},
    {WEFT_REASON_TLS_ON_PLAINTEXT_PORT,
     BOTH(HERE("that is a plaintext port: dial its ssl_storage_port, or this one with --security plain; check "
               "ssl_storage_port of its entry in nodes"))},
    {WEFT_REASON_TLS_VERSION,
     BOTH(THERE("it must speak TLS 1.2 or 1.3: update it, or its priority_string; then compare priority_string here"))},
    {WEFT_REASON_TLS_NO_SHARED_CIPHER,
     BOTH(EITHER("compare priority_string on both sides (`weft ciphers` lists what each means), and whether they allow "
                 "the kind of key of the other's certificate"))},
    {WEFT_REASON_CERT_MISSING,
     HERE("it demands a certificate (require_client_auth): set certificate and keyfile in server_encryption_options"),
     THERE("it must show a certificate: set certificate and keyfile")},
    {WEFT_REASON_CERT_UNTRUSTED,
     EITHER("it does not trust this node's certificate: put the CA that issued it into its truststore, or have its CA "
            "issue one for this node"),
     EITHER("its certificate is not trusted here: put the CA that issued it into truststore, or have one of our CAs "
            "issue it; `weft certs verify` explains a chain")},
    {WEFT_REASON_CERT_EXPIRED,
     HERE("this node's certificate has expired by its clock: renew it, or check both clocks; if it has not, its "
          "certificate_revocation_list has (its log says crl_expired): renew that there"),
     THERE("renew its certificate, or check both clocks")},
    {WEFT_REASON_CERT_NOT_YET_VALID,
     EITHER("this node's certificate is not valid yet by its clock: check both clocks, or wait"),
     EITHER("its certificate is not valid yet by our clock: check both clocks, or wait")},
    {WEFT_REASON_CERT_REVOKED, HERE("this node's certificate is revoked: replace it and its key"),
     THERE("its certificate is revoked: replace it and its key")},
    {WEFT_REASON_CERT_NAME_MISMATCH,
     HERE("this node's certificate does not name it: issue one for its address or id (`weft certs node`)"),
     THERE("its certificate does not name the address that was dialed: issue one that does (`weft certs node`)")},
    {WEFT_REASON_LOCATION_CLAIM_MISMATCH,
     BOTH(EITHER("dc or rack of this node is not what its nodes or topology file has for our address: make them "
                 "equal"))},
    {WEFT_REASON_WRONG_CLUSTER, BOTH(EITHER("cluster_name differs: make it equal, or dial a node of this cluster"))},
    {WEFT_REASON_WRONG_NODE, THERE("its nodes have another id for our address: correct or remove it"),
     HERE("another node answers than the id of its entry in nodes says: correct or remove the id, or the address")},
    {WEFT_REASON_HANDSHAKE_TIMEOUT,
     BOTH(THERE("it accepted, and said nothing of TLS in time: is that a TLS port, and is the node alive?"))},
    {WEFT_REASON_TOO_MANY_CONNECTIONS,
     BOTH(THERE("all its connections are in use: raise connections_max or connections_per_peer_max"))},
    {WEFT_REASON_BAD_MAGIC, BOTH(THERE("no node listens there, but another program: check host and port"))},
    {WEFT_REASON_FRAME_TOO_LARGE, BOTH(THERE("it sent more than a negotiation holds: is that a node?"))},
    {WEFT_REASON_HELLO_MISSING, HERE("it wants a hello of weft: update this node"),
     EITHER("it is no weft node, and an id of its entry in nodes, or require_hello, demands one: remove that here, or "
            "run weft there")},
    {WEFT_REASON_HELLO_TIMEOUT,
     BOTH(THERE("it accepted, and answered no negotiation in time: is it a node, and alive?"))},
    {WEFT_REASON_LANE_FORBIDDEN, BOTH(THERE("it knows no lane of that name: update it"))},
    {WEFT_REASON_DRAINING, BOTH(THERE("it is stopping: wait until it runs again"))},
    {WEFT_REASON_SELF_CONNECTION,
     BOTH(HERE(
         "that is this node, or both have one node_id: give each node a state_directory, or node_id, of its own"))},
    {WEFT_REASON_CRL_EXPIRED, THERE("its certificate_revocation_list has expired: renew it"),
     HERE("certificate_revocation_list has expired: renew it")},
    {WEFT_REASON_ADMIT_CALLBACK, THERE("the program that embeds it refuses this node; its log knows why"),
     HERE("the program that embeds this node refuses it")},
    {WEFT_REASON_CONNECT_FAILED,
     BOTH(THERE("nothing listens there, or a firewall refuses: is the node running, and does its "
                "internode_encryption open this port?"))},
    {WEFT_REASON_CONNECT_TIMEOUT, BOTH(EITHER("no answer to connect: check the address, routes and firewalls"))},
    {WEFT_REASON_CLOSED_BY_PEER,
     BOTH(THERE("it closed without a word, as Seastar nodes do where TLS or plaintext is not expected: try the other "
                "port, and read its log"))},
    {WEFT_REASON_CONNECTION_RESET,
     BOTH(THERE("the connection was reset: read its log; a firewall or proxy between may have done it"))},
    {WEFT_REASON_TRUNCATED,
     BOTH(THERE("it ended without TLS's farewell: read its log; a proxy between may have done it"))},
    {WEFT_REASON_BAD_NEGOTIATION,
     BOTH(THERE("its negotiation is not understood: is that a node, and are both sides' versions current?"))},
    {WEFT_REASON_TLS_FAILED,
     BOTH(EITHER("TLS failed in a way that has no name of its own: the text is OpenSSL's; read the log there, too"))},
};

static const struct remedy remedy_unknown = EITHER("read the log of both nodes");

/* The source address is not one of this machine's. */
static const struct remedy remedy_source = HERE(
    "this machine does not have the address that the node dials from: correct dial_address or listen_address, or ask "
    "on the node's own machine");

struct remedy remedy_of(const struct weft_error *error, bool told)
{
    if (error->reason == WEFT_REASON_CONNECT_FAILED && error->os_errno == EADDRNOTAVAIL) {
        return remedy_source;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].reason == error->reason) {
            return told ? rows[i].told : rows[i].found;
        }
    }
    return remedy_unknown;
}

const char *remedy_side_name(enum remedy_side side)
{
    static const char *const names[] = {"here", "there", "either side"};
    WEFT_ASSERT(side <= REMEDY_EITHER);
    return names[side];
}
