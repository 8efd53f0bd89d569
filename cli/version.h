/* SPDX-License-Identifier: Apache-2.0 */
/* `weft version`: the version of program and library.
 * @param argv argv[0] is "weft version"   @return the exit code */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

int cli_version(int argc, char **argv);

#endif
