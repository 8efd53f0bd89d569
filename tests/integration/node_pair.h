/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes in one process that know each other, for tests that run over each backend. */
#ifndef TESTS_INTEGRATION_NODE_PAIR_H
#define TESTS_INTEGRATION_NODE_PAIR_H

#include "tests/integration/node_host.h"
#include "tests/integration/over_backends.h"

/* What a test has, and what is taken down after it, also when it failed. */
struct pair {
    const char *backend;
    struct host a;
    struct host b;
    struct host_tls tls_a;
    struct host_tls tls_b;
    struct authority authority;
};

/* Run all over each backend.  @return how many failed */
int pair_run(const struct backend_test *tests, size_t count);

void pair_start(struct pair *pair);
/* Two new nodes, in place of those that were. */
void pair_again(struct pair *pair);

void expect_ok(const struct answer *answer, uint32_t bytes);
void expect_failed(const struct answer *answer, enum weft_err err, enum weft_executed executed);

#endif
