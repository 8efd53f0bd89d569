/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL chooses among its own implementations by the CPU's features, and tells them as numbers. */
#include "tls/aes.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

/* As OPENSSL_ia32cap(3) counts: CPUID 1 in the first word, CPUID 7 in the second. */
#define X86_AES (UINT64_C(1) << 57)
#define X86_AVX512F (UINT64_C(1) << 16)
#define X86_VAES (UINT64_C(1) << 41)
/* 3.1 was the first to seal four blocks at once with them. */
#define VERSION_WITH_VAES 0x30100000UL
/* OpenSSL's arm_arch.h */
#define ARM_AES (UINT64_C(1) << 2)

const char *tls_aes_name(const char *cpu_settings, unsigned long version)
{
    uint64_t words[2] = {0};
    if (cpu_settings == NULL) {
        return "unknown AES";
    }
    if (sscanf(cpu_settings, "OPENSSL_ia32cap=0x%" SCNx64 ":0x%" SCNx64, &words[0], &words[1]) >= 1) {
        if ((words[0] & X86_AES) == 0) {
            return "AES without hardware";
        }
        bool wide = version >= VERSION_WITH_VAES && (words[1] & X86_VAES) != 0 && (words[1] & X86_AVX512F) != 0;
        return wide ? "VAES with AVX-512" : "AES-NI";
    }
    if (sscanf(cpu_settings, "OPENSSL_armcap=0x%" SCNx64, &words[0]) == 1) {
        return (words[0] & ARM_AES) != 0 ? "ARMv8 AES" : "AES without hardware";
    }
    return "unknown AES";
}

void tls_aes_describe(char *text, uint32_t bytes)
{
    snprintf(text, bytes, "OpenSSL %s, %s", OpenSSL_version(OPENSSL_VERSION_STRING),
             tls_aes_name(OPENSSL_info(OPENSSL_INFO_CPU_SETTINGS), OpenSSL_version_num()));
}
