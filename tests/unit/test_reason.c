/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: names and numbers of reasons are stable: refusals are codes on the wire, and all names stand in logs.
 * Method: the refusals spelled out with their codes; every value has a name of its own, and others have none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <weft/node.h>
#include <weft/reason.h>

static void refusal__each__keeps_its_code_and_name(void **state)
{
    (void)state;
    static const char *const names[] = {"refused",
                                        "no_listener",
                                        "plaintext_forbidden",
                                        "plaintext_unknown_location",
                                        "plaintext_on_tls_port",
                                        "tls_on_plaintext_port",
                                        "tls_version",
                                        "tls_no_shared_cipher",
                                        "cert_missing",
                                        "cert_untrusted",
                                        "cert_expired",
                                        "cert_not_yet_valid",
                                        "cert_revoked",
                                        "cert_name_mismatch",
                                        "location_claim_mismatch",
                                        "wrong_cluster",
                                        "wrong_node",
                                        "handshake_timeout",
                                        "too_many_connections",
                                        "bad_magic",
                                        "frame_too_large",
                                        "hello_missing",
                                        "hello_timeout",
                                        "lane_forbidden",
                                        "draining",
                                        "self_connection",
                                        "crl_expired",
                                        "admit_callback"};
    size_t count = sizeof names / sizeof names[0];
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(weft_reason_name((enum weft_reason)(i + 1)), names[i]);
    }
    assert_int_equal(WEFT_REASON_REFUSALS_END, count + 1);
    /* A counter for each, and for each other end. */
    assert_true(count < sizeof((struct weft_counters *)0)->refused_by_reason / sizeof(uint64_t));
    size_t ends = WEFT_REASON_ENDS_END - WEFT_REASON_ENDS_BEGIN;
    assert_true(ends <= sizeof((struct weft_counters *)0)->ended_by_reason / sizeof(uint64_t));
}

static void name__every_reason__of_its_own(void **state)
{
    (void)state;
    static const enum weft_reason all[] = {
#define WEFT_X(name, text) WEFT_REASON_##name,
        WEFT_REFUSALS(WEFT_X) WEFT_ENDS(WEFT_X) WEFT_DECISIONS(WEFT_X)
#undef WEFT_X
    };
    size_t count = sizeof all / sizeof all[0];
    for (size_t i = 0; i < count; i++) {
        const char *name = weft_reason_name(all[i]);
        assert_string_not_equal(name, "unknown");
        assert_string_not_equal(name, "none");
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(name, weft_reason_name(all[j]));
        }
    }
}

static void name__outside_the_list__unknown(void **state)
{
    (void)state;
    static const int values[] = {WEFT_REASON_REFUSALS_END,    WEFT_REASON_ENDS_BEGIN, WEFT_REASON_ENDS_END,
                                 WEFT_REASON_DECISIONS_BEGIN, WEFT_REASON_COUNT,      1000};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_string_equal(weft_reason_name((enum weft_reason)values[i]), "unknown");
    }
    assert_string_equal(weft_reason_name(WEFT_REASON_NONE), "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusal__each__keeps_its_code_and_name),
        cmocka_unit_test(name__every_reason__of_its_own),
        cmocka_unit_test(name__outside_the_list__unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
