/* SPDX-License-Identifier: Apache-2.0 */
/* A test that uses this is linked with --wrap for each __wrap function here (tests/CMakeLists.txt). */
#include "tests/sim/alloc_fail.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <openssl/crypto.h>
#include <yaml.h>

static bool armed;
static bool struck;
static bool openssl_too;
static uint64_t counted;
static uint64_t failing;
static uint32_t exempt;
static int64_t live;

/* The linker's names for what is wrapped, and for what stands in for it. */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
char *__real_strdup(const char *text);
void __real_free(void *memory);
void *__real_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset);
int __real_munmap(void *address, size_t bytes);
int __real_yaml_parser_initialize(yaml_parser_t *parser);
int __real_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event);
void *__real_sim_memory_new(size_t bytes);
void *__real_sim_memory_grow(void *items, uint32_t *room, size_t bytes_each);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
void __wrap_free(void *memory);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset);
int __wrap_munmap(void *address, size_t bytes);
int __wrap_yaml_parser_initialize(yaml_parser_t *parser);
int __wrap_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event);
void *__wrap_sim_memory_new(size_t bytes);
void *__wrap_sim_memory_grow(void *items, uint32_t *room, size_t bytes_each);

/* The leak sanitizer's, where the test is built with it. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

void alloc_fail_arm(uint64_t nth)
{
    armed = true;
    struck = false;
    counted = 0;
    failing = nth;
}

bool alloc_fail_disarm(void)
{
    armed = false;
    return struck;
}

bool alloc_fail_struck(void)
{
    return struck;
}

uint64_t alloc_fail_count(void)
{
    return counted;
}

int64_t alloc_live(void)
{
    return live;
}

static bool fails(void)
{
    if (!armed || exempt > 0) {
        return false;
    }
    counted++;
    if (counted != failing) {
        return false;
    }
    struck = true;
    errno = ENOMEM;
    return true;
}

static void *noted(void *memory)
{
    live += memory != NULL ? 1 : 0;
    return memory;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : noted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : noted(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    if (fails()) {
        return NULL;
    }
    live += memory == NULL ? 1 : 0;
    return __real_realloc(memory, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return fails() ? NULL : noted(__real_aligned_alloc(alignment, bytes));
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : noted(__real_strdup(text));
}

void __wrap_free(void *memory)
{
    live -= memory != NULL ? 1 : 0;
    __real_free(memory);
}

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
    if (fails()) {
        return MAP_FAILED;
    }
    live++;
    return __real_mmap(address, bytes, protection, flags, file, offset);
}

int __wrap_munmap(void *address, size_t bytes)
{
    live--;
    return __real_munmap(address, bytes);
}

int __wrap_yaml_parser_initialize(yaml_parser_t *parser)
{
    if (!fails()) {
        return __real_yaml_parser_initialize(parser);
    }
    memset(parser, 0, sizeof *parser); /* as it leaves a parser that it could not set up */
    parser->error = YAML_MEMORY_ERROR;
    return 0;
}

int __wrap_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event)
{
    if (!fails()) {
        return __real_yaml_parser_parse(parser, event);
    }
    memset(event, 0, sizeof *event);
    parser->error = YAML_MEMORY_ERROR;
    return 0;
}

void *__wrap_sim_memory_new(size_t bytes)
{
    exempt++;
    void *memory = __real_sim_memory_new(bytes);
    exempt--;
    return memory;
}

void *__wrap_sim_memory_grow(void *items, uint32_t *room, size_t bytes_each)
{
    exempt++;
    void *memory = __real_sim_memory_grow(items, room, bytes_each);
    exempt--;
    return memory;
}

static void *openssl_malloc(size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return bytes == 0 || (openssl_too && fails()) ? NULL : __real_malloc(bytes);
}

static void *openssl_realloc(void *memory, size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    if (bytes == 0) {
        __real_free(memory);
        return NULL;
    }
    return openssl_too && fails() ? NULL : __real_realloc(memory, bytes);
}

static void openssl_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    __real_free(memory);
}

void alloc_fail_hook_openssl(void)
{
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1) {
        abort();
    }
}

void alloc_fail_openssl(bool on)
{
    /* OpenSSL 3.0 loses a few names of its own when it cannot add them to its tables: not for us to repair. */
    if (on && !openssl_too && __lsan_disable != NULL) {
        __lsan_disable();
    }
    if (!on && openssl_too && __lsan_enable != NULL) {
        __lsan_enable();
    }
    openssl_too = on;
}
