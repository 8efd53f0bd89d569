/* SPDX-License-Identifier: Apache-2.0 */
/* `weft tls-echo FILE`, for tests alone: the node's TLS, with nothing of the protocol behind it. */
#ifndef CLI_TLS_ECHO_H
#define CLI_TLS_ECHO_H

int cli_tls_echo(int argc, char **argv);

#endif
