/* SPDX-License-Identifier: Apache-2.0 */
/* `weft certs verify`: what a node would say to a chain.  @return the exit code */
#ifndef CLI_CERTS_VERIFY_H
#define CLI_CERTS_VERIFY_H

int certs_verify(int argc, char **argv);

#endif
