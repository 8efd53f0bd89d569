/* SPDX-License-Identifier: Apache-2.0 */
/* Following a configuration.
 *
 * Happy path: the thread sleeps until a file is different or names are due, decodes, compares with what it found last,
 * and leaves a configuration with another topology to be taken.  One that nobody has taken is replaced.
 *
 * Failure modes: what cannot be decoded changes nothing, and is one warning with its first fault; the same fault again
 * is only counted. */
#include "config/config_follow.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "engine/io/resolver.h"

_Static_assert(CONFIG_FILES_MAX + 5 <= FILE_WATCH_PATHS_MAX, "all files of a configuration can be watched");

struct config_follow {
    pthread_mutex_t lock;
    pthread_t thread;
    const struct config *config; /* as loaded */
    struct config *fresh;        /* to be taken; under the lock, as the next */
    struct config *taken;        /* NULL: none yet */
    struct file_watch *watch;
    struct resolver *resolver;
    struct config_report *report;
    uint64_t names_ns;
    weft_log_fn *log;
    void *log_ctx;
    bool credentials;                   /* one of their files has changed; under the lock */
    char said[WEFT_ERROR_TEXT_BYTES];   /* the last fault */
    struct config_follow_counts counts; /* under the lock */
};

static void follow_say(const struct config_follow *follow, char level, const char *line)
{
    if (follow->log != NULL) {
        follow->log(follow->log_ctx, level, line);
    }
}

/* What was last found.  It stays alive until this thread has found something else: only then can that be taken in its
 * place. */
static const struct config *follow_known(struct config_follow *follow)
{
    pthread_mutex_lock(&follow->lock);
    const struct config *known = follow->fresh != NULL ? follow->fresh : follow->taken;
    pthread_mutex_unlock(&follow->lock);
    return known != NULL ? known : follow->config;
}

static void follow_offer(struct config_follow *follow, struct config *fresh)
{
    pthread_mutex_lock(&follow->lock);
    struct config *replaced = follow->fresh;
    follow->fresh = fresh;
    follow->counts.changes++;
    pthread_mutex_unlock(&follow->lock);
    config_destroy(replaced);
}

static void follow_fault(struct config_follow *follow, enum weft_err err)
{
    char line[WEFT_ERROR_TEXT_BYTES];
    const char *fault = follow->report->errors.count > 0 ? follow->report->errors.lines[0] : weft_err_meaning(err);
    if (strcmp(fault, follow->said) != 0) {
        snprintf(follow->said, sizeof follow->said, "%s", fault);
        snprintf(line, sizeof line, "topology: what was stays, since the files say: %.400s", fault);
        follow_say(follow, 'W', line);
    }
    /* Who sees the count finds the line. */
    pthread_mutex_lock(&follow->lock);
    follow->counts.faults++;
    pthread_mutex_unlock(&follow->lock);
}

static void follow_read(struct config_follow *follow)
{
    const struct config *known = follow_known(follow);
    struct config *fresh = NULL;
    uint32_t failed = 0;
    memset(follow->report, 0, sizeof *follow->report);
    enum weft_err err = config_reread(&fresh, known, follow->resolver, &failed, follow->report);
    pthread_mutex_lock(&follow->lock);
    follow->counts.reads++;
    follow->counts.names_failed += failed;
    pthread_mutex_unlock(&follow->lock);
    if (err != WEFT_OK) {
        follow_fault(follow, err);
        return;
    }
    follow->said[0] = '\0';
    if (config_same_topology(fresh, known)) {
        config_destroy(fresh);
    } else {
        follow_offer(follow, fresh);
    }
}

/* Which file it was does not matter: the same contents are no other credentials. */
static void follow_note_credentials(struct config_follow *follow)
{
    pthread_mutex_lock(&follow->lock);
    follow->credentials = follow->config->options.tls.certificate != NULL;
    pthread_mutex_unlock(&follow->lock);
}

static void *follow_run(void *ctx)
{
    struct config_follow *follow = ctx;
    uint64_t interval_ns = follow->config->names != NULL ? follow->names_ns : UINT64_MAX;
    bool decodes = follow->config->names != NULL || follow->config->file_count > 0;
    enum file_watch_event event;
    while ((event = file_watch_wait(follow->watch, interval_ns)) != FILE_WATCH_WOKEN) {
        if (event == FILE_WATCH_CHANGED) {
            follow_note_credentials(follow);
        }
        if (decodes) {
            follow_read(follow);
        }
    }
    return NULL;
}

static enum weft_err follow_open(struct config_follow *follow, const struct config_follow_options *options,
                                 struct weft_error *why)
{
    follow->report = calloc(1, sizeof *follow->report);
    if (follow->report == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to follow the configuration");
    }
    WEFT_TRY(resolver_create(&follow->resolver, RESOLVER_LIMIT_NS, NULL, why));
    const struct weft_node_options *files = &follow->config->options;
    const char *const credentials[] = {files->tls.certificate, files->tls.keyfile, files->keyfile_password_file,
                                       files->tls.truststore, files->certificate_revocation_list};
    const char *paths[FILE_WATCH_PATHS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < follow->config->file_count; i++) {
        paths[count++] = follow->config->files[i];
    }
    for (uint32_t i = 0; i < sizeof credentials / sizeof credentials[0]; i++) {
        if (credentials[i] != NULL && credentials[i][0] == '/') { /* not "system" */
            paths[count++] = credentials[i];
        }
    }
    return file_watch_create(&follow->watch, paths, count, &options->watch, why);
}

static void follow_close(struct config_follow *follow)
{
    file_watch_destroy(follow->watch);
    resolver_destroy(follow->resolver);
    config_destroy(follow->fresh);
    config_destroy(follow->taken);
    free(follow->report);
    pthread_mutex_destroy(&follow->lock);
    free(follow);
}

enum weft_err config_follow_start(struct config_follow **follow, const struct config *config,
                                  const struct config_follow_options *options, struct weft_error *why)
{
    const struct config_follow_options defaults = {.log = NULL};
    options = options == NULL ? &defaults : options;
    struct config_follow *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to follow the configuration");
    }
    pthread_mutex_init(&made->lock, NULL);
    made->config = config;
    made->names_ns = options->names_ns != 0 ? options->names_ns : CONFIG_FOLLOW_NAMES_NS;
    made->log = options->log;
    made->log_ctx = options->log_ctx;
    enum weft_err err = follow_open(made, options, why);
    if (err == WEFT_OK) {
        int failed = pthread_create(&made->thread, NULL, follow_run, made);
        err = failed == 0 ? WEFT_OK
                          : weft_error_set_errno(why, WEFT_ERR_SYSTEM, failed,
                                                 "cannot start a thread to follow the configuration");
    }
    if (err != WEFT_OK) {
        follow_close(made);
        return err;
    }
    pthread_setname_np(made->thread, "weft-follow");
    *follow = made;
    return WEFT_OK;
}

const struct config *config_follow_take(struct config_follow *follow)
{
    pthread_mutex_lock(&follow->lock);
    struct config *fresh = follow->fresh;
    struct config *before = fresh == NULL ? NULL : follow->taken;
    follow->fresh = NULL;
    follow->taken = fresh == NULL ? follow->taken : fresh;
    pthread_mutex_unlock(&follow->lock);
    config_destroy(before);
    return fresh;
}

bool config_follow_credentials(struct config_follow *follow)
{
    pthread_mutex_lock(&follow->lock);
    bool due = follow->credentials;
    follow->credentials = false;
    pthread_mutex_unlock(&follow->lock);
    return due;
}

struct config_follow_counts config_follow_counts(struct config_follow *follow)
{
    pthread_mutex_lock(&follow->lock);
    struct config_follow_counts counts = follow->counts;
    pthread_mutex_unlock(&follow->lock);
    return counts;
}

void config_follow_stop(struct config_follow *follow)
{
    if (follow != NULL) {
        file_watch_wake(follow->watch);
        pthread_join(follow->thread, NULL);
        follow_close(follow);
    }
}
