/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/node_host.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/io/socket.h"
#include "tls/issue.h"
#include "topology/cluster/node.h"

#define WAIT_S 30
#define LOOK_NS 20000000

static void host_log(void *ctx, char level, const char *line)
{
    struct host *host = ctx;
    pthread_mutex_lock(&host->lock);
    if (host->line_count < HOST_LINES_MAX) {
        snprintf(host->lines[host->line_count++], sizeof host->lines[0], "%c %s", level, line);
    }
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
}

static void host_peer(void *ctx, weft_shard *shard, const struct weft_peer_event *event)
{
    struct host *host = ctx;
    (void)shard;
    pthread_mutex_lock(&host->lock);
    if (host->event_count < HOST_EVENTS_MAX) {
        host->events[host->event_count].up = event->up;
        host->events[host->event_count].reason = event->reason;
        host->event_count++;
    }
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
}

void host_init(struct host *host, uint32_t number, const char *backend)
{
    uint32_t process = (uint32_t)getpid();
    memset(host, 0, sizeof *host);
    pthread_mutex_init(&host->lock, NULL);
    pthread_cond_init(&host->changed, NULL);
    snprintf(host->address, sizeof host->address, "127.%u.%u.%u", 16 + process % 200, process / 200 % 250, number);
    host->options = (struct weft_node_options)WEFT_NODE_OPTIONS_INIT;
    host->options.cluster_name = "test";
    host->options.listen_address = host->address;
    host->options.shards = "1";
    host->options.heartbeat_ms = 200;
    host->options.backend = backend;
    host->options.log = host_log;
    host->options.log_ctx = host;
    host->options.peers = host->peers;
}

void host_knows(struct host *host, const struct host *other, const char *dc, const char *rack)
{
    assert_true(host->options.peer_count < HOST_PEERS_MAX);
    struct weft_peer_options *peer = &host->peers[host->options.peer_count++];
    *peer = (struct weft_peer_options)WEFT_PEER_OPTIONS_INIT;
    peer->addresses[0] = other->address;
    peer->dc = dc;
    peer->rack = rack;
}

void host_pair_init(struct host *a, struct host *b, const char *backend)
{
    host_init(a, 1, backend);
    host_init(b, 2, backend);
    host_knows(a, b, "dc1", "r1");
    host_knows(b, a, "dc1", "r1");
}

void host_start(struct host *host)
{
    struct weft_error why = {0};
    assert_null(host->node);
    enum weft_err err = weft_node_create(&host->node, &host->options, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
    assert_int_equal(weft_node_handle_standard(host->node, NULL), WEFT_OK);
    assert_int_equal(weft_node_on_peer(host->node, host_peer, host), WEFT_OK);
    if (host->prepare != NULL) {
        host->prepare(host);
    }
    err = weft_node_start(host->node, NULL, NULL, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
}

void host_stop(struct host *host)
{
    weft_node_destroy(host->node);
    host->node = NULL;
}

void host_fini(struct host *host)
{
    host_stop(host);
    pthread_mutex_destroy(&host->lock);
    pthread_cond_destroy(&host->changed);
}

uint16_t host_port(const struct host *host)
{
    return socket_port(host->node->groups[NODE_PORT_PLAIN].sockets[0]);
}

/* Called with the lock held; false after WAIT_S without a change. */
static bool host_wait(struct host *host, const struct timespec *until)
{
    return pthread_cond_timedwait(&host->changed, &host->lock, until) == 0;
}

static struct timespec wait_until(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    return until;
}

static bool host_has_line(const struct host *host, const char *text)
{
    for (uint32_t i = 0; i < host->line_count; i++) {
        if (strstr(host->lines[i], text) != NULL) {
            return true;
        }
    }
    return false;
}

bool host_logged(struct host *host, const char *text)
{
    pthread_mutex_lock(&host->lock);
    bool logged = host_has_line(host, text);
    pthread_mutex_unlock(&host->lock);
    return logged;
}

static void host_print_log(struct host *host)
{
    for (uint32_t i = 0; i < host->line_count; i++) {
        print_message("%s: %s\n", host->address, host->lines[i]);
    }
}

void host_until_logged(struct host *host, const char *text)
{
    struct timespec until = wait_until();
    pthread_mutex_lock(&host->lock);
    while (!host_has_line(host, text) && host_wait(host, &until)) {
    }
    bool logged = host_has_line(host, text);
    if (!logged) {
        host_print_log(host);
    }
    pthread_mutex_unlock(&host->lock);
    if (!logged) {
        fail_msg("%s never logged '%s'", host->address, text);
    }
}

void host_until_events(struct host *host, uint32_t count)
{
    struct timespec until = wait_until();
    pthread_mutex_lock(&host->lock);
    while (host->event_count < count && host_wait(host, &until)) {
    }
    uint32_t seen = host->event_count;
    pthread_mutex_unlock(&host->lock);
    assert_true(seen >= count);
}

void host_until_counter(struct host *host, size_t offset, uint64_t least)
{
    struct timespec now;
    struct timespec end = wait_until();
    struct weft_counters counters;
    const uint64_t *counter = (const uint64_t *)(const void *)((const char *)&counters + offset);
    weft_node_counters(host->node, &counters);
    clock_gettime(CLOCK_REALTIME, &now);
    while (*counter < least && now.tv_sec < end.tv_sec) {
        /* Nobody tells when a counter moves: look again after a moment, or when something else happens. */
        now.tv_nsec += LOOK_NS;
        now.tv_sec += now.tv_nsec / 1000000000;
        now.tv_nsec %= 1000000000;
        pthread_mutex_lock(&host->lock);
        (void)host_wait(host, &now);
        pthread_mutex_unlock(&host->lock);
        weft_node_counters(host->node, &counters);
        clock_gettime(CLOCK_REALTIME, &now);
    }
    assert_true(*counter >= least);
}

uint64_t host_refused(const struct host *host, enum weft_reason reason)
{
    struct weft_counters counters;
    weft_node_counters(host->node, &counters);
    return counters.refused_by_reason[reason];
}

static uint8_t pattern_byte(uint64_t at)
{
    return (uint8_t)(at * 11 + (at >> 8) * 7 + (at >> 16) * 3);
}

uint8_t *pattern_new(uint32_t bytes)
{
    uint8_t *pattern = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(pattern);
    for (uint32_t i = 0; i < bytes; i++) {
        pattern[i] = pattern_byte(i);
    }
    return pattern;
}

static void asked_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct asked *asked = ctx;
    struct answer answer = {.err = err, .error = reply->error, .executed = reply->executed};
    answer.bytes = reply->payload.bytes;
    for (uint32_t i = 0; i < answer.bytes; i++) {
        answer.wrong_bytes += reply->payload.data[i] != pattern_byte(i);
    }
    if (answer.bytes > 0) {
        memcpy(answer.head, reply->payload.data, answer.bytes < 16 ? answer.bytes : 16);
    }
    pthread_mutex_lock(&asked->host->lock);
    answer.count = asked->answer.count + 1;
    asked->answer = answer;
    pthread_cond_broadcast(&asked->host->changed);
    pthread_mutex_unlock(&asked->host->lock);
}

static void asked_run(void *ctx, struct weft_shard *shard)
{
    struct asked *asked = ctx;
    if (!asked->by_reference) {
        asked->started = weft_call(shard, asked->peer, asked->verb, asked->args, &asked->options, asked_ended, asked);
        return;
    }
    weft_buf *buf = weft_buf_take(shard, asked->args.bytes);
    assert_non_null(buf);
    memcpy(weft_buf_data(buf), asked->args.data, asked->args.bytes);
    asked->started = weft_call_buf(shard, asked->peer, asked->verb, buf, &asked->options, asked_ended, asked);
    if (asked->started != WEFT_OK) {
        assert_memory_equal(weft_buf_data(buf), asked->args.data, asked->args.bytes); /* still ours */
        weft_buf_unref(buf);
    }
}

bool asked_start(struct asked *asked)
{
    memset(&asked->answer, 0, sizeof asked->answer);
    assert_true(engine_run(asked->host->node->engine, asked->shard, asked_run, asked));
    return asked->started == WEFT_OK;
}

void asked_wait(struct asked *asked)
{
    struct timespec until = wait_until();
    pthread_mutex_lock(&asked->host->lock);
    while (asked->answer.count == 0 && host_wait(asked->host, &until)) {
    }
    uint32_t count = asked->answer.count;
    pthread_mutex_unlock(&asked->host->lock);
    assert_int_equal(count, 1);
}

static struct answer host_call_with(struct host *host, uint64_t verb, uint32_t bytes, uint32_t timeout_ms, bool patient)
{
    struct asked asked = {.host = host,
                          .peer = {1},
                          .verb = verb,
                          .args = {pattern_new(bytes), bytes},
                          .options = WEFT_CALL_OPTIONS_INIT};
    asked.options.timeout_ms = timeout_ms != 0 ? timeout_ms : 20000;
    asked.options.wait_for_peer = patient;
    if (asked_start(&asked)) {
        asked_wait(&asked);
    }
    free((void *)(uintptr_t)asked.args.data);
    asked.answer.started = asked.started;
    return asked.answer;
}

struct answer host_call(struct host *host, uint64_t verb, uint32_t bytes, uint32_t timeout_ms)
{
    return host_call_with(host, verb, bytes, timeout_ms, false);
}

struct answer host_call_patient(struct host *host, uint64_t verb, uint32_t bytes)
{
    return host_call_with(host, verb, bytes, 0, true);
}

void authority_open(struct authority *authority)
{
    const char *place = getenv("TMPDIR");
    snprintf(authority->directory, sizeof authority->directory, "%.60s/weft-node-XXXXXX",
             place == NULL ? "/tmp" : place);
    assert_non_null(mkdtemp(authority->directory));
}

void authority_close(struct authority *authority)
{
    if (authority->directory[0] == '\0') {
        return;
    }
    DIR *directory = opendir(authority->directory);
    assert_non_null(directory);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] != '.') {
            assert_int_equal(unlinkat(dirfd(directory), entry->d_name, 0), 0);
        }
    }
    closedir(directory);
    assert_int_equal(rmdir(authority->directory), 0);
}

static void authority_write(const struct authority *authority, const char *name, struct tls_material *material)
{
    struct weft_error why = {0};
    enum weft_err err = tls_material_write(material, authority->directory, name, false, &why);
    tls_material_fini(material);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
}

void authority_ca(const struct authority *authority, const char *name)
{
    const struct tls_ca_options options = {.cluster = name};
    struct tls_material material;
    assert_int_equal(tls_issue_ca(&material, &options, NULL), WEFT_OK);
    authority_write(authority, name, &material);
}

static void authority_path(const struct authority *authority, const char *name, const char *suffix,
                           char path[HOST_PATH_BYTES])
{
    snprintf(path, HOST_PATH_BYTES, "%s/%.40s.%s", authority->directory, name, suffix);
}

void authority_node(const struct authority *authority, const char *name, const char *ca)
{
    const struct tls_node_options options = {
        .name = name, .cluster = "test", .addresses = {"127.0.0.1"}, .address_count = 1};
    authority_node_with(authority, &options, ca);
}

void authority_node_with(const struct authority *authority, const struct tls_node_options *options, const char *ca)
{
    struct tls_material material;
    char certificate[HOST_PATH_BYTES];
    char key[HOST_PATH_BYTES];
    authority_path(authority, ca, "crt", certificate);
    authority_path(authority, ca, "key", key);
    assert_int_equal(tls_issue_node(&material, options, certificate, key, NULL), WEFT_OK);
    authority_write(authority, options->name, &material);
}

void host_use_tls(struct host *host, struct host_tls *tls, const struct authority *authority, const char *name,
                  const char *trusted_ca)
{
    authority_path(authority, trusted_ca, "crt", tls->truststore);
    host->options.tls.truststore = tls->truststore;
    if (name != NULL) {
        authority_path(authority, name, "crt", tls->certificate);
        authority_path(authority, name, "key", tls->keyfile);
        host->options.tls.certificate = tls->certificate;
        host->options.tls.keyfile = tls->keyfile;
    }
}
