/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain_link.h"

#include <string.h>

const char *explain_direction_name(enum explain_direction direction)
{
    static const char *const names[EXPLAIN_DIRECTIONS] = {"out", "in-plain", "in-tls"};
    return names[direction];
}

bool explain_direction_parse(const char *text, enum explain_direction *direction)
{
    for (int i = 0; i < EXPLAIN_DIRECTIONS; i++) {
        if (strcmp(text, explain_direction_name((enum explain_direction)i)) == 0) {
            *direction = (enum explain_direction)i;
            return true;
        }
    }
    return false;
}

static struct policy_decision link_decision(const struct config *config, const struct explain_link *link)
{
    const struct weft_node_options *options = &config->options;
    if (link->self) {
        return (struct policy_decision){POLICY_REFUSE, WEFT_REASON_SELF_CONNECTION};
    }
    if (link->direction == DIRECTION_OUT) {
        return policy_outgoing(options->encryption, &link->own, &link->peer, link->lane);
    }
    const struct policy_incoming in = {.scope = options->encryption,
                                       .own = &link->own,
                                       .peer = &link->peer,
                                       .lane = link->lane,
                                       .tls = link->direction == DIRECTION_IN_TLS,
                                       .certificate_configured = options->tls.certificate_in_block};
    return policy_incoming(&in);
}

struct explain_answer explain_link_ask(const struct config *config, const struct explain_link *link)
{
    bool theirs = link->direction == DIRECTION_OUT && link->entry != NULL;
    uint16_t plain = theirs ? link->entry->storage_port : config_storage_port(config);
    uint16_t tls = theirs ? link->entry->ssl_storage_port : config_ssl_storage_port(config);
    struct explain_answer answer = {.decision = link_decision(config, link)};
    answer.port = policy_port(answer.decision.verdict, plain, tls);
    return answer;
}
