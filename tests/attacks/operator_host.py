# SPDX-License-Identifier: Apache-2.0
"""Running the program as a careless operator would: short runs with strange arguments, files, limits and streams."""

import ctypes
import errno
import os
import resource
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

from target import WEFT

RUN_S = 20
NOBODY = 65534

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
IO_URING_SETUP = 425  # on every architecture
BPF_LOAD_NUMBER, BPF_JUMP_EQUAL, BPF_RETURN = 0x20, 0x15, 0x06
SECCOMP_ALLOW, SECCOMP_ERRNO = 0x7FFF0000, 0x00050000


def run(*arguments, **how):
    """One run of the program to its end; its output is text, with bytes that are none escaped."""
    how.setdefault("stdout", subprocess.PIPE)
    how.setdefault("stderr", subprocess.PIPE)
    return subprocess.run([WEFT, *arguments], stdin=subprocess.DEVNULL, timeout=RUN_S, text=True,
                          errors="backslashreplace", **how)


def limit(which, value):
    """For preexec_fn: a resource limit, soft and hard."""
    return lambda: resource.setrlimit(which, (value, value))


def close_streams():
    """For preexec_fn: no standard streams at all."""
    for number in range(3):
        os.close(number)


def forbid_io_uring(error=errno.EPERM):
    """For preexec_fn: the system call that opens a ring fails with EPERM, as where an administrator turned it off, or
    with ENOSYS, as under gVisor or an old kernel."""
    program = b"".join(struct.pack("=HBBI", *line) for line in (
        (BPF_LOAD_NUMBER, 0, 0, 0), (BPF_JUMP_EQUAL, 0, 1, IO_URING_SETUP),
        (BPF_RETURN, 0, 0, SECCOMP_ERRNO | error), (BPF_RETURN, 0, 0, SECCOMP_ALLOW)))
    filter_bytes = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(filter_bytes))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or \
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(head), 0, 0) != 0:
        os._exit(99)


def nobody_can_run():
    """Whether a run as another user is possible at all: by root, of a program that others may execute."""
    if os.geteuid() != 0:
        return False
    try:
        return run("version", user=NOBODY, group=NOBODY, extra_groups=[]).returncode == 0
    except OSError:
        return False
