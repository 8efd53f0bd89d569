/* SPDX-License-Identifier: Apache-2.0 */
/* What calls between the nodes of a cluster carry: caller and handler must agree on it.
 *
 * A request begins with its id, and every byte behind it follows from the id; an answer begins with the id and the
 * node that answers, and its other bytes follow from the id in another way.  So both ends see a byte that is wrong, a
 * payload of somebody else, and an answer from the wrong node. */
#ifndef TESTS_SIM_CLUSTER_PAYLOAD_H
#define TESTS_SIM_CLUSTER_PAYLOAD_H

#include "tests/sim/cluster.h"

enum { VERB_CALL = 1, VERB_ONE_WAY = 2, VERB_OWNED = 3, VERB_NOBODY = 4711 };

#define REQUEST_BYTES_MIN 8u
#define REPLY_BYTES_MIN 12u
#define ANSWER_SALT UINT64_C(0x5bd1e9955bd1e995)
#define FAIL_TEXT_BYTES 64u

void payload_fill(uint8_t *to, uint32_t bytes, uint64_t salt);
bool payload_fits(const uint8_t *from, uint32_t bytes, uint64_t salt);
/* With what a call fails that was to fail. */
void payload_fail_text(const struct cluster_call *call, char text[FAIL_TEXT_BYTES]);

#endif
