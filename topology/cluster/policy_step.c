/* SPDX-License-Identifier: Apache-2.0 */
/* Which steps between policies are safe, asked of the policy itself.
 *
 * Both ends are taken to hold the same topology: where they do not, links are refused on any stage, and no step makes
 * that better or worse. */
#include "topology/cluster/policy_step.h"

#include "engine/base/assert.h"

enum policy_stage policy_stage_of(enum weft_encryption scope, bool certificate_in_block)
{
    switch (scope) {
    case WEFT_ENCRYPTION_NONE:
        return certificate_in_block ? POLICY_STAGE_NONE_CERTIFICATE : POLICY_STAGE_NONE;
    case WEFT_ENCRYPTION_RACK:
        return POLICY_STAGE_RACK;
    case WEFT_ENCRYPTION_DC:
        return POLICY_STAGE_DC;
    case WEFT_ENCRYPTION_TRANSITIONAL:
        return POLICY_STAGE_TRANSITIONAL;
    case WEFT_ENCRYPTION_ALL:
        break;
    }
    return POLICY_STAGE_ALL;
}

enum weft_encryption policy_stage_scope(enum policy_stage stage)
{
    switch (stage) {
    case POLICY_STAGE_NONE:
    case POLICY_STAGE_NONE_CERTIFICATE:
        return WEFT_ENCRYPTION_NONE;
    case POLICY_STAGE_TRANSITIONAL:
        return WEFT_ENCRYPTION_TRANSITIONAL;
    case POLICY_STAGE_RACK:
        return WEFT_ENCRYPTION_RACK;
    case POLICY_STAGE_DC:
        return WEFT_ENCRYPTION_DC;
    case POLICY_STAGE_ALL:
        break;
    }
    return WEFT_ENCRYPTION_ALL;
}

const char *policy_stage_name(enum policy_stage stage)
{
    return stage == POLICY_STAGE_NONE_CERTIFICATE ? "none+certificate"
                                                  : weft_encryption_name(policy_stage_scope(stage));
}

/* Each end sees the other as of the same kind. */
static bool link_is_admitted(struct policy_gap *gap)
{
    const struct location own = {"dc", "rack"};
    const struct location peer = policy_kind_location(&own, gap->kind);
    gap->dialed = policy_outgoing(policy_stage_scope(gap->dialer), &own, &peer, gap->lane);
    const struct policy_incoming in = {.scope = policy_stage_scope(gap->acceptor),
                                       .own = &own,
                                       .peer = &peer,
                                       .lane = gap->lane,
                                       .tls = gap->dialed.verdict == POLICY_TLS,
                                       .certificate_configured = gap->acceptor != POLICY_STAGE_NONE};
    struct policy_decision answer = policy_incoming(&in);
    gap->refused = answer.reason;
    return answer.verdict != POLICY_REFUSE;
}

/* Every link from a node on one stage to a node on the other. */
static bool links_are_admitted(enum policy_stage dialer, enum policy_stage acceptor, struct policy_gap *gap)
{
    for (int kind = 0; kind < POLICY_KINDS; kind++) {
        for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
            *gap = (struct policy_gap){
                .dialer = dialer, .acceptor = acceptor, .kind = (enum policy_kind)kind, .lane = (enum weft_lane)lane};
            if (!link_is_admitted(gap)) {
                return false;
            }
        }
    }
    return true;
}

bool policy_step_is_safe(enum policy_stage from, enum policy_stage to, struct policy_gap *gap)
{
    struct policy_gap unwanted;
    struct policy_gap *found = gap != NULL ? gap : &unwanted;
    return links_are_admitted(from, to, found) && links_are_admitted(to, from, found);
}

uint32_t policy_step_path(enum policy_stage from, enum policy_stage to, enum policy_stage path[POLICY_STAGES])
{
    /* Searched from the end, so that following the trail back gives the path in its order. */
    enum policy_stage queue[POLICY_STAGES] = {to};
    enum policy_stage next[POLICY_STAGES];
    bool reached[POLICY_STAGES] = {false};
    uint32_t queued = 1;
    reached[to] = true;
    for (uint32_t i = 0; i < queued; i++) {
        for (int stage = 0; stage < POLICY_STAGES; stage++) {
            if (!reached[stage] && policy_step_is_safe((enum policy_stage)stage, queue[i], NULL)) {
                reached[stage] = true;
                next[stage] = queue[i];
                queue[queued++] = (enum policy_stage)stage;
            }
        }
    }
    WEFT_ASSERT(reached[from]);
    uint32_t count = 0;
    for (enum policy_stage at = from; at != to; at = next[at]) {
        path[count++] = next[at];
    }
    return count;
}
