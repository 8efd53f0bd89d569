/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: links of real nodes are plain or TLS as the policy wants, with the same reason for a refusal at both ends.
 *
 * Method: two nodes in this process on loopback addresses of their own (node_pair.h, which calls weft_node_start), once
 * over epoll and once over io_uring where it works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/integration/node_pair.h"

struct link_seen {
    enum weft_lane lane;
    bool outgoing;
    uint32_t count;
    struct weft_link link;
};

static void link_look(void *ctx, const struct weft_link *link)
{
    struct link_seen *seen = ctx;
    if (link->lane == seen->lane && link->outgoing == seen->outgoing && link->up) {
        seen->count++;
        seen->link = *link;
    }
}

static void expect_link(struct host *host, enum weft_lane lane, bool outgoing, bool encrypted,
                        enum weft_reason decision)
{
    struct link_seen seen = {.lane = lane, .outgoing = outgoing};
    weft_node_links(host->node, link_look, &seen);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.link.encrypted, encrypted);
    assert_string_equal(weft_reason_name(seen.link.decision), weft_reason_name(decision));
    assert_string_equal(seen.link.tls_version, encrypted ? "TLSv1.3" : "");
    assert_int_equal(seen.link.tls_cipher[0] != '\0', encrypted);
    assert_int_equal(seen.link.certificate_not_after_s > time(NULL), encrypted);
    assert_int_equal(seen.link.peer_certificate_not_after_s > time(NULL), encrypted);
    assert_string_equal(seen.link.dc, host->peers[0].dc);
    assert_string_equal(seen.link.rack, host->peers[0].rack);
}

struct scope_case {
    enum weft_encryption scope;
    const char *dc; /* of b; a is in dc1, r1 */
    const char *rack;
    bool encrypted;           /* the normal lane */
    enum weft_reason dialing; /* why */
    bool control_encrypted;
};

static void pair_locate(struct pair *pair, const char *dc, const char *rack)
{
    pair->a.options.dc = "dc1";
    pair->a.options.rack = "r1";
    pair->b.options.dc = dc;
    pair->b.options.rack = rack;
    pair->a.peers[0].dc = dc;
    pair->a.peers[0].rack = rack;
}

static void links__each_scope_and_location__plain_or_tls_as_decided(void **state)
{
    struct pair *pair = *state;
    static const struct scope_case cases[] = {
        {WEFT_ENCRYPTION_NONE, "dc2", "r1", false, WEFT_REASON_SCOPE_NONE, false},
        {WEFT_ENCRYPTION_RACK, "dc1", "r1", false, WEFT_REASON_SAME_RACK, true},
        {WEFT_ENCRYPTION_RACK, "dc1", "r2", true, WEFT_REASON_OTHER_RACK, true},
        {WEFT_ENCRYPTION_RACK, "dc2", "r1", true, WEFT_REASON_OTHER_DC, true},
        {WEFT_ENCRYPTION_DC, "dc1", "r2", false, WEFT_REASON_SAME_DC, true},
        {WEFT_ENCRYPTION_DC, "dc2", "r1", true, WEFT_REASON_OTHER_DC, true},
        {WEFT_ENCRYPTION_ALL, "dc1", "r1", true, WEFT_REASON_SCOPE_ALL, true},
        {WEFT_ENCRYPTION_TRANSITIONAL, "dc1", "r1", true, WEFT_REASON_TRANSITIONAL, true},
    };
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_node(&pair->authority, "a", "ca");
    authority_node(&pair->authority, "b", "ca");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pair_again(pair);
        pair_locate(pair, cases[i].dc, cases[i].rack);
        pair->a.options.encryption = pair->b.options.encryption = cases[i].scope;
        pair->a.options.tls.client_auth = pair->b.options.tls.client_auth = WEFT_CLIENT_AUTH_REQUIRED;
        host_use_tls(&pair->a, &pair->tls_a, &pair->authority, "a", "ca");
        host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "ca");
        pair_start(pair);
        struct answer answer = host_call_patient(&pair->a, VERB_ECHO, 100000);
        expect_ok(&answer, 100000);
        assert_int_equal(answer.wrong_bytes, 0);
        host_until_events(&pair->a, 1);
        host_until_events(&pair->b, 1);
        expect_link(&pair->a, WEFT_LANE_NORMAL, true, cases[i].encrypted, cases[i].dialing);
        struct link_seen seen = {.lane = WEFT_LANE_CONTROL, .outgoing = true};
        weft_node_links(pair->a.node, link_look, &seen);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.link.encrypted, cases[i].control_encrypted);
        expect_link(&pair->b, WEFT_LANE_NORMAL, false, cases[i].encrypted,
                    cases[i].encrypted ? WEFT_REASON_TLS_LISTENER : cases[i].dialing);
        struct weft_counters counters;
        weft_node_counters(pair->a.node, &counters);
        assert_int_equal(counters.refused, 0);
        assert_int_equal(counters.tls_bytes_sent > 100000, cases[i].encrypted);
        assert_int_equal(counters.plain_bytes_sent > 100000, !cases[i].encrypted);
    }
}

/* Dialing asks the same question as explaining and admitting: what do all entries of the address agree on? */
static void link__address_of_entries_in_two_places__tls(void **state)
{
    struct pair *pair = *state;
    struct link_seen seen = {.lane = WEFT_LANE_NORMAL, .outgoing = true};
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_node(&pair->authority, "a", "ca");
    authority_node(&pair->authority, "b", "ca");
    pair_locate(pair, "dc1", "r1");
    pair->a.peers[1] = pair->a.peers[0];
    pair->a.peers[1].dc = "dc2";
    pair->a.options.peer_count = 2;
    pair->a.options.encryption = pair->b.options.encryption = WEFT_ENCRYPTION_DC;
    host_use_tls(&pair->a, &pair->tls_a, &pair->authority, "a", "ca");
    host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "ca");
    pair_start(pair);
    struct answer answer = host_call_patient(&pair->a, VERB_ECHO, 1000);
    expect_ok(&answer, 1000);
    weft_node_links(pair->a.node, link_look, &seen);
    assert_int_equal(seen.count, 1);
    assert_true(seen.link.encrypted);
    assert_string_equal(weft_reason_name(seen.link.decision), "location_unknown");
}

/* a calls b and cannot; both say why. */
static void expect_refusal(struct pair *pair, enum weft_reason at_a, enum weft_reason at_b)
{
    pair_start(pair);
    struct answer answer = host_call(&pair->a, VERB_HELLO, 0, 0);
    if (answer.started == WEFT_OK) {
        expect_failed(&answer, WEFT_ERR_UNREACHABLE, WEFT_EXECUTED_NO);
        assert_string_equal(weft_reason_name(answer.error.reason), weft_reason_name(at_a));
    }
    host_until_logged(&pair->a, weft_reason_name(at_a));
    host_until_logged(&pair->b, weft_reason_name(at_b));
    assert_true(host_refused(&pair->a, at_a) >= 1);
    assert_true(host_refused(&pair->b, at_b) >= 1);
    struct weft_counters counters;
    weft_node_counters(pair->a.node, &counters);
    assert_int_equal(counters.peers_up, 0);
    weft_node_counters(pair->b.node, &counters);
    assert_int_equal(counters.requests_received, 0);
}

static void tls__signed_by_another_ca__untrusted_at_both_ends(void **state)
{
    struct pair *pair = *state;
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_ca(&pair->authority, "other");
    authority_node(&pair->authority, "a", "ca");
    authority_node(&pair->authority, "b", "other");
    pair->a.options.encryption = pair->b.options.encryption = WEFT_ENCRYPTION_ALL;
    host_use_tls(&pair->a, &pair->tls_a, &pair->authority, "a", "ca");
    host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "other");
    expect_refusal(pair, WEFT_REASON_CERT_UNTRUSTED, WEFT_REASON_CERT_UNTRUSTED);
}

static void tls__certificate_demanded_and_not_shown__missing_at_both_ends(void **state)
{
    struct pair *pair = *state;
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_node(&pair->authority, "b", "ca");
    pair->a.options.encryption = pair->b.options.encryption = WEFT_ENCRYPTION_ALL;
    pair->a.options.client_only = true;
    pair->b.options.tls.client_auth = WEFT_CLIENT_AUTH_REQUIRED;
    pair->b.options.peer_count = 1;
    host_use_tls(&pair->a, &pair->tls_a, &pair->authority, NULL, "ca");
    host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "ca");
    expect_refusal(pair, WEFT_REASON_CERT_MISSING, WEFT_REASON_CERT_MISSING);
}

static void plaintext__from_another_dc__forbidden_at_both_ends(void **state)
{
    struct pair *pair = *state;
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_node(&pair->authority, "b", "ca");
    for (int known = 0; known < 2; known++) {
        pair_again(pair);
        pair_locate(pair, "dc2", "r1");
        pair->b.options.encryption = WEFT_ENCRYPTION_DC;
        pair->b.options.heartbeat_ms = UINT32_MAX; /* b dials nobody: a has no TLS port */
        pair->b.options.peer_count = (uint32_t)known;
        host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "ca");
        if (known == 1) {
            expect_refusal(pair, WEFT_REASON_PLAINTEXT_FORBIDDEN, WEFT_REASON_PLAINTEXT_FORBIDDEN);
        } else { /* an outsider learns nothing */
            expect_refusal(pair, WEFT_REASON_REFUSED, WEFT_REASON_PLAINTEXT_UNKNOWN_LOCATION);
        }
    }
}

static void plaintext__to_a_tls_port__said_so_at_both_ends(void **state)
{
    struct pair *pair = *state;
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_node(&pair->authority, "b", "ca");
    pair->b.options.encryption = WEFT_ENCRYPTION_ALL;
    pair->b.options.heartbeat_ms = UINT32_MAX;
    pair->a.peers[0].storage_port = 7001;
    pair->a.peers[0].ssl_storage_port = 7000;
    host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "ca");
    expect_refusal(pair, WEFT_REASON_PLAINTEXT_ON_TLS_PORT, WEFT_REASON_PLAINTEXT_ON_TLS_PORT);
}

int main(void)
{
    static const struct backend_test tests[] = {
        BACKEND_TEST(links__each_scope_and_location__plain_or_tls_as_decided),
        BACKEND_TEST(link__address_of_entries_in_two_places__tls),
        BACKEND_TEST(tls__signed_by_another_ca__untrusted_at_both_ends),
        BACKEND_TEST(tls__certificate_demanded_and_not_shown__missing_at_both_ends),
        BACKEND_TEST(plaintext__from_another_dc__forbidden_at_both_ends),
        BACKEND_TEST(plaintext__to_a_tls_port__said_so_at_both_ends),
    };
    return pair_run(tests, sizeof tests / sizeof tests[0]);
}
