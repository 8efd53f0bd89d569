/* SPDX-License-Identifier: Apache-2.0 */
/* A resolver with a time limit.
 *
 * Happy path: the thread is started by the first question; the asker writes the name, the thread looks it up, the asker
 * takes the answer.
 *
 * Failure modes: getaddrinfo cannot be interrupted.  An asker whose time is up goes away, the answer is thrown away
 * when it comes, and until then further questions fail when their time is up.  There is never more than one thread; if
 * it is still inside at the end, it is left behind and frees what it shares as the last. */
#include "engine/io/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "engine/io/socket.h"

#define NS_PER_S UINT64_C(1000000000)
/* Addresses looked at for one name. */
#define RESOLVED_MAX 64u

enum resolver_state { RESOLVER_IDLE = 0, RESOLVER_ASKED, RESOLVER_LOOKING, RESOLVER_ANSWERED };

struct resolver {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum resolver_state state;
    bool abandoned; /* nobody waits for what is being looked up */
    bool stopping;
    bool started;
    uint32_t holders; /* the owner and the thread; the last one frees */
    pthread_t thread;
    uint64_t limit_ns;
    uint64_t left_ns;
    uint64_t late_count;
    resolver_lookup_fn *lookup;
    char name[RESOLVER_NAME_BYTES_MAX + 1];
    enum weft_err err;
    struct address address;
    struct weft_error why;
};

static const struct addrinfo *addresses_pick(const struct addrinfo *found)
{
    const struct addrinfo *other = NULL;
    uint32_t seen = 0;
    for (; found != NULL && seen < RESOLVED_MAX; found = found->ai_next, seen++) {
        if (found->ai_family == AF_INET) {
            return found;
        }
        if (found->ai_family == AF_INET6 && other == NULL) {
            other = found;
        }
    }
    return other;
}

static enum weft_err system_lookup(const char *name, struct address *address, struct weft_error *why)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct sockaddr_storage storage = {0};
    int failed = getaddrinfo(name, NULL, &hints, &found);
    if (failed != 0) {
        return weft_error_set(why, WEFT_ERR_NOT_FOUND,
                              "cannot resolve \"%s\": %s; write its address, or correct the name", name,
                              failed == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(failed));
    }
    const struct addrinfo *picked = addresses_pick(found);
    bool usable = picked != NULL && picked->ai_addrlen <= sizeof storage;
    if (usable) {
        memcpy(&storage, picked->ai_addr, picked->ai_addrlen);
        usable = address_from_system(address, &storage);
    }
    freeaddrinfo(found);
    if (!usable) {
        return weft_error_set(why, WEFT_ERR_NOT_FOUND, "\"%s\" has no IPv4 and no IPv6 address", name);
    }
    return WEFT_OK;
}

enum weft_err resolver_create(struct resolver **resolver, uint64_t limit_ns, resolver_lookup_fn *lookup,
                              struct weft_error *why)
{
    struct resolver *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for the resolver");
    }
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    made->holders = 1;
    made->limit_ns = limit_ns;
    made->left_ns = limit_ns;
    made->lookup = lookup != NULL ? lookup : system_lookup;
    *resolver = made;
    return WEFT_OK;
}

/* Give up a hold; the lock is held, and is not afterwards. */
static void resolver_leave(struct resolver *resolver)
{
    WEFT_ASSERT(resolver->holders > 0);
    bool last = --resolver->holders == 0;
    pthread_mutex_unlock(&resolver->lock);
    if (last) {
        pthread_mutex_destroy(&resolver->lock);
        pthread_cond_destroy(&resolver->changed);
        free(resolver);
    }
}

static void *resolver_run(void *ctx)
{
    struct resolver *resolver = ctx;
    pthread_mutex_lock(&resolver->lock);
    while (!resolver->stopping) {
        char name[RESOLVER_NAME_BYTES_MAX + 1];
        struct address address = {.family = 0};
        struct weft_error why = {0};
        if (resolver->state != RESOLVER_ASKED) {
            pthread_cond_wait(&resolver->changed, &resolver->lock);
            continue;
        }
        resolver->state = RESOLVER_LOOKING;
        memcpy(name, resolver->name, sizeof name);
        pthread_mutex_unlock(&resolver->lock);
        enum weft_err err = resolver->lookup(name, &address, &why);
        pthread_mutex_lock(&resolver->lock);
        resolver->state = resolver->abandoned ? RESOLVER_IDLE : RESOLVER_ANSWERED;
        resolver->abandoned = false;
        resolver->err = err;
        resolver->address = address;
        resolver->why = why;
        pthread_cond_broadcast(&resolver->changed);
    }
    resolver_leave(resolver);
    return NULL;
}

/* No signal is ever handled in there: the host's handlers run where the host wants them. */
static enum weft_err resolver_start(struct resolver *resolver, struct weft_error *why)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    int failed = pthread_attr_setsigmask_np(&attributes, &all);
    if (failed == 0) {
        failed = pthread_create(&resolver->thread, &attributes, resolver_run, resolver);
    }
    pthread_attr_destroy(&attributes);
    if (failed != 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, failed, "cannot start a thread to resolve names");
    }
    pthread_setname_np(resolver->thread, "weft-names");
    resolver->started = true;
    resolver->holders++;
    return WEFT_OK;
}

/* @return false: the time is up */
static bool resolver_wait(struct resolver *resolver, enum resolver_state state, uint64_t deadline_ns)
{
    const struct timespec until = {(time_t)(deadline_ns / NS_PER_S), (long)(deadline_ns % NS_PER_S)};
    while (resolver->state != state) {
        if (pthread_cond_clockwait(&resolver->changed, &resolver->lock, CLOCK_MONOTONIC, &until) == ETIMEDOUT) {
            return resolver->state == state;
        }
    }
    return true;
}

static enum weft_err ask_locked(struct resolver *resolver, const char *name, uint64_t deadline_ns,
                                struct address *address, struct weft_error *why)
{
    bool idle = resolver_wait(resolver, RESOLVER_IDLE, deadline_ns);
    if (idle) {
        memcpy(resolver->name, name, strlen(name) + 1);
        resolver->state = RESOLVER_ASKED;
        pthread_cond_broadcast(&resolver->changed);
    }
    if (!idle || !resolver_wait(resolver, RESOLVER_ANSWERED, deadline_ns)) {
        resolver->late_count++;
        /* A question that nobody has begun with is taken back. */
        resolver->state = resolver->state == RESOLVER_ASKED ? RESOLVER_IDLE : resolver->state;
        resolver->abandoned = resolver->state == RESOLVER_LOOKING;
        return weft_error_set(why, WEFT_ERR_TIMEOUT,
                              "cannot resolve \"%s\": no answer within %llu s for all names; is the name server there?",
                              name, (unsigned long long)(resolver->limit_ns / NS_PER_S));
    }
    resolver->state = RESOLVER_IDLE;
    if (resolver->err != WEFT_OK) {
        return weft_error_set(why, resolver->err, "%s", resolver->why.text);
    }
    *address = resolver->address;
    return WEFT_OK;
}

enum weft_err resolver_ask(struct resolver *resolver, const char *name, struct address *address, struct weft_error *why)
{
    if (strlen(name) > RESOLVER_NAME_BYTES_MAX) {
        return weft_error_set(why, WEFT_ERR_INVALID, "a host name of %zu bytes; %u are the most", strlen(name),
                              RESOLVER_NAME_BYTES_MAX);
    }
    uint64_t begin_ns = socket_monotonic_ns();
    pthread_mutex_lock(&resolver->lock);
    enum weft_err err = resolver->started ? WEFT_OK : resolver_start(resolver, why);
    if (err == WEFT_OK) {
        err = ask_locked(resolver, name, begin_ns + resolver->left_ns, address, why);
    }
    uint64_t used_ns = socket_monotonic_ns() - begin_ns;
    resolver->left_ns -= used_ns < resolver->left_ns ? used_ns : resolver->left_ns;
    pthread_mutex_unlock(&resolver->lock);
    return err;
}

void resolver_renew(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    resolver->left_ns = resolver->limit_ns;
    pthread_mutex_unlock(&resolver->lock);
}

uint64_t resolver_late_count(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    uint64_t late_count = resolver->late_count;
    pthread_mutex_unlock(&resolver->lock);
    return late_count;
}

void resolver_destroy(struct resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    pthread_mutex_lock(&resolver->lock);
    pthread_t thread = resolver->thread;
    bool started = resolver->started;
    bool looking = resolver->state == RESOLVER_LOOKING;
    resolver->stopping = true;
    pthread_cond_broadcast(&resolver->changed);
    resolver_leave(resolver);
    if (started && looking) {
        pthread_detach(thread);
    } else if (started) {
        pthread_join(thread, NULL);
    }
}
