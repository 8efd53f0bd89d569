/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the verdict over a chain.  Happy path: OpenSSL builds and checks the chain with the rules of the trust store,
 * revocation is looked up for every certificate whose issuer gave a list, then come weft's own demands on the leaf.
 * Failure modes: each has a reason and a sentence; what is not in the table is cert_untrusted with OpenSSL's words. */
#include "tls/openssl_verify.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "tls/openssl_describe.h"
#include "tls/reason.h"

/* What the callback of a running verification looks at. */
struct verification {
    const struct tls_verify_rules *rules;
    const struct revocation *revocation;
    struct tls_verdict *verdict;
};

/* Refusals of our own that OpenSSL has no code for: the alert becomes bad_certificate. */
#define CODE_OURS X509_V_ERR_CERT_REJECTED

static void verdict_note(struct tls_verdict *verdict, X509 *certificate, int depth, int code)
{
    verdict->code = code;
    verdict->depth = depth;
    if (certificate != NULL) {
        describe_distinguished_name(X509_get_subject_name(certificate), verdict->subject, sizeof verdict->subject);
    }
}

/* Revocation is checked as far as there are lists; where one is, it must be usable. */
static bool verify_forgive(struct verification *verification, X509_STORE_CTX *context, int code)
{
    const X509 *certificate = X509_STORE_CTX_get_current_cert(context);
    if (code == X509_V_ERR_UNABLE_TO_GET_CRL) {
        return certificate != NULL && !revocation_covers(verification->revocation, X509_get_issuer_name(certificate));
    }
    if (code == X509_V_ERR_CRL_HAS_EXPIRED && verification->rules->crl_expired_ok) {
        verification->verdict->crl_expired = true;
        return true;
    }
    return false;
}

static int verify_step(int ok, X509_STORE_CTX *context)
{
    struct verification *verification = X509_STORE_CTX_get_app_data(context);
    int code = X509_STORE_CTX_get_error(context);
    if (ok != 0 || verification == NULL) {
        return ok;
    }
    if (verification->revocation != NULL && verify_forgive(verification, context, code)) {
        X509_STORE_CTX_set_error(context, X509_V_OK);
        return 1;
    }
    verdict_note(verification->verdict, X509_STORE_CTX_get_current_cert(context),
                 X509_STORE_CTX_get_error_depth(context), code);
    return 0;
}

static void verdict_refuse(struct tls_verdict *verdict, X509 *leaf, enum weft_reason reason, const char *text)
{
    verdict_note(verdict, leaf, 0, CODE_OURS);
    verdict->reason = reason;
    snprintf(verdict->text, sizeof verdict->text, "the peer's certificate (%s) %s", verdict->subject, text);
}

/* What weft demands beyond a chain that is trusted. */
static void verify_leaf(X509_STORE_CTX *context, const struct tls_verify_rules *rules, bool client,
                        struct tls_verdict *verdict)
{
    X509 *leaf = X509_STORE_CTX_get0_cert(context);
    const char *fault = rules->strict ? verify_leaf_strictly(leaf, client) : NULL;
    enum weft_reason reason =
        fault == NULL && rules->peer != NULL ? verify_leaf_peer(leaf, rules->peer) : WEFT_REASON_NONE;
    if (fault != NULL) {
        verdict_refuse(verdict, leaf, WEFT_REASON_CERT_UNTRUSTED, fault);
    } else if (reason != WEFT_REASON_NONE) {
        char text[TLS_VERDICT_TEXT_BYTES / 3];
        snprintf(text, sizeof text, "does not name %s", rules->peer);
        verdict_refuse(verdict, leaf, reason, text);
    }
    if (verdict->reason != WEFT_REASON_NONE) {
        X509_STORE_CTX_set_error(context, CODE_OURS);
    }
}

void verify_chain(X509_STORE_CTX *context, const struct tls_verify_rules *rules, bool client,
                  const struct revocation *revocation, struct tls_verdict *verdict)
{
    struct verification verification = {.rules = rules, .revocation = revocation, .verdict = verdict};
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    *verdict = (struct tls_verdict){.reason = WEFT_REASON_NONE};
    if (rules->time_s != 0) {
        X509_VERIFY_PARAM_set_time(param, (time_t)rules->time_s);
    }
    if (rules->strict) {
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    }
    X509_STORE_CTX_set_app_data(context, &verification);
    X509_STORE_CTX_set_verify_cb(context, verify_step);
    int good = X509_verify_cert(context);
    X509_STORE_CTX_set_app_data(context, NULL);
    ERR_clear_error();
    if (good == 1) {
        verify_leaf(context, rules, client, verdict);
        return;
    }
    if (verdict->code == X509_V_OK) { /* it failed before it looked at a certificate */
        verdict_note(verdict, X509_STORE_CTX_get0_cert(context), 0, X509_STORE_CTX_get_error(context));
    }
    tls_reason_explain_verdict(verdict);
}
