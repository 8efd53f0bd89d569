/* SPDX-License-Identifier: Apache-2.0 */
/* `weft certs ca|node|show|verify`: make, show and judge the certificates of a cluster.
 * @param argv argv[0] is "weft certs"   @return the exit code */
#ifndef CLI_CERTS_H
#define CLI_CERTS_H

int cli_certs(int argc, char **argv);

#endif
