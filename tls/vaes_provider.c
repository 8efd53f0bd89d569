/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one instance of libipsec-mb and offers its AES-GCM to one library context.  Happy path: the CPU has what it
 * takes, the library picks its code for it, and libssl finds the ciphers by the names it knows.  Failure modes: an
 * obstacle, which is looked for first; no memory. */
#include <cpuid.h>
#include <stdint.h>
#include <stdlib.h>

#include <openssl/core.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "tls/openssl_vaes.h"
#include "tls/vaes_cipher.h"

/* Leaf 7 of CPUID. */
#define EBX_AVX512 (1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) /* F, DQ, BW, VL */
#define ECX_VAES (1u << 9)
#define ECX_VPCLMULQDQ (1u << 10)
/* XCR0: the system saves SSE, AVX, and the three parts of AVX-512. */
#define XCR0_AVX512 0xe6u

static bool system_saves_avx512(void)
{
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & bit_OSXSAVE) == 0) {
        return false;
    }
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (eax & XCR0_AVX512) == XCR0_AVX512;
}

const char *vaes_obstacle(void)
{
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (ebx & EBX_AVX512) != EBX_AVX512) {
        return "the CPU has no AVX-512";
    }
    if ((ecx & ECX_VAES) == 0 || (ecx & ECX_VPCLMULQDQ) == 0) {
        return "the CPU has no VAES and VPCLMULQDQ";
    }
    return system_saves_avx512() ? NULL : "the operating system does not enable AVX-512";
}

static void provider_free(void *context)
{
    struct vaes_provider *provider = context;
    free_mb_mgr(provider->library);
    free(provider);
}

static const OSSL_ALGORITHM *provider_query(void *context, int operation, int *no_cache)
{
    static const OSSL_ALGORITHM ciphers[] = {
        {"AES-256-GCM:id-aes256-GCM:2.16.840.1.101.3.4.1.46", "provider=" VAES_PROVIDER, vaes_cipher_aes256,
         "AES-256-GCM by libipsec-mb"},
        {"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6", "provider=" VAES_PROVIDER, vaes_cipher_aes128,
         "AES-128-GCM by libipsec-mb"},
        {NULL, NULL, NULL, NULL},
    };
    (void)context;
    *no_cache = 0;
    return operation == OSSL_OP_CIPHER ? ciphers : NULL;
}

static const OSSL_PARAM *provider_gettable(void *context)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
        OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
        OSSL_PARAM_END,
    };
    (void)context;
    return params;
}

static int provider_get(void *context, OSSL_PARAM params[])
{
    OSSL_PARAM *name = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_NAME);
    OSSL_PARAM *status = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);
    (void)context;
    return (name == NULL || OSSL_PARAM_set_utf8_ptr(name, "weft VAES AES-GCM") == 1) &&
           (status == NULL || OSSL_PARAM_set_int(status, 1) == 1);
}

static OSSL_LIB_CTX *provider_library_context(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in)
{
    for (; in->function_id != 0; in++) {
        if (in->function_id == OSSL_FUNC_CORE_GET_LIBCTX) {
            /* For a provider that is part of the program it is the program's own. */
            return (OSSL_LIB_CTX *)OSSL_FUNC_core_get_libctx(in)(handle);
        }
    }
    return NULL;
}

static struct vaes_provider *provider_make(void)
{
    struct vaes_provider *provider = calloc(1, sizeof *provider);
    if (provider == NULL) {
        return NULL;
    }
    provider->library = alloc_mb_mgr(0);
    if (provider->library == NULL) {
        free(provider);
        return NULL;
    }
    init_mb_mgr_auto(provider->library, NULL);
    vaes_gcm_calls_init(&provider->aes128, provider->library, 16);
    vaes_gcm_calls_init(&provider->aes256, provider->library, 32);
    return provider;
}

int vaes_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                       void **context)
{
    static const OSSL_DISPATCH dispatch[] = {
        {OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))provider_free},
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))provider_query},
        {OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))provider_gettable},
        {OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))provider_get},
        {0, NULL},
    };
    if (vaes_obstacle() != NULL) {
        return 0;
    }
    struct vaes_provider *provider = provider_make();
    if (provider == NULL) {
        return 0;
    }
    provider->context = provider_library_context(handle, in);
    *context = provider;
    *out = dispatch;
    return 1;
}
