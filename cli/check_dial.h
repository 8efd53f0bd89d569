/* SPDX-License-Identifier: Apache-2.0 */
/* `weft check FILE --dial HOST:PORT`: one dial, and what to change if it failed. */
#ifndef CLI_CHECK_DIAL_H
#define CLI_CHECK_DIAL_H

#include "config/config.h"

enum check_security { CHECK_SECURITY_BY_PORT = 0, CHECK_SECURITY_PLAIN, CHECK_SECURITY_TLS };

struct check_dial {
    const char *to; /* HOST:PORT */
    enum check_security security;
    bool json;
};

/* Nothing could be dialed: the JSON object that says why; nothing without --json. */
void check_dial_undialed(const struct check_dial *dial, enum weft_err err, const char *text);
/* @return the exit code: 0 reached, 1 not, 2 usage */
int check_dial_run(const struct config *config, const struct check_dial *dial);

#endif
