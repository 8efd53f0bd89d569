/* SPDX-License-Identifier: Apache-2.0 */
/* The known word that is nearest to a misspelt one. */
#ifndef CONFIG_CONFIG_NEAREST_H
#define CONFIG_CONFIG_NEAREST_H

#include <stdint.h>

struct config_nearest {
    const char *word;
    const char *best;  /* NULL until something was offered */
    uint32_t distance; /* letters to add, drop or change, upper and lower case being the same */
};

void config_nearest_init(struct config_nearest *nearest, const char *word);
/* candidate must stay alive as long as best is used. */
void config_nearest_offer(struct config_nearest *nearest, const char *candidate);

#endif
