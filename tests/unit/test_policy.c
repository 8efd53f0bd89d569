/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what must hold of the encryption policy as a whole, beside its table (test_policy_table.c): less knowledge
 * never means less protection, and two nodes of one scope never dial what the other refuses; and what scopes need and
 * open. Method: every combination of a few names, known and unknown, and cases written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "topology/cluster/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define P POLICY_PLAIN
#define T POLICY_TLS
#define R POLICY_REFUSE
#define NONE WEFT_ENCRYPTION_NONE
#define RACK WEFT_ENCRYPTION_RACK
#define DC WEFT_ENCRYPTION_DC
#define ALL WEFT_ENCRYPTION_ALL
#define TRANSITIONAL WEFT_ENCRYPTION_TRANSITIONAL

static const enum weft_encryption scopes[] = {NONE, RACK, DC, ALL, TRANSITIONAL};

static struct policy_decision decide_in(enum weft_encryption scope, const struct location *own,
                                        const struct location *peer, enum weft_lane lane, bool tls, bool certificate)
{
    struct policy_incoming in = {
        .scope = scope, .own = own, .peer = peer, .lane = lane, .tls = tls, .certificate_configured = certificate};
    return policy_incoming(&in);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy__a_location_is_forgotten__protection_never_falls),
        cmocka_unit_test(policy__plaintext_under_rack_or_dc__only_between_equal_known_names),
        cmocka_unit_test(policy__two_nodes_of_one_scope__what_one_dials_the_other_admits),
        cmocka_unit_test(policy__reasons__refusals_for_refusals_and_decisions_for_decisions),
        cmocka_unit_test(policy__listeners_and_needs__per_scope),
        cmocka_unit_test(policy__scope_outside_the_enum__strictest),
        cmocka_unit_test(policy__own_location_missing__only_where_it_matters),
        cmocka_unit_test(encryption_parse__the_five_words__and_nothing_else),
        cmocka_unit_test(location__compared__only_known_names_and_racks_within_one_dc),
        cmocka_unit_test(location__claim_against_topology__contradiction_only_between_known_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
