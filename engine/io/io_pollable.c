/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/io/io_pollable.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/io/io.h"

#define NS_PER_SECOND UINT64_C(1000000000)

void io_pollable_init(struct io_pollable *pollable)
{
    *pollable = (struct io_pollable){.set = IO_SOCKET_NONE, .timer = IO_SOCKET_NONE, .armed_ns = IO_TIMEOUT_NEVER};
}

enum weft_err io_pollable_open(struct io_pollable *pollable, int32_t set, uint64_t tag, struct weft_error *why)
{
    pollable->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (pollable->timer < 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "timerfd_create");
    }
    struct epoll_event interest = {.events = EPOLLIN, .data.u64 = tag};
    if (epoll_ctl(set, EPOLL_CTL_ADD, pollable->timer, &interest) != 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "epoll: watching the timer");
    }
    pollable->set = set;
    return WEFT_OK;
}

void io_pollable_close(struct io_pollable *pollable)
{
    if (pollable->timer >= 0) {
        close(pollable->timer);
    }
    io_pollable_init(pollable);
}

void io_pollable_arm(struct io_pollable *pollable, uint64_t now_ns, uint64_t deadline_ns)
{
    if (deadline_ns != IO_TIMEOUT_NEVER && deadline_ns <= now_ns) {
        deadline_ns = 0;
    }
    if (deadline_ns == pollable->armed_ns) {
        return; /* as it is: a timer that fired stays readable until it is set again */
    }
    struct itimerspec when;
    memset(&when, 0, sizeof when);
    if (deadline_ns != IO_TIMEOUT_NEVER) {
        uint64_t delay_ns = deadline_ns != 0 ? deadline_ns - now_ns : 1; /* 0 would disarm it */
        when.it_value.tv_sec = (time_t)(delay_ns / NS_PER_SECOND);
        when.it_value.tv_nsec = (long)(delay_ns % NS_PER_SECOND);
    }
    int result = timerfd_settime(pollable->timer, 0, &when, NULL);
    WEFT_ASSERT(result == 0);
    pollable->armed_ns = deadline_ns;
}

void io_pollable_sleep(const struct io_pollable *pollable, uint64_t timeout_ns)
{
    struct pollfd set = {.fd = pollable->set, .events = POLLIN};
    const struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / NS_PER_SECOND),
        .tv_nsec = (long)(timeout_ns % NS_PER_SECOND),
    };
    (void)ppoll(&set, 1, timeout_ns == IO_TIMEOUT_NEVER ? NULL : &timeout, NULL); /* a signal is a reason to look */
}
