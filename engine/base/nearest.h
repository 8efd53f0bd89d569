/* SPDX-License-Identifier: Apache-2.0 */
/* The known word that is nearest to a misspelt one. */
#ifndef ENGINE_BASE_NEAREST_H
#define ENGINE_BASE_NEAREST_H

#include <stdint.h>

struct nearest {
    const char *word;
    const char *best;  /* NULL until something was offered */
    uint32_t distance; /* letters to add, drop or change, upper and lower case being the same */
};

void nearest_init(struct nearest *nearest, const char *word);
/* candidate must stay alive as long as best is used. */
void nearest_offer(struct nearest *nearest, const char *candidate);

#endif
