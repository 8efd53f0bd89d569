/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys.  Read it through config_schema.h. */
#ifndef CONFIG_CONFIG_SCHEMA_TABLE_H
#define CONFIG_CONFIG_SCHEMA_TABLE_H

#include "config/config_schema.h"

extern const struct config_key config_schema_table[];
extern const uint32_t config_schema_table_count;

#endif
