/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a session's peer would still be believed after the credentials were replaced.  Happy path: the chain that the
 * peer showed is parsed into the current context's library, and judged by what handshakes call, beside the trust store
 * and the revocation lists of now.  That its time has passed since the handshake is no reason to end it. */
#include <openssl/err.h>
#include <openssl/x509.h>

#include "engine/base/error.h"
#include "tls/contexts.h"
#include "tls/openssl_session.h"
#include "tls/openssl_verify.h"

/* An object of one library context does not work in another.  @return NULL: no memory */
static X509 *certificate_move(X509 *certificate, OSSL_LIB_CTX *library)
{
    unsigned char *der = NULL;
    int bytes = i2d_X509(certificate, &der);
    X509 *moved = bytes > 0 ? X509_new_ex(library, NULL) : NULL;
    const unsigned char *at = der;
    if (moved != NULL && d2i_X509(&moved, &at, bytes) == NULL) {
        moved = NULL; /* and freed */
    }
    OPENSSL_free(der);
    return moved;
}

/* What the peer showed, the leaf first: of a client's chain libssl keeps the leaf apart. */
static STACK_OF(X509) * chain_move(struct session *session, X509 *leaf, OSSL_LIB_CTX *library)
{
    STACK_OF(X509) *shown = SSL_get_peer_cert_chain(session->ssl);
    STACK_OF(X509) *moved = sk_X509_new_null();
    bool ok = moved != NULL;
    int first = session->server ? -1 : 0;
    for (int i = first; ok && i < sk_X509_num(shown); i++) {
        X509 *certificate = certificate_move(i < 0 ? leaf : sk_X509_value(shown, i), library);
        ok = certificate != NULL && sk_X509_push(moved, certificate) > 0;
        if (!ok) {
            X509_free(certificate);
        }
    }
    if (!ok) {
        sk_X509_pop_free(moved, X509_free);
        return NULL;
    }
    return moved;
}

static void chain_judge(struct session *session, struct tls_context *now, STACK_OF(X509) * chain,
                        struct tls_verdict *verdict)
{
    X509_STORE_CTX *context = X509_STORE_CTX_new_ex(now->library.context, NULL);
    X509_STORE *store = SSL_CTX_get_cert_store(now->client);
    bool client = session->server;
    *verdict = (struct tls_verdict){.reason = WEFT_REASON_NONE};
    if (context != NULL && X509_STORE_CTX_init(context, store, sk_X509_value(chain, 0), chain) == 1 &&
        X509_STORE_CTX_set_default(context, client ? "ssl_client" : "ssl_server") == 1) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
        X509_VERIFY_PARAM_set_auth_level(param, TLS_SECURITY_LEVEL);
        X509_VERIFY_PARAM_set_depth(param, TLS_VERIFY_DEPTH_MAX);
        verify_chain(context, &now->rules, client, &now->revocation, verdict);
    } else {
        verdict->reason = WEFT_REASON_CERT_UNTRUSTED;
        snprintf(verdict->text, sizeof verdict->text, "no memory to look at the peer's certificate again");
    }
    X509_STORE_CTX_free(context);
}

enum secure_review session_review(struct secure *secure, struct secure_factory *factory, struct weft_error *why)
{
    struct session *session = WEFT_CONTAINER_OF(secure, struct session, secure);
    struct tls_context *now = WEFT_CONTAINER_OF(factory, struct tls_contexts, factory)->current;
    if (session->judged == now->serial) {
        return SECURE_REVIEW_DONE;
    }
    if (!session->handshake_done) {
        return SECURE_REVIEW_EARLY;
    }
    session->judged = now->serial;
    X509 *leaf = SSL_get0_peer_certificate(session->ssl);
    if (leaf == NULL) {
        return SECURE_REVIEW_DONE;
    }
    struct tls_verdict verdict = {.reason = WEFT_REASON_CERT_UNTRUSTED,
                                  .text = "no memory to look at the peer's certificate again"};
    STACK_OF(X509) *chain = chain_move(session, leaf, now->library.context);
    if (chain != NULL) {
        chain_judge(session, now, chain, &verdict);
    }
    sk_X509_pop_free(chain, X509_free);
    ERR_clear_error();
    if (verdict.reason != WEFT_REASON_CERT_REVOKED && verdict.reason != WEFT_REASON_CERT_UNTRUSTED) {
        return SECURE_REVIEW_KEPT;
    }
    weft_error_set_reason(why, WEFT_ERR_TLS, verdict.reason, "by the credentials of now, %.400s", verdict.text);
    return SECURE_REVIEW_REFUSED;
}

uint32_t session_age(const struct secure *secure, const struct secure_factory *factory)
{
    const struct session *session = WEFT_CONTAINER_OF(secure, const struct session, secure);
    const struct tls_contexts *contexts = WEFT_CONTAINER_OF(factory, const struct tls_contexts, factory);
    return contexts->current->serial - session->context->serial;
}
