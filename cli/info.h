/* SPDX-License-Identifier: Apache-2.0 */
/* `weft info`: what weft finds on this machine, or would make of another.
 * @param argv argv[0] is "weft info"   @return the exit code */
#ifndef CLI_INFO_H
#define CLI_INFO_H

#include <stdbool.h>
#include <sys/utsname.h>

#include "tls/crypto.h"
#include "topology/machine/network.h"
#include "topology/machine/plan.h"

/* One line of /proc/sys/net. */
#define INFO_LINE_BYTES 256

/* All that is shown. */
struct info {
    const char *description; /* of another machine; NULL: this one */
    struct plan_wish wish;
    struct machine machine;
    uint32_t usable_count;
    struct plan plan;
    /* Of this machine only. */
    struct utsname kernel;
    struct network network;
    struct cpu_set network_cpus;
    bool io_uring_usable;
    char io_uring_detail[WEFT_ERROR_TEXT_BYTES];
    enum weft_crypto crypto;
    char crypto_detail[TLS_CRYPTO_TEXT_BYTES];
    char congestion[INFO_LINE_BYTES];
    char congestion_available[INFO_LINE_BYTES];
};

int cli_info(int argc, char **argv);

/* Shards that run on CPUs of this set. */
void info_shards_on(const struct info *info, const struct cpu_set *cpus, struct cpu_set *shards);
/* One JSON object on stdout.  @return false: no memory, or stdout takes nothing */
bool info_print_json(const struct info *info);

#endif
