/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/status.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"

#define FRESH_SUFFIX ".new"

static void status_add_link(void *ctx, const struct weft_link *link)
{
    json_t *links = ctx;
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:s, s:s, s:i, s:b, s:s, s:I, s:I}", "direction",
                  link->outgoing ? "out" : "in", "peer", link->peer_address, "dc", link->dc, "rack", link->rack, "lane",
                  weft_lane_name(link->lane), "encrypted", link->encrypted, "up", link->up, "tls_version",
                  link->tls_version, "tls_cipher", link->tls_cipher, "reason", weft_reason_name(link->decision),
                  "shard", (int)link->shard, "waiting", link->waiting, "why", weft_reason_name(link->reason),
                  "certificate_not_after", (json_int_t)link->certificate_not_after_s, "peer_certificate_not_after",
                  (json_int_t)link->peer_certificate_not_after_s);
    if (object != NULL) {
        json_array_append_new(links, object);
    }
}

static bool status_peer_up(const json_t *links, const char *address)
{
    size_t index;
    const json_t *link;
    size_t bytes = strlen(address);
    json_array_foreach(links, index, link)
    {
        const char *peer = json_string_value(json_object_get(link, "peer"));
        bool out = strcmp(json_string_value(json_object_get(link, "direction")), "out") == 0;
        bool same = strncmp(peer, address, bytes) == 0 && peer[bytes] == ':';
        if (out && same && json_is_true(json_object_get(link, "up"))) {
            return true;
        }
    }
    return false;
}

/* What passed on each lane; lanes that nothing went over are left out. */
static json_t *status_accounts(const struct status *status, weft_peer_id peer)
{
    json_t *lanes = json_object();
    for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
        struct weft_peer_counters account;
        if (weft_node_peer_counters(status->node, peer, (enum weft_lane)lane, &account) != WEFT_OK ||
            account.calls_started + account.requests_received == 0) {
            continue;
        }
        json_t *object = json_object();
#define WEFT_X(name) json_object_set_new(object, #name, json_integer((json_int_t)account.name));
        WEFT_PEER_COUNTERS(WEFT_X)
#undef WEFT_X
        json_object_set_new(lanes, weft_lane_name((enum weft_lane)lane), object);
    }
    return lanes;
}

/* Peers of the start have their ids by position; of those that came later, the address is known. */
static weft_peer_id status_peer_id(const struct status *status, uint32_t index)
{
    return status->moved ? weft_node_peer_find(status->node, status->options->peers[index].addresses[0])
                         : (weft_peer_id){index + 1};
}

static json_t *status_peers(const struct status *status, const json_t *links)
{
    json_t *peers = json_array();
    for (uint32_t i = 0; i < status->options->peer_count; i++) {
        const struct weft_peer_options *peer = &status->options->peers[i];
        weft_peer_id id = status_peer_id(status, i);
        const struct probe *probe = status->prober != NULL ? prober_of(status->prober, id) : NULL;
        json_t *object = json_pack("{s:s, s:s, s:s, s:b, s:o, s:I, s:I}", "address", peer->addresses[0], "dc",
                                   peer->dc != NULL ? peer->dc : "", "rack", peer->rack != NULL ? peer->rack : "", "up",
                                   status_peer_up(links, peer->addresses[0]), "accounts", status_accounts(status, id),
                                   "probes_sent", (json_int_t)(probe != NULL ? atomic_load(&probe->sent) : 0),
                                   "probes_answered", (json_int_t)(probe != NULL ? atomic_load(&probe->answered) : 0));
        if (object != NULL) {
            json_array_append_new(peers, object);
        }
    }
    return peers;
}

/* Reasons between two bounds that were counted at all. */
static json_t *status_by_reason(const uint64_t *counts, int begin, int end)
{
    json_t *object = json_object();
    for (int reason = begin + 1; reason < end; reason++) {
        if (counts[reason - begin] > 0) {
            json_object_set_new(object, weft_reason_name((enum weft_reason)reason),
                                json_integer((json_int_t)counts[reason - begin]));
        }
    }
    return object;
}

static json_t *status_counters(const struct weft_counters *counters)
{
    json_t *object = json_object();
#define WEFT_X(name) json_object_set_new(object, #name, json_integer((json_int_t)counters->name));
    WEFT_COUNTERS(WEFT_X)
#undef WEFT_X
    json_object_set_new(object, "refused_by_reason",
                        status_by_reason(counters->refused_by_reason, WEFT_REASON_NONE, WEFT_REASON_REFUSALS_END));
    json_object_set_new(object, "ended_by_reason",
                        status_by_reason(counters->ended_by_reason, WEFT_REASON_ENDS_BEGIN, WEFT_REASON_ENDS_END));
    return object;
}

static json_t *status_in_use(const struct weft_counters *counters)
{
    json_t *object = json_object();
#define WEFT_X(name) json_object_set_new(object, #name, json_integer((json_int_t)counters->in_use.name));
    WEFT_GAUGES(WEFT_X)
#undef WEFT_X
    return object;
}

static void status_set_histogram(json_t *object, const char *name, const struct weft_histogram *histogram)
{
    uint64_t count = weft_histogram_count(histogram);
    json_t *summary = json_pack("{s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)count, "mean",
                                (json_int_t)(count > 0 ? histogram->sum / count : 0), "p50",
                                (json_int_t)weft_histogram_quantile(histogram, 0.5), "p99",
                                (json_int_t)weft_histogram_quantile(histogram, 0.99), "max",
                                (json_int_t)weft_histogram_quantile(histogram, 1));
    json_object_set_new(object, name, summary);
}

/* What was measured since the start; lanes that nothing went over are left out. */
static json_t *status_metrics(const struct status *status)
{
    struct weft_metrics metrics;
    json_t *object = json_object();
    json_t *calls = json_object();
    json_t *handlers = json_object();
    weft_metrics_snapshot(status->node, &metrics, sizeof metrics);
    for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
        const char *name = weft_lane_name((enum weft_lane)lane);
        if (weft_histogram_count(&metrics.call_ns[lane]) > 0) {
            status_set_histogram(calls, name, &metrics.call_ns[lane]);
        }
        if (weft_histogram_count(&metrics.handler_us[lane]) > 0) {
            status_set_histogram(handlers, name, &metrics.handler_us[lane]);
        }
    }
    json_object_set_new(object, "call_ns", calls);
    json_object_set_new(object, "handler_us", handlers);
    status_set_histogram(object, "turn_ns", &metrics.turn_ns);
    status_set_histogram(object, "turn_events", &metrics.turn_events);
    status_set_histogram(object, "send_queue_bytes", &metrics.send_queue_bytes);
    return object;
}

static json_t *status_following(const struct status *status)
{
    struct config_follow_counts counts = {0};
    if (status->follow != NULL) {
        counts = config_follow_counts(status->follow);
    }
    return json_pack("{s:I, s:I, s:I, s:I}", "reads", (json_int_t)counts.reads, "changes", (json_int_t)counts.changes,
                     "faults", (json_int_t)(counts.faults + status->topology_faults), "names_failed",
                     (json_int_t)counts.names_failed);
}

/* What is written replaces the file, and root could replace a device. */
static enum weft_err status_replaceable(const char *path, struct weft_error *why)
{
    struct stat found;
    if (strlen(path) + sizeof FRESH_SUFFIX > PATH_MAX) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "status file: its name has more than %zu bytes",
                              PATH_MAX - sizeof FRESH_SUFFIX);
    }
    if (lstat(path, &found) == 0 && !S_ISREG(found.st_mode)) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "status file %s: is not a regular file; name one that may be replaced", path);
    }
    return WEFT_OK;
}

enum weft_err status_write(const struct status *status, struct weft_error *why)
{
    WEFT_TRY(status_replaceable(status->path, why));
    char fresh[PATH_MAX];
    struct weft_counters counters;
    json_t *links = json_array();
    weft_node_counters(status->node, &counters);
    weft_node_links(status->node, status_add_link, links);
    const char *address = status->options->listen_address;
    json_t *peers = status_peers(status, links);
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:I}", "node",
        address != NULL ? address : "127.0.0.1", "dc", status->options->dc != NULL ? status->options->dc : "", "rack",
        status->options->rack != NULL ? status->options->rack : "", "scope",
        weft_encryption_name(weft_node_encryption(status->node)), "backend", weft_node_backend(status->node), "shards",
        (int)weft_node_shard_count(status->node), "peers", peers, "links", links, "counters",
        status_counters(&counters), "in_use", status_in_use(&counters), "log_lines_lost",
        (json_int_t)atomic_load(&status->log->lost), "metrics", status_metrics(status), "following",
        status_following(status), "certificate_not_after", (json_int_t)weft_node_certificate_not_after_s(status->node));
    if (object == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for the status");
    }
    snprintf(fresh, sizeof fresh, "%s%s", status->path, FRESH_SUFFIX);
    bool written = json_dump_file(object, fresh, JSON_INDENT(2)) == 0 && rename(fresh, status->path) == 0;
    int error = errno;
    json_decref(object);
    return written ? WEFT_OK : weft_error_set_errno(why, WEFT_ERR_SYSTEM, error, "status file %s", status->path);
}
