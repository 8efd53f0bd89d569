/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: certificates, keys and trust stores are replaced while calls run, and no call is lost; who is not trusted any
 * longer is cut off; and what is wrong with a new set changes nothing.
 *
 * Method: two real nodes that demand each other's certificates under `all`; the files of one are written anew and
 * reloaded, while each is called.  The counters and the log say what became of it. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "node_host.h"
#include "topology/cluster/node.h"

#define ROUNDS 8u
/* From one node to the other; several times what a shard looks at before it does something else. */
#define CONNECTIONS 12u
/* Pauses of a shard, each longer than the one between two looks, and more of them than there are looks. */
#define PAUSES 10u
#define PAUSE_NS UINT64_C(5000000)
#define REPLACED offsetof(struct weft_counters, credentials_replaced)
#define CUT_OFF offsetof(struct weft_counters, credentials_cut_off)

struct pair {
    struct host a;
    struct host b;
    struct host_tls tls_a;
    struct host_tls tls_b;
    struct authority authority;
    char other_ca[HOST_PATH_BYTES];
};

static int pair_make(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);
    assert_non_null(pair);
    host_pair_init(&pair->a, &pair->b, "auto");
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_ca(&pair->authority, "other");
    snprintf(pair->other_ca, sizeof pair->other_ca, "%s/other.crt", pair->authority.directory);
    authority_node(&pair->authority, "a", "ca");
    authority_node(&pair->authority, "b", "ca");
    pair->a.options.encryption = pair->b.options.encryption = WEFT_ENCRYPTION_ALL;
    pair->a.options.tls.client_auth = pair->b.options.tls.client_auth = WEFT_CLIENT_AUTH_REQUIRED;
    host_use_tls(&pair->a, &pair->tls_a, &pair->authority, "a", "ca");
    host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "ca");
    host_start(&pair->a);
    host_start(&pair->b);
    *state = pair;
    return 0;
}

static int pair_drop(void **state)
{
    struct pair *pair = *state;
    host_stop(&pair->a);
    host_stop(&pair->b);
    host_fini(&pair->a);
    host_fini(&pair->b);
    authority_close(&pair->authority);
    free(pair);
    return 0;
}

/* A node's certificate and key are others from now on: by the same CA, or another one.  @param days 0: two years */
static void renew_until(const struct pair *pair, const char *name, const char *ca, int64_t days)
{
    char path[HOST_PATH_BYTES];
    const struct tls_node_options options = {
        .name = name,
        .cluster = "test",
        .addresses = {"127.0.0.1"},
        .address_count = 1,
        .validity = {.from_s = days == 0 ? 0 : -300, .until_s = days * 86400},
    };
    snprintf(path, sizeof path, "%s/%s.crt", pair->authority.directory, name);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/%s.key", pair->authority.directory, name);
    assert_int_equal(unlink(path), 0);
    authority_node_with(&pair->authority, &options, ca);
}

static void renew(const struct pair *pair, const char *name, const char *ca)
{
    renew_until(pair, name, ca, 0);
}

static void overwrite(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void reload(struct host *host)
{
    struct weft_error why = {0};
    enum weft_err err = weft_node_credentials_reload(host->node, &host->options, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
}

static void expect_echo(struct host *host)
{
    struct answer answer = host_call(host, VERB_ECHO, 20000, 0);
    assert_int_equal(answer.started, WEFT_OK);
    assert_string_equal(answer.error.text, "");
    assert_int_equal(answer.err, WEFT_OK);
    assert_int_equal(answer.wrong_bytes, 0);
}

static uint64_t counter(const struct host *host, size_t offset)
{
    struct weft_counters counters;
    uint64_t value;
    weft_node_counters(host->node, &counters);
    memcpy(&value, (const char *)&counters + offset, sizeof value);
    return value;
}

/* Calls that are under way while the other node's credentials are replaced, and after. */
static void credentials__replaced_again_and_again_under_load__no_call_is_lost(void **state)
{
    struct pair *pair = *state;
    (void)host_call_patient(&pair->a, VERB_ECHO, 1000);
    (void)host_call_patient(&pair->b, VERB_ECHO, 1000);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        struct asked slow = {.host = &pair->a,
                             .peer = {1},
                             .verb = VERB_ECHO,
                             .args = {pattern_new(1u << 20), 1u << 20},
                             .options = {.size = sizeof slow.options, .timeout_ms = 20000}};
        assert_true(asked_start(&slow));
        renew(pair, "a", "ca");
        renew(pair, "b", "ca");
        reload(&pair->a);
        reload(&pair->b);
        expect_echo(&pair->a);
        expect_echo(&pair->b);
        asked_wait(&slow);
        assert_int_equal(slow.answer.err, WEFT_OK);
        free((void *)(uintptr_t)slow.args.data);
        assert_int_equal(counter(&pair->a, REPLACED), round);
    }
    /* Our own connections do not keep old keys for ever. */
    assert_true(counter(&pair->a, offsetof(struct weft_counters, links_moved)) >= 2);
    assert_true(counter(&pair->a, offsetof(struct weft_counters, credentials_outlived)) >= 2);
    assert_int_equal(counter(&pair->a, CUT_OFF), 0);
    assert_int_equal(counter(&pair->b, CUT_OFF), 0);
    assert_int_equal(counter(&pair->a, offsetof(struct weft_counters, refused)), 0);
    assert_int_equal(counter(&pair->b, offsetof(struct weft_counters, refused)), 0);
}

static void credentials__same_contents__nothing_changes(void **state)
{
    struct pair *pair = *state;
    reload(&pair->a);
    assert_int_equal(counter(&pair->a, REPLACED), 0);
    assert_false(host_logged(&pair->a, "credentials: replaced"));
}

/* They are looked at again, the handshake long done. */
static void credentials__trust_store_of_another_ca__who_is_not_trusted_any_longer_is_cut_off(void **state)
{
    struct pair *pair = *state;
    (void)host_call_patient(&pair->b, VERB_ECHO, 1000);
    renew(pair, "a", "other");
    pair->a.options.tls.truststore = pair->other_ca;
    reload(&pair->a);
    /* a trusts the other CA alone now: b, whose certificate is of the first one, is cut off. */
    host_until_counter(&pair->a, CUT_OFF, 1);
    host_until_logged(&pair->a, "cert_untrusted: by the credentials of now");
    assert_true(host_refused(&pair->a, WEFT_REASON_CERT_UNTRUSTED) >= 1);
    host_until_logged(&pair->b, "cert_untrusted");
}

struct pauses {
    struct weft_timer timer;
    atomic_uint left;
};

static void pause_more(void *ctx, struct weft_shard *shard)
{
    struct pauses *pauses = ctx;
    if (atomic_fetch_sub(&pauses->left, 1) > 1) {
        weft_timer_start(shard, &pauses->timer, PAUSE_NS, pause_more, pauses);
    }
}

/* By the clock of the shard that looks: one that stands still has no pause either. */
static void shard_pauses(struct host *host)
{
    struct pauses pauses = {.left = PAUSES};
    assert_true(engine_run(host->node->engine, 0, pause_more, &pauses));
    while (atomic_load(&pauses.left) > 0) {
        sched_yield();
    }
}

/* A shard looks at a few at a time, until it has looked at all. */
static void credentials__many_connections_not_trusted_any_longer__all_cut_off(void **state)
{
    struct pair *pair = *state;
    host_stop(&pair->a);
    host_stop(&pair->b);
    pair->b.peers[0].connections = CONNECTIONS;
    pair->a.options.heartbeat_ms = pair->b.options.heartbeat_ms = UINT32_MAX; /* nothing else ends a connection */
    host_start(&pair->a);
    host_start(&pair->b);
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        assert_int_equal(host_call_patient(&pair->b, VERB_ECHO, 1000).err, WEFT_OK);
    }
    renew(pair, "a", "other");
    pair->a.options.tls.truststore = pair->other_ca;
    reload(&pair->a);
    shard_pauses(&pair->a);
    assert_true(counter(&pair->a, CUT_OFF) >= CONNECTIONS);
}

static void refused(struct host *host, const char *says, uint64_t count)
{
    struct weft_error why = {0};
    assert_int_equal(weft_node_credentials_reload(host->node, &host->options, &why), WEFT_ERR_CONFIG);
    if (strstr(why.text, says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", why.text, says);
    }
    assert_int_equal(counter(host, offsetof(struct weft_counters, credentials_refused)), count);
    assert_true(host_logged(host, "credentials: what was stays in use: "));
}

static void credentials__wrong_in_any_way__what_was_stays_in_use(void **state)
{
    struct pair *pair = *state;
    (void)host_call_patient(&pair->b, VERB_ECHO, 1000);
    overwrite(pair->tls_a.certificate, "-----BEGIN CERTIFICATE-----\nMIIB\n");
    refused(&pair->a, "certificate ", 1);
    renew(pair, "a", "ca");
    overwrite(pair->tls_a.keyfile, "half a key");
    refused(&pair->a, "keyfile ", 2);
    renew(pair, "a", "other");
    refused(&pair->a, "does not verify it", 3); /* by the trust store, which is the first CA's */
    assert_int_equal(unlink(pair->tls_a.keyfile), 0);
    refused(&pair->a, "No such file", 4);
    overwrite(pair->tls_a.keyfile, "");
    const char *certificate = pair->a.options.tls.certificate;
    pair->a.options.tls.certificate = pair->a.options.tls.keyfile = NULL;
    refused(&pair->a, "this node was started with one", 5);
    pair->a.options.tls.certificate = certificate;
    pair->a.options.tls.keyfile = pair->tls_a.keyfile;
    assert_int_equal(counter(&pair->a, REPLACED), 0);
    /* New connections are still made, by the old set. */
    host_stop(&pair->b);
    host_start(&pair->b);
    struct answer answer = host_call_patient(&pair->b, VERB_ECHO, 1000);
    assert_int_equal(answer.err, WEFT_OK);
    /* And the next good set is taken. */
    int64_t not_after_s = weft_node_certificate_not_after_s(pair->a.node);
    assert_true(not_after_s > time(NULL));
    renew_until(pair, "a", "ca", 3);
    reload(&pair->a);
    assert_int_equal(counter(&pair->a, REPLACED), 1);
    assert_true(weft_node_certificate_not_after_s(pair->a.node) < time(NULL) + 4 * 86400);
    assert_true(not_after_s > time(NULL) + 4 * 86400);
    host_until_logged(&pair->a, "a.crt: expires at ");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, pair_make, pair_drop)
    const struct CMUnitTest tests[] = {
        CASE(credentials__replaced_again_and_again_under_load__no_call_is_lost),
        CASE(credentials__same_contents__nothing_changes),
        CASE(credentials__trust_store_of_another_ca__who_is_not_trusted_any_longer_is_cut_off),
        CASE(credentials__many_connections_not_trusted_any_longer__all_cut_off),
        CASE(credentials__wrong_in_any_way__what_was_stays_in_use),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
