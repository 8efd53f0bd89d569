/* SPDX-License-Identifier: Apache-2.0 */
/* `weft bench WHAT`: measures.
 * @param argv argv[0] is "weft bench"   @return the exit code */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

int cli_bench(int argc, char **argv);

#endif
