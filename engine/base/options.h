/* SPDX-License-Identifier: Apache-2.0 */
/* Structs of the interface that grow: the size that the caller was compiled with says what the caller knows.
 *
 * Options begin with their size.  An older program's are a prefix of ours, and what it does not know is zero, which is
 * the default.  A newer program's are longer, and fine as long as they say nothing that we do not know. */
#ifndef ENGINE_BASE_OPTIONS_H
#define ENGINE_BASE_OPTIONS_H

#include <weft/error.h>

/* Copy `given`, which begins with its size, over the `known_bytes` of `known`, whose size becomes ours.
 * @return ok | INVALID (NULL, or no sane size) | TOO_NEW (an option is set that we do not know); `known` is zeroed then
 */
WEFT_NODISCARD enum weft_err options_take(void *known, size_t known_bytes, const void *given, const char *name,
                                          struct weft_error *why);

/* Fill a struct of the caller's, of the size that it knows: the rest of ours is left out, the rest of its is zero. */
void options_give(void *to, size_t to_bytes, const void *known, size_t known_bytes);

#endif
