/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the encryption policy decides every case as documented, with the documented reason.
 * Method: tables written by hand, one row per scope and relation with the expected verdict and reason, walked for
 * all lanes and directions; then properties over every combination: less knowledge never means less protection,
 * and two nodes of one scope never dial what the other refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "topology/cluster/peer.h"
#include "topology/cluster/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum case_relation {
    SAME_RACK,
    OTHER_RACK,
    OTHER_DC,
    NAMESAKE, /* the same rack name in another data centre */
    PEER_UNKNOWN,
    PEER_RACK_UNKNOWN,
    OTHER_CASE, /* the same names in another case are other names */
    OWN_UNKNOWN,
    OWN_RACK_UNKNOWN,
    BOTH_UNKNOWN,
    RELATION_COUNT
};

static const char *const relation_names[RELATION_COUNT] = {
    "same rack",         "other rack", "other dc",    "namesake rack",    "peer unknown",
    "peer rack unknown", "other case", "own unknown", "own rack unknown", "both unknown"};

static void relation_make(enum case_relation relation, struct location *own, struct location *peer)
{
    *own = (struct location){"dc1", "r1"};
    *peer = (struct location){"dc1", "r1"};
    switch (relation) {
    case SAME_RACK:
        break;
    case OTHER_RACK:
        peer->rack = "r2";
        break;
    case OTHER_DC:
        *peer = (struct location){"dc2", "r9"};
        break;
    case NAMESAKE:
        peer->dc = "dc2";
        break;
    case PEER_UNKNOWN:
        *peer = (struct location){NULL, NULL};
        break;
    case PEER_RACK_UNKNOWN:
        peer->rack = "";
        break;
    case OTHER_CASE:
        *peer = (struct location){"DC1", "R1"};
        break;
    case OWN_UNKNOWN:
        *own = (struct location){"", ""};
        break;
    case OWN_RACK_UNKNOWN:
        own->rack = NULL;
        break;
    case BOTH_UNKNOWN:
        *own = (struct location){NULL, NULL};
        *peer = (struct location){NULL, NULL};
        break;
    case RELATION_COUNT:
        fail();
    }
}

/* One row: what a scope does with a relation on the normal and bulk lanes, out and in. */
struct row {
    enum weft_encryption scope;
    enum case_relation relation;
    enum policy_verdict out;
    const char *out_reason;
    enum policy_verdict in_plain;
    const char *in_plain_reason;
};

#define P POLICY_PLAIN
#define T POLICY_TLS
#define R POLICY_REFUSE
#define NONE WEFT_ENCRYPTION_NONE
#define RACK WEFT_ENCRYPTION_RACK
#define DC WEFT_ENCRYPTION_DC
#define ALL WEFT_ENCRYPTION_ALL
#define TRANSITIONAL WEFT_ENCRYPTION_TRANSITIONAL

static const struct row rows[] = {
    {NONE, SAME_RACK, P, "scope_none", P, "scope_none"},
    {NONE, OTHER_RACK, P, "scope_none", P, "scope_none"},
    {NONE, OTHER_DC, P, "scope_none", P, "scope_none"},
    {NONE, NAMESAKE, P, "scope_none", P, "scope_none"},
    {NONE, PEER_UNKNOWN, P, "scope_none", P, "scope_none"},
    {NONE, PEER_RACK_UNKNOWN, P, "scope_none", P, "scope_none"},
    {NONE, OTHER_CASE, P, "scope_none", P, "scope_none"},
    {NONE, OWN_UNKNOWN, P, "scope_none", P, "scope_none"},
    {NONE, OWN_RACK_UNKNOWN, P, "scope_none", P, "scope_none"},
    {NONE, BOTH_UNKNOWN, P, "scope_none", P, "scope_none"},

    {RACK, SAME_RACK, P, "same_rack", P, "same_rack"},
    {RACK, OTHER_RACK, T, "other_rack", R, "plaintext_forbidden"},
    {RACK, OTHER_DC, T, "other_dc", R, "plaintext_forbidden"},
    {RACK, NAMESAKE, T, "other_dc", R, "plaintext_forbidden"},
    {RACK, PEER_UNKNOWN, T, "location_unknown", R, "plaintext_unknown_location"},
    {RACK, PEER_RACK_UNKNOWN, T, "location_unknown", R, "plaintext_unknown_location"},
    {RACK, OTHER_CASE, T, "other_dc", R, "plaintext_forbidden"},
    {RACK, OWN_UNKNOWN, T, "own_location_unknown", R, "plaintext_unknown_location"},
    {RACK, OWN_RACK_UNKNOWN, T, "own_location_unknown", R, "plaintext_unknown_location"},
    {RACK, BOTH_UNKNOWN, T, "own_location_unknown", R, "plaintext_unknown_location"},

    {DC, SAME_RACK, P, "same_rack", P, "same_rack"},
    {DC, OTHER_RACK, P, "same_dc", P, "same_dc"},
    {DC, OTHER_DC, T, "other_dc", R, "plaintext_forbidden"},
    {DC, NAMESAKE, T, "other_dc", R, "plaintext_forbidden"},
    {DC, PEER_UNKNOWN, T, "location_unknown", R, "plaintext_unknown_location"},
    {DC, PEER_RACK_UNKNOWN, P, "same_dc", P, "same_dc"},
    {DC, OTHER_CASE, T, "other_dc", R, "plaintext_forbidden"},
    {DC, OWN_UNKNOWN, T, "own_location_unknown", R, "plaintext_unknown_location"},
    {DC, OWN_RACK_UNKNOWN, P, "same_dc", P, "same_dc"},
    {DC, BOTH_UNKNOWN, T, "own_location_unknown", R, "plaintext_unknown_location"},

    {ALL, SAME_RACK, T, "scope_all", R, "no_listener"},
    {ALL, OTHER_RACK, T, "scope_all", R, "no_listener"},
    {ALL, OTHER_DC, T, "scope_all", R, "no_listener"},
    {ALL, NAMESAKE, T, "scope_all", R, "no_listener"},
    {ALL, PEER_UNKNOWN, T, "scope_all", R, "no_listener"},
    {ALL, PEER_RACK_UNKNOWN, T, "scope_all", R, "no_listener"},
    {ALL, OTHER_CASE, T, "scope_all", R, "no_listener"},
    {ALL, OWN_UNKNOWN, T, "scope_all", R, "no_listener"},
    {ALL, OWN_RACK_UNKNOWN, T, "scope_all", R, "no_listener"},
    {ALL, BOTH_UNKNOWN, T, "scope_all", R, "no_listener"},

    {TRANSITIONAL, SAME_RACK, T, "transitional", P, "transitional"},
    {TRANSITIONAL, OTHER_RACK, T, "transitional", P, "transitional"},
    {TRANSITIONAL, OTHER_DC, T, "transitional", P, "transitional"},
    {TRANSITIONAL, NAMESAKE, T, "transitional", P, "transitional"},
    {TRANSITIONAL, PEER_UNKNOWN, T, "transitional", P, "transitional"},
    {TRANSITIONAL, PEER_RACK_UNKNOWN, T, "transitional", P, "transitional"},
    {TRANSITIONAL, OTHER_CASE, T, "transitional", P, "transitional"},
    {TRANSITIONAL, OWN_UNKNOWN, T, "transitional", P, "transitional"},
    {TRANSITIONAL, OWN_RACK_UNKNOWN, T, "transitional", P, "transitional"},
    {TRANSITIONAL, BOTH_UNKNOWN, T, "transitional", P, "transitional"},
};

/* What the control lane does where it differs: only under scopes that look at locations. */
static const struct row control_rows[] = {
    {RACK, SAME_RACK, T, "control_lane", R, "plaintext_forbidden"},
    {RACK, OTHER_RACK, T, "control_lane", R, "plaintext_forbidden"},
    {RACK, OTHER_DC, T, "control_lane", R, "plaintext_forbidden"},
    {RACK, NAMESAKE, T, "control_lane", R, "plaintext_forbidden"},
    {RACK, PEER_UNKNOWN, T, "control_lane", R, "plaintext_unknown_location"},
    {RACK, PEER_RACK_UNKNOWN, T, "control_lane", R, "plaintext_unknown_location"},
    {RACK, OTHER_CASE, T, "control_lane", R, "plaintext_forbidden"},
    {RACK, OWN_UNKNOWN, T, "control_lane", R, "plaintext_unknown_location"},
    {RACK, OWN_RACK_UNKNOWN, T, "control_lane", R, "plaintext_unknown_location"},
    {RACK, BOTH_UNKNOWN, T, "control_lane", R, "plaintext_unknown_location"},

    {DC, SAME_RACK, T, "control_lane", R, "plaintext_forbidden"},
    {DC, OTHER_RACK, T, "control_lane", R, "plaintext_forbidden"},
    {DC, OTHER_DC, T, "control_lane", R, "plaintext_forbidden"},
    {DC, NAMESAKE, T, "control_lane", R, "plaintext_forbidden"},
    {DC, PEER_UNKNOWN, T, "control_lane", R, "plaintext_unknown_location"},
    {DC, PEER_RACK_UNKNOWN, T, "control_lane", R, "plaintext_forbidden"},
    {DC, OTHER_CASE, T, "control_lane", R, "plaintext_forbidden"},
    {DC, OWN_UNKNOWN, T, "control_lane", R, "plaintext_unknown_location"},
    {DC, OWN_RACK_UNKNOWN, T, "control_lane", R, "plaintext_forbidden"},
    {DC, BOTH_UNKNOWN, T, "control_lane", R, "plaintext_unknown_location"},
};

static const enum weft_encryption scopes[] = {NONE, RACK, DC, ALL, TRANSITIONAL};

static struct policy_decision decide_in(enum weft_encryption scope, const struct location *own,
                                        const struct location *peer, enum weft_lane lane, bool tls, bool certificate)
{
    struct policy_incoming in = {
        .scope = scope, .own = own, .peer = peer, .lane = lane, .tls = tls, .certificate_configured = certificate};
    return policy_incoming(&in);
}

static void expect_decision(struct policy_decision actual, enum policy_verdict verdict, const char *reason,
                            const struct row *row, const char *what)
{
    if (actual.verdict != verdict || strcmp(weft_reason_name(actual.reason), reason) != 0) {
        fail_msg("%s, %s, %s: %s %s, expected %s %s", weft_encryption_name(row->scope), relation_names[row->relation],
                 what, policy_verdict_name(actual.verdict), weft_reason_name(actual.reason),
                 policy_verdict_name(verdict), reason);
    }
}

static void expect_row(const struct row *row, enum weft_lane lane)
{
    struct location own;
    struct location peer;
    relation_make(row->relation, &own, &peer);
    expect_decision(policy_outgoing(row->scope, &own, &peer, lane), row->out, row->out_reason, row, "out");
    expect_decision(decide_in(row->scope, &own, &peer, lane, false, false), row->in_plain, row->in_plain_reason, row,
                    "in plain");
    expect_decision(decide_in(row->scope, &own, &peer, lane, false, true), row->in_plain, row->in_plain_reason, row,
                    "in plain, certificate");
}

static void policy__table_of_normal_and_bulk_lanes__as_documented(void **state)
{
    (void)state;
    assert_int_equal(COUNT(rows), COUNT(scopes) * RELATION_COUNT);
    for (size_t i = 0; i < COUNT(rows); i++) {
        expect_row(&rows[i], WEFT_LANE_NORMAL);
        expect_row(&rows[i], WEFT_LANE_BULK);
    }
}

static void policy__table_of_control_lane__as_documented(void **state)
{
    (void)state;
    assert_int_equal(COUNT(control_rows), 2 * RELATION_COUNT);
    for (size_t i = 0; i < COUNT(control_rows); i++) {
        expect_row(&control_rows[i], WEFT_LANE_CONTROL);
    }
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].scope != RACK && rows[i].scope != DC) {
            expect_row(&rows[i], WEFT_LANE_CONTROL);
        }
    }
}

static void policy__incoming_tls__admitted_wherever_there_is_a_listener(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct location own;
        struct location peer;
        relation_make(row->relation, &own, &peer);
        for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
            struct policy_decision without = decide_in(row->scope, &own, &peer, (enum weft_lane)lane, true, false);
            struct policy_decision with = decide_in(row->scope, &own, &peer, (enum weft_lane)lane, true, true);
            if (row->scope == NONE) {
                expect_decision(without, R, "no_listener", row, "in tls");
                expect_decision(with, T, "passive_listener", row, "in tls, certificate");
            } else {
                expect_decision(without, T, "tls_listener", row, "in tls");
                expect_decision(with, T, "tls_listener", row, "in tls, certificate");
            }
        }
    }
}

static const char *const dcs[] = {NULL, "", "dc1", "dc2"};
static const char *const racks[] = {NULL, "", "r1", "r2"};
#define LOCATIONS (COUNT(dcs) * COUNT(racks))

static struct location location_at(size_t index)
{
    return (struct location){dcs[index % COUNT(dcs)], racks[index / COUNT(dcs)]};
}

/* How safe a verdict is: plain is 0. */
static int protection(struct policy_decision decision)
{
    return decision.verdict == POLICY_PLAIN ? 0 : 1;
}

/* The location without its rack, without its dc, and without both. */
static struct location forget(struct location location, int what)
{
    if ((what & 1) != 0) {
        location.rack = NULL;
    }
    if ((what & 2) != 0) {
        location.dc = NULL;
    }
    return location;
}

/* Forgetting a rack under `dc` changes nothing; every other loss of knowledge must keep or raise protection. */
static void policy__a_location_is_forgotten__protection_never_falls(void **state)
{
    (void)state;
    size_t checked = 0;
    for (size_t s = 0; s < COUNT(scopes); s++) {
        for (size_t i = 0; i < LOCATIONS * LOCATIONS; i++) {
            struct location own = location_at(i % LOCATIONS);
            struct location peer = location_at(i / LOCATIONS);
            for (int what = 1; what < 16; what++) {
                struct location own_less = forget(own, what & 3);
                struct location peer_less = forget(peer, what >> 2);
                for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
                    enum weft_lane l = (enum weft_lane)lane;
                    assert_true(protection(policy_outgoing(scopes[s], &own_less, &peer_less, l)) >=
                                protection(policy_outgoing(scopes[s], &own, &peer, l)));
                    assert_true(protection(decide_in(scopes[s], &own_less, &peer_less, l, false, true)) >=
                                protection(decide_in(scopes[s], &own, &peer, l, false, true)));
                    checked++;
                }
            }
        }
    }
    assert_int_equal(checked, COUNT(scopes) * LOCATIONS * LOCATIONS * 15 * WEFT_LANE_COUNT);
}

/* Plain under rack or dc needs two named data centres that are equal, and under rack two named equal racks. */
static void policy__plaintext_under_rack_or_dc__only_between_equal_known_names(void **state)
{
    (void)state;
    size_t plain = 0;
    for (size_t i = 0; i < LOCATIONS * LOCATIONS; i++) {
        struct location own = location_at(i % LOCATIONS);
        struct location peer = location_at(i / LOCATIONS);
        bool dc = own.dc != NULL && own.dc[0] != '\0' && peer.dc != NULL && strcmp(own.dc, peer.dc) == 0;
        bool rack =
            dc && own.rack != NULL && own.rack[0] != '\0' && peer.rack != NULL && strcmp(own.rack, peer.rack) == 0;
        for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
            enum weft_lane l = (enum weft_lane)lane;
            bool control = l == WEFT_LANE_CONTROL;
            assert_int_equal(policy_outgoing(DC, &own, &peer, l).verdict, dc && !control ? P : T);
            assert_int_equal(policy_outgoing(RACK, &own, &peer, l).verdict, rack && !control ? P : T);
            assert_int_equal(decide_in(DC, &own, &peer, l, false, true).verdict, dc && !control ? P : R);
            assert_int_equal(decide_in(RACK, &own, &peer, l, false, true).verdict, rack && !control ? P : R);
            plain += dc && !control ? 1 : 0;
        }
    }
    assert_true(plain > 0);
}

/* What one node dials, another node of the same scope and the same map admits. */
static void policy__two_nodes_of_one_scope__what_one_dials_the_other_admits(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(scopes); s++) {
        for (size_t i = 0; i < LOCATIONS * LOCATIONS; i++) {
            struct location own = location_at(i % LOCATIONS);
            struct location peer = location_at(i / LOCATIONS);
            for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
                struct policy_decision out = policy_outgoing(scopes[s], &own, &peer, (enum weft_lane)lane);
                struct policy_decision in =
                    decide_in(scopes[s], &peer, &own, (enum weft_lane)lane, out.verdict == T, true);
                assert_int_equal(in.verdict, out.verdict);
            }
        }
    }
}

/* The path of a rollout: neighbours on it understand each other in both directions. */
static void policy__neighbours_on_the_rollout_path__admit_each_other(void **state)
{
    (void)state;
    struct step {
        enum weft_encryption scope;
        bool certificate;
    };
    static const struct step pairs[][2] = {{{NONE, false}, {NONE, true}},
                                           {{NONE, true}, {TRANSITIONAL, true}},
                                           {{TRANSITIONAL, true}, {RACK, true}},
                                           {{TRANSITIONAL, true}, {DC, true}},
                                           {{TRANSITIONAL, true}, {ALL, true}}};
    for (size_t p = 0; p < COUNT(pairs); p++) {
        for (size_t i = 0; i < LOCATIONS * LOCATIONS * 2; i++) {
            const struct step *dialer = &pairs[p][i % 2];
            const struct step *acceptor = &pairs[p][1 - i % 2];
            struct location own = location_at(i / 2 % LOCATIONS);
            struct location peer = location_at(i / 2 / LOCATIONS);
            for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
                struct policy_decision out = policy_outgoing(dialer->scope, &own, &peer, (enum weft_lane)lane);
                assert_int_not_equal(decide_in(acceptor->scope, &peer, &own, (enum weft_lane)lane, out.verdict == T,
                                               acceptor->certificate)
                                         .verdict,
                                     R);
            }
        }
    }
}

static void policy__reasons__refusals_for_refusals_and_decisions_for_decisions(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(scopes); s++) {
        for (size_t i = 0; i < LOCATIONS * LOCATIONS * 4; i++) {
            struct location own = location_at(i / 4 % LOCATIONS);
            struct location peer = location_at(i / 4 / LOCATIONS);
            struct policy_decision in = decide_in(scopes[s], &own, &peer, WEFT_LANE_NORMAL, (i & 1) != 0, (i & 2) != 0);
            struct policy_decision out = policy_outgoing(scopes[s], &own, &peer, WEFT_LANE_NORMAL);
            assert_int_equal(in.verdict == R, in.reason < WEFT_REASON_REFUSALS_END);
            assert_int_not_equal(out.verdict, R);
            assert_true(out.reason > WEFT_REASON_DECISIONS_BEGIN && out.reason < WEFT_REASON_COUNT);
        }
    }
}

static void policy__listeners_and_needs__per_scope(void **state)
{
    (void)state;
    static const struct {
        enum weft_encryption scope;
        bool plain, tls, tls_with_certificate, dials_plain, dials_tls, needs_certificate, uses_location;
    } expected[] = {{NONE, true, false, true, true, false, false, false},
                    {RACK, true, true, true, true, true, true, true},
                    {DC, true, true, true, true, true, true, true},
                    {ALL, false, true, true, false, true, true, false},
                    {TRANSITIONAL, true, true, true, false, true, true, false}};
    for (size_t i = 0; i < COUNT(expected); i++) {
        enum weft_encryption scope = expected[i].scope;
        assert_int_equal(policy_has_plain_listener(scope), expected[i].plain);
        assert_int_equal(policy_has_tls_listener(scope, false), expected[i].tls);
        assert_int_equal(policy_has_tls_listener(scope, true), expected[i].tls_with_certificate);
        assert_int_equal(policy_dials_plain(scope), expected[i].dials_plain);
        assert_int_equal(policy_dials_tls(scope), expected[i].dials_tls);
        assert_int_equal(policy_needs_certificate(scope), expected[i].needs_certificate);
        assert_int_equal(policy_uses_location(scope), expected[i].uses_location);
    }
}

static void policy__scope_outside_the_enum__strictest(void **state)
{
    (void)state;
    struct location here = {"dc1", "r1"};
    enum weft_encryption strange = (enum weft_encryption)7;
    assert_int_equal(policy_outgoing(strange, &here, &here, WEFT_LANE_NORMAL).verdict, T);
    assert_int_equal(decide_in(strange, &here, &here, WEFT_LANE_NORMAL, false, true).verdict, R);
    assert_string_equal(weft_encryption_name(strange), "unknown");
}

static void policy__own_location_missing__only_where_it_matters(void **state)
{
    (void)state;
    struct location full = {"dc1", "r1"};
    struct location half = {"dc1", NULL};
    struct location empty = {NULL, "r1"};
    assert_false(policy_own_location_missing(RACK, &full));
    assert_true(policy_own_location_missing(RACK, &half));
    assert_false(policy_own_location_missing(DC, &half));
    assert_true(policy_own_location_missing(DC, &empty));
    assert_false(policy_own_location_missing(NONE, &empty));
    assert_false(policy_own_location_missing(ALL, &empty));
    assert_false(policy_own_location_missing(TRANSITIONAL, &empty));
}

static void encryption_parse__the_five_words__and_nothing_else(void **state)
{
    (void)state;
    enum weft_encryption parsed = TRANSITIONAL;
    for (size_t i = 0; i < COUNT(scopes); i++) {
        assert_true(policy_encryption_parse(weft_encryption_name(scopes[i]), &parsed));
        assert_int_equal(parsed, scopes[i]);
    }
    static const char *const bad[] = {"", "ALL", "All", "racks", "datacenter", "true", " none", "none ", "unknown"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        parsed = DC;
        assert_false(policy_encryption_parse(bad[i], &parsed));
        assert_int_equal(parsed, DC);
    }
}

static void location__compared__only_known_names_and_racks_within_one_dc(void **state)
{
    (void)state;
    static const struct {
        struct location a, b;
        bool same_dc, same_rack;
    } cases[] = {{{"dc1", "r1"}, {"dc1", "r1"}, true, true},   {{"dc1", "r1"}, {"dc1", "r2"}, true, false},
                 {{"dc1", "r1"}, {"dc2", "r1"}, false, false}, {{"dc1", NULL}, {"dc1", NULL}, true, false},
                 {{"dc1", ""}, {"dc1", ""}, true, false},      {{NULL, "r1"}, {NULL, "r1"}, false, false},
                 {{"", "r1"}, {"", "r1"}, false, false},       {{NULL, NULL}, {NULL, NULL}, false, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(location_same_dc(&cases[i].a, &cases[i].b), cases[i].same_dc);
        assert_int_equal(location_same_dc(&cases[i].b, &cases[i].a), cases[i].same_dc);
        assert_int_equal(location_same_rack(&cases[i].a, &cases[i].b), cases[i].same_rack);
        assert_int_equal(location_same_rack(&cases[i].b, &cases[i].a), cases[i].same_rack);
    }
}

static void location__claim_against_topology__contradiction_only_between_known_names(void **state)
{
    (void)state;
    static const struct {
        struct location known, claimed;
        bool contradicts;
    } cases[] = {{{"dc1", "r1"}, {"dc1", "r1"}, false}, {{"dc1", "r1"}, {"dc1", "r2"}, true},
                 {{"dc1", "r1"}, {"dc2", "r1"}, true},  {{"dc1", "r1"}, {"DC1", "r1"}, true},
                 {{"dc1", "r1"}, {"", ""}, false},      {{"dc1", "r1"}, {"", "r2"}, true},
                 {{"dc1", "r1"}, {"dc1", ""}, false},   {{"dc1", NULL}, {"dc1", "r2"}, false},
                 {{"dc1", NULL}, {"dc2", ""}, true},    {{NULL, NULL}, {"dc1", "r1"}, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(location_contradicts(&cases[i].known, &cases[i].claimed), cases[i].contradicts);
    }
}

static void location__address_of_several_entries__counts_where_all_agree(void **state)
{
    (void)state;
    const struct weft_peer_options entries[] = {
        {.addresses = {"127.0.1.1", "127.0.2.1"}, .dc = "dc1", .rack = "r1"},
        {.addresses = {"127.0.1.2"}, .dc = "dc1", .rack = "r1"},
        {.addresses = {"127.0.1.2"}, .dc = "dc1", .rack = "r2"},
        {.addresses = {"127.0.1.3"}, .dc = "dc1", .rack = "r1"},
        {.addresses = {"127.0.1.3"}, .dc = "dc2", .rack = "r1"},
        {.addresses = {"127.0.1.3"}, .dc = "dc1", .rack = "r1"},
        {.addresses = {"127.0.1.4"}},
        {.addresses = {"127.0.1.4"}, .dc = "dc1", .rack = "r1"},
        {.addresses = {"::1"}, .dc = "dc6", .rack = "r6"},
    };
    static const struct {
        const char *address, *dc, *rack;
    } cases[] = {{"127.0.1.1", "dc1", "r1"}, {"127.0.2.1", "dc1", "r1"}, {"127.0.1.2", "dc1", ""},
                 {"127.0.1.3", "", ""},      {"127.0.1.4", "", ""},      {"127.0.9.9", "", ""},
                 {"::1", "dc6", "r6"}};
    struct peer peers[COUNT(entries)];
    for (size_t i = 0; i < COUNT(entries); i++) {
        struct weft_peer_options entry = entries[i];
        entry.size = sizeof entry;
        assert_int_equal(peer_init(&peers[i], &entry, 7000, 7001, NULL), WEFT_OK);
    }
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address address;
        assert_int_equal(address_parse(&address, cases[i].address, 1234), WEFT_OK);
        struct location found = peer_match_address(peers, COUNT(peers), &address).location;
        bool rack_known = location_rack_known(&found);
        assert_string_equal(location_dc_known(&found) ? found.dc : "", cases[i].dc);
        assert_string_equal(rack_known ? found.rack : "", cases[i].rack);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy__table_of_normal_and_bulk_lanes__as_documented),
        cmocka_unit_test(policy__table_of_control_lane__as_documented),
        cmocka_unit_test(policy__incoming_tls__admitted_wherever_there_is_a_listener),
        cmocka_unit_test(policy__a_location_is_forgotten__protection_never_falls),
        cmocka_unit_test(policy__plaintext_under_rack_or_dc__only_between_equal_known_names),
        cmocka_unit_test(policy__two_nodes_of_one_scope__what_one_dials_the_other_admits),
        cmocka_unit_test(policy__neighbours_on_the_rollout_path__admit_each_other),
        cmocka_unit_test(policy__reasons__refusals_for_refusals_and_decisions_for_decisions),
        cmocka_unit_test(policy__listeners_and_needs__per_scope),
        cmocka_unit_test(policy__scope_outside_the_enum__strictest),
        cmocka_unit_test(policy__own_location_missing__only_where_it_matters),
        cmocka_unit_test(encryption_parse__the_five_words__and_nothing_else),
        cmocka_unit_test(location__compared__only_known_names_and_racks_within_one_dc),
        cmocka_unit_test(location__claim_against_topology__contradiction_only_between_known_names),
        cmocka_unit_test(location__address_of_several_entries__counts_where_all_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
