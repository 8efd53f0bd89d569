/* SPDX-License-Identifier: Apache-2.0 */
/* The program's standard streams: their numbers are taken from the start, and output that was lost is no success. */
#ifndef CLI_STREAMS_H
#define CLI_STREAMS_H

/* Once, before anything is opened or printed. */
void streams_init(void);

#endif
