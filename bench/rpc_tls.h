/* SPDX-License-Identifier: Apache-2.0 */
/* Throw-away TLS for a local run: a CA of its own and a certificate for each side, in a private directory that is
 * removed as soon as both sides have read it.  Verification stays on, both ways. */
#ifndef BENCH_RPC_TLS_H
#define BENCH_RPC_TLS_H

#include <weft/error.h>

/* The cluster that both certificates are of. */
#define RPC_CLUSTER "weft bench"
#define RPC_TLS_PATH_BYTES 512

struct rpc_tls_files {
    char directory[RPC_TLS_PATH_BYTES - 32];
    char truststore[RPC_TLS_PATH_BYTES];
    char certificate[RPC_TLS_PATH_BYTES]; /* of the side that uses this copy */
    char keyfile[RPC_TLS_PATH_BYTES];
};

/* Make the directory below $TMPDIR or /tmp and write the files of both sides.
 * @param server, client both given, and both name the same directory   @return ok | SYSTEM | TLS | NO_MEMORY */
WEFT_NODISCARD enum weft_err rpc_tls_create(struct rpc_tls_files *server, struct rpc_tls_files *client,
                                            struct weft_error *why);
/* Remove what create made; a zeroed one is fine, and so is a second time. */
void rpc_tls_remove(struct rpc_tls_files *files);

#endif
