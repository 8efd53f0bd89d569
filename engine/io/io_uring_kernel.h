/* SPDX-License-Identifier: Apache-2.0 */
/* What newer kernels offer and liburing 2.3 has no names for. */
#ifndef ENGINE_IO_IO_URING_KERNEL_H
#define ENGINE_IO_IO_URING_KERNEL_H

/* Say of each send without a copy whether it was one (Linux 6.2), and a feature by which such kernels are known (6.3).
 */
#define SEND_ZC_REPORT_USAGE (1u << 3)
#define NOTIF_USAGE_ZC_COPIED (1u << 31)
#define FEAT_REG_REG_RING (1u << 13)
/* One receive fills several provided buffers, in the order in which they were provided (6.10). */
#define RECVSEND_BUNDLE (1u << 4)
#define FEAT_RECVSEND_BUNDLE (1u << 14)

#endif
