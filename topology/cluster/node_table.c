/* SPDX-License-Identifier: Apache-2.0 */
/* What a node says of its policy when it starts: where it stands, what each of its listeners admits, how it dials each
 * kind of peer, and the suites of TLS.  The decisions are asked of the policy, as connections ask it.
 *
 * Failure modes: a line that would be too long is cut. */
#include <stdio.h>
#include <string.h>

#include "tls/context.h"
#include "topology/cluster/node.h"
#include "topology/cluster/policy_kind.h"

#define LINE_BYTES 512u

/* A line that grows; what does not fit is left out. */
struct line {
    char text[LINE_BYTES];
    uint32_t used;
};

static void line_add(struct line *line, const char *before, const char *text, const char *after)
{
    int bytes = snprintf(line->text + line->used, sizeof line->text - line->used, "%s%s%s", before, text, after);
    uint32_t room = (uint32_t)sizeof line->text - 1 - line->used;
    line->used += bytes < 0 ? 0 : (uint32_t)bytes < room ? (uint32_t)bytes : room;
}

static void table_location(struct weft_node *node, const struct location *own)
{
    if (!location_dc_known(own)) {
        log_event(&node->log, 0, LOG_START, 'I', "own location unknown");
    } else {
        log_event(&node->log, 0, LOG_START, 'I', "own location dc %s, rack %s", own->dc,
                  location_rack_known(own) ? own->rack : "unknown");
    }
}

static void table_plain_listener(struct weft_node *node, const struct location *own)
{
    struct line line = {.used = 0};
    for (int kind = 0; kind < POLICY_KINDS; kind++) {
        struct location peer = policy_kind_location(own, (enum policy_kind)kind);
        const struct policy_incoming in = {.scope = node->settings.encryption,
                                           .own = own,
                                           .peer = &peer,
                                           .lane = WEFT_LANE_NORMAL,
                                           .certificate_configured = node->settings.certificate_in_block};
        if (policy_incoming(&in).verdict == POLICY_PLAIN) {
            line_add(&line, line.used == 0 ? "" : ", ", policy_kind_words((enum policy_kind)kind), "");
        }
    }
    log_event(&node->log, 0, LOG_START, 'I', "plain listener admits %s", line.used == 0 ? "nobody" : line.text);
}

static void table_tls_listener(struct weft_node *node)
{
    static const char *const demands[] = {
        [WEFT_CLIENT_AUTH_NONE] = "asks for no client certificate",
        [WEFT_CLIENT_AUTH_OPTIONAL] = "client certificates are optional",
        [WEFT_CLIENT_AUTH_REQUIRED] = "client certificates are required",
    };
    log_event(&node->log, 0, LOG_START, 'I', "TLS listener admits same rack, same dc, other dc, unknown; %s%s",
              demands[node->settings.client_auth],
              node->settings.endpoint_verification ? "; certificates must name their nodes" : "");
}

static void table_dials(struct weft_node *node, const struct location *own)
{
    struct line line = {.used = 0};
    enum weft_encryption scope = node->settings.encryption;
    for (int kind = 0; kind < POLICY_KINDS; kind++) {
        struct location peer = policy_kind_location(own, (enum policy_kind)kind);
        struct policy_decision decision = policy_outgoing(scope, own, &peer, WEFT_LANE_NORMAL);
        line_add(&line, policy_kind_words((enum policy_kind)kind), " ", policy_verdict_name(decision.verdict));
        line_add(&line, ", ", "", "");
    }
    struct location near = policy_kind_location(own, POLICY_KIND_SAME_RACK);
    line_add(&line, "control lane ", policy_verdict_name(policy_outgoing(scope, own, &near, WEFT_LANE_CONTROL).verdict),
             "");
    log_event(&node->log, 0, LOG_START, 'I', "dials %s", line.text);
}

/* The string was taken when the node was made. */
static void table_suites(struct weft_node *node)
{
    const struct settings *settings = &node->settings;
    struct priority priority;
    char newer[PRIORITY_LIST_BYTES] = "";
    char older[PRIORITY_LIST_BYTES] = "";
    if (tls_context_priority(&priority, settings->priority_given ? settings->priority_string : NULL, NULL) != WEFT_OK) {
        return;
    }
    (void)priority_suites_text(&priority, TLS_VERSION_1_3, newer, sizeof newer);
    (void)priority_suites_text(&priority, TLS_VERSION_1_2, older, sizeof older);
    log_event(&node->log, 0, LOG_START, 'I', "suites of TLS 1.3: %s", newer[0] == '\0' ? "none" : newer);
    log_event(&node->log, 0, LOG_START, 'I', "suites of TLS 1.2: %s", older[0] == '\0' ? "none" : older);
}

void node_log_table(struct weft_node *node)
{
    const struct settings *settings = &node->settings;
    struct location own = topology_own_location(node->topology);
    table_location(node, &own);
    if (!settings->client_only && policy_has_plain_listener(settings->encryption)) {
        table_plain_listener(node, &own);
    }
    if (!settings->client_only && policy_has_tls_listener(settings->encryption, settings->certificate_in_block)) {
        table_tls_listener(node);
    }
    table_dials(node, &own);
    if (node->credentials != NULL) {
        table_suites(node);
    }
}
