/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sim/sim_faults.h"

const char *sim_fault_name(enum sim_fault fault)
{
    switch (fault) {
#define SIM_X(name, text, meaning)                                                                                     \
    case SIM_FAULT_##name:                                                                                             \
        return text;
        SIM_FAULTS(SIM_X)
#undef SIM_X
    case SIM_FAULT_COUNT:
        break;
    }
    return "unknown";
}

bool sim_fault_bites(struct sim_faults *faults, struct prng *prng, enum sim_fault fault)
{
    if (!faults->on || faults->per_million[fault] == 0) {
        return false;
    }
    bool bites = prng_chance(prng, faults->per_million[fault]) != 0;
    if (bites) {
        faults->bitten[fault]++;
    }
    return bites;
}
