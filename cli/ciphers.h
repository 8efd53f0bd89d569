/* SPDX-License-Identifier: Apache-2.0 */
/* `weft ciphers`. */
#ifndef CLI_CIPHERS_H
#define CLI_CIPHERS_H

/* @return 0, 1 if the string is refused, 2 on usage */
int cli_ciphers(int argc, char **argv);

#endif
