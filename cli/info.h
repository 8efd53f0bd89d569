/* SPDX-License-Identifier: Apache-2.0 */
/* `weft info`: what weft finds on this machine.
 * @param argv argv[0] is "weft info"   @return the exit code */
#ifndef CLI_INFO_H
#define CLI_INFO_H

int cli_info(int argc, char **argv);

#endif
