/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  The version, at build time and at run time.
 */
#ifndef WEFT_VERSION_H
#define WEFT_VERSION_H

#include <weft/defs.h>

#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/** The version of the library that runs, as "major.minor.patch".  @return a constant string   @shard any */
WEFT_API const char *weft_version(void);

#ifdef __cplusplus
}
#endif

#endif
