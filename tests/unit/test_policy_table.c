/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every decision of the policy, its reason and its port are the documented ones.
 * Method: tables to be read beside the documentation, one column for each place of a peer; a row holds for the scopes,
 * own places and lanes that it names.  Every combination of scope, own place, peer's place, lane, direction and
 * certificate is looked up, and exactly one row must speak of it; unknown names are tried as NULL and as "". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "topology/cluster/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define STORAGE_PORT 7000u
#define SSL_STORAGE_PORT 7001u

/* Where a node is; "-" is unknown. */
struct place {
    const char *name;
    const char *dc;
    const char *rack;
};

static const struct place own_places[] = {
    {"dc1/r1", "dc1", "r1"}, {"dc1/-", "dc1", NULL}, {"-/r1", NULL, "r1"}, {"-/-", NULL, NULL}};

#define PEER_PLACES 9
static const struct place peer_places[PEER_PLACES] = {
    {"dc1/r1", "dc1", "r1"}, {"dc1/r2", "dc1", "r2"}, {"dc2/r1", "dc2", "r1"},
    {"dc2/r2", "dc2", "r2"}, {"DC1/r1", "DC1", "r1"}, {"dc1/-", "dc1", NULL},
    {"dc2/-", "dc2", NULL},  {"-/r1", NULL, "r1"},    {"-/-", NULL, NULL},
};

/* Words of the columns below: what is decided, and the reason. */
#define NONE "plain scope_none"
#define TALL "tls scope_all"
#define TTRA "tls transitional"
#define CTRL "tls control_lane"
#define RACK "plain same_rack"
#define SADC "plain same_dc"
#define ORCK "tls other_rack"
#define ODC_ "tls other_dc"
#define PUNK "tls location_unknown"
#define OUNK "tls own_location_unknown"
#define TRAN "plain transitional"
#define LIST "tls tls_listener"
#define PASS "tls passive_listener"
#define XLIS "refuse no_listener"
#define XUNK "refuse plaintext_unknown_location"
#define XFOR "refuse plaintext_forbidden"

/* A row's first three words are lists, or "*" for all. */
struct row {
    const char *scopes;
    const char *own;
    const char *lanes;
    const char *cells[PEER_PLACES];
};

/* clang-format off */
static const struct row outgoing[] = {
    /* scope           own          lane             dc1/r1 dc1/r2 dc2/r1 dc2/r2 DC1/r1 dc1/-  dc2/-  -/r1   -/-   */
    {"none",           "*",         "*",            {NONE,  NONE,  NONE,  NONE,  NONE,  NONE,  NONE,  NONE,  NONE}},
    {"all",            "*",         "*",            {TALL,  TALL,  TALL,  TALL,  TALL,  TALL,  TALL,  TALL,  TALL}},
    {"transitional",   "*",         "*",            {TTRA,  TTRA,  TTRA,  TTRA,  TTRA,  TTRA,  TTRA,  TTRA,  TTRA}},
    {"rack dc",        "*",         "control",      {CTRL,  CTRL,  CTRL,  CTRL,  CTRL,  CTRL,  CTRL,  CTRL,  CTRL}},
    {"rack",           "dc1/r1",    "normal bulk",  {RACK,  ORCK,  ODC_,  ODC_,  ODC_,  PUNK,  PUNK,  PUNK,  PUNK}},
    {"rack",           "dc1/-",     "normal bulk",  {OUNK,  OUNK,  OUNK,  OUNK,  OUNK,  OUNK,  OUNK,  OUNK,  OUNK}},
    {"rack dc",        "-/r1 -/-",  "normal bulk",  {OUNK,  OUNK,  OUNK,  OUNK,  OUNK,  OUNK,  OUNK,  OUNK,  OUNK}},
    {"dc",             "dc1/r1",    "normal bulk",  {RACK,  SADC,  ODC_,  ODC_,  ODC_,  SADC,  ODC_,  PUNK,  PUNK}},
    {"dc",             "dc1/-",     "normal bulk",  {SADC,  SADC,  ODC_,  ODC_,  ODC_,  SADC,  ODC_,  PUNK,  PUNK}},
};

static const struct row incoming_plain[] = {
    /* scope           own          lane             dc1/r1 dc1/r2 dc2/r1 dc2/r2 DC1/r1 dc1/-  dc2/-  -/r1   -/-   */
    {"none",           "*",         "*",            {NONE,  NONE,  NONE,  NONE,  NONE,  NONE,  NONE,  NONE,  NONE}},
    {"all",            "*",         "*",            {XLIS,  XLIS,  XLIS,  XLIS,  XLIS,  XLIS,  XLIS,  XLIS,  XLIS}},
    {"transitional",   "*",         "*",            {TRAN,  TRAN,  TRAN,  TRAN,  TRAN,  TRAN,  TRAN,  TRAN,  TRAN}},
    {"rack",           "dc1/r1",    "normal bulk",  {RACK,  XFOR,  XFOR,  XFOR,  XFOR,  XUNK,  XUNK,  XUNK,  XUNK}},
    {"rack",           "dc1/r1",    "control",      {XFOR,  XFOR,  XFOR,  XFOR,  XFOR,  XUNK,  XUNK,  XUNK,  XUNK}},
    {"rack",           "dc1/-",     "*",            {XUNK,  XUNK,  XUNK,  XUNK,  XUNK,  XUNK,  XUNK,  XUNK,  XUNK}},
    {"rack dc",        "-/r1 -/-",  "*",            {XUNK,  XUNK,  XUNK,  XUNK,  XUNK,  XUNK,  XUNK,  XUNK,  XUNK}},
    {"dc",             "dc1/r1",    "normal bulk",  {RACK,  SADC,  XFOR,  XFOR,  XFOR,  SADC,  XFOR,  XUNK,  XUNK}},
    {"dc",             "dc1/-",     "normal bulk",  {SADC,  SADC,  XFOR,  XFOR,  XFOR,  SADC,  XFOR,  XUNK,  XUNK}},
    {"dc",             "dc1/r1 dc1/-", "control",   {XFOR,  XFOR,  XFOR,  XFOR,  XFOR,  XFOR,  XFOR,  XUNK,  XUNK}},
};

static const struct row incoming_tls_without_certificate[] = {
    {"none",           "*",         "*",            {XLIS,  XLIS,  XLIS,  XLIS,  XLIS,  XLIS,  XLIS,  XLIS,  XLIS}},
    {"rack dc all transitional", "*", "*",          {LIST,  LIST,  LIST,  LIST,  LIST,  LIST,  LIST,  LIST,  LIST}},
};

static const struct row incoming_tls_with_certificate[] = {
    {"none",           "*",         "*",            {PASS,  PASS,  PASS,  PASS,  PASS,  PASS,  PASS,  PASS,  PASS}},
    {"rack dc all transitional", "*", "*",          {LIST,  LIST,  LIST,  LIST,  LIST,  LIST,  LIST,  LIST,  LIST}},
};
/* clang-format on */

static const struct {
    const char *name;
    enum weft_encryption scope;
} scopes[] = {{"none", WEFT_ENCRYPTION_NONE},
              {"rack", WEFT_ENCRYPTION_RACK},
              {"dc", WEFT_ENCRYPTION_DC},
              {"all", WEFT_ENCRYPTION_ALL},
              {"transitional", WEFT_ENCRYPTION_TRANSITIONAL}};

static const struct {
    const char *name;
    enum weft_lane lane;
} lanes[] = {{"normal", WEFT_LANE_NORMAL}, {"control", WEFT_LANE_CONTROL}, {"bulk", WEFT_LANE_BULK}};

enum direction { OUT = 0, IN_PLAIN, IN_TLS, DIRECTIONS };

/* One question to the policy, by indexes into the lists above. */
struct question {
    size_t scope;
    size_t own;
    size_t peer;
    size_t lane;
    enum direction direction;
    bool certificate;
    bool empty; /* unknown names are "" instead of NULL */
};

static bool list_has(const char *list, const char *word)
{
    size_t bytes = strlen(word);
    if (strcmp(list, "*") == 0) {
        return true;
    }
    for (const char *at = strstr(list, word); at != NULL; at = strstr(at + 1, word)) {
        if ((at == list || at[-1] == ' ') && (at[bytes] == '\0' || at[bytes] == ' ')) {
            return true;
        }
    }
    return false;
}

/* The only row that speaks of the question. */
static const struct row *row_find(const struct row *rows, size_t count, const struct question *question)
{
    const struct row *found = NULL;
    for (size_t i = 0; i < count; i++) {
        if (list_has(rows[i].scopes, scopes[question->scope].name) &&
            list_has(rows[i].own, own_places[question->own].name) &&
            list_has(rows[i].lanes, lanes[question->lane].name)) {
            assert_null(found);
            found = &rows[i];
        }
    }
    assert_non_null(found);
    return found;
}

static const char *question_expected(const struct question *question)
{
    const struct row *row;
    if (question->direction == OUT) {
        row = row_find(outgoing, COUNT(outgoing), question);
    } else if (question->direction == IN_PLAIN) {
        row = row_find(incoming_plain, COUNT(incoming_plain), question);
    } else if (question->certificate) {
        row = row_find(incoming_tls_with_certificate, COUNT(incoming_tls_with_certificate), question);
    } else {
        row = row_find(incoming_tls_without_certificate, COUNT(incoming_tls_without_certificate), question);
    }
    return row->cells[question->peer];
}

static struct location place_location(const struct place *place, bool empty)
{
    const char *unknown = empty ? "" : NULL;
    return (struct location){place->dc != NULL ? place->dc : unknown, place->rack != NULL ? place->rack : unknown};
}

static struct policy_decision question_ask(const struct question *question)
{
    struct location own = place_location(&own_places[question->own], question->empty);
    struct location peer = place_location(&peer_places[question->peer], question->empty);
    if (question->direction == OUT) {
        return policy_outgoing(scopes[question->scope].scope, &own, &peer, lanes[question->lane].lane);
    }
    const struct policy_incoming in = {.scope = scopes[question->scope].scope,
                                       .own = &own,
                                       .peer = &peer,
                                       .lane = lanes[question->lane].lane,
                                       .tls = question->direction == IN_TLS,
                                       .certificate_configured = question->certificate};
    return policy_incoming(&in);
}

static uint16_t port_expected(const char *expected)
{
    return expected[0] == 'p' ? STORAGE_PORT : expected[0] == 't' ? SSL_STORAGE_PORT : 0;
}

static void question_check(const struct question *question)
{
    const char *expected = question_expected(question);
    struct policy_decision decision = question_ask(question);
    char actual[128];
    snprintf(actual, sizeof actual, "%s %s", policy_verdict_name(decision.verdict), weft_reason_name(decision.reason));
    uint16_t port = policy_port(decision.verdict, STORAGE_PORT, SSL_STORAGE_PORT);
    if (strcmp(actual, expected) != 0 || port != port_expected(expected)) {
        fail_msg("%s, own %s, peer %s, lane %s, direction %d, certificate %d: %s port %u, not %s",
                 scopes[question->scope].name, own_places[question->own].name, peer_places[question->peer].name,
                 lanes[question->lane].name, question->direction, question->certificate, actual, port, expected);
    }
}

static void policy__every_combination__as_documented(void **state)
{
    (void)state;
    /* One digit of the number for each thing that varies. */
    const size_t total = COUNT(scopes) * COUNT(own_places) * PEER_PLACES * COUNT(lanes) * DIRECTIONS * 2 * 2;
    for (size_t i = 0; i < total; i++) {
        size_t rest = i;
        struct question question = {.scope = rest % COUNT(scopes)};
        rest /= COUNT(scopes);
        question.own = rest % COUNT(own_places);
        rest /= COUNT(own_places);
        question.peer = rest % PEER_PLACES;
        rest /= PEER_PLACES;
        question.lane = rest % COUNT(lanes);
        rest /= COUNT(lanes);
        question.direction = (enum direction)(rest % DIRECTIONS);
        rest /= DIRECTIONS;
        question.certificate = rest % 2 == 1;
        question.empty = rest / 2 == 1;
        question_check(&question);
    }
}

/* The lists are complete: a scope or lane that is new must appear in the tables. */
static void policy__lists_of_this_test__hold_every_scope_and_lane(void **state)
{
    (void)state;
    assert_int_equal(COUNT(lanes), WEFT_LANE_COUNT);
    for (size_t i = 0; i < COUNT(scopes); i++) {
        assert_string_equal(weft_encryption_name(scopes[i].scope), scopes[i].name);
    }
    assert_string_equal(weft_encryption_name((enum weft_encryption)COUNT(scopes)), "unknown");
}

static void policy_verdict__names_and_ports__each_its_own(void **state)
{
    (void)state;
    assert_string_equal(policy_verdict_name(POLICY_PLAIN), "plain");
    assert_string_equal(policy_verdict_name(POLICY_TLS), "tls");
    assert_string_equal(policy_verdict_name(POLICY_REFUSE), "refuse");
    assert_string_equal(policy_verdict_name((enum policy_verdict)3), "unknown");
    assert_int_equal(policy_port(POLICY_PLAIN, 1, 2), 1);
    assert_int_equal(policy_port(POLICY_TLS, 1, 2), 2);
    assert_int_equal(policy_port(POLICY_REFUSE, 1, 2), 0);
    assert_int_equal(policy_port((enum policy_verdict)3, 1, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy__every_combination__as_documented),
        cmocka_unit_test(policy__lists_of_this_test__hold_every_scope_and_lane),
        cmocka_unit_test(policy_verdict__names_and_ports__each_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
