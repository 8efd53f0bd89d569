/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the verdict over files: a trust store, a chain, revocation lists.  Happy path: all is read into a library
 * context that is thrown away, and judged by what handshakes call.  Fails on files that cannot be read. */
#include "engine/base/assert.h"
#include "tls/openssl_credentials.h"
#include "tls/openssl_library.h"
#include "tls/openssl_verify.h"

struct verify_set {
    struct library library;
    struct tls_credentials trusted; /* its trust store alone */
    struct pem_file chain_file;
    struct pem_file crl_file;
    X509_STORE *store;
    STACK_OF(X509) * chain;
    struct revocation revocation;
};

static enum weft_err set_read(struct verify_set *set, const struct tls_verify_files *files, struct weft_error *why)
{
    WEFT_TRY(library_open(&set->library, why));
    WEFT_TRY(credentials_read_trust(&set->trusted, files->truststore, why));
    WEFT_TRY(credentials_trust(&set->trusted, set->library.context, &set->store, why));
    WEFT_TRY(pem_file_read(&set->chain_file, "chain", files->chain, PEM_FILE_BYTES_MAX, why));
    WEFT_TRY(pem_certificates(&set->chain_file, set->library.context, PEM_CHAIN_MAX, &set->chain, why));
    if (files->crl == NULL) {
        return WEFT_OK;
    }
    WEFT_TRY(pem_file_read(&set->crl_file, "crl", files->crl, REVOCATION_BYTES_MAX, why));
    WEFT_TRY(revocation_parse(&set->revocation, &set->crl_file, set->library.context, why));
    if (!revocation_install(&set->revocation, set->store)) {
        return library_error(why, WEFT_ERR_TLS, "crl %s: cannot be used", files->crl);
    }
    return WEFT_OK;
}

static void set_fini(struct verify_set *set)
{
    revocation_fini(&set->revocation);
    pem_certificates_free(set->chain);
    X509_STORE_free(set->store);
    pem_file_fini(&set->crl_file);
    pem_file_fini(&set->chain_file);
    pem_file_fini(&set->trusted.trust);
    library_close(&set->library);
}

/* As libssl prepares a verification. */
static enum weft_err set_judge(struct verify_set *set, const struct tls_verify_rules *rules, bool client,
                               struct tls_verdict *verdict, struct weft_error *why)
{
    X509_STORE_CTX *context = X509_STORE_CTX_new_ex(set->library.context, NULL);
    if (context == NULL || X509_STORE_CTX_init(context, set->store, sk_X509_value(set->chain, 0), set->chain) != 1 ||
        X509_STORE_CTX_set_default(context, client ? "ssl_client" : "ssl_server") != 1) {
        X509_STORE_CTX_free(context);
        return library_error(why, WEFT_ERR_NO_MEMORY, "no memory to verify a chain");
    }
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_auth_level(param, TLS_SECURITY_LEVEL);
    X509_VERIFY_PARAM_set_depth(param, TLS_VERIFY_DEPTH_MAX);
    verify_chain(context, rules, client, &set->revocation, verdict);
    X509_STORE_CTX_free(context);
    return WEFT_OK;
}

enum weft_err tls_verify_chain(const struct tls_verify_files *files, const struct tls_verify_rules *rules, bool client,
                               struct tls_verdict *verdict, struct weft_error *why)
{
    struct verify_set set = {.store = NULL};
    enum weft_err err = set_read(&set, files, why);
    if (err == WEFT_OK) {
        err = set_judge(&set, rules, client, verdict, why);
    }
    set_fini(&set);
    return err;
}
