/* SPDX-License-Identifier: Apache-2.0 */
/* Records every allocation of the processes that it is preloaded into.
 *
 * ALLOC_LOG names a file, which becomes a log in shared memory: a head, then entries in the order of the allocations.
 * A process that forks shares it with its children, so a test reads one log for all of them, at any time or after the
 * end, and decides by the times which allocations were wrong.  Without ALLOC_LOG nothing is recorded.
 *
 * What counts: malloc, calloc, realloc, the aligned ones, and mmap called by the program or its libraries.  The
 * functions of glibc below these names do the work, so nothing has to be looked up, which would allocate itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
/* The last ones are kept; a power of two. */
#define ENTRIES 65536u

enum kind { KIND_MALLOC = 1, KIND_CALLOC, KIND_REALLOC, KIND_ALIGNED, KIND_MMAP };

struct entry {
    uint64_t time_ns; /* CLOCK_MONOTONIC */
    uint64_t bytes;
    uint64_t caller;
    uint32_t pid;
    uint32_t kind;
};

struct log {
    atomic_uint_fast64_t count; /* ever */
    uint64_t entries_max;
    struct entry entries[ENTRIES];
};

/* Set once, before main. */
static struct log *shared_log;

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static void record(enum kind kind, uint64_t bytes, const void *caller)
{
    if (shared_log == NULL) {
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct entry *entry = &shared_log->entries[atomic_fetch_add(&shared_log->count, 1) % ENTRIES];
    *entry = (struct entry){
        .time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
        .bytes = bytes,
        .caller = (uint64_t)(uintptr_t)caller,
        .pid = (uint32_t)getpid(),
        .kind = (uint32_t)kind,
    };
}

__attribute__((constructor)) static void log_open(void)
{
    const char *path = getenv("ALLOC_LOG");
    int file = path != NULL ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file < 0 || ftruncate(file, sizeof(struct log)) != 0) {
        return;
    }
    long mapped =
        syscall(SYS_mmap, 0L, sizeof(struct log), (long)(PROT_READ | PROT_WRITE), (long)MAP_SHARED, (long)file, 0L);
    close(file);
    if (mapped != -1) {
        struct log *log = (struct log *)mapped;
        log->entries_max = ENTRIES;
        shared_log = log;
    }
}

EXPORT void *malloc(size_t bytes)
{
    record(KIND_MALLOC, bytes, __builtin_return_address(0));
    return __libc_malloc(bytes);
}

EXPORT void *calloc(size_t count, size_t bytes)
{
    record(KIND_CALLOC, count * bytes, __builtin_return_address(0));
    return __libc_calloc(count, bytes);
}

EXPORT void *realloc(void *memory, size_t bytes)
{
    record(KIND_REALLOC, bytes, __builtin_return_address(0));
    return __libc_realloc(memory, bytes);
}

EXPORT void *memalign(size_t alignment, size_t bytes)
{
    record(KIND_ALIGNED, bytes, __builtin_return_address(0));
    return __libc_memalign(alignment, bytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
    record(KIND_ALIGNED, bytes, __builtin_return_address(0));
    return __libc_memalign(alignment, bytes);
}

EXPORT int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    record(KIND_ALIGNED, bytes, __builtin_return_address(0));
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) {
        return EINVAL;
    }
    void *given = __libc_memalign(alignment, bytes);
    if (given == NULL) {
        return ENOMEM;
    }
    *memory = given;
    return 0;
}

EXPORT void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
    record(KIND_MMAP, bytes, __builtin_return_address(0));
    return (void *)syscall(SYS_mmap, address, bytes, (long)protection, (long)flags, (long)file, offset);
}

EXPORT void *mmap64(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
    record(KIND_MMAP, bytes, __builtin_return_address(0));
    return (void *)syscall(SYS_mmap, address, bytes, (long)protection, (long)flags, (long)file, offset);
}
