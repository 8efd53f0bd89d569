/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/cluster/policy_kind.h"

#include <stddef.h>

/* A data centre or rack that is certainly another one: configured names hold no control character. */
#define ANOTHER "\x01"

struct location policy_kind_location(const struct location *own, enum policy_kind kind)
{
    switch (kind) {
    case POLICY_KIND_SAME_RACK:
        return *own;
    case POLICY_KIND_SAME_DC:
        return (struct location){own->dc, ANOTHER};
    case POLICY_KIND_OTHER_DC:
        return (struct location){ANOTHER, ANOTHER};
    case POLICY_KIND_UNKNOWN:
        break;
    }
    return (struct location){NULL, NULL};
}

const char *policy_kind_name(enum policy_kind kind)
{
    static const char *const names[POLICY_KINDS] = {"same_rack", "same_dc", "other_dc", "unknown"};
    return names[kind];
}

const char *policy_kind_words(enum policy_kind kind)
{
    static const char *const words[POLICY_KINDS] = {"same rack", "same dc", "other dc", "unknown"};
    return words[kind];
}
