/* SPDX-License-Identifier: Apache-2.0 */
/* `weft explain FILE`: how one link would be made, and why.
 * @param argv argv[0] is "weft explain"   @return the exit code */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

int cli_explain(int argc, char **argv);

#endif
