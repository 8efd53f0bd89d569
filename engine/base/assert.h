/* SPDX-License-Identifier: Apache-2.0 */
/* Asserts state what only a bug in this process can break; they stay on in release.  What a peer, a file or a
 * user can cause is an error instead. */
#ifndef ENGINE_BASE_ASSERT_H
#define ENGINE_BASE_ASSERT_H

#include <stddef.h>

/* Prints the place and aborts. */
_Noreturn void weft_assert_failed(const char *file, int line, const char *what);

#define WEFT_LIKELY(x) __builtin_expect(!!(x), 1)
#define WEFT_UNLIKELY(x) __builtin_expect(!!(x), 0)
/* Steps of every call, each used in few places: the compiler alone would weigh them by their size. */
#define WEFT_INLINE inline __attribute__((always_inline))

#define WEFT_ASSERT(x) (WEFT_LIKELY(x) ? (void)0 : weft_assert_failed(__FILE__, __LINE__, #x))

/* Costly asserts: on where the sanitizers or a debug build are. */
#if defined(WEFT_DEBUG)
#define WEFT_DEBUG_ASSERT(x) WEFT_ASSERT(x)
#else
#define WEFT_DEBUG_ASSERT(x) ((void)sizeof(x))
#endif

/* The only macro that returns. */
#define WEFT_TRY(expr)                                                                                                 \
    do {                                                                                                               \
        enum weft_err weft_try_err = (expr);                                                                           \
        if (WEFT_UNLIKELY(weft_try_err != WEFT_OK)) {                                                                  \
            return weft_try_err;                                                                                       \
        }                                                                                                              \
    } while (0)

#define WEFT_CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* ASan knows a buffer as untouchable between poison and unpoison. */
#if defined(__SANITIZE_ADDRESS__)
#define WEFT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#endif
#endif
#if defined(WEFT_ASAN)
#include <sanitizer/asan_interface.h>
#define WEFT_POISON(data, bytes) __asan_poison_memory_region((data), (bytes))
#define WEFT_UNPOISON(data, bytes) __asan_unpoison_memory_region((data), (bytes))
#else
#define WEFT_POISON(data, bytes) ((void)(data), (void)(bytes))
#define WEFT_UNPOISON(data, bytes) ((void)(data), (void)(bytes))
#endif

#endif
