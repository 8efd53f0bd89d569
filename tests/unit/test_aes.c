/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the AES implementation is named after what OpenSSL says of the CPU, and known to be in hardware or not.
 * Method: accounts of several CPUs, and nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tls/aes.h"

static void aes__accounts_of_cpus__named(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        unsigned long version;
        const char *name;
        bool fast;
    } cases[] = {
        {"OPENSSL_ia32cap=0x7ffef3ffffebffff:0x0", 0x30200000UL, "AES-NI", true},
        {"OPENSSL_ia32cap=0x200000000000000:0x20000010000 env:0x0:0x0", 0x30100000UL, "VAES with AVX-512", true},
        {"OPENSSL_ia32cap=0x200000000000000:0x20000010000", 0x300000f0UL, "AES-NI", true},
        {"OPENSSL_ia32cap=0x200000000000000:0x20000000000", 0x30200000UL, "AES-NI", true},
        {"OPENSSL_ia32cap=0x200000000000000:0x10000", 0x30200000UL, "AES-NI", true},
        {"OPENSSL_ia32cap=0x7cfef3ffffebffff:0x20000010000", 0x30200000UL, "AES without hardware", false},
        {"OPENSSL_armcap=0x7d", 0x30000000UL, "ARMv8 AES", true},
        {"OPENSSL_armcap=0x1", 0x30000000UL, "AES without hardware", false},
        {"N/A", 0x30000000UL, "unknown AES", false},
        {NULL, 0x30000000UL, "unknown AES", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(tls_aes_name(cases[i].settings, cases[i].version), cases[i].name);
        assert_int_equal(tls_aes_in_hardware(cases[i].settings), cases[i].fast);
    }
}

static void aes__of_this_machine__says_library_and_implementation(void **state)
{
    (void)state;
    char text[128];
    tls_aes_describe(text, sizeof text);
    assert_memory_equal(text, "OpenSSL ", 8);
    assert_non_null(strstr(text, "AES"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aes__accounts_of_cpus__named),
        cmocka_unit_test(aes__of_this_machine__says_library_and_implementation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
