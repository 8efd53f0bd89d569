/* SPDX-License-Identifier: Apache-2.0 */
/* `weft check FILE`: whether a configuration starts a node, and what it means.
 * @param argv argv[0] is "weft check"   @return the exit code */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

int cli_check(int argc, char **argv);

#endif
