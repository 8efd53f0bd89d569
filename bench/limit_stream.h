/* SPDX-License-Identifier: Apache-2.0 */
/* The limit of one-way messages: a blocking send loop on one side, a blocking recv loop on the other. */
#ifndef BENCH_LIMIT_STREAM_H
#define BENCH_LIMIT_STREAM_H

#include <stdatomic.h>

#include "bench/report.h"

/* What each call of the loops moves. */
#define LIMIT_STREAM_CHUNK_BYTES (256u * 1024)

/* The receiver, until the sender closes: writes to *received how many bytes it has got. */
void limit_stream_receive(int socket, atomic_uint_fast64_t *received);
/* The sender: warm up, measure, fill the result.  A call is settings->size bytes. */
void limit_stream_send(int socket, const struct bench_settings *settings, atomic_uint_fast64_t *received,
                       struct bench_result *result);

#endif
