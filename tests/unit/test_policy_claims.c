/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: no name, claim or lack of knowledge, however odd, makes a link less protected.
 * Method: locations drawn from a seed, of names that are nearly equal, empty, missing, long, or no text at all.
 * Protection is compared with what it is without the change: one name forgotten, one byte altered, a claim made, a
 * further entry for the source address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/prng.h"
#include "topology/cluster/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROUNDS 4000u

/* Names that somebody could take for one another. */
static const char *const names[] = {
    NULL,         "",         "dc1",      "dc1",         "dc1",   "DC1",     "Dc1",
    "dc1 ",       " dc1",     "dc1.",     "dc1\t",       "dc",    "dc11",    "d\xd1\x81\x31",
    "dc\xc2\xb9", "dc\xff",   "\xff\xfe", "\x01",        "-",     "unknown", "null",
    "~",          "*",        "default",  "datacenter1", "rack1", "r1",      "R1",
    "dc1/r1",     "dc1%2Fr1", "0",        "00",          "no",    "NO",      "1e3",
};

static const char *name_draw(struct prng *prng)
{
    return names[prng_below(prng, COUNT(names))];
}

static struct location location_draw(struct prng *prng)
{
    const char *dc = name_draw(prng);
    return (struct location){dc, name_draw(prng)};
}

/* Often the same as another, as most nodes of a cluster are. */
static struct location location_draw_near(struct prng *prng, const struct location *other)
{
    struct location location = location_draw(prng);
    if (prng_below(prng, 2) == 0) {
        location.dc = other->dc;
    }
    if (prng_below(prng, 2) == 0) {
        location.rack = other->rack;
    }
    return location;
}

static bool equal_and_named(const char *a, const char *b)
{
    return a != NULL && b != NULL && a[0] != '\0' && strcmp(a, b) == 0;
}

/* All that two nodes can do: which of the ways between them are open in plaintext. */
struct openness {
    bool dialed;
    bool admitted;
};

static struct openness openness_of(enum weft_encryption scope, const struct location *own, const struct location *peer,
                                   enum weft_lane lane)
{
    const struct policy_incoming in = {.scope = scope, .own = own, .peer = peer, .lane = lane};
    return (struct openness){policy_outgoing(scope, own, peer, lane).verdict == POLICY_PLAIN,
                             policy_incoming(&in).verdict == POLICY_PLAIN};
}

static void expect_no_more_open(struct openness less, struct openness more)
{
    assert_true(!less.dialed || more.dialed);
    assert_true(!less.admitted || more.admitted);
}

struct draw {
    enum weft_encryption scope;
    enum weft_lane lane;
    struct location own;
    struct location peer;
};

static struct draw draw_next(struct prng *prng)
{
    struct draw draw = {.scope = (enum weft_encryption)prng_below(prng, 5),
                        .lane = (enum weft_lane)prng_below(prng, WEFT_LANE_COUNT),
                        .own = location_draw(prng)};
    draw.peer = location_draw_near(prng, &draw.own);
    return draw;
}

/* What plaintext takes, said without the policy's own words. */
static bool plaintext_is_due(const struct draw *draw, bool dialing)
{
    bool dc = equal_and_named(draw->own.dc, draw->peer.dc);
    bool rack = dc && equal_and_named(draw->own.rack, draw->peer.rack);
    switch (draw->scope) {
    case WEFT_ENCRYPTION_NONE:
        return true;
    case WEFT_ENCRYPTION_RACK:
        return rack && draw->lane != WEFT_LANE_CONTROL;
    case WEFT_ENCRYPTION_DC:
        return dc && draw->lane != WEFT_LANE_CONTROL;
    case WEFT_ENCRYPTION_TRANSITIONAL:
        return !dialing;
    case WEFT_ENCRYPTION_ALL:
        break;
    }
    return false;
}

static void plaintext__between_odd_names__only_where_it_is_due(void **state)
{
    (void)state;
    struct prng prng;
    size_t plain = 0;
    prng_init(&prng, 1);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct draw draw = draw_next(&prng);
        struct openness open = openness_of(draw.scope, &draw.own, &draw.peer, draw.lane);
        assert_int_equal(open.dialed, plaintext_is_due(&draw, true));
        assert_int_equal(open.admitted, plaintext_is_due(&draw, false));
        plain += policy_uses_location(draw.scope) && open.dialed ? 1 : 0;
    }
    assert_true(plain > ROUNDS / 100);
}

static void knowledge__forgotten_or_garbled__opens_nothing(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 2);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct draw draw = draw_next(&prng);
        struct openness before = openness_of(draw.scope, &draw.own, &draw.peer, draw.lane);
        for (int which = 0; which < 4; which++) {
            for (int how = 0; how < 2; how++) {
                struct draw less = draw;
                const char **name = which == 0   ? &less.own.dc
                                    : which == 1 ? &less.own.rack
                                    : which == 2 ? &less.peer.dc
                                                 : &less.peer.rack;
                *name = how == 0 ? NULL : "";
                expect_no_more_open(openness_of(less.scope, &less.own, &less.peer, less.lane), before);
            }
        }
    }
}

/* One byte of a name altered, an end cut off or a byte added: it is another name, and never a nearer one. */
static void name__altered_by_one_byte__never_the_same(void **state)
{
    (void)state;
    char long_name[WEFT_NAME_BYTES_MAX + 1];
    char other[WEFT_NAME_BYTES_MAX + 1];
    memset(long_name, 'd', WEFT_NAME_BYTES_MAX);
    long_name[WEFT_NAME_BYTES_MAX] = '\0';
    for (size_t at = 0; at < WEFT_NAME_BYTES_MAX; at++) {
        memcpy(other, long_name, sizeof other);
        for (int cut = 0; cut < 2; cut++) {
            other[at] = cut == 0 ? 'D' : '\0';
            for (int what = 0; what < 2; what++) {
                struct location own = {long_name, long_name};
                struct location peer =
                    what == 0 ? (struct location){other, long_name} : (struct location){long_name, other};
                assert_false(openness_of(WEFT_ENCRYPTION_RACK, &own, &peer, WEFT_LANE_NORMAL).dialed);
                assert_false(openness_of(WEFT_ENCRYPTION_RACK, &own, &peer, WEFT_LANE_NORMAL).admitted);
                assert_int_equal(openness_of(WEFT_ENCRYPTION_DC, &own, &peer, WEFT_LANE_BULK).admitted, what == 1);
                assert_true(other[0] == '\0' || location_contradicts(&own, &peer));
            }
        }
    }
}

/* A claim is only ever held against what is known: it can refuse, and where it is let pass, it was silent or true. */
static void claim__of_anything__true_silent_or_refused(void **state)
{
    (void)state;
    struct prng prng;
    size_t refused = 0;
    prng_init(&prng, 3);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct location known = location_draw(&prng);
        struct location claimed = location_draw_near(&prng, &known);
        bool dc_known = known.dc != NULL && known.dc[0] != '\0';
        bool dc_wrong = claimed.dc != NULL && claimed.dc[0] != '\0' && !equal_and_named(known.dc, claimed.dc);
        bool rack_known = dc_known && known.rack != NULL && known.rack[0] != '\0';
        bool rack_wrong = claimed.rack != NULL && claimed.rack[0] != '\0' && !equal_and_named(known.rack, claimed.rack);
        bool expected = (dc_known && dc_wrong) || (rack_known && rack_wrong);
        assert_int_equal(location_contradicts(&known, &claimed), expected);
        refused += expected ? 1 : 0;
    }
    assert_true(refused > ROUNDS / 100 && refused < ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plaintext__between_odd_names__only_where_it_is_due),
        cmocka_unit_test(knowledge__forgotten_or_garbled__opens_nothing),
        cmocka_unit_test(name__altered_by_one_byte__never_the_same),
        cmocka_unit_test(claim__of_anything__true_silent_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
