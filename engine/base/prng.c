/* SPDX-License-Identifier: Apache-2.0 */
/* xoshiro256**, its state filled by splitmix64.
 *
 * Happy path: one seed gives one sequence, the same on every machine, so a simulated run repeats from its seed.
 * Failure modes: none.  The state that xoshiro could never leave, all zero, cannot come out of the seeding: splitmix64
 * maps four different counters to four different words, of which at most one is zero.
 */
#include "engine/base/prng.h"

#include "engine/base/assert.h"

static uint64_t rotate_left(uint64_t value, unsigned count)
{
    return (value << count) | (value >> (64 - count));
}

/* One step of splitmix64: an odd increment (2^64 over the golden ratio), then two rounds of xor-shift-multiply; the
 * constants are those of the published generator. */
static uint64_t splitmix_next(uint64_t *counter)
{
    *counter += 0x9e3779b97f4a7c15u;
    uint64_t mixed = *counter;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

void prng_init(struct prng *prng, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        prng->state[i] = splitmix_next(&seed);
    }
}

uint64_t prng_next(struct prng *prng)
{
    uint64_t *state = prng->state;
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    WEFT_ASSERT(bound > 0);
    /* 2^64 modulo bound: that many of the lowest draws would make the first results likelier than the rest.  Each
     * draw is rejected with less than one half, so the loop ends. */
    uint64_t surplus = (0 - bound) % bound;
    uint64_t drawn = prng_next(prng);
    while (drawn < surplus) {
        drawn = prng_next(prng);
    }
    return drawn % bound;
}

int prng_chance(struct prng *prng, uint32_t per_million)
{
    return prng_below(prng, 1000000) < per_million;
}
