/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint_snitch: which source of locations the configuration names.  Private to this folder. */
#ifndef CONFIG_CONFIG_SNITCH_H
#define CONFIG_CONFIG_SNITCH_H

#include <stdbool.h>

enum snitch {
    SNITCH_SIMPLE = 0,
    SNITCH_GOSSIPING,
    SNITCH_PROPERTY_FILE,
    SNITCH_RACK_INFERRING,
    SNITCH_CLOUD, /* asks its cloud's metadata service, which weft does not */
    SNITCH_UNKNOWN
};

/* A class name, with or without its package, in exactly this case.  @param nearest the known name that is most like it
 */
enum snitch snitch_parse(const char *name, const char **nearest);

#endif
