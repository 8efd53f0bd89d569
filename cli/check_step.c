/* SPDX-License-Identifier: Apache-2.0 */
/* A step between two configurations of one node.
 *
 * The scopes are the policy's business (policy_step.h).  Beside them only what two nodes must agree on is compared: no
 * order of steps helps where that differs. */
#include "cli/check_step.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "tls/context.h"

static enum policy_stage config_stage(const struct config *config)
{
    return policy_stage_of(config->options.encryption, config->options.tls.certificate_in_block);
}

static bool names_differ(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") != 0;
}

/* Why no handshake between the two succeeds; NONE: one can, or none is made. */
static enum weft_reason priorities_part(const struct config *from, const struct config *to)
{
    struct priority old;
    struct priority new;
    bool tls = policy_dials_tls(from->options.encryption) || policy_dials_tls(to->options.encryption);
    if (!tls || tls_context_priority(&old, from->options.priority_string, NULL) != WEFT_OK ||
        tls_context_priority(&new, to->options.priority_string, NULL) != WEFT_OK) {
        return WEFT_REASON_NONE;
    }
    return priority_meet(&old, &new);
}

/* What nodes on the old and on the new configuration do not agree on; false: nothing. */
static bool step_is_split(struct check_step *step, const struct config *from, const struct config *to)
{
    enum weft_encryption scopes[] = {from->options.encryption, to->options.encryption};
    bool plain = (policy_dials_plain(scopes[0]) || policy_dials_plain(scopes[1])) &&
                 config_storage_port(from) != config_storage_port(to);
    bool tls = (policy_dials_tls(scopes[0]) || policy_dials_tls(scopes[1])) &&
               config_ssl_storage_port(from) != config_ssl_storage_port(to);
    enum weft_reason parted = priorities_part(from, to);
    if (names_differ(config_cluster_name(from), config_cluster_name(to))) {
        snprintf(step->reason, sizeof step->reason,
                 "cluster_name differs: nodes on the old and on the new one refuse each other (wrong_cluster)");
    } else if (names_differ(from->options.dc, to->options.dc) || names_differ(from->options.rack, to->options.rack)) {
        snprintf(step->reason, sizeof step->reason,
                 "the own location differs: peers whose topology has the old one refuse this node "
                 "(location_claim_mismatch); drain it, tell its peers, and start it anew");
    } else if (plain || tls) {
        snprintf(step->reason, sizeof step->reason,
                 "%s differs: nodes on the old port dial where the new ones do not "
                 "listen",
                 plain ? "storage_port" : "ssl_storage_port");
    } else if (parted != WEFT_REASON_NONE) {
        snprintf(step->reason, sizeof step->reason,
                 "priority_string differs: nodes on the old and on the new one share no %s (%s); go over a string that "
                 "has what either has",
                 parted == WEFT_REASON_TLS_VERSION ? "version of TLS" : "cipher suite and group",
                 weft_reason_name(parted));
    } else {
        return false;
    }
    return true;
}

static void gap_describe(char *text, size_t bytes, const struct policy_gap *gap)
{
    static const char *const who[POLICY_KINDS] = {"a peer in its rack", "a peer in another rack of its data centre",
                                                  "a peer in another data centre", "a peer of unknown location"};
    snprintf(text, bytes,
             "until the last node is through, a node on %s dials %s %s (lane %s, %s), and one on %s refuses that: %s",
             policy_stage_name(gap->dialer), who[gap->kind],
             gap->dialed.verdict == POLICY_TLS ? "by TLS" : "in plaintext", weft_lane_name(gap->lane),
             weft_reason_name(gap->dialed.reason), policy_stage_name(gap->acceptor), weft_reason_name(gap->refused));
}

void check_step_judge(struct check_step *step, const struct config *from, const struct config *to)
{
    struct policy_gap gap;
    *step = (struct check_step){.judged = true, .from = config_stage(from), .to = config_stage(to)};
    if (step_is_split(step, from, to)) {
        return;
    }
    step->path_count = policy_step_path(step->from, step->to, step->path);
    step->safe = policy_step_is_safe(step->from, step->to, &gap);
    if (!step->safe) {
        gap_describe(step->reason, sizeof step->reason, &gap);
    } else if (step->path_count == 0) {
        snprintf(step->reason, sizeof step->reason, "the policy stays %s", policy_stage_name(step->to));
    } else {
        snprintf(step->reason, sizeof step->reason, "nodes on %s and on %s admit all that the others dial",
                 policy_stage_name(step->from), policy_stage_name(step->to));
    }
}

void check_step_fail(struct check_step *step, const struct config_report *report)
{
    *step = (struct check_step){0};
    snprintf(step->reason, sizeof step->reason, "%s", report->errors.count > 0 ? report->errors.lines[0] : "no memory");
}

void check_step_print(const struct check_step *step)
{
    printf("%s: %s to %s\n  %s\n", step->safe ? "safe" : "not safe", policy_stage_name(step->from),
           policy_stage_name(step->to), step->reason);
    if (step->path_count > 0) {
        printf("  path  %s", policy_stage_name(step->from));
        for (uint32_t i = 0; i < step->path_count; i++) {
            printf(" -> %s", policy_stage_name(step->path[i]));
        }
        puts(step->path_count > 1 ? "; each on every node before the next begins" : "");
    }
}

json_t *check_step_json(const struct check_step *step)
{
    json_t *path = json_array();
    for (uint32_t i = 0; i < step->path_count; i++) {
        json_array_append_new(path, json_string(policy_stage_name(step->path[i])));
    }
    return json_pack("{s:b, s:s, s:o, s:o, s:o}", "safe", step->safe ? 1 : 0, "reason", step->reason, "path", path,
                     "from", step->judged ? json_string(policy_stage_name(step->from)) : json_null(), "to",
                     step->judged ? json_string(policy_stage_name(step->to)) : json_null());
}
