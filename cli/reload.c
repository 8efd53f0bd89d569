/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 512u

/* What takes a restart: options by their names, those that are text apart. */
#define RELOAD_NUMBERS(X)                                                                                              \
    X(storage_port)                                                                                                    \
    X(ssl_storage_port)                                                                                                \
    X(client_only)                                                                                                     \
    X(encryption)                                                                                                      \
    X(tls.client_auth)                                                                                                 \
    X(tls.certificate_in_block)                                                                                        \
    X(require_endpoint_verification)                                                                                   \
    X(require_hello)                                                                                                   \
    X(memory_per_shard_bytes)                                                                                          \
    X(connections_max)                                                                                                 \
    X(connections_per_peer_max)                                                                                        \
    X(calls_max)                                                                                                       \
    X(requests_max)                                                                                                    \
    X(handshake_timeout_ms)                                                                                            \
    X(heartbeat_ms)                                                                                                    \
    X(drain_timeout_ms)                                                                                                \
    X(idle_timeout_ms)                                                                                                 \
    X(frame_timeout_ms)                                                                                                \
    X(send_timeout_ms)                                                                                                 \
    X(first_request_timeout_ms)                                                                                        \
    X(send_zerocopy)                                                                                                   \
    X(tcp_delay)                                                                                                       \
    X(tcp_unsent_bytes_max)                                                                                            \
    X(tcp_user_timeout_ms)                                                                                             \
    X(tcp_keepalive_idle_s)                                                                                            \
    X(tcp_keepalive_interval_s)                                                                                        \
    X(tcp_keepalive_count)                                                                                             \
    X(busy_poll)                                                                                                       \
    X(smt)                                                                                                             \
    X(peers_max)
#define RELOAD_TEXTS(X)                                                                                                \
    X(cluster_name)                                                                                                    \
    X(listen_address)                                                                                                  \
    X(dial_address)                                                                                                    \
    X(tls.certificate)                                                                                                 \
    X(tls.keyfile)                                                                                                     \
    X(tls.truststore)                                                                                                  \
    X(shards)                                                                                                          \
    X(tcp_congestion)                                                                                                  \
    X(backend)

static void reload_say(const struct reload *reload, char level, const char *what, const char *detail)
{
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "reload: %.240s%.240s", what, detail);
    log_stream_line(reload->log, level, line);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_spiffe_ids(const struct weft_node_options *a, const struct weft_node_options *b)
{
    bool same = a->spiffe_id_count == b->spiffe_id_count;
    for (uint32_t i = 0; same && i < a->spiffe_id_count; i++) {
        same = strcmp(a->spiffe_ids[i], b->spiffe_ids[i]) == 0;
    }
    return same;
}

static void list_name(char text[LINE_BYTES], const char *name)
{
    size_t used = strlen(text);
    snprintf(text + used, LINE_BYTES - used, "%s%.40s", used > 0 ? ", " : "", name);
}

/* What is written otherwise than when the node was started. */
static void reload_tell_rest(const struct reload *reload, const struct weft_node_options *now)
{
    const struct weft_node_options *then = &reload->started->options;
    char names[LINE_BYTES] = "";
#define WEFT_X(name)                                                                                                   \
    if (then->name != now->name) {                                                                                     \
        list_name(names, #name);                                                                                       \
    }
    RELOAD_NUMBERS(WEFT_X)
#undef WEFT_X
#define WEFT_X(name)                                                                                                   \
    if (!same_text(then->name, now->name)) {                                                                           \
        list_name(names, #name);                                                                                       \
    }
    RELOAD_TEXTS(WEFT_X)
#undef WEFT_X
    if (!same_spiffe_ids(then, now)) {
        list_name(names, "spiffe_ids");
    }
    if (now->node_id != NULL && !same_text(then->node_id, now->node_id)) { /* else it has the one that is remembered */
        list_name(names, "node_id");
    }
    if (names[0] != '\0') {
        reload_say(reload, 'W', "other than at the start, and needs a restart: ", names);
    }
    if (now->tls.certificate != NULL) {
        reload_say(reload, 'I', "certificates and keys stay as they were read at the start", "");
    }
}

static struct config *reload_read(const struct reload *reload)
{
    struct config *fresh = NULL;
    struct config_report *report = calloc(1, sizeof *report);
    enum weft_err err = report != NULL ? config_load(&fresh, reload->file, report) : WEFT_ERR_NO_MEMORY;
    for (uint32_t i = 0; report != NULL && i < config_report_kept(&report->errors); i++) {
        reload_say(reload, 'E', report->errors.lines[i], "");
    }
    for (uint32_t i = 0; report != NULL && i < config_report_kept(&report->warnings); i++) {
        reload_say(reload, 'W', report->warnings.lines[i], "");
    }
    free(report);
    if (err != WEFT_OK) {
        reload_say(reload, 'E', "nothing is changed: ", weft_err_meaning(err));
    }
    return fresh;
}

const struct weft_node_options *reload_options(const struct reload *reload)
{
    return reload->applied != NULL ? &reload->applied->options : &reload->started->options;
}

bool reload_run(struct reload *reload)
{
    struct weft_error why = {0};
    struct weft_topology topology = WEFT_TOPOLOGY_INIT;
    reload_say(reload, 'I', "reading ", reload->file);
    struct config *fresh = reload_read(reload);
    if (fresh == NULL) {
        return false;
    }
    topology.dc = fresh->options.dc;
    topology.rack = fresh->options.rack;
    topology.peers = fresh->options.peers;
    topology.peer_count = fresh->options.peer_count;
    if (weft_node_topology_apply(reload->node, &topology, NULL, 0, &why) != WEFT_OK) {
        reload_say(reload, 'E', "nothing is changed: ", why.text);
        config_destroy(fresh);
        return false;
    }
    reload_tell_rest(reload, &fresh->options);
    reload->before = reload->applied;
    reload->applied = fresh;
    return true;
}

void reload_forget(struct reload *reload)
{
    config_destroy(reload->before);
    reload->before = NULL;
}

void reload_fini(struct reload *reload)
{
    reload_forget(reload);
    config_destroy(reload->applied);
}
