/* SPDX-License-Identifier: Apache-2.0 */
/* Builds without libipsec-mb, or for other processors: OpenSSL encrypts alone. */
#include "tls/openssl_vaes.h"

const char *vaes_obstacle(void)
{
    return "this build has no libipsec-mb";
}

bool vaes_self_test(OSSL_LIB_CTX *context)
{
    (void)context;
    return false;
}

int vaes_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                       void **context)
{
    (void)handle;
    (void)in;
    (void)out;
    (void)context;
    return 0;
}
