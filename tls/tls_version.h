/* SPDX-License-Identifier: Apache-2.0 */
/* The versions of TLS that weft speaks. */
#ifndef TLS_TLS_VERSION_H
#define TLS_TLS_VERSION_H

enum tls_version { TLS_VERSION_DEFAULT = 0, TLS_VERSION_1_2, TLS_VERSION_1_3 };

#endif
