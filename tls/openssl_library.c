/* SPDX-License-Identifier: Apache-2.0 */
/* Owns library contexts.  Happy path: a context, the default provider loaded into it by hand (a context that is not
 * the process's own reads no openssl.cnf, and so nothing of the machine's set-up leaks in).  Fails when memory is out
 * or the OpenSSL installation has no default provider. */
#include "tls/openssl_library.h"

#include <stdarg.h>
#include <stdio.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "engine/base/error.h"

enum weft_err library_open(struct library *library, struct weft_error *why)
{
    *library = (struct library){.crypto = WEFT_CRYPTO_OPENSSL};
    library->context = OSSL_LIB_CTX_new();
    if (library->context == NULL) {
        return library_error(why, WEFT_ERR_NO_MEMORY, "OpenSSL gives no library context");
    }
    library->provider = OSSL_PROVIDER_load(library->context, "default");
    if (library->provider == NULL) {
        library_close(library);
        return library_error(why, WEFT_ERR_TLS, "OpenSSL's default provider cannot be loaded");
    }
    return WEFT_OK;
}

void library_close(struct library *library)
{
    if (library == NULL || library->context == NULL) {
        return;
    }
    OPENSSL_thread_stop_ex(library->context);
    if (library->second != NULL) {
        OSSL_PROVIDER_unload(library->second);
    }
    if (library->provider != NULL) {
        OSSL_PROVIDER_unload(library->provider);
    }
    OSSL_LIB_CTX_free(library->context);
    *library = (struct library){0};
}

enum weft_err library_error(struct weft_error *why, enum weft_err code, const char *format, ...)
{
    char place[WEFT_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(place, sizeof place, format, arguments);
    va_end(arguments);
    unsigned long cause = ERR_peek_error();
    const char *reason = cause == 0 ? NULL : ERR_reason_error_string(cause);
    if (why != NULL && why->code == WEFT_OK) {
        if (reason == NULL) {
            weft_error_set(why, code, "%s", place);
        } else {
            weft_error_set(why, code, "%s (OpenSSL: %s)", place, reason);
        }
        why->tls_code = cause;
    }
    ERR_clear_error();
    return code;
}
