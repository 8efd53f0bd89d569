/* SPDX-License-Identifier: Apache-2.0 */
/* One turn of a shard: the life of its thread, phase by phase. */
#include "engine/reactor/engine.h"
#include "engine/reactor/mailbox.h"
#include "engine/reactor/parcel.h"
#include "engine/reactor/shard.h"

bool shard_has_work(const struct weft_shard *shard)
{
    return shard->work_left || !list_empty(&shard->tasks) || shard_is_dirty(shard) || !list_empty(&shard->io->queued);
}

/* How long this turn may sleep.  What is queued does not keep it awake: wait starts it first. */
static uint64_t turn_timeout(struct weft_shard *shard)
{
    if (shard->work_left || !list_empty(&shard->tasks) || shard_is_dirty(shard)) {
        return 0;
    }
    uint64_t most_ns = list_empty(&shard->starved) ? IO_TIMEOUT_NEVER : STARVED_RETRY_NS;
    uint64_t next_ns = timer_wheel_next_ns(&shard->wheel);
    if (next_ns == UINT64_MAX) {
        return most_ns;
    }
    uint64_t now_ns = shard->io->backend->now_ns(shard->io);
    uint64_t timeout_ns = next_ns > now_ns ? next_ns - now_ns : 0;
    return timeout_ns < most_ns ? timeout_ns : most_ns;
}

/* Announce the sleep before the last look into the mailboxes, so that a sender either sees the announcement or its
 * mail is seen. */
static uint64_t turn_announce_sleep(struct weft_shard *shard, uint64_t timeout_ns)
{
    atomic_store_explicit(&shard->sleeping, true, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    return mailbox_pending(shard) || engine_signal_pending(shard) ? 0 : timeout_ns;
}

void shard_rest(struct weft_shard *shard)
{
    const struct io_backend *backend = shard->io->backend;
    uint64_t next_ns = timer_wheel_next_ns(&shard->wheel);
    if (!list_empty(&shard->starved) && next_ns > shard->now_ns + STARVED_RETRY_NS) {
        next_ns = shard->now_ns + STARVED_RETRY_NS;
    }
    shard->due_ns = next_ns;
    backend->rest(shard->io, shard_has_work(shard) ? 0 : next_ns);
    if (turn_announce_sleep(shard, 1) == 0) {
        backend->wake(shard->io);
    }
}

/* Nothing has come from outside the thread. */
static bool turn_nothing_came(const struct weft_shard *shard)
{
    return shard->io->backend->idle(shard->io) && !mailbox_pending(shard) && !engine_signal_pending(shard) &&
           atomic_load_explicit(&shard->parcels.returned, memory_order_relaxed) == NULL;
}

/* A shard that never sleeps looks before it takes a turn: most of its turns would find nothing, and what comes during
 * one has to wait for its end.  The clock is the dearest part of looking, so it is read only once in a while. */
static bool turn_is_idle(const struct weft_shard *shard)
{
    if (shard_has_work(shard) || !list_empty(&shard->starved)) {
        return false;
    }
    for (uint32_t look = 0; look < TURN_LOOKS; look++) {
        if (!turn_nothing_came(shard)) {
            return false;
        }
    }
    return shard->io->backend->now_ns(shard->io) < timer_wheel_next_ns(&shard->wheel);
}

/* What waited for memory or its turn tries again, before newer things take it, and in the order in which it began to
 * wait: what this turn has no time for comes first in the next. */
static void turn_starved(struct weft_shard *shard)
{
    struct list_node *node;
    list_splice_back(&shard->waiting, &shard->starved);
    while (!shard->turn_over && (node = list_pop_front(&shard->waiting)) != NULL) {
        struct task *task = WEFT_CONTAINER_OF(node, struct task, link);
        task->run(task);
    }
    shard->work_left |= !list_empty(&shard->waiting);
}

static void turn_completions(struct weft_shard *shard, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        io_deliver(shard->io, &shard->events[i]);
    }
    if (count == shard->events_max) {
        shard->work_left = true;
    }
}

/* A turn whose time is used up goes on taking what is there, since it is only put aside: what stays in the kernel has
 * no time of arrival. */
static uint32_t turn_catch_up(struct weft_shard *shard, uint32_t count)
{
    uint32_t all = 0;
    for (uint32_t i = 0; i < TURN_CATCH_UPS_MAX && count > 0; i++) {
        count = shard->io->backend->wait(shard->io, 0, shard->events, shard->events_max);
        turn_completions(shard, count);
        all += count;
    }
    return all;
}

static void turn_timers(struct weft_shard *shard)
{
    for (uint32_t fired = 0; fired < TURN_TIMERS_MAX; fired++) {
        struct timer *timer = timer_wheel_expire(&shard->wheel, shard->now_ns);
        if (timer == NULL) {
            return;
        }
        timer->fn(timer, timer->ctx);
    }
    shard->work_left = true;
}

static void turn_tasks(struct weft_shard *shard)
{
    for (uint32_t ran = 0; ran < TURN_TASKS_MAX; ran++) {
        struct list_node *node = list_pop_front(&shard->tasks);
        if (node == NULL) {
            return;
        }
        struct task *task = WEFT_CONTAINER_OF(node, struct task, link);
        task->run(task);
    }
    shard->work_left = true;
}

static void turn_flush(struct weft_shard *shard)
{
    struct list dirty;
    list_init(&dirty);
    list_splice_back(&dirty, &shard->dirty[FLUSH_CONTROL]);
    list_splice_back(&dirty, &shard->dirty[FLUSH_NORMAL]);
    if (!list_empty(&dirty)) {
        shard->lively_until_ns = shard->now_ns + LIVELY_NS;
    }
    list_splice_back(&dirty, &shard->dirty[FLUSH_BULK]);
    struct list_node *node;
    while ((node = list_pop_front(&dirty)) != NULL) {
        struct flush_hook *hook = WEFT_CONTAINER_OF(node, struct flush_hook, link);
        hook->flush(hook);
    }
}

static void turn_publish_gauge(uint64_t *gauge, uint64_t value)
{
    __atomic_store_n(gauge, value, __ATOMIC_RELAXED);
}

static void turn_publish_gauges(struct weft_shard *shard)
{
    struct weft_counters *counters = &shard->counters;
    turn_publish_gauge(&counters->in_use.connections, shard->held.connections != NULL ? *shard->held.connections : 0);
    turn_publish_gauge(&counters->in_use.calls, shard->held.calls != NULL ? *shard->held.calls : 0);
    turn_publish_gauge(&counters->in_use.requests, shard->held.requests != NULL ? *shard->held.requests : 0);
    turn_publish_gauge(&counters->in_use.send_buffers, shard->send_pool.count - shard->send_pool.free_count);
    turn_publish_gauge(&counters->in_use.arena_bytes, arena_used(&shard->arena));
    turn_publish_gauge(&counters->in_use.timers, shard->wheel.armed);
}

static void turn_publish_counters(struct weft_shard *shard)
{
    const struct io_counters *io = &shard->io->counters;
    COUNT(shard, turns);
    __atomic_store_n(&shard->counters.enters, io->enters, __ATOMIC_RELAXED);
    __atomic_store_n(&shard->counters.operations, io->operations, __ATOMIC_RELAXED);
    __atomic_store_n(&shard->counters.completions, io->completions, __ATOMIC_RELAXED);
    __atomic_store_n(&shard->counters.zero_copy_registered, io->registered, __ATOMIC_RELAXED);
}

static void turn_measure(struct weft_shard *shard, uint32_t events)
{
    for (uint32_t lane = 0; lane < WEFT_LANE_COUNT; lane++) {
        metric_run_end(&shard->calls_run[lane], &shard->metrics.call_ns[lane]);
        metric_run_end(&shard->requests_run[lane], &shard->metrics.handler_us[lane]);
    }
    METRIC(shard, turn_events, events);
    METRIC(shard, turn_ns, shard->io->backend->now_ns(shard->io) - shard->now_ns);
}

void shard_turn_within(struct weft_shard *shard, uint64_t sleep_ns_max)
{
    if (shard->io->never_sleeps && turn_is_idle(shard)) {
        return;
    }
    uint64_t timeout_ns = sleep_ns_max > 0 && !shard->io->never_sleeps ? turn_timeout(shard) : 0;
    timeout_ns = timeout_ns < sleep_ns_max ? timeout_ns : sleep_ns_max;
    if (timeout_ns > 0) {
        timeout_ns = turn_announce_sleep(shard, timeout_ns);
    }
    shard->work_left = false;
    uint32_t count = shard->io->backend->wait(shard->io, timeout_ns, shard->events, shard->events_max);
    atomic_store_explicit(&shard->sleeping, false, memory_order_relaxed);
    shard->now_ns = shard->io->backend->now_ns(shard->io);

    shard->turn_number++;
    shard->turn_ns = shard->now_ns;
    shard->turn_frames = 0;
    shard->turn_over = false;
    parcel_collect(shard);
    if (WEFT_UNLIKELY(!list_empty(&shard->starved) || !list_empty(&shard->waiting))) {
        turn_starved(shard);
    }
    turn_completions(shard, count);
    if (WEFT_UNLIKELY(shard->turn_over)) {
        count += turn_catch_up(shard, count);
    }
    if (mailbox_deliver(shard, TURN_MAILS_MAX) >= TURN_MAILS_MAX) {
        shard->work_left = true;
    }
    engine_signal_deliver(shard);
    turn_timers(shard);
    turn_tasks(shard);
    turn_flush(shard);
    if (shard->io->never_sleeps) { /* the peer comes before the books */
        (void)shard->io->backend->wait(shard->io, 0, shard->events, 0);
    }
    turn_publish_counters(shard);
    turn_publish_gauges(shard);
    turn_measure(shard, count);
}
