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

enum cpu_kind { CPU_UNKNOWN, CPU_X86, CPU_ARM };

static enum cpu_kind cpu_read(const char *cpu_settings, uint64_t words[2])
{
    words[0] = 0;
    words[1] = 0;
    if (cpu_settings == NULL) {
        return CPU_UNKNOWN;
    }
    if (sscanf(cpu_settings, "OPENSSL_ia32cap=0x%" SCNx64 ":0x%" SCNx64, &words[0], &words[1]) >= 1) {
        return CPU_X86;
    }
    return sscanf(cpu_settings, "OPENSSL_armcap=0x%" SCNx64, &words[0]) == 1 ? CPU_ARM : CPU_UNKNOWN;
}

bool tls_aes_in_hardware(const char *cpu_settings)
{
    uint64_t words[2];
    switch (cpu_read(cpu_settings, words)) {
    case CPU_X86:
        return (words[0] & X86_AES) != 0;
    case CPU_ARM:
        return (words[0] & ARM_AES) != 0;
    case CPU_UNKNOWN:
        break;
    }
    return false;
}

bool tls_aes_is_fast(void)
{
    return tls_aes_in_hardware(OPENSSL_info(OPENSSL_INFO_CPU_SETTINGS));
}

const char *tls_aes_name(const char *cpu_settings, unsigned long version)
{
    uint64_t words[2];
    enum cpu_kind kind = cpu_read(cpu_settings, words);
    if (kind == CPU_UNKNOWN) {
        return "unknown AES";
    }
    if (!tls_aes_in_hardware(cpu_settings)) {
        return "AES without hardware";
    }
    if (kind == CPU_ARM) {
        return "ARMv8 AES";
    }
    bool wide = version >= VERSION_WITH_VAES && (words[1] & X86_VAES) != 0 && (words[1] & X86_AVX512F) != 0;
    return wide ? "VAES with AVX-512" : "AES-NI";
}

void tls_aes_describe(char *text, uint32_t bytes)
{
    snprintf(text, bytes, "OpenSSL %s, %s", OpenSSL_version(OPENSSL_VERSION_STRING),
             tls_aes_name(OPENSSL_info(OPENSSL_INFO_CPU_SETTINGS), OpenSSL_version_num()));
}
