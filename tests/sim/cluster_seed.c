/* SPDX-License-Identifier: Apache-2.0 */
/* Many runs of one scenario, and what is printed when one of them fails.
 *
 * A failed check prints the seed and the command; an assert of the engine aborts, so the same is printed from the
 * signal. */
#include "tests/sim/cluster.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Of a share: fewer would not differ in what a scenario draws from its seed. */
#define SEEDS_MIN 4u

/* What to print if the run in progress aborts; a signal handler can see nothing else. */
static char abort_text[256];

static void repeat_text(char *text, size_t bytes, uint64_t seed)
{
    snprintf(text, bytes, "repeat: WEFT_SIM_SEED=%llu %s\n", (unsigned long long)seed, program_invocation_name);
}

static void aborted(int signal_number)
{
    (void)signal_number;
    ssize_t written = write(STDERR_FILENO, abort_text, strlen(abort_text));
    (void)written;
}

void cluster_failed(const struct cluster *cluster, const char *file, int line, const char *what, const char *format,
                    ...)
{
    char repeat[256];
    va_list arguments;
    repeat_text(repeat, sizeof repeat, cluster->options.seed);
    fprintf(stderr, "seed %llu, %llu us, step %llu: %s\n  ", (unsigned long long)cluster->options.seed,
            (unsigned long long)(cluster->world != NULL ? sim_world_now_ns(cluster->world) / 1000 : 0),
            (unsigned long long)cluster->steps, what);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n%s", repeat);
    _fail(file, line);
    abort();
}

bool cluster_seed_asked(uint64_t *seed)
{
    const char *text = getenv("WEFT_SIM_SEED");
    if (text == NULL) {
        return false;
    }
    char *end;
    *seed = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fail_msg("WEFT_SIM_SEED is '%s', not a number", text);
    }
    return true;
}

bool cluster_seeds_all(void)
{
    return getenv("WEFT_SIM_SEED") == NULL && getenv("WEFT_SIM_SHARE") == NULL;
}

/* The seeds of this run: one that was asked for, or the share of a build that is not the only one to run them.  Builds
 * with another number take other seeds, and none takes those of a run without a share. */
static void choose_seeds(uint64_t *first, uint32_t *count)
{
    const char *share = getenv("WEFT_SIM_SHARE");
    unsigned number;
    unsigned parts;
    char behind;
    if (cluster_seed_asked(first)) {
        *count = 1;
    } else if (share != NULL) {
        if (sscanf(share, "%u/%u%c", &number, &parts, &behind) != 2 || number == 0 || parts == 0) {
            fail_msg("WEFT_SIM_SHARE is '%s', not NUMBER/PARTS: the part of the seeds to run, and which such part",
                     share);
        }
        *first += (uint64_t)number * *count;
        *count = *count / parts > SEEDS_MIN ? *count / parts : SEEDS_MIN;
    }
}

static int compare_hashes(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void check_all_differ(uint64_t *hashes, uint32_t count)
{
    qsort(hashes, count, sizeof *hashes, compare_hashes);
    for (uint32_t i = 1; i < count; i++) {
        if (hashes[i] == hashes[i - 1]) {
            fail_msg("two seeds gave the same run, %016llx", (unsigned long long)hashes[i]);
        }
    }
}

void cluster_run_seeds(uint64_t first, uint32_t count, uint32_t twice_every, cluster_scenario_fn *scenario,
                       struct cluster_totals *totals)
{
    struct sigaction action = {.sa_handler = aborted, .sa_flags = (int)SA_RESETHAND};
    struct sigaction before;
    sigaction(SIGABRT, &action, &before);
    choose_seeds(&first, &count);
    uint64_t *hashes = calloc(count, sizeof *hashes);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t seed = first + i;
        repeat_text(abort_text, sizeof abort_text, seed);
        hashes[i] = scenario(seed, totals);
        if (i % twice_every == 0 && scenario(seed, NULL) != hashes[i]) {
            fail_msg("seed %llu: two runs differ", (unsigned long long)seed);
        }
    }
    check_all_differ(hashes, count);
    free(hashes);
    sigaction(SIGABRT, &before, NULL);
}
