/* SPDX-License-Identifier: Apache-2.0 */
/* `weft bench rpc`: a closed loop of echoes, or of one-way messages, through the public interface of the library.
 *
 * A local run forks its server before anything else exists in the process; see rpc_server.h and rpc_client.h for the
 * two sides. */
#ifndef BENCH_RPC_H
#define BENCH_RPC_H

#include "bench/report.h"

/* Run it.  Progress goes to stderr, one line for each step.  Call it before the process has threads.
 * @param result filled as far as it came: a run whose calls failed is ok here, and counts errors
 * @return ok | INVALID (settings) | anything that starting a node or its TLS can fail with | CANCELLED (a signal) */
WEFT_NODISCARD enum weft_err bench_rpc_run(const struct bench_settings *settings, struct bench_result *result,
                                           struct weft_error *why);

#endif
