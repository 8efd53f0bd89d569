/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A stream that was closed before the start leaves its number to the next thing opened, and log lines would go into a
 * connection.  What stands there instead fails to be read or written, as if it were closed still. */
static void streams_hold_numbers(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) {
            _exit(1);
        }
    }
}

/* Help and results that nobody could read must not look like success. */
static void streams_flush(void)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "weft: standard output: %s\n", strerror(errno));
        _exit(1);
    }
}

void streams_init(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    streams_hold_numbers();
    /* A log or a status that reached the limit of a file's size costs lines, as on a full disk, not the node. */
    if (sigaction(SIGXFSZ, &ignore, NULL) != 0 || atexit(streams_flush) != 0) {
        _exit(1);
    }
}
