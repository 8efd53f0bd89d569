/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that a scylla.yaml may hold besides those that a weft node consumes. */
#ifndef CONFIG_CONFIG_SCYLLA_KEYS_H
#define CONFIG_CONFIG_SCYLLA_KEYS_H

#include <stdbool.h>

bool config_scylla_key_known(const char *key);

#endif
