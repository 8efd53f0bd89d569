/* SPDX-License-Identifier: Apache-2.0 */
/* xoshiro256**: jitter, simulation and tests.  Never for secrets. */
#ifndef ENGINE_BASE_PRNG_H
#define ENGINE_BASE_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);
/* Uniform in [0, bound); bound > 0. */
uint64_t prng_below(struct prng *prng, uint64_t bound);
/* True in `per_million` of a million cases. */
int prng_chance(struct prng *prng, uint32_t per_million);

#endif
