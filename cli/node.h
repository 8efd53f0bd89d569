/* SPDX-License-Identifier: Apache-2.0 */
/* `weft node FILE`: run a node until SIGTERM or SIGINT.
 * @param argv argv[0] is "weft node"   @return the exit code */
#ifndef CLI_NODE_H
#define CLI_NODE_H

int cli_node(int argc, char **argv);

#endif
