/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the host's answers about connections and requests are obeyed and counted at both ends, and the facts that it
 * is asked with are true.
 *
 * Method: two nodes over both real backends, plain and over TLS; hooks that write down what they were asked, and refuse
 * by what the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/integration/node_host.h"
#include "tests/integration/over_backends.h"

#define ASKED_MAX 64u
#define COUNTER(name) offsetof(struct weft_counters, name)

/* A node whose host has opinions. */
struct guarded {
    struct host host;
    struct host_tls tls;
    bool refuse_incoming;
    bool refuse_outgoing;
    uint64_t forbidden_verb;
    /* What it was asked; guarded by the host's lock. */
    uint32_t admissions;
    struct {
        struct weft_admission facts;
        char address[64];
        char dc[64];
        char tls_version[16];
        bool id_known;
        char names[256];
        char certified_cluster[32];
        char certified_dc[32];
        uint8_t certified_id[16];
    } asked[ASKED_MAX];
    uint32_t accesses;
    struct weft_access access; /* the last one of a verb of the test's */
};

struct duo {
    struct guarded a;
    struct guarded b;
    struct authority authority;
};

static bool guarded_admit(void *ctx, weft_shard *shard, const struct weft_admission *facts)
{
    static const uint8_t nobody[16];
    struct guarded *guarded = ctx;
    (void)shard;
    pthread_mutex_lock(&guarded->host.lock);
    if (guarded->admissions < ASKED_MAX) {
        uint32_t i = guarded->admissions++;
        guarded->asked[i].facts = *facts;
        snprintf(guarded->asked[i].address, sizeof guarded->asked[i].address, "%s", facts->address);
        snprintf(guarded->asked[i].dc, sizeof guarded->asked[i].dc, "%s", facts->dc);
        snprintf(guarded->asked[i].tls_version, sizeof guarded->asked[i].tls_version, "%s", facts->tls_version);
        guarded->asked[i].id_known = memcmp(facts->id, nobody, sizeof nobody) != 0;
        snprintf(guarded->asked[i].names, sizeof guarded->asked[i].names, "%s", facts->names);
        snprintf(guarded->asked[i].certified_cluster, 32, "%s", facts->certified_cluster);
        snprintf(guarded->asked[i].certified_dc, 32, "%s", facts->certified_dc);
        memcpy(guarded->asked[i].certified_id, facts->certified_id, 16);
    }
    pthread_mutex_unlock(&guarded->host.lock);
    return facts->outgoing ? !guarded->refuse_outgoing : !guarded->refuse_incoming;
}

static bool guarded_authorize(void *ctx, weft_shard *shard, const struct weft_access *access)
{
    struct guarded *guarded = ctx;
    (void)shard;
    pthread_mutex_lock(&guarded->host.lock);
    guarded->accesses++;
    guarded->access = *access;
    bool allowed = access->verb != guarded->forbidden_verb;
    pthread_mutex_unlock(&guarded->host.lock);
    return allowed;
}

static void guarded_start(struct guarded *guarded)
{
    struct weft_error why = {0};
    struct host *host = &guarded->host;
    assert_int_equal(weft_node_create(&host->node, &host->options, &why), WEFT_OK);
    assert_string_equal(why.text, "");
    assert_int_equal(weft_node_handle_standard(host->node, NULL), WEFT_OK);
    assert_int_equal(weft_node_admit(host->node, guarded_admit, guarded), WEFT_OK);
    assert_int_equal(weft_node_authorize(host->node, guarded_authorize, guarded), WEFT_OK);
    assert_int_equal(weft_node_start(host->node, NULL, NULL, &why), WEFT_OK);
    assert_int_equal(weft_node_admit(host->node, NULL, NULL), WEFT_ERR_STATE);
    assert_int_equal(weft_node_authorize(host->node, NULL, NULL), WEFT_ERR_STATE);
}

static int duo_set_up(void **state)
{
    static struct duo duo;
    const char *backend = *state;
    memset(&duo, 0, sizeof duo);
    host_pair_init(&duo.a.host, &duo.b.host, backend);
    duo.a.host.options.dc = duo.b.host.options.dc = "dc1";
    duo.a.host.options.rack = duo.b.host.options.rack = "r1";
    *state = &duo;
    return 0;
}

static int duo_tear_down(void **state)
{
    struct duo *duo = *state;
    host_fini(&duo->a.host);
    host_fini(&duo->b.host);
    authority_close(&duo->authority);
    return 0;
}

/* Some connection that b was asked about in this direction. */
static bool was_asked(struct guarded *guarded, bool outgoing, uint32_t *index)
{
    bool found = false;
    pthread_mutex_lock(&guarded->host.lock);
    for (uint32_t i = 0; i < guarded->admissions && !found; i++) {
        found = guarded->asked[i].facts.outgoing == outgoing;
        *index = i;
    }
    pthread_mutex_unlock(&guarded->host.lock);
    return found;
}

static void hooks__saying_yes__asked_with_true_facts(void **state)
{
    struct duo *duo = *state;
    guarded_start(&duo->a);
    guarded_start(&duo->b);
    assert_int_equal(host_call_patient(&duo->a.host, VERB_ECHO, 10).err, WEFT_OK);
    host_until_counter(&duo->b.host, COUNTER(peers_up), 1);
    uint32_t in = 0;
    uint32_t out = 0;
    assert_true(was_asked(&duo->b, false, &in));
    assert_true(was_asked(&duo->b, true, &out));
    const uint32_t both[] = {in, out};
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(duo->b.asked[both[i]].facts.hello);
        assert_false(duo->b.asked[both[i]].facts.encrypted);
        assert_false(duo->b.asked[both[i]].facts.verified);
        assert_int_equal(duo->b.asked[both[i]].facts.peer.bits, 1);
        assert_true(duo->b.asked[both[i]].facts.incarnation > 0);
        assert_true(duo->b.asked[both[i]].id_known);
        assert_memory_equal(duo->b.asked[both[i]].address, duo->a.host.address, strlen(duo->a.host.address));
        assert_string_equal(duo->b.asked[both[i]].dc, "dc1");
        assert_string_equal(duo->b.asked[both[i]].tls_version, "");
        assert_string_equal(duo->b.asked[both[i]].names, "");
        assert_false(duo->b.asked[both[i]].facts.named);
        assert_false(duo->b.asked[both[i]].facts.certified);
    }
    assert_int_equal(duo->b.accesses, 1); /* heartbeats are nobody's business */
    assert_int_equal(duo->b.access.verb, VERB_ECHO);
    assert_int_equal(duo->b.access.lane, WEFT_LANE_NORMAL);
    assert_int_equal(duo->b.access.peer.bits, 1);
    assert_true(duo->b.access.hello);
    assert_false(duo->b.access.encrypted);
}

static void hooks__over_tls__know_of_the_certificate(void **state)
{
    struct duo *duo = *state;
    authority_open(&duo->authority);
    authority_ca(&duo->authority, "ca");
    authority_node(&duo->authority, "a", "ca");
    authority_node(&duo->authority, "b", "ca");
    host_use_tls(&duo->a.host, &duo->a.tls, &duo->authority, "a", "ca");
    host_use_tls(&duo->b.host, &duo->b.tls, &duo->authority, "b", "ca");
    duo->a.host.options.encryption = duo->b.host.options.encryption = WEFT_ENCRYPTION_ALL;
    duo->b.host.options.tls.client_auth = WEFT_CLIENT_AUTH_REQUIRED;
    guarded_start(&duo->a);
    guarded_start(&duo->b);
    assert_int_equal(host_call_patient(&duo->a.host, VERB_ECHO, 10).err, WEFT_OK);
    uint32_t in = 0;
    assert_true(was_asked(&duo->b, false, &in));
    assert_true(duo->b.asked[in].facts.encrypted);
    assert_true(duo->b.asked[in].facts.verified);
    assert_memory_equal(duo->b.asked[in].tls_version, "TLSv1.", 6);
    assert_true(duo->b.access.encrypted);
    assert_true(duo->b.access.verified);
}

static void hooks__over_tls__know_whom_the_certificate_names(void **state)
{
    static const char id_text[] = "6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00";
    static const uint8_t id[16] = {0x6f, 0x1c, 0x0c, 0x5e, 0x8f, 0x3b, 0x4a, 0x51,
                                   0x9d, 0x0e, 0x2b, 0x7a, 0x4c, 0x9e, 0x1f, 0x00};
    struct duo *duo = *state;
    const struct tls_node_options named = {.name = "a",
                                           .cluster = "test",
                                           .dc = "dc1",
                                           .rack = "r1",
                                           .id = id_text,
                                           .addresses = {duo->a.host.address},
                                           .address_count = 1};
    authority_open(&duo->authority);
    authority_ca(&duo->authority, "ca");
    authority_node_with(&duo->authority, &named, "ca");
    authority_node(&duo->authority, "b", "ca");
    host_use_tls(&duo->a.host, &duo->a.tls, &duo->authority, "a", "ca");
    host_use_tls(&duo->b.host, &duo->b.tls, &duo->authority, "b", "ca");
    duo->a.host.options.encryption = duo->b.host.options.encryption = WEFT_ENCRYPTION_ALL;
    duo->b.host.options.tls.client_auth = duo->a.host.options.tls.client_auth = WEFT_CLIENT_AUTH_REQUIRED;
    duo->a.host.options.node_id = id_text;
    guarded_start(&duo->a);
    guarded_start(&duo->b);
    assert_int_equal(host_call_patient(&duo->a.host, VERB_ECHO, 10).err, WEFT_OK);
    host_until_counter(&duo->b.host, COUNTER(peers_up), 1);
    uint32_t at[2] = {0};
    assert_true(was_asked(&duo->b, false, &at[0]));
    assert_true(was_asked(&duo->b, true, &at[1]));
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(duo->b.asked[at[i]].facts.named);
        assert_true(duo->b.asked[at[i]].facts.certified);
        assert_non_null(strstr(duo->b.asked[at[i]].names, duo->a.host.address));
        assert_string_equal(duo->b.asked[at[i]].certified_cluster, "test");
        assert_string_equal(duo->b.asked[at[i]].certified_dc, "dc1");
        assert_memory_equal(duo->b.asked[at[i]].certified_id, id, sizeof id);
    }
    /* The other one's has another id and address; nobody demands more of it here, but it is told. */
    host_until_counter(&duo->a.host, COUNTER(peers_up), 1);
    assert_true(was_asked(&duo->a, false, &at[0]));
    assert_true(duo->a.asked[at[0]].facts.verified);
    assert_false(duo->a.asked[at[0]].facts.named);
    assert_false(duo->a.asked[at[0]].facts.certified);
    assert_string_equal(duo->a.asked[at[0]].certified_cluster, "test");
}

static void verb__forbidden__refused_and_counted_one_way_too(void **state)
{
    struct duo *duo = *state;
    duo->b.forbidden_verb = VERB_ECHO;
    guarded_start(&duo->a);
    guarded_start(&duo->b);
    struct answer answer = host_call_patient(&duo->a.host, VERB_ECHO, 10);
    assert_int_equal(answer.err, WEFT_ERR_REFUSED);
    assert_int_equal(answer.executed, WEFT_EXECUTED_NO);
    host_until_counter(&duo->b.host, COUNTER(requests_forbidden), 1);
    assert_int_equal(host_call_patient(&duo->a.host, VERB_COUNT, 0).err, WEFT_OK);
    pthread_mutex_lock(&duo->b.host.lock);
    duo->b.forbidden_verb = VERB_SINK;
    pthread_mutex_unlock(&duo->b.host.lock);
    struct asked asked = {.host = &duo->a.host, .peer = {1}, .verb = VERB_SINK, .options = WEFT_CALL_OPTIONS_INIT};
    asked.options.one_way = true;
    assert_true(asked_start(&asked));
    asked_wait(&asked);
    assert_int_equal(asked.answer.err, WEFT_OK); /* handed over; nobody tells more of a one-way message */
    host_until_counter(&duo->b.host, COUNTER(requests_forbidden), 2);
    answer = host_call_patient(&duo->a.host, VERB_COUNT, 0);
    assert_int_equal(answer.err, WEFT_OK);
    assert_int_equal(answer.head[0], 0); /* nothing sank */
}

static void incoming__refused__named_and_counted_at_both_ends(void **state)
{
    struct duo *duo = *state;
    duo->b.refuse_incoming = true;
    guarded_start(&duo->a);
    guarded_start(&duo->b);
    host_until_counter(&duo->b.host, COUNTER(refused_by_reason[WEFT_REASON_ADMIT_CALLBACK]), 1);
    host_until_counter(&duo->a.host, COUNTER(refused_by_reason[WEFT_REASON_ADMIT_CALLBACK]), 1);
    struct answer answer = host_call(&duo->a.host, VERB_ECHO, 10, 1000);
    assert_int_equal(answer.started == WEFT_OK ? answer.err : answer.started, WEFT_ERR_UNREACHABLE);
    host_until_logged(&duo->b.host, "admit_callback");
}

static void outgoing__refused__counted_where_it_was(void **state)
{
    struct duo *duo = *state;
    duo->a.refuse_outgoing = true;
    guarded_start(&duo->a);
    guarded_start(&duo->b);
    host_until_counter(&duo->a.host, COUNTER(refused_by_reason[WEFT_REASON_ADMIT_CALLBACK]), 1);
    struct answer answer = host_call(&duo->a.host, VERB_ECHO, 10, 1000);
    assert_int_equal(answer.started == WEFT_OK ? answer.err : answer.started, WEFT_ERR_UNREACHABLE);
    /* The other direction is its own connection, which a lets in. */
    assert_int_equal(host_call_patient(&duo->b.host, VERB_ECHO, 10).err, WEFT_OK);
    assert_int_equal(host_refused(&duo->b.host, WEFT_REASON_ADMIT_CALLBACK), 0);
}

int main(void)
{
    static const struct backend_test tests[] = {
        BACKEND_TEST(hooks__saying_yes__asked_with_true_facts),
        BACKEND_TEST(hooks__over_tls__know_of_the_certificate),
        BACKEND_TEST(hooks__over_tls__know_whom_the_certificate_names),
        BACKEND_TEST(verb__forbidden__refused_and_counted_one_way_too),
        BACKEND_TEST(incoming__refused__named_and_counted_at_both_ends),
        BACKEND_TEST(outgoing__refused__counted_where_it_was),
    };
    return over_backends(tests, sizeof tests / sizeof tests[0], duo_set_up, duo_tear_down);
}
