/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rpc/tally.h"

void tally_sum(struct weft_peer_counters *to, const struct weft_peer_counters *from)
{
#define WEFT_X(name) to->name += __atomic_load_n(&from->name, __ATOMIC_RELAXED);
    WEFT_PEER_COUNTERS(WEFT_X)
#undef WEFT_X
}

void tally_less(struct weft_peer_counters *from, const struct weft_peer_counters *before)
{
#define WEFT_X(name) from->name -= before->name;
    WEFT_PEER_COUNTERS(WEFT_X)
#undef WEFT_X
}

uint64_t tally_calls_in_flight(const struct weft_peer_counters *tally)
{
    return tally->calls_started - tally->calls_answered - tally->calls_one_way - tally->calls_failed -
           tally->calls_expired - tally->calls_cancelled;
}

uint64_t tally_requests_in_flight(const struct weft_peer_counters *tally)
{
    return tally->requests_received - tally->requests_answered - tally->requests_one_way - tally->requests_failed -
           tally->requests_expired - tally->requests_busy - tally->requests_aborted - tally->requests_own;
}

void tally_add_to_counters(struct weft_counters *to, const struct weft_peer_counters *tally)
{
    to->calls_started += tally->calls_started;
    to->calls_answered += tally->calls_answered;
    to->calls_failed += tally->calls_failed + tally->calls_expired + tally->calls_cancelled;
    to->calls_expired += tally->calls_expired;
    to->calls_cancelled += tally->calls_cancelled;
    to->one_way_sent += tally->calls_one_way;
    to->requests_received += tally->requests_received;
    to->requests_answered += tally->requests_answered;
    to->requests_failed += tally->requests_failed + tally->requests_busy;
    to->requests_expired += tally->requests_expired;
    to->requests_busy += tally->requests_busy;
    to->requests_aborted += tally->requests_aborted;
    to->one_way_received += tally->requests_one_way;
}
