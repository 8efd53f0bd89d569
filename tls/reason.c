/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the translation of TLS failures.  Three sources: verifying the peer's certificate failed here; an alert of the
 * peer; any other error that libssl found itself.  What no table knows is tls_failed with OpenSSL's words. */
#include "tls/reason.h"

#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "engine/base/error.h"

/* An alert's number is its OpenSSL reason less this. */
#define ALERT_BASE SSL_AD_REASON_OFFSET
#define ALERT_LAST 255

/* First bytes of a TLS connection: an alert or a handshake record; with the high bit, a hello in SSLv2's framing. */
#define RECORD_ALERT 0x15u
#define RECORD_HANDSHAKE 0x16u
#define RECORD_OLD_HELLO 0x80u

struct reason_row {
    int key;
    enum weft_reason reason;
    const char *text;
};

static const struct reason_row alert_rows[] = {
    {SSL_AD_HANDSHAKE_FAILURE, WEFT_REASON_TLS_NO_SHARED_CIPHER,
     "the peer rejected the handshake: it shares no cipher suite or algorithm with us"},
    {SSL_AD_INSUFFICIENT_SECURITY, WEFT_REASON_TLS_NO_SHARED_CIPHER,
     "the peer rejected the handshake: our cipher suites are too weak for it"},
    {SSL_AD_PROTOCOL_VERSION, WEFT_REASON_TLS_VERSION, "the peer rejected our TLS versions"},
    {SSL_AD_INAPPROPRIATE_FALLBACK, WEFT_REASON_TLS_VERSION, "the peer rejected our TLS version as a fallback"},
    {SSL_AD_CERTIFICATE_REQUIRED, WEFT_REASON_CERT_MISSING, "the peer demands a certificate and we showed none"},
    {SSL_AD_BAD_CERTIFICATE, WEFT_REASON_CERT_UNTRUSTED, "the peer rejected our certificate: bad certificate"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, WEFT_REASON_CERT_UNTRUSTED,
     "the peer rejected our certificate: unsupported certificate (does its extended key usage fit?)"},
    {SSL_AD_CERTIFICATE_REVOKED, WEFT_REASON_CERT_REVOKED, "the peer rejected our certificate: certificate revoked"},
    {SSL_AD_CERTIFICATE_EXPIRED, WEFT_REASON_CERT_EXPIRED,
     "the peer rejected our certificate: certificate expired, or its revocation list is"},
    {SSL_AD_CERTIFICATE_UNKNOWN, WEFT_REASON_CERT_UNTRUSTED, "the peer rejected our certificate: certificate unknown"},
    {SSL_AD_UNKNOWN_CA, WEFT_REASON_CERT_UNTRUSTED,
     "the peer rejected our certificate: its trust store does not know the CA"},
    {SSL_AD_ACCESS_DENIED, WEFT_REASON_REFUSED, "the peer rejected us: access denied"},
    {SSL_AD_BAD_RECORD_MAC, WEFT_REASON_TLS_FAILED, "the peer received a damaged record (bad record MAC)"},
    {SSL_AD_DECODE_ERROR, WEFT_REASON_TLS_FAILED, "the peer could not decode our message"},
    {SSL_AD_DECRYPT_ERROR, WEFT_REASON_TLS_FAILED, "the peer could not verify a signature or Finished message"},
    {SSL_AD_UNEXPECTED_MESSAGE, WEFT_REASON_TLS_FAILED, "the peer did not expect our message"},
    {SSL_AD_INTERNAL_ERROR, WEFT_REASON_TLS_FAILED, "the peer failed by itself (internal error)"},
};

static const struct reason_row verify_rows[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, WEFT_REASON_CERT_EXPIRED, "has expired"},
    {X509_V_ERR_CERT_NOT_YET_VALID, WEFT_REASON_CERT_NOT_YET_VALID, "is not valid yet"},
    {X509_V_ERR_CERT_REVOKED, WEFT_REASON_CERT_REVOKED, "is revoked"},
    {X509_V_ERR_CRL_HAS_EXPIRED, WEFT_REASON_CRL_EXPIRED, "cannot be checked: the revocation list has expired"},
    {X509_V_ERR_CRL_NOT_YET_VALID, WEFT_REASON_CERT_UNTRUSTED,
     "cannot be checked: the revocation list is not valid yet"},
    {X509_V_ERR_CRL_SIGNATURE_FAILURE, WEFT_REASON_CERT_UNTRUSTED,
     "cannot be checked: the revocation list is not signed by its CA"},
    {X509_V_ERR_UNABLE_TO_GET_CRL, WEFT_REASON_CERT_UNTRUSTED,
     "cannot be checked: the revocation list of its CA does not cover it"},
    {X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, WEFT_REASON_CERT_UNTRUSTED,
     "cannot be checked: nobody who may has signed the revocation list"},
    {X509_V_ERR_HOSTNAME_MISMATCH, WEFT_REASON_CERT_NAME_MISMATCH, "is for another name"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, WEFT_REASON_CERT_NAME_MISMATCH, "is for another address"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, WEFT_REASON_CERT_UNTRUSTED,
     "is not trusted: the trust store does not know its CA"},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, WEFT_REASON_CERT_UNTRUSTED,
     "is not trusted: the trust store does not know its CA"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, WEFT_REASON_CERT_UNTRUSTED,
     "is not trusted: it is self-signed and not in the trust store"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, WEFT_REASON_CERT_UNTRUSTED,
     "is not trusted: its root is not in the trust store"},
    {X509_V_ERR_INVALID_PURPOSE, WEFT_REASON_CERT_UNTRUSTED, "is not made for this use (extended key usage)"},
};

static const struct reason_row local_rows[] = {
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, WEFT_REASON_CERT_MISSING,
     "the peer showed no certificate, and require_client_auth demands one"},
    {SSL_R_NO_SHARED_CIPHER, WEFT_REASON_TLS_NO_SHARED_CIPHER, "the peer offers no cipher suite that we accept"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, WEFT_REASON_TLS_NO_SHARED_CIPHER, "the peer offers no key exchange that we accept"},
    {SSL_R_NO_SUITABLE_GROUPS, WEFT_REASON_TLS_NO_SHARED_CIPHER, "the peer offers no key exchange that we accept"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, WEFT_REASON_TLS_NO_SHARED_CIPHER,
     "the peer accepts no signature that our certificate can make"},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, WEFT_REASON_TLS_NO_SHARED_CIPHER,
     "the peer accepts no signature algorithm of ours"},
    {SSL_R_UNSUPPORTED_PROTOCOL, WEFT_REASON_TLS_VERSION, "the peer speaks no TLS version that we accept (1.2, 1.3)"},
    {SSL_R_VERSION_TOO_LOW, WEFT_REASON_TLS_VERSION, "the peer's TLS version is too old (1.2 and 1.3 are accepted)"},
    {SSL_R_VERSION_TOO_HIGH, WEFT_REASON_TLS_VERSION, "the peer's TLS version is too new (1.2 and 1.3 are accepted)"},
    {SSL_R_WRONG_SSL_VERSION, WEFT_REASON_TLS_VERSION, "the peer chose a TLS version that we did not offer"},
    {SSL_R_INAPPROPRIATE_FALLBACK, WEFT_REASON_TLS_VERSION, "the peer fell back to an older TLS version"},
    {SSL_R_HTTP_REQUEST, WEFT_REASON_PLAINTEXT_ON_TLS_PORT, "the peer sent an HTTP request to a TLS port"},
    {SSL_R_HTTPS_PROXY_REQUEST, WEFT_REASON_PLAINTEXT_ON_TLS_PORT, "the peer sent a proxy request to a TLS port"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, WEFT_REASON_TLS_FAILED,
     "a record of the peer is damaged (bad record MAC)"},
};

static const struct reason_row *reason_find(const struct reason_row *rows, size_t count, long key)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].key == key) {
            return &rows[i];
        }
    }
    return NULL;
}
#define REASON_FIND(rows, key) reason_find((rows), sizeof(rows) / sizeof((rows)[0]), (key))

bool tls_reason_is_plaintext(uint8_t first_byte)
{
    return first_byte != RECORD_ALERT && first_byte != RECORD_HANDSHAKE && (first_byte & RECORD_OLD_HELLO) == 0;
}

void tls_reason_explain_verdict(struct tls_verdict *verdict)
{
    const struct reason_row *row = REASON_FIND(verify_rows, verdict->code);
    const char *subject = verdict->subject[0] == '\0' ? "no subject" : verdict->subject;
    const char *whose = verdict->depth > 0 ? "a CA certificate in the peer's chain" : "the peer's certificate";
    verdict->reason = row != NULL ? row->reason : WEFT_REASON_CERT_UNTRUSTED;
    if (row != NULL) {
        snprintf(verdict->text, sizeof verdict->text, "%s (%s) %s", whose, subject, row->text);
    } else {
        snprintf(verdict->text, sizeof verdict->text, "%s (%s) is not accepted: %s", whose, subject,
                 X509_verify_cert_error_string(verdict->code));
    }
}

static void reason_explain_verify(const struct tls_failure *failure, struct weft_error *error)
{
    weft_error_set_reason(error, WEFT_ERR_TLS, failure->verdict->reason, "%s", failure->verdict->text);
}

/* What the handshake settles: an alert that comes after it is about something else. */
static bool reason_is_agreed(enum weft_reason reason)
{
    return reason == WEFT_REASON_TLS_NO_SHARED_CIPHER || reason == WEFT_REASON_TLS_VERSION;
}

static void reason_explain_alert(const struct tls_failure *failure, int alert, struct weft_error *error)
{
    /* TLS 1.2 has no alert of its own for a missing certificate, nor has any version one for a certificate that is
     * not valid yet: our own state tells. */
    if (alert == SSL_AD_HANDSHAKE_FAILURE && failure->certificate_asked && !failure->certificate_own) {
        alert = SSL_AD_CERTIFICATE_REQUIRED;
    }
    if (alert == SSL_AD_BAD_CERTIFICATE && failure->certificate_own_early) {
        weft_error_set_reason(error, WEFT_ERR_TLS, WEFT_REASON_CERT_NOT_YET_VALID,
                              "the peer rejected our certificate: certificate not valid yet");
        return;
    }
    /* A TLS server always expects a hello. */
    if (alert == SSL_AD_UNEXPECTED_MESSAGE && !failure->server && failure->first_bytes == FIRST_BYTES_TLS_ALERT) {
        weft_error_set_reason(error, WEFT_ERR_TLS, WEFT_REASON_TLS_ON_PLAINTEXT_PORT,
                              "the peer did not expect TLS: is this its storage_port?");
        return;
    }
    const struct reason_row *row = REASON_FIND(alert_rows, alert);
    if (row != NULL && failure->handshake_done && reason_is_agreed(row->reason)) {
        weft_error_set_reason(error, WEFT_ERR_TLS, WEFT_REASON_TLS_FAILED,
                              "the peer ended the connection after the handshake by the TLS alert %d (%s), though TLS "
                              "version and cipher suite had been agreed: only its log says why",
                              alert, SSL_alert_desc_string_long(alert));
    } else if (row != NULL) {
        weft_error_set_reason(error, WEFT_ERR_TLS, row->reason, "%s", row->text);
    } else {
        weft_error_set_reason(error, WEFT_ERR_TLS, WEFT_REASON_TLS_FAILED, "the peer sent the TLS alert %d (%s)", alert,
                              SSL_alert_desc_string_long(alert));
    }
}

static bool reason_explain_plaintext(const struct tls_failure *failure, int reason, struct weft_error *error)
{
    bool wrong_first_byte = failure->first_byte_known && tls_reason_is_plaintext(failure->first_byte);
    bool old_hello = failure->first_byte_known && (failure->first_byte & RECORD_OLD_HELLO) != 0;
    if (failure->handshake_done || !(wrong_first_byte || (old_hello && reason == SSL_R_WRONG_VERSION_NUMBER))) {
        return false;
    }
    const char *words = first_bytes_words(failure->first_bytes);
    if (failure->server) {
        weft_error_set_reason(error, WEFT_ERR_TLS, WEFT_REASON_PLAINTEXT_ON_TLS_PORT,
                              "the peer sent plaintext to a TLS port: %s (its first byte is 0x%02x)", words,
                              failure->first_byte);
    } else {
        weft_error_set_reason(error, WEFT_ERR_TLS, WEFT_REASON_TLS_ON_PLAINTEXT_PORT,
                              "the peer answers in plaintext: %s (first byte 0x%02x); is this its storage_port?", words,
                              failure->first_byte);
    }
    return true;
}

static void reason_explain_local(const struct tls_failure *failure, int reason, struct weft_error *error)
{
    const struct reason_row *row = REASON_FIND(local_rows, reason);
    const char *words = ERR_reason_error_string((unsigned long)failure->code);
    if (row != NULL) {
        weft_error_set_reason(error, WEFT_ERR_TLS, row->reason, "%s", row->text);
    } else if (failure->code == 0) {
        weft_error_set_reason(error, WEFT_ERR_TLS, WEFT_REASON_TLS_FAILED, "TLS failed without a cause");
    } else {
        weft_error_set_reason(error, WEFT_ERR_TLS, WEFT_REASON_TLS_FAILED, "TLS failed%s: %s",
                              failure->handshake_done ? "" : " in the handshake",
                              words == NULL ? "no words for it" : words);
    }
}

/* The OpenSSL reason of a code, if it is libssl's; else 0. */
static int reason_of_code(uint64_t code)
{
    return ERR_GET_LIB((unsigned long)code) == ERR_LIB_SSL ? ERR_GET_REASON((unsigned long)code) : 0;
}

static bool reason_is_alert(int reason)
{
    return reason > ALERT_BASE && reason <= ALERT_BASE + ALERT_LAST;
}

bool tls_reason_is_told(uint64_t tls_code)
{
    return reason_is_alert(reason_of_code(tls_code));
}

void tls_reason_explain(const struct tls_failure *failure, struct weft_error *error)
{
    if (error->code != WEFT_OK) {
        return;
    }
    int reason = reason_of_code(failure->code);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        reason_explain_verify(failure, error);
    } else if (reason_is_alert(reason)) {
        reason_explain_alert(failure, reason - ALERT_BASE, error);
    } else if (!reason_explain_plaintext(failure, reason, error)) {
        reason_explain_local(failure, reason, error);
    }
    error->tls_code = failure->code;
}
