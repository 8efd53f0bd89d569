/* SPDX-License-Identifier: Apache-2.0 */
/* What TLS a configuration means: the certificate, whom it trusts, the cipher suites, and which AES does the work. */
#ifndef CLI_CHECK_TLS_H
#define CLI_CHECK_TLS_H

#include <jansson.h>

#include "config/config.h"

/* What require_client_auth would be written as. */
const char *check_tls_client_auth(const struct config *config);
/* Nothing where no TLS is configured. */
void check_tls_print(const struct config *config);
/* leaf (subject, issuer, names, not_after, days_left), suites, suites_1_2, aes; null where no TLS is configured. */
json_t *check_tls_json(const struct config *config);

#endif
