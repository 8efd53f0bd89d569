/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes configurations from memory, with a resolver, interfaces and a file system made of a few names. */
#ifndef WEFT_TESTS_UNIT_CONFIG_FAKES_H
#define WEFT_TESTS_UNIT_CONFIG_FAKES_H

#include "config/config.h"

#define SEO "server_encryption_options:\n"
#define NAMED "cluster_name: c\n"

/* Every file exists but those that are called missing; those that are called open are open to all users. */
enum weft_err fake_check_file(void *ctx, const char *path, uint32_t *mode, struct weft_error *why);
/* eth0 has an address of each family; nothing else exists. */
enum weft_err fake_interface(void *ctx, const char *name, bool prefer_ipv6, struct address *address,
                             struct weft_error *why);

/* rackdc: the text of every file that is read, or NULL where there is none. */
enum weft_err config_decode_faked(struct config **config, const char *text, size_t bytes, const char *directory,
                                  const char *rackdc, struct config_report *report);

#endif
