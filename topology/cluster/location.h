/* SPDX-License-Identifier: Apache-2.0 */
/* Where a node stands: data centre and rack, as the configured topology names them.
 *
 * Names are compared byte for byte, case included.  A missing name (NULL or "") is unknown, and unknown equals
 * nothing, itself included: no location is ever guessed.  A rack means something only inside its data centre. */
#ifndef TOPOLOGY_CLUSTER_LOCATION_H
#define TOPOLOGY_CLUSTER_LOCATION_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/node.h>

#include "engine/io/address.h"

struct location {
    const char *dc;
    const char *rack;
};

/* Both the data centre and the rack are named. */
bool location_known(const struct location *location);
bool location_dc_known(const struct location *location);
/* The rack is named, and so is the data centre without which it would mean nothing. */
bool location_rack_known(const struct location *location);
/* Both data centres are known, and the same. */
bool location_same_dc(const struct location *a, const struct location *b);
/* The same data centre, and in it both racks are known and the same. */
bool location_same_rack(const struct location *a, const struct location *b);

/* What a peer says of itself is at odds with what the topology knows of it.  Silence contradicts nothing, and
 * nothing contradicts an entry that is itself unknown. */
bool location_contradicts(const struct location *known, const struct location *claimed);

#endif
