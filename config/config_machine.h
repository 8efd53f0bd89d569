/* SPDX-License-Identifier: Apache-2.0 */
/* The surroundings of a configuration on this machine: its files and its resolver. */
#ifndef CONFIG_CONFIG_MACHINE_H
#define CONFIG_CONFIG_MACHINE_H

#include "config/config.h"
#include "engine/io/resolver.h"

/* The members of struct config_surroundings; ctx is a struct resolver. */
WEFT_NODISCARD enum weft_err config_machine_resolve(void *ctx, const char *name, struct address *address,
                                                    struct weft_error *why);
WEFT_NODISCARD enum weft_err config_machine_check_file(void *ctx, const char *path, uint32_t *mode,
                                                       struct weft_error *why);
WEFT_NODISCARD enum weft_err config_machine_interface_address(void *ctx, const char *name, bool prefer_ipv6,
                                                              struct address *address, struct weft_error *why);
WEFT_NODISCARD enum weft_err config_machine_read_file(void *ctx, const char *path, char **text, size_t *bytes,
                                                      struct weft_error *why);
/* The absolute directory of a file, in the arena.  @return ok | CONFIG: the working directory is gone, or its name too
 * long | NO_MEMORY */
WEFT_NODISCARD enum weft_err config_machine_directory(struct config_arena *arena, const char *path,
                                                      const char **directory);

#endif
