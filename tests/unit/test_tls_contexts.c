/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: contexts of one credential set are independent, also on threads of their own.
 * Method: many contexts at once, and threads whose sessions talk to each other (tls_pair.h). */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tls/openssl_session.h"
#include "tls_pair.h"

static void context__many_of_one_set__independent(void **state)
{
    struct tls_credentials *credentials = pki_credentials(*state, "good", "ca.crt");
    struct tls_context_options options = {0};
    struct tls_context *contexts[4];
    struct weft_error why = {0};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(tls_context_create(&contexts[i], credentials, &options, &why), WEFT_OK);
    }
    tls_credentials_destroy(credentials);
    for (uint32_t i = 0; i < 4; i++) {
        struct secure_factory *factory = tls_context_factory(contexts[i]);
        struct secure *session = NULL;
        assert_int_equal(factory->make(factory, true, &session, &why), WEFT_OK);
        assert_string_equal(session->ops->name, "openssl");
        session->ops->close(session);
        tls_context_destroy(contexts[i]);
    }
    tls_context_destroy(NULL);
}

#define THREADS 3u
#define THREAD_ROUNDS 5u

struct thread_side {
    struct secure *secure;
    uint8_t sent[16384];
    uint32_t sent_bytes;
    enum secure_step step;
};

static void thread_step(struct thread_side *side, struct thread_side *from)
{
    struct secure_in in = {from->sent, from->sent_bytes};
    struct secure_out out = {side->sent, sizeof side->sent, 0};
    side->step = side->secure->ops->handshake(side->secure, &in, &out);
    from->sent_bytes = 0;
    side->sent_bytes = out.used;
}

/* Without cmocka's asserts, which belong to the main thread.  @return NULL on success */
static void *thread_run(void *ctx)
{
    const struct tls_credentials *credentials = ctx;
    struct tls_context_options options = {.client_auth = WEFT_CLIENT_AUTH_REQUIRED};
    struct tls_context *context = NULL;
    if (tls_context_create(&context, credentials, &options, NULL) != WEFT_OK) {
        return ctx;
    }
    bool ok = true;
    struct secure_factory *factory = tls_context_factory(context);
    for (uint32_t i = 0; i < THREAD_ROUNDS && ok; i++) {
        struct thread_side client = {0};
        struct thread_side server = {0};
        ok = factory->make(factory, false, &client.secure, NULL) == WEFT_OK &&
             factory->make(factory, true, &server.secure, NULL) == WEFT_OK;
        if (ok) {
            thread_step(&client, &server);
            thread_step(&server, &client);
            thread_step(&client, &server);
            thread_step(&server, &client);
            ok = client.step == SECURE_DONE && server.step == SECURE_DONE;
        }
        if (client.secure != NULL) {
            client.secure->ops->close(client.secure);
        }
        if (server.secure != NULL) {
            server.secure->ops->close(server.secure);
        }
    }
    tls_context_destroy(context);
    return ok ? NULL : ctx;
}

static void context__threads_with_one_credential_set__independent(void **state)
{
    struct tls_credentials *credentials = pki_credentials(*state, "good", "ca.crt");
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, thread_run, credentials), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        void *result = credentials;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
    tls_credentials_destroy(credentials);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context__many_of_one_set__independent),
        cmocka_unit_test(context__threads_with_one_credential_set__independent),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
