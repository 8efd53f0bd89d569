/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the words of a benchmark's command line.  Failure modes: only wrong words, each with one line that says what
 * would be right. */
#include "bench/settings.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"

/* Two in the order of their numbers; twice the same where there is only one. */
static void cpus_allowed(uint32_t cpus[2])
{
    cpu_set_t allowed;
    uint32_t found = 0;
    cpus[0] = cpus[1] = 0;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return;
    }
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
        if (CPU_ISSET(cpu, &allowed)) {
            cpus[found++] = cpu;
        }
    }
    if (found == 1) {
        cpus[1] = cpus[0];
    }
}

void bench_settings_init(struct bench_settings *settings)
{
    uint32_t cpus[2];
    cpus_allowed(cpus);
    *settings = (struct bench_settings){
        .backend = "auto",
        .seconds = 3,
        .warmup_seconds = 0.3,
        .size = 64,
        .in_flight = 128,
        .connections = 1,
        .timeout_ms = WEFT_CALL_TIMEOUT_MS_DEFAULT,
        .server_cpu = cpus[0],
        .client_cpu = cpus[1],
    };
}

static bool number_read(const char **text, uint32_t *number)
{
    char *end;
    errno = 0;
    if (**text < '0' || **text > '9') {
        return false;
    }
    unsigned long long value = strtoull(*text, &end, 10);
    if (errno != 0 || value > UINT32_MAX) {
        return false;
    }
    *text = end;
    *number = (uint32_t)value;
    return true;
}

/* A number of bytes, with K or M for powers of 1024. */
static bool size_read(const char **text, uint32_t *size)
{
    uint32_t value;
    if (!number_read(text, &value)) {
        return false;
    }
    uint32_t shift = **text == 'K' ? 10 : **text == 'M' ? 20 : 0;
    *text += shift > 0 ? 1 : 0;
    *size = value << shift;
    return value <= BENCH_SIZE_MAX >> shift;
}

enum weft_err bench_settings_number(uint32_t *number, const char *option, const char *text, uint32_t min, uint32_t max,
                                    struct weft_error *why)
{
    const char *rest = text;
    uint32_t value;
    if (!number_read(&rest, &value) || *rest != '\0' || value < min || value > max) {
        return weft_error_set(why, WEFT_ERR_INVALID, "%s: \"%.64s\" is not a number from %u to %u", option, text, min,
                              max);
    }
    *number = value;
    return WEFT_OK;
}

enum weft_err bench_settings_size(struct bench_settings *settings, const char *text, struct weft_error *why)
{
    const char *rest = text;
    uint32_t size;
    if (!size_read(&rest, &size) || *rest != '\0') {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "--size: \"%.64s\" is not a number of bytes from 0 to %u, such as 1500, 64K or 1M", text,
                              BENCH_SIZE_MAX);
    }
    settings->size = size;
    return WEFT_OK;
}

enum weft_err bench_settings_seconds(double *seconds, const char *text, struct weft_error *why)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value < 0.01 || value > BENCH_SECONDS_MAX) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "--seconds: \"%.64s\" is not a number of seconds from 0.01 to %.0f", text,
                              BENCH_SECONDS_MAX);
    }
    *seconds = value;
    return WEFT_OK;
}

enum weft_err bench_settings_cpus(struct bench_settings *settings, const char *text, struct weft_error *why)
{
    const char *rest = text;
    uint32_t server;
    uint32_t client;
    if (!number_read(&rest, &server) || *rest++ != ',' || !number_read(&rest, &client) || *rest != '\0') {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "--cpus: \"%.64s\" is not two CPU numbers, server and client, such as 0,1", text);
    }
    settings->server_cpu = server;
    settings->client_cpu = client;
    return WEFT_OK;
}

enum weft_err bench_settings_beside(struct bench_settings *settings, const char *text, struct weft_error *why)
{
    const char *rest = text;
    uint32_t count;
    uint32_t size = 0;
    bool fine = number_read(&rest, &count) && *rest++ == 'x' && size_read(&rest, &size);
    if (!fine || *rest != '\0' || count == 0 || count > BENCH_BESIDE_MAX || size == 0) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "--beside-bulk: \"%.64s\" is not calls and bytes, such as 4x1M (at most %ux16M)", text,
                              BENCH_BESIDE_MAX);
    }
    settings->beside_count = count;
    settings->beside_size = size;
    return WEFT_OK;
}

static enum weft_err load_check(const struct bench_settings *settings, struct weft_error *why)
{
    if (settings->rate > 0 && (settings->one_way || settings->beside_count > 0)) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "--rate is a load of calls alone: use it without --oneway and "
                              "--beside-bulk");
    }
    if (settings->handler_us > 0 && (settings->one_way || settings->to != NULL)) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "--handler-us is for calls to the server of this run: use it with --local, and without "
                              "--oneway");
    }
    return WEFT_OK;
}

static enum weft_err cpu_check(uint32_t cpu, const char *side, struct weft_error *why)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0 && (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed))) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "--cpus: this process may not run on CPU %u (%s); `weft info` shows which it may", cpu,
                              side);
    }
    return WEFT_OK;
}

enum weft_err bench_settings_check(const struct bench_settings *settings, struct weft_error *why)
{
    if (settings->to == NULL) {
        WEFT_TRY(cpu_check(settings->server_cpu, "server", why));
    }
    WEFT_TRY(cpu_check(settings->client_cpu, "client", why));
    WEFT_TRY(load_check(settings, why));
    if (settings->in_flight < settings->connections) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "--in-flight %u is in total, and less than one for each of %u connections",
                              settings->in_flight, settings->connections);
    }
    return WEFT_OK;
}
