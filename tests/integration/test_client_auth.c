/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whom a node asks for a certificate, and which ones it takes, is exactly what require_client_auth and its
 * revocation list say, and both ends say the same and count it.
 *
 * Method: pairs of real nodes, the one dialing with each kind of certificate, the other demanding none, any that is
 * shown, or one from everybody, over TLS 1.2 and 1.3.  For the list whose time passes while a node runs, time() is this
 * program's own: libcrypto, like everybody who compares dates, gets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/integration/node_host.h"
#include "tests/unit/pki.h"

#define DAY_S 86400

static atomic_long time_ahead_s;

/* In place of libc's, for the libraries too. */
__attribute__((visibility("default"))) time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    time_t said = now.tv_sec + atomic_load(&time_ahead_s);
    if (out != NULL) {
        *out = said;
    }
    return said;
}

struct paths {
    char certificate[PKI_PATH_BYTES];
    char keyfile[PKI_PATH_BYTES];
    char truststore[PKI_PATH_BYTES];
    char lists[PKI_PATH_BYTES];
};

struct world {
    struct pki pki;
    struct host a; /* dials */
    struct host b; /* demands */
    struct host c; /* dials later */
    struct paths paths[3];
};

static int world_set_up(void **state)
{
    struct world *world = test_calloc(1, sizeof *world);
    atomic_store(&time_ahead_s, 0);
    pki_open(&world->pki);
    pki_authority(&world->pki, "ca", NULL);
    pki_authority(&world->pki, "other", NULL);
    pki_lonely(&world->pki);
    pki_node(&world->pki, "server", "ca", 0, 0);
    pki_node(&world->pki, "valid", "ca", 0, 0);
    pki_node(&world->pki, "foreign", "other", 0, 0);
    pki_node(&world->pki, "expired", "ca", -2 * DAY_S, -DAY_S);
    static const char *const both[] = {"ca.crt", "other.crt", NULL};
    pki_bundle(&world->pki, "both.crt", both);
    pki_list(&world->pki, "ends-tomorrow.crl", "ca", NULL, -DAY_S, DAY_S);
    *state = world;
    return 0;
}

static int world_tear_down(void **state)
{
    struct world *world = *state;
    atomic_store(&time_ahead_s, 0);
    host_stop(&world->a);
    host_stop(&world->c);
    host_stop(&world->b);
    pki_close(&world->pki);
    test_free(world);
    return 0;
}

/* @param name NULL: no certificate */
static void host_use(struct host *host, struct world *world, struct paths *paths, const char *name, const char *trust)
{
    char file[64];
    host->options.encryption = WEFT_ENCRYPTION_ALL;
    host->options.tls.truststore = pki_path(&world->pki, trust, paths->truststore);
    host->options.tls.certificate = NULL;
    host->options.tls.keyfile = NULL;
    if (name != NULL) {
        snprintf(file, sizeof file, "%s.crt", name);
        host->options.tls.certificate = pki_path(&world->pki, file, paths->certificate);
        snprintf(file, sizeof file, "%s.key", name);
        host->options.tls.keyfile = pki_path(&world->pki, file, paths->keyfile);
    }
}

static void dialer_init(struct world *world, struct host *dialer, uint32_t number, const char *name, uint32_t index)
{
    host_init(dialer, number, "epoll");
    host_knows(dialer, &world->b, "dc1", "r1");
    host_knows(&world->b, dialer, "dc1", "r1");
    dialer->options.client_only = true;
    host_use(dialer, world, &world->paths[index], name, "both.crt");
}

static void server_init(struct world *world, enum weft_client_auth demand)
{
    host_init(&world->b, 2, "epoll");
    host_use(&world->b, world, &world->paths[1], "server", "ca.crt");
    world->b.options.heartbeat_ms = UINT32_MAX; /* it dials nobody: those who dial it do not listen */
    world->b.options.tls.client_auth = demand;
}

/* That reason was counted, and no other one. */
static void expect_counted(const struct host *host, enum weft_reason reason, const char *what)
{
    for (uint32_t i = 1; i < WEFT_REASON_REFUSALS_END; i++) {
        uint64_t count = host_refused(host, i);
        if ((count > 0) != (i == reason)) {
            fail_msg("%s: %s counted %lu times", what, weft_reason_name(i), (unsigned long)count);
        }
    }
}

static void call_works(struct host *host)
{
    struct answer answer = host_call_patient(host, VERB_ECHO, 100);
    assert_int_equal(answer.started, WEFT_OK);
    assert_int_equal(answer.err, WEFT_OK);
    assert_int_equal(answer.bytes, 100);
    assert_int_equal(answer.wrong_bytes, 0);
}

static void expect_end(struct host *dialer, struct host *server, enum weft_reason reason, const char *what)
{
    if (reason == WEFT_REASON_NONE) {
        call_works(dialer);
    } else {
        host_until_logged(dialer, weft_reason_name(reason));
        host_until_logged(server, weft_reason_name(reason));
        struct weft_counters counters;
        weft_node_counters(server->node, &counters);
        assert_int_equal(counters.requests_received, 0);
    }
    expect_counted(dialer, reason, what);
    expect_counted(server, reason, what);
}

static const struct {
    const char *name; /* of the dialer's certificate; NULL: none */
    enum weft_reason optional;
    enum weft_reason required;
} shown[] = {
    {NULL, WEFT_REASON_NONE, WEFT_REASON_CERT_MISSING},
    {"valid", WEFT_REASON_NONE, WEFT_REASON_NONE},
    {"lonely", WEFT_REASON_CERT_UNTRUSTED, WEFT_REASON_CERT_UNTRUSTED},
    {"foreign", WEFT_REASON_CERT_UNTRUSTED, WEFT_REASON_CERT_UNTRUSTED},
    {"expired", WEFT_REASON_CERT_EXPIRED, WEFT_REASON_CERT_EXPIRED},
};

static void matrix_over(struct world *world, const char *version)
{
    char priority[64];
    char what[96];
    snprintf(priority, sizeof priority, "NORMAL:-VERS-TLS-ALL:+VERS-TLS%s", version);
    for (int demand = WEFT_CLIENT_AUTH_NONE; demand <= WEFT_CLIENT_AUTH_REQUIRED; demand++) {
        for (uint32_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
            enum weft_reason reason = demand == WEFT_CLIENT_AUTH_REQUIRED   ? shown[i].required
                                      : demand == WEFT_CLIENT_AUTH_OPTIONAL ? shown[i].optional
                                                                            : WEFT_REASON_NONE;
            snprintf(what, sizeof what, "TLS %s, demand %d, %s", version, demand,
                     shown[i].name != NULL ? shown[i].name : "no certificate");
            server_init(world, (enum weft_client_auth)demand);
            dialer_init(world, &world->a, 1, shown[i].name, 0);
            world->a.options.priority_string = priority;
            host_start(&world->b);
            host_start(&world->a);
            expect_end(&world->a, &world->b, reason, what);
            host_fini(&world->a);
            host_fini(&world->b);
        }
    }
}

static void client_auth__each_demand_and_certificate__same_reason_at_both_ends_and_counted(void **state)
{
    matrix_over(*state, "1.3");
    matrix_over(*state, "1.2");
}

static void revocation_list__its_time_passes_while_a_node_runs__new_connections_refused_by_name(void **state)
{
    struct world *world = *state;
    server_init(world, WEFT_CLIENT_AUTH_REQUIRED);
    dialer_init(world, &world->a, 1, "valid", 0);
    dialer_init(world, &world->c, 3, "valid", 2);
    world->b.options.certificate_revocation_list = pki_path(&world->pki, "ends-tomorrow.crl", world->paths[1].lists);
    host_start(&world->b);
    host_start(&world->a);
    call_works(&world->a);
    expect_counted(&world->b, WEFT_REASON_NONE, "before");

    atomic_store(&time_ahead_s, 2 * DAY_S);
    host_start(&world->c);
    host_until_logged(&world->b, "crl_expired");
    /* TLS has one alert for both; the line names both. */
    host_until_logged(
        &world->c, "cert_expired: the peer rejected our certificate: certificate expired, or its revocation list is");
    expect_counted(&world->b, WEFT_REASON_CRL_EXPIRED, "after");
    expect_counted(&world->c, WEFT_REASON_CERT_EXPIRED, "after");
    /* Who was admitted before stays. */
    call_works(&world->a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(client_auth__each_demand_and_certificate__same_reason_at_both_ends_and_counted,
                                        world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(
            revocation_list__its_time_passes_while_a_node_runs__new_connections_refused_by_name, world_set_up,
            world_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
