/* SPDX-License-Identifier: Apache-2.0 */
/* Locations and how they compare.  Pure. */
#include "topology/cluster/location.h"

#include <string.h>

static bool name_known(const char *name)
{
    return name != NULL && name[0] != '\0';
}

/* Unknown names are never the same. */
static bool name_same(const char *a, const char *b)
{
    return name_known(a) && name_known(b) && strcmp(a, b) == 0;
}

bool location_dc_known(const struct location *location)
{
    return name_known(location->dc);
}

bool location_rack_known(const struct location *location)
{
    return name_known(location->dc) && name_known(location->rack);
}

bool location_known(const struct location *location)
{
    return location_rack_known(location);
}

bool location_same_dc(const struct location *a, const struct location *b)
{
    return name_same(a->dc, b->dc);
}

bool location_same_rack(const struct location *a, const struct location *b)
{
    return location_same_dc(a, b) && name_same(a->rack, b->rack);
}

bool location_contradicts(const struct location *known, const struct location *claimed)
{
    if (!name_known(known->dc)) {
        return false;
    }
    if (name_known(claimed->dc) && strcmp(known->dc, claimed->dc) != 0) {
        return true;
    }
    return name_known(known->rack) && name_known(claimed->rack) && strcmp(known->rack, claimed->rack) != 0;
}
