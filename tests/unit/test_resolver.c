/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a resolver that does not answer costs the asker a bounded time, once for all names, and nothing is left behind.
 * Method: lookups of the test's own: one answers, one waits at a gate that the test opens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <semaphore.h>

#include "engine/base/error.h"
#include "engine/io/resolver.h"

/* Lookups wait here. */
static struct {
    sem_t open;
    sem_t entered;
} gate;

static enum weft_err lookup(const char *name, struct address *address, struct weft_error *why)
{
    if (strcmp(name, "slow") == 0) {
        sem_post(&gate.entered);
        sem_wait(&gate.open);
    }
    if (strcmp(name, "nobody") == 0) {
        return weft_error_set(why, WEFT_ERR_NOT_FOUND, "cannot resolve \"nobody\"");
    }
    return address_parse(address, strcmp(name, "six") == 0 ? "::1" : "10.0.0.1", 0);
}

static int gate_make(void **state)
{
    (void)state;
    return sem_init(&gate.open, 0, 0) | sem_init(&gate.entered, 0, 0);
}

static int gate_destroy(void **state)
{
    (void)state;
    return sem_destroy(&gate.open) | sem_destroy(&gate.entered);
}

static struct resolver *resolver_make(uint64_t limit_ns)
{
    struct resolver *resolver = NULL;
    struct weft_error why = {0};
    assert_int_equal(resolver_create(&resolver, limit_ns, lookup, &why), WEFT_OK);
    return resolver;
}

static void resolver__names__answered_one_after_the_other(void **state)
{
    struct resolver *resolver = resolver_make(RESOLVER_LIMIT_NS);
    struct address address;
    struct weft_error why = {0};
    char longest[RESOLVER_NAME_BYTES_MAX + 2];
    (void)state;
    assert_int_equal(resolver_ask(resolver, "host", &address, &why), WEFT_OK);
    assert_int_equal(address.ip[0], 10);
    assert_int_equal(resolver_ask(resolver, "six", &address, &why), WEFT_OK);
    assert_int_equal(address.family, 6);
    assert_int_equal(resolver_ask(resolver, "nobody", &address, &why), WEFT_ERR_NOT_FOUND);
    assert_string_equal(why.text, "cannot resolve \"nobody\"");
    memset(longest, 'a', sizeof longest);
    longest[RESOLVER_NAME_BYTES_MAX] = '\0';
    assert_int_equal(resolver_ask(resolver, longest, &address, &why), WEFT_OK);
    longest[RESOLVER_NAME_BYTES_MAX] = 'a';
    longest[RESOLVER_NAME_BYTES_MAX + 1] = '\0';
    assert_int_equal(resolver_ask(resolver, longest, &address, &why), WEFT_ERR_INVALID);
    assert_int_equal(resolver_late_count(resolver), 0);
    resolver_destroy(resolver);
}

static void resolver__no_answer__given_up_once_for_all_names(void **state)
{
    struct resolver *resolver = resolver_make(UINT64_C(20000000));
    struct address address;
    struct weft_error why = {0};
    (void)state;
    assert_int_equal(resolver_ask(resolver, "slow", &address, &why), WEFT_ERR_TIMEOUT);
    assert_non_null(strstr(why.text, "cannot resolve \"slow\": no answer within"));
    assert_int_equal(sem_wait(&gate.entered), 0);
    /* The limit is used up, and the thread is still inside: whatever else is asked fails at once. */
    assert_int_equal(resolver_ask(resolver, "host", &address, &why), WEFT_ERR_TIMEOUT);
    assert_int_equal(resolver_late_count(resolver), 2);
    /* The late answer is nobody's. */
    assert_int_equal(sem_post(&gate.open), 0);
    do {
        resolver_renew(resolver);
    } while (resolver_ask(resolver, "six", &address, &why) == WEFT_ERR_TIMEOUT);
    assert_int_equal(address.family, 6);
    resolver_destroy(resolver);
}

static void resolver__destroyed_while_it_looks__left_to_end_by_itself(void **state)
{
    struct resolver *resolver = resolver_make(UINT64_C(1000000));
    struct address address;
    struct weft_error why = {0};
    (void)state;
    do {
        resolver_renew(resolver);
        assert_int_equal(resolver_ask(resolver, "slow", &address, &why), WEFT_ERR_TIMEOUT);
    } while (sem_trywait(&gate.entered) != 0);
    resolver_destroy(resolver);
    assert_int_equal(sem_post(&gate.open), 0);
}

static void resolver__never_asked__no_thread(void **state)
{
    (void)state;
    resolver_destroy(resolver_make(RESOLVER_LIMIT_NS));
    resolver_destroy(NULL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, gate_make, gate_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(resolver__names__answered_one_after_the_other),
        CASE(resolver__no_answer__given_up_once_for_all_names),
        cmocka_unit_test_setup(resolver__destroyed_while_it_looks__left_to_end_by_itself, gate_make),
        CASE(resolver__never_asked__no_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
