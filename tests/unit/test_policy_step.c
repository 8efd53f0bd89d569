/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: which steps of a rollout are safe, and which way leads from one policy to another.
 * Method: the documented picture as tables written by hand; and a second derivation, in which two nodes stand in every
 * pair of places of a small world, known and unknown, and each dials the other on every lane. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "topology/cluster/policy_step.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const stage_names[POLICY_STAGES] = {"none", "none+certificate", "transitional", "rack", "dc", "all"};

static enum policy_stage stage_named(const char *name, size_t bytes)
{
    for (int stage = 0; stage < POLICY_STAGES; stage++) {
        if (strlen(stage_names[stage]) == bytes && memcmp(stage_names[stage], name, bytes) == 0) {
            return (enum policy_stage)stage;
        }
    }
    fail_msg("no stage %.*s", (int)bytes, name);
    return POLICY_STAGE_ALL;
}

static void stage__of_a_scope__and_back(void **state)
{
    (void)state;
    static const struct {
        enum weft_encryption scope;
        bool certificate;
        const char *name;
    } cases[] = {{WEFT_ENCRYPTION_NONE, false, "none"},
                 {WEFT_ENCRYPTION_NONE, true, "none+certificate"},
                 {WEFT_ENCRYPTION_TRANSITIONAL, false, "transitional"},
                 {WEFT_ENCRYPTION_TRANSITIONAL, true, "transitional"},
                 {WEFT_ENCRYPTION_RACK, false, "rack"},
                 {WEFT_ENCRYPTION_RACK, true, "rack"},
                 {WEFT_ENCRYPTION_DC, false, "dc"},
                 {WEFT_ENCRYPTION_DC, true, "dc"},
                 {WEFT_ENCRYPTION_ALL, false, "all"},
                 {WEFT_ENCRYPTION_ALL, true, "all"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum policy_stage stage = policy_stage_of(cases[i].scope, cases[i].certificate);
        assert_string_equal(policy_stage_name(stage), cases[i].name);
        assert_int_equal(stage, stage_named(cases[i].name, strlen(cases[i].name)));
        assert_int_equal(policy_stage_scope(stage), cases[i].scope);
    }
    /* Nobody's scope is the strictest, as in the policy. */
    assert_int_equal(policy_stage_of((enum weft_encryption)7, false), POLICY_STAGE_ALL);
    assert_int_equal(policy_stage_scope((enum policy_stage)POLICY_STAGES), WEFT_ENCRYPTION_ALL);
}

/* '+' safe, '-' not; rows and columns in the order of the stages. */
static void step__every_pair__as_documented(void **state)
{
    (void)state;
    /*                                                 none cert trans rack dc all */
    static const char *const safe[POLICY_STAGES] = {
        [POLICY_STAGE_NONE] = "++----",         [POLICY_STAGE_NONE_CERTIFICATE] = "+++---",
        [POLICY_STAGE_TRANSITIONAL] = "-+++++", [POLICY_STAGE_RACK] = "--++--",
        [POLICY_STAGE_DC] = "--+-+-",           [POLICY_STAGE_ALL] = "--+--+"};
    for (int from = 0; from < POLICY_STAGES; from++) {
        for (int to = 0; to < POLICY_STAGES; to++) {
            assert_int_equal(policy_step_is_safe((enum policy_stage)from, (enum policy_stage)to, NULL),
                             safe[from][to] == '+');
        }
    }
}

static void path_check(const char *from, const char *to, const char *expected)
{
    enum policy_stage path[POLICY_STAGES];
    char actual[128] = "";
    uint32_t count = policy_step_path(stage_named(from, strlen(from)), stage_named(to, strlen(to)), path);
    for (uint32_t i = 0; i < count; i++) {
        size_t used = strlen(actual);
        snprintf(actual + used, sizeof actual - used, "%s%s", i == 0 ? "" : " ", policy_stage_name(path[i]));
    }
    assert_string_equal(actual, expected);
}

static void path__every_pair__as_documented(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *path;
    } cases[] = {
        {"none", "none", ""},
        {"all", "all", ""},
        {"none", "none+certificate", "none+certificate"},
        {"none", "transitional", "none+certificate transitional"},
        {"none", "rack", "none+certificate transitional rack"},
        {"none", "dc", "none+certificate transitional dc"},
        {"none", "all", "none+certificate transitional all"},
        {"none+certificate", "none", "none"},
        {"none+certificate", "transitional", "transitional"},
        {"none+certificate", "rack", "transitional rack"},
        {"none+certificate", "dc", "transitional dc"},
        {"none+certificate", "all", "transitional all"},
        {"transitional", "none", "none+certificate none"},
        {"transitional", "none+certificate", "none+certificate"},
        {"transitional", "rack", "rack"},
        {"transitional", "dc", "dc"},
        {"transitional", "all", "all"},
        {"rack", "none", "transitional none+certificate none"},
        {"rack", "none+certificate", "transitional none+certificate"},
        {"rack", "transitional", "transitional"},
        {"rack", "dc", "transitional dc"},
        {"rack", "all", "transitional all"},
        {"dc", "none", "transitional none+certificate none"},
        {"dc", "none+certificate", "transitional none+certificate"},
        {"dc", "transitional", "transitional"},
        {"dc", "rack", "transitional rack"},
        {"dc", "all", "transitional all"},
        {"all", "none", "transitional none+certificate none"},
        {"all", "none+certificate", "transitional none+certificate"},
        {"all", "transitional", "transitional"},
        {"all", "rack", "transitional rack"},
        {"all", "dc", "transitional dc"},
    };
    assert_int_equal(COUNT(cases), POLICY_STAGES * (POLICY_STAGES - 1) + 2);
    for (size_t i = 0; i < COUNT(cases); i++) {
        path_check(cases[i].from, cases[i].to, cases[i].path);
    }
}

/* The second derivation: nodes with a place each, and a map that both share. */
static const char *const dcs[] = {NULL, "a", "b"};
static const char *const racks[] = {NULL, "r", "s"};
#define PLACES (COUNT(dcs) * COUNT(racks))

static struct location place_at(size_t index)
{
    return (struct location){dcs[index % COUNT(dcs)], racks[index / COUNT(dcs)]};
}

struct node {
    const char *stage;
    struct location location;
};

static bool node_admits(const struct node *acceptor, const struct node *dialer, enum weft_lane lane)
{
    enum weft_encryption scope;
    enum weft_encryption theirs;
    bool certificate = strcmp(acceptor->stage, "none") != 0;
    const char *plus = strchr(acceptor->stage, '+');
    assert_true(policy_encryption_parse(plus != NULL ? "none" : acceptor->stage, &scope));
    assert_true(policy_encryption_parse(strchr(dialer->stage, '+') != NULL ? "none" : dialer->stage, &theirs));
    struct policy_decision out = policy_outgoing(theirs, &dialer->location, &acceptor->location, lane);
    const struct policy_incoming in = {.scope = scope,
                                       .own = &acceptor->location,
                                       .peer = &dialer->location,
                                       .lane = lane,
                                       .tls = out.verdict == POLICY_TLS,
                                       .certificate_configured = certificate};
    bool listens =
        in.tls ? policy_has_tls_listener(scope, in.certificate_configured) : policy_has_plain_listener(scope);
    return listens && policy_incoming(&in).verdict != POLICY_REFUSE;
}

/* Whichever stages two nodes are on, wherever they stand, each admits the other. */
static bool every_pair_meets(const char *from, const char *to)
{
    const char *const stages[] = {from, to};
    for (size_t i = 0; i < PLACES * PLACES * 4; i++) {
        struct node a = {stages[i % 2], place_at(i / 4 % PLACES)};
        struct node b = {stages[i / 2 % 2], place_at(i / 4 / PLACES)};
        for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
            if (!node_admits(&a, &b, (enum weft_lane)lane)) {
                return false;
            }
        }
    }
    return true;
}

static void step__derived_again__the_same(void **state)
{
    (void)state;
    for (int from = 0; from < POLICY_STAGES; from++) {
        for (int to = 0; to < POLICY_STAGES; to++) {
            assert_int_equal(policy_step_is_safe((enum policy_stage)from, (enum policy_stage)to, NULL),
                             every_pair_meets(stage_names[from], stage_names[to]));
        }
    }
}

/* Every step of every path is safe, and a safe step is a path of one. */
static void path__its_steps__all_safe(void **state)
{
    (void)state;
    for (int from = 0; from < POLICY_STAGES; from++) {
        for (int to = 0; to < POLICY_STAGES; to++) {
            enum policy_stage path[POLICY_STAGES];
            enum policy_stage at = (enum policy_stage)from;
            uint32_t count = policy_step_path((enum policy_stage)from, (enum policy_stage)to, path);
            for (uint32_t i = 0; i < count; i++) {
                assert_true(every_pair_meets(stage_names[at], stage_names[path[i]]));
                at = path[i];
            }
            assert_int_equal(at, to);
            bool safe = policy_step_is_safe((enum policy_stage)from, (enum policy_stage)to, NULL);
            assert_int_equal(safe && from != to, count == 1);
        }
    }
}

/* What is said of an unsafe step is a link that really breaks. */
static void gap__of_every_unsafe_step__a_link_that_breaks(void **state)
{
    (void)state;
    const struct location own = {"dc", "rack"};
    size_t gaps = 0;
    for (int from = 0; from < POLICY_STAGES; from++) {
        for (int to = 0; to < POLICY_STAGES; to++) {
            struct policy_gap gap;
            if (policy_step_is_safe((enum policy_stage)from, (enum policy_stage)to, &gap)) {
                continue;
            }
            struct location peer = policy_kind_location(&own, gap.kind);
            struct policy_decision out = policy_outgoing(policy_stage_scope(gap.dialer), &own, &peer, gap.lane);
            const struct policy_incoming in = {.scope = policy_stage_scope(gap.acceptor),
                                               .own = &own,
                                               .peer = &peer,
                                               .lane = gap.lane,
                                               .tls = out.verdict == POLICY_TLS,
                                               .certificate_configured = gap.acceptor != POLICY_STAGE_NONE};
            assert_true((gap.dialer == (enum policy_stage)from && gap.acceptor == (enum policy_stage)to) ||
                        (gap.dialer == (enum policy_stage)to && gap.acceptor == (enum policy_stage)from));
            assert_int_equal(out.verdict, gap.dialed.verdict);
            assert_int_equal(out.reason, gap.dialed.reason);
            assert_int_equal(policy_incoming(&in).verdict, POLICY_REFUSE);
            assert_int_equal(policy_incoming(&in).reason, gap.refused);
            gaps++;
        }
    }
    assert_int_equal(gaps, 20);
}

/* The first link that breaks, as people would name it. */
static void gap__of_known_steps__named(void **state)
{
    (void)state;
    static const struct {
        enum policy_stage from, to, dialer;
        enum policy_kind kind;
        enum weft_lane lane;
        const char *refused;
    } cases[] = {
        {POLICY_STAGE_DC, POLICY_STAGE_ALL, POLICY_STAGE_DC, POLICY_KIND_SAME_RACK, WEFT_LANE_NORMAL, "no_listener"},
        {POLICY_STAGE_ALL, POLICY_STAGE_DC, POLICY_STAGE_DC, POLICY_KIND_SAME_RACK, WEFT_LANE_NORMAL, "no_listener"},
        {POLICY_STAGE_RACK, POLICY_STAGE_DC, POLICY_STAGE_DC, POLICY_KIND_SAME_DC, WEFT_LANE_NORMAL,
         "plaintext_forbidden"},
        {POLICY_STAGE_NONE, POLICY_STAGE_TRANSITIONAL, POLICY_STAGE_TRANSITIONAL, POLICY_KIND_SAME_RACK,
         WEFT_LANE_NORMAL, "no_listener"},
        {POLICY_STAGE_NONE_CERTIFICATE, POLICY_STAGE_RACK, POLICY_STAGE_NONE_CERTIFICATE, POLICY_KIND_SAME_RACK,
         WEFT_LANE_CONTROL, "plaintext_forbidden"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct policy_gap gap;
        assert_false(policy_step_is_safe(cases[i].from, cases[i].to, &gap));
        assert_int_equal(gap.dialer, cases[i].dialer);
        assert_int_equal(gap.kind, cases[i].kind);
        assert_int_equal(gap.lane, cases[i].lane);
        assert_string_equal(weft_reason_name(gap.refused), cases[i].refused);
    }
}

static void kind__each__a_peer_that_stands_so(void **state)
{
    (void)state;
    const struct location own = {"dc1", "r1"};
    const struct location lost = {NULL, "r1"};
    static const char *const names[POLICY_KINDS] = {"same_rack", "same_dc", "other_dc", "unknown"};
    static const char *const words[POLICY_KINDS] = {"same rack", "same dc", "other dc", "unknown"};
    for (int i = 0; i < POLICY_KINDS; i++) {
        enum policy_kind kind = (enum policy_kind)i;
        struct location peer = policy_kind_location(&own, kind);
        struct location unseen = policy_kind_location(&lost, kind);
        assert_int_equal(location_same_rack(&own, &peer), kind == POLICY_KIND_SAME_RACK);
        assert_int_equal(location_same_dc(&own, &peer), kind <= POLICY_KIND_SAME_DC);
        assert_int_equal(location_known(&peer), kind != POLICY_KIND_UNKNOWN);
        assert_int_equal(location_dc_known(&peer), kind != POLICY_KIND_UNKNOWN);
        assert_int_equal(location_rack_known(&peer), kind != POLICY_KIND_UNKNOWN);
        assert_false(location_same_dc(&lost, &unseen));
        assert_string_equal(policy_kind_name(kind), names[i]);
        assert_string_equal(policy_kind_words(kind), words[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stage__of_a_scope__and_back),
        cmocka_unit_test(step__every_pair__as_documented),
        cmocka_unit_test(path__every_pair__as_documented),
        cmocka_unit_test(step__derived_again__the_same),
        cmocka_unit_test(path__its_steps__all_safe),
        cmocka_unit_test(gap__of_every_unsafe_step__a_link_that_breaks),
        cmocka_unit_test(gap__of_known_steps__named),
        cmocka_unit_test(kind__each__a_peer_that_stands_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
