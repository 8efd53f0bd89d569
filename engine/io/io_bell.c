/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/io/io_bell.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/error.h"

enum weft_err io_bell_open(int32_t *bell, struct weft_error *why)
{
    *bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *bell >= 0 ? WEFT_OK : weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "eventfd");
}

void io_bell_close(int32_t bell)
{
    close(bell);
}

void io_bell_ring(int32_t bell)
{
    uint64_t one = 1;
    ssize_t written = write(bell, &one, sizeof one);
    (void)written; /* a full counter means that it rings already */
}

void io_bell_hear(int32_t bell)
{
    uint64_t count;
    ssize_t got = read(bell, &count, sizeof count);
    (void)got; /* it may not have rung */
}
