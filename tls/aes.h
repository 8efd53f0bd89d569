/* SPDX-License-Identifier: Apache-2.0 */
/* Which AES is in use: most of what TLS costs. */
#ifndef TLS_AES_H
#define TLS_AES_H

#include <stdbool.h>
#include <stdint.h>

/* Such as "OpenSSL 3.0.15, AES-NI": what the library found in this CPU, or was told by OPENSSL_ia32cap. */
void tls_aes_describe(char *text, uint32_t bytes);

/* The same of the library's own account of the CPU, such as "OPENSSL_ia32cap=0x2000000:0x0"; NULL: none.
 * @param version as OpenSSL_version_num counts */
const char *tls_aes_name(const char *cpu_settings, unsigned long version);

/* Whether a CPU of that account has instructions for AES; without them ChaCha20 is faster, and does not tell its key by
 * the time it takes. */
bool tls_aes_in_hardware(const char *cpu_settings);
/* This CPU. */
bool tls_aes_is_fast(void);

#endif
