/* SPDX-License-Identifier: Apache-2.0 */
/* The known word that is nearest to a misspelt one, by edit distance.
 *
 * Happy path: offer every candidate, read best.
 *
 * Failure modes: none; of long words only the beginning counts. */
#include "engine/base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* The longest key of a scylla.yaml has 54 letters. */
#define WORD_BYTES_MAX 64u

void nearest_init(struct nearest *nearest, const char *word)
{
    nearest->word = word;
    nearest->best = NULL;
    nearest->distance = UINT32_MAX;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t words_distance(const char *a, const char *b)
{
    uint32_t row[WORD_BYTES_MAX + 1];
    uint32_t a_bytes = (uint32_t)strnlen(a, WORD_BYTES_MAX);
    uint32_t b_bytes = (uint32_t)strnlen(b, WORD_BYTES_MAX);
    for (uint32_t i = 0; i <= b_bytes; i++) {
        row[i] = i;
    }
    for (uint32_t i = 1; i <= a_bytes; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b_bytes; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            uint32_t changed = diagonal + (same ? 0u : 1u);
            diagonal = row[j];
            row[j] = smaller(changed, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_bytes];
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
    uint32_t distance = words_distance(nearest->word, candidate);
    if (distance < nearest->distance) {
        nearest->best = candidate;
        nearest->distance = distance;
    }
}
