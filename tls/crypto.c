/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the choice of who encrypts.  Happy path: libipsec-mb where the CPU has VAES and OpenSSL cannot use it, checked
 * by answers that are known; OpenSSL everywhere else.  Failure modes: what was asked for by name and is not here is an
 * error, never something else instead; what would only be faster and is not here is done without, and the text says so.
 */
#include "tls/openssl_crypto.h"

#include <stdio.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/aes.h"
#include "tls/openssl_vaes.h"

/* The first OpenSSL with AES-GCM for VAES of its own. */
#define OPENSSL_WITH_VAES 0x30100000ul

static const char self_test_failed[] = "libipsec-mb gives wrong answers here";

const char *tls_crypto_name(enum weft_crypto crypto)
{
    static const char *const names[] = {"auto", "openssl", "vaes", "fips"};
    return (uint32_t)crypto < sizeof names / sizeof names[0] ? names[crypto] : "unknown";
}

/* @return what is in the way, NULL if nothing */
static const char *crypto_add_vaes(struct library *library)
{
    const char *obstacle = vaes_obstacle();
    if (obstacle != NULL) {
        return obstacle;
    }
    if (OSSL_PROVIDER_add_builtin(library->context, VAES_PROVIDER, vaes_provider_init) != 1) {
        return "OpenSSL does not take the provider";
    }
    library->second = OSSL_PROVIDER_load(library->context, VAES_PROVIDER);
    if (library->second == NULL) {
        return "OpenSSL cannot load the provider";
    }
    if (!vaes_self_test(library->context)) {
        return self_test_failed;
    }
    library->properties = VAES_PROPERTIES;
    library->crypto = WEFT_CRYPTO_VAES;
    return NULL;
}

static enum weft_err crypto_open_fips(struct library *library, struct weft_error *why)
{
    *library = (struct library){.crypto = WEFT_CRYPTO_FIPS, .properties = "fips=yes"};
    library->context = OSSL_LIB_CTX_new();
    if (library->context == NULL) {
        return library_error(why, WEFT_ERR_NO_MEMORY, "OpenSSL gives no library context");
    }
    library->provider = OSSL_PROVIDER_load(library->context, "fips");
    library->second = OSSL_PROVIDER_load(library->context, "base"); /* reads keys and certificates */
    if (library->provider == NULL || library->second == NULL ||
        EVP_set_default_properties(library->context, library->properties) != 1) {
        ERR_clear_error();
        library_close(library);
        return weft_error_set(why, WEFT_ERR_TLS,
                              "crypto: fips: this OpenSSL has no FIPS module that can be loaded; install one and its "
                              "fipsmodule.cnf, or set crypto: auto");
    }
    return WEFT_OK;
}

enum weft_err crypto_open(struct library *library, enum weft_crypto wanted, struct weft_error *why)
{
    if (wanted == WEFT_CRYPTO_FIPS) {
        return crypto_open_fips(library, why);
    }
    WEFT_TRY(library_open(library, why));
    if (wanted == WEFT_CRYPTO_OPENSSL || (wanted == WEFT_CRYPTO_AUTO && OpenSSL_version_num() >= OPENSSL_WITH_VAES)) {
        return WEFT_OK;
    }
    library->obstacle = crypto_add_vaes(library);
    if (library->obstacle != NULL && (wanted == WEFT_CRYPTO_VAES || library->obstacle == self_test_failed)) {
        const char *obstacle = library->obstacle;
        ERR_clear_error();
        library_close(library);
        return weft_error_set(why, WEFT_ERR_TLS, "crypto: %s: %s; set crypto: openssl", tls_crypto_name(wanted),
                              obstacle);
    }
    ERR_clear_error();
    return WEFT_OK;
}

void crypto_explain(const struct library *library, enum weft_crypto wanted, char text[TLS_CRYPTO_TEXT_BYTES])
{
    char openssl[TLS_CRYPTO_TEXT_BYTES / 2];
    tls_aes_describe(openssl, sizeof openssl);
    switch (library->crypto) {
    case WEFT_CRYPTO_VAES:
        snprintf(text, TLS_CRYPTO_TEXT_BYTES, "libipsec-mb, VAES with AVX-512%s; all else %s",
                 wanted == WEFT_CRYPTO_AUTO ? ", which this OpenSSL lacks" : "", openssl);
        return;
    case WEFT_CRYPTO_FIPS:
        snprintf(text, TLS_CRYPTO_TEXT_BYTES, "%s, its FIPS module alone", openssl);
        return;
    case WEFT_CRYPTO_AUTO:
    case WEFT_CRYPTO_OPENSSL:
        break;
    }
    snprintf(text, TLS_CRYPTO_TEXT_BYTES, "%s%s%s", openssl, library->obstacle != NULL ? "; not libipsec-mb: " : "",
             library->obstacle != NULL ? library->obstacle : "");
}

enum weft_err tls_crypto_describe(enum weft_crypto wanted, enum weft_crypto *used, char text[TLS_CRYPTO_TEXT_BYTES],
                                  struct weft_error *why)
{
    struct library library;
    WEFT_TRY(crypto_open(&library, wanted, why));
    *used = library.crypto;
    crypto_explain(&library, wanted, text);
    library_close(&library);
    return WEFT_OK;
}
