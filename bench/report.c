/* SPDX-License-Identifier: Apache-2.0 */
/* Prints results.  Failure modes: no memory, or a stdout that cannot be written; both are told to the caller. */
#include "bench/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <weft/version.h>

#include "tls/crypto.h"

#define US 1e3
#define MIB 1048576.0
#define CONGESTION_BYTES 32

double bench_result_rate(const struct bench_result *result)
{
    return result->end_ns <= result->begin_ns
               ? 0
               : (double)result->calls * 1e9 / (double)(result->end_ns - result->begin_ns);
}

static double seconds_of(const struct bench_result *result)
{
    return (double)(result->end_ns - result->begin_ns) / 1e9;
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text != NULL && text[0] != '\0' ? text : otherwise;
}

/* What the sockets used: the name that was asked for, or the system's own choice. */
static const char *congestion_of(const struct bench_settings *settings, char text[CONGESTION_BYTES])
{
    if (settings->congestion != NULL) {
        return settings->congestion;
    }
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_congestion_control", "re");
    bool known = file != NULL && fgets(text, CONGESTION_BYTES, file) != NULL;
    if (file != NULL) {
        fclose(file);
    }
    if (!known) {
        return NULL;
    }
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static void print_cost(const char *name, const struct bench_cost *cost)
{
    if (cost->known) {
        printf("  %-12s %8.0f ns of CPU and %.4f system calls for each call\n", name, cost->cpu_ns_per_call,
               cost->enters_per_call);
    } else {
        printf("  %-12s cost not known: it runs elsewhere\n", name);
    }
}

static void print_sums(const struct bench_settings *settings, const struct bench_result *result)
{
    const struct bench_sums *sums = &result->sums;
    const struct bench_served *served = &result->served;
    if (settings->rate == 0) {
        return;
    }
    printf("  %-12s offered %" PRIu64 " = not accepted %" PRIu64 " + sent %" PRIu64 "\n", "load", sums->offered,
           sums->not_accepted, sums->sent);
    printf("  %-12s sent %" PRIu64 " = answered %" PRIu64 " + busy %" PRIu64 " + expired %" PRIu64
           " + expired at the server %" PRIu64 " + failed %" PRIu64 "\n",
           "", sums->sent, sums->answered, sums->busy, sums->expired, sums->expired_at_peer, sums->failed);
    if (settings->to == NULL) {
        printf("  %-12s sent %" PRIu64 " - never left %" PRIu64 " = received %" PRIu64 " = answered %" PRIu64
               " + busy %" PRIu64 " + expired %" PRIu64 " + failed %" PRIu64 " + aborted %" PRIu64 "\n",
               "", sums->sent, sums->never_left, served->received, served->answered, served->busy, served->expired,
               served->failed, served->aborted);
    }
}

static void print_memory(const struct bench_result *result)
{
    if (result->memory_budget_bytes > 0 && result->client_memory.most_bytes > 0) {
        printf("  %-12s client %.1f MiB, server %.1f MiB resident at most; a shard may have %.1f MiB\n", "memory",
               (double)result->client_memory.most_bytes / MIB, (double)result->server_memory.most_bytes / MIB,
               (double)result->memory_budget_bytes / MIB);
    }
}

static double beside_rate(const struct bench_result *result)
{
    return result->end_ns <= result->begin_ns
               ? 0
               : (double)result->beside_calls * 1e9 / (double)(result->end_ns - result->begin_ns);
}

bool bench_report_print(const struct bench_settings *settings, const struct bench_result *result)
{
    char congestion[CONGESTION_BYTES];
    double rate = bench_result_rate(result);
    char loop[48] = "closed loop";
    if (settings->rate > 0) {
        snprintf(loop, sizeof loop, "open loop of %u calls/s", settings->rate);
    }
    printf("%s: %s, %s, %u B, %s%u in flight over %u connection%s, %s, %s, %s\n", result->program,
           settings->one_way ? "one-way" : "echo", loop, settings->size, settings->rate > 0 ? "at most " : "",
           settings->in_flight, settings->connections, settings->connections == 1 ? "" : "s",
           text_or(result->backend, "no backend"), settings->busy_poll ? "busy-polling" : "sleeping when idle",
           text_or(congestion_of(settings, congestion), "congestion control unknown"));
    if (settings->tls) {
        printf("  %-12s %s %s by OpenSSL\n", "security", text_or(result->tls_version, "TLS"),
               text_or(result->tls_cipher, "?"));
    }
    printf("  %-12s %8.0f calls/s, %.1f MB/s of payload%s\n", "rate", rate, rate * settings->size / 1e6,
           settings->one_way ? ", counted by the receiver" : " each way");
    if (result->latency_known) {
        const struct histogram *latency = &result->latency;
        printf("  %-12s p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f  mean %.1f us\n", "latency",
               (double)histogram_percentile(latency, 50) / US, (double)histogram_percentile(latency, 90) / US,
               (double)histogram_percentile(latency, 99) / US, (double)histogram_percentile(latency, 99.9) / US,
               (double)latency->max_ns / US, histogram_mean(latency) / US);
    }
    if (settings->beside_count > 0) {
        printf("  %-12s %8.1f MB/s of bulk writes, %u of %u B under way\n", "beside",
               beside_rate(result) * settings->beside_size / 1e6, settings->beside_count, settings->beside_size);
    }
    print_sums(settings, result);
    print_memory(result);
    print_cost("client", &result->client);
    print_cost("server", &result->server);
    printf("  %-12s %llu in %.3f s, %llu error%s\n", "calls", (unsigned long long)result->calls, seconds_of(result),
           (unsigned long long)result->errors, result->errors == 1 ? "" : "s");
    return fflush(stdout) == 0 && !ferror(stdout);
}

static json_t *json_text(const char *text)
{
    return text != NULL && text[0] != '\0' ? json_string(text) : json_null();
}

/* Which one it was: the sides make the same choice, each on its own. */
static json_t *json_crypto(enum weft_crypto wanted)
{
    char text[TLS_CRYPTO_TEXT_BYTES];
    enum weft_crypto used;
    return tls_crypto_describe(wanted, &used, text, NULL) == WEFT_OK ? json_string(tls_crypto_name(used)) : json_null();
}

static json_t *json_settings(const struct bench_settings *settings, const struct bench_result *result)
{
    char congestion[CONGESTION_BYTES];
    return json_pack(
        "{s:s, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:o, s:i, s:s, s:o, s:o, s:o, s:b, s:b, s:o, s:o}",
        "target", settings->to != NULL ? "to" : "local", "to", json_text(settings->to), "size", (int)settings->size,
        "in_flight", (int)settings->in_flight, "connections", (int)settings->connections, "rate", (int)settings->rate,
        "handler_us", (int)settings->handler_us, "timeout_ms", (int)settings->timeout_ms, "seconds", settings->seconds,
        "warmup_seconds", settings->warmup_seconds, "server_cpu",
        settings->to != NULL ? json_null() : json_integer(settings->server_cpu), "client_cpu",
        (int)settings->client_cpu, "security", settings->tls ? "tls" : "plain", "crypto",
        settings->tls ? json_crypto(settings->crypto) : json_null(), "tls_version", json_text(result->tls_version),
        "tls_cipher", json_text(result->tls_cipher), "one_way", settings->one_way ? 1 : 0, "busy_poll",
        settings->busy_poll ? 1 : 0, "congestion", json_text(congestion_of(settings, congestion)), "backend",
        json_text(result->backend));
}

static json_t *json_beside(const struct bench_settings *settings, const struct bench_result *result)
{
    if (settings->beside_count == 0) {
        return json_null();
    }
    return json_pack("{s:i, s:i, s:I, s:f}", "in_flight", (int)settings->beside_count, "size",
                     (int)settings->beside_size, "calls", (json_int_t)result->beside_calls, "bytes_per_s",
                     beside_rate(result) * settings->beside_size);
}

static json_t *json_sums(const struct bench_settings *settings, const struct bench_result *result)
{
    const struct bench_sums *sums = &result->sums;
    if (settings->rate == 0) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "offered", (json_int_t)sums->offered,
                     "not_accepted", (json_int_t)sums->not_accepted, "sent", (json_int_t)sums->sent, "answered",
                     (json_int_t)sums->answered, "busy", (json_int_t)sums->busy, "expired", (json_int_t)sums->expired,
                     "expired_at_peer", (json_int_t)sums->expired_at_peer, "failed", (json_int_t)sums->failed,
                     "never_left", (json_int_t)sums->never_left);
}

static json_t *json_served(const struct bench_settings *settings, const struct bench_result *result)
{
    const struct bench_served *served = &result->served;
    if (settings->rate == 0 || settings->to != NULL) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "received", (json_int_t)served->received, "answered",
                     (json_int_t)served->answered, "busy", (json_int_t)served->busy, "expired",
                     (json_int_t)served->expired, "failed", (json_int_t)served->failed, "aborted",
                     (json_int_t)served->aborted);
}

static json_t *json_side_memory(const struct bench_memory *memory)
{
    return memory->most_bytes == 0 ? json_null()
                                   : json_pack("{s:I, s:I}", "before", (json_int_t)memory->before_bytes, "most",
                                               (json_int_t)memory->most_bytes);
}

static json_t *json_memory(const struct bench_result *result)
{
    if (result->memory_budget_bytes == 0) {
        return json_null();
    }
    return json_pack("{s:I, s:o, s:o}", "budget", (json_int_t)result->memory_budget_bytes, "client",
                     json_side_memory(&result->client_memory), "server", json_side_memory(&result->server_memory));
}

static json_t *json_latency(const struct bench_result *result)
{
    const struct histogram *latency = &result->latency;
    if (!result->latency_known) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "p50", (json_int_t)histogram_percentile(latency, 50), "p90",
                     (json_int_t)histogram_percentile(latency, 90), "p99",
                     (json_int_t)histogram_percentile(latency, 99), "p999",
                     (json_int_t)histogram_percentile(latency, 99.9), "max", (json_int_t)latency->max_ns, "mean",
                     (json_int_t)llround(histogram_mean(latency)));
}

static json_t *json_cost(const struct bench_cost *cost, double value)
{
    return cost->known ? json_real(value) : json_null();
}

bool bench_report_json(const struct bench_settings *settings, const struct bench_result *result)
{
    double rate = bench_result_rate(result);
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:o, s:o, s:{s:I, s:I, s:I}, s:o, s:o, s:o, s:{s:o, s:o}, "
                  "s:{s:o, s:o}, s:o, "
                  "s:f, s:{s:I, s:I}, s:o}",
                  "bench", result->program, "version", weft_version(), "loop", settings->rate > 0 ? "open" : "closed",
                  "calls", (json_int_t)result->calls, "errors", (json_int_t)result->errors, "rate_per_s", rate,
                  "bytes_per_s", rate * settings->size, "latency_ns", json_latency(result), "beside_bulk",
                  json_beside(settings, result), "zero_copy", "sends", (json_int_t)result->zero_copy_sends, "copied",
                  (json_int_t)result->zero_copy_copied, "registered", (json_int_t)result->zero_copy_registered, "sums",
                  json_sums(settings, result), "served", json_served(settings, result), "memory", json_memory(result),
                  "enters_per_call", "client", json_cost(&result->client, result->client.enters_per_call), "server",
                  json_cost(&result->server, result->server.enters_per_call), "cpu_ns_per_call", "client",
                  json_cost(&result->client, result->client.cpu_ns_per_call), "server",
                  json_cost(&result->server, result->server.cpu_ns_per_call), "error", json_text(result->error.text),
                  "measured_seconds", seconds_of(result), "interval_ns", "begin", (json_int_t)result->begin_ns, "end",
                  (json_int_t)result->end_ns, "settings", json_settings(settings, result));
    bool written = object != NULL && json_dumpf(object, stdout, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12)) == 0;
    json_decref(object);
    putchar('\n');
    return fflush(stdout) == 0 && !ferror(stdout) && written;
}
