/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one TLS connection, as a transformation of bytes.  Happy path: libssl reads records straight from the caller's
 * input and writes them straight into the caller's output, through a BIO that knows both only while a call runs.
 * An output that is full makes libssl wait (ROOM), an input that is used up too (MORE).  Failure modes: whatever the
 * peer does wrong ends in FAILED with a reason, and then every call fails; the alert for the peer is left in the
 * output if it fits there. */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "engine/base/error.h"
#include "tls/openssl_describe.h"
#include "tls/openssl_session.h"
#include "tls/openssl_verify.h"
#include "tls/reason.h"

/* A record is made smaller than its data to fill an output's rest only if it carries at least this: below, the cost
 * of a record outweighs the room that is saved. */
#define SEAL_BYTES_MIN 1024u

static struct session *session_of(struct secure *secure)
{
    return WEFT_CONTAINER_OF(secure, struct session, secure);
}

/* The first error of libssl in the queue: what lower layers noted before it is detail.  Empties the queue. */
static unsigned long session_take_cause(void)
{
    unsigned long first = 0;
    unsigned long chosen = 0;
    for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {
        if (first == 0) {
            first = code;
        }
        if (chosen == 0 && ERR_GET_LIB(code) == ERR_LIB_SSL) {
            chosen = code;
        }
    }
    return chosen != 0 ? chosen : first;
}

static enum secure_step session_fail(struct session *session)
{
    X509 *own = SSL_get_certificate(session->ssl);
    struct tls_failure failure = {
        .code = session_take_cause(),
        .verdict = &session->verdict,
        .server = session->server,
        .handshake_done = session->handshake_done,
        .first_byte_known = session->first_byte_known,
        .first_byte = session->first_byte,
        .first_bytes = session->first_bytes,
        .certificate_asked = session->certificate_asked,
        .certificate_own = own != NULL,
        .certificate_own_early = own != NULL && X509_cmp_current_time(X509_get0_notBefore(own)) > 0,
    };
    tls_reason_explain(&failure, &session->secure.error);
    session->failed = true;
    return SECURE_FAILED;
}

static enum secure_step session_fail_with(struct session *session, const char *text)
{
    weft_error_set_reason(&session->secure.error, WEFT_ERR_TLS, WEFT_REASON_TLS_FAILED, "%s", text);
    session->failed = true;
    ERR_clear_error();
    return SECURE_FAILED;
}

/* Why libssl did not do what it was asked for. */
static enum secure_step session_step(struct session *session, int result)
{
    if (session->flooded) {
        return session_fail_with(session,
                                 "the peer sends messages of TLS instead of data, such as one new key after the "
                                 "other");
    }
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return SECURE_MORE;
    case SSL_ERROR_WANT_WRITE:
        session->flush_pending = true;
        return SECURE_ROOM;
    case SSL_ERROR_ZERO_RETURN:
        session->closed = true;
        return SECURE_CLOSED;
    default:
        return session_fail(session);
    }
}

static void session_begin(struct session *session, struct secure_in *in, struct secure_out *out)
{
    WEFT_ASSERT(session->in == NULL);
    WEFT_ASSERT(session->out == NULL);
    session->in = in;
    session->out = out;
    session->flush_pending = false;
    ERR_clear_error();
}

static enum secure_step session_end(struct session *session, enum secure_step step)
{
    session->in = NULL;
    session->out = NULL;
    return step;
}

/* Finish what libssl has to say on its own after the handshake, such as an answer to KeyUpdate. */
static enum secure_step session_settle(struct session *session)
{
    if (!SSL_in_init(session->ssl)) {
        return SECURE_DONE;
    }
    int result = SSL_do_handshake(session->ssl);
    return result == 1 ? SECURE_DONE : session_step(session, result);
}

/* Plaintext is told by its first byte, and gets no alert: its sender would take that for an answer. */
static bool session_sees_plaintext(struct session *session, const struct secure_in *in)
{
    if (!session->first_byte_known && in->bytes > 0) {
        session->first_byte_known = true;
        session->first_byte = in->data[0];
        session->first_bytes = first_bytes_tell((struct weft_span){in->data, in->bytes});
    }
    return session->first_byte_known && tls_reason_is_plaintext(session->first_byte);
}

static enum secure_step session_handshake(struct secure *secure, struct secure_in *in, struct secure_out *out)
{
    struct session *session = session_of(secure);
    if (session->failed) {
        return SECURE_FAILED;
    }
    if (session_sees_plaintext(session, in)) {
        return session_fail(session);
    }
    session_begin(session, in, out);
    int result = SSL_do_handshake(session->ssl);
    enum secure_step step = SECURE_DONE;
    if (result == 1) {
        session->handshake_done = true;
    } else {
        step = session_step(session, result);
    }
    if (step == SECURE_CLOSED) {
        step = session_fail_with(session, "the peer closed the connection in the TLS handshake");
    }
    return session_end(session, step);
}

/* How much of plain the next record takes; 0: the output has no room for one. */
static uint32_t seal_slice(const struct secure_in *plain, const struct secure_out *out)
{
    uint32_t room = out_room(out);
    uint32_t whole = plain->bytes < SECURE_RECORD_BYTES ? plain->bytes : SECURE_RECORD_BYTES;
    if (room >= whole + SECURE_RECORD_OVERHEAD) {
        return whole;
    }
    uint32_t rest = room > SECURE_RECORD_OVERHEAD ? room - SECURE_RECORD_OVERHEAD : 0;
    return out->used == 0 || rest >= SEAL_BYTES_MIN ? rest : 0;
}

/* Change the key before it has sealed too much; TLS 1.2 cannot, there the connection ends. */
static enum secure_step seal_renew_key(struct session *session)
{
    if (session->seal_records < session->context->records_per_key) {
        return SECURE_DONE;
    }
    if (SSL_version(session->ssl) < TLS1_3_VERSION) {
        return session_fail_with(session, "the key of this TLS 1.2 connection is used up; connect again");
    }
    if (SSL_key_update(session->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1) {
        return session_fail(session);
    }
    session->seal_records = 0;
    return SECURE_DONE;
}

static enum secure_step seal_record(struct session *session, struct secure_in *plain, struct secure_out *out)
{
    if (session->seal_bytes == 0) {
        enum secure_step step = session_settle(session);
        if (step == SECURE_DONE) {
            step = seal_renew_key(session);
        }
        if (step == SECURE_DONE) {
            step = session_settle(session);
        }
        if (step == SECURE_MORE) {
            return session_fail_with(session, "the peer split a TLS message after the handshake");
        }
        if (step != SECURE_DONE) {
            return step;
        }
    }
    uint32_t slice = session->seal_bytes > 0 ? session->seal_bytes : seal_slice(plain, out);
    if (slice == 0) {
        return SECURE_ROOM;
    }
    WEFT_ASSERT(slice <= plain->bytes);
    int written = SSL_write(session->ssl, plain->data, (int)slice);
    if (written <= 0) {
        enum secure_step step = session_step(session, written);
        session->seal_bytes = step == SECURE_ROOM ? slice : 0;
        return step == SECURE_MORE ? session_fail_with(session, "TLS wants to read before it writes") : step;
    }
    session->seal_bytes = 0;
    session->seal_records++;
    plain->data += written;
    plain->bytes -= (uint32_t)written;
    return SECURE_DONE;
}

static enum secure_step session_seal(struct secure *secure, struct secure_in *plain, struct secure_out *out)
{
    struct session *session = session_of(secure);
    if (session->failed) {
        return SECURE_FAILED;
    }
    WEFT_ASSERT(session->handshake_done);
    session_begin(session, NULL, out);
    enum secure_step step = SECURE_DONE;
    while (plain->bytes > 0 && step == SECURE_DONE) {
        step = seal_record(session, plain, out);
    }
    return session_end(session, step == SECURE_DONE ? SECURE_MORE : step);
}

static enum secure_step session_open(struct secure *secure, struct secure_in *in, struct secure_out *plain,
                                     struct secure_out *out)
{
    struct session *session = session_of(secure);
    if (session->failed) {
        return SECURE_FAILED;
    }
    if (session->closed) {
        return SECURE_CLOSED;
    }
    WEFT_ASSERT(session->handshake_done);
    bool flush = session->flush_pending;
    session_begin(session, in, out);
    enum secure_step step = SECURE_DONE;
    while (step == SECURE_DONE) {
        bool idle = in->bytes == 0 && SSL_pending(session->ssl) == 0 && !flush;
        uint32_t room = out_room(plain);
        if (idle || room == 0) {
            step = idle ? SECURE_MORE : SECURE_ROOM;
            break;
        }
        flush = false;
        int opened = SSL_read(session->ssl, plain->data + plain->used, (int)(room > INT32_MAX ? INT32_MAX : room));
        if (opened > 0) {
            session->open_records++;
            plain->used += (uint32_t)opened;
        } else {
            step = session_step(session, opened);
        }
    }
    return session_end(session, step);
}

static enum secure_step session_shut(struct secure *secure, struct secure_out *out)
{
    struct session *session = session_of(secure);
    if (session->failed || !session->handshake_done) {
        return SECURE_DONE;
    }
    session_begin(session, NULL, out);
    enum secure_step step = session_settle(session);
    if (step == SECURE_DONE) {
        int result = SSL_shutdown(session->ssl);
        step = result >= 0 ? SECURE_DONE : session_step(session, result);
    }
    return session_end(session, step == SECURE_MORE ? SECURE_DONE : step);
}

static void session_facts(const struct secure *secure, struct secure_facts *facts)
{
    const struct session *session = WEFT_CONTAINER_OF(secure, const struct session, secure);
    *facts = (struct secure_facts){0};
    snprintf(facts->version, sizeof facts->version, "%s", SSL_get_version(session->ssl));
    snprintf(facts->cipher, sizeof facts->cipher, "%s", SSL_get_cipher_name(session->ssl));
    facts->peer_verified =
        SSL_get0_peer_certificate(session->ssl) != NULL && SSL_get_verify_result(session->ssl) == X509_V_OK;
    facts->crl_expired = session->verdict.crl_expired;
    facts->own_not_after_s = describe_not_after_s(SSL_get_certificate(session->ssl));
    facts->peer_not_after_s = describe_not_after_s(SSL_get0_peer_certificate(session->ssl));
}

/* A session without a peer's certificate names nobody. */
static void session_identity(const struct secure *secure, const struct secure_wanted *wanted,
                             struct secure_identity *identity)
{
    const struct session *session = WEFT_CONTAINER_OF(secure, const struct session, secure);
    X509 *leaf = SSL_get0_peer_certificate(session->ssl);
    *identity = (struct secure_identity){0};
    if (leaf != NULL && SSL_get_verify_result(session->ssl) == X509_V_OK) {
        leaf_identity(leaf, wanted, identity);
    }
}

static void session_close(struct secure *secure)
{
    if (secure == NULL) {
        return;
    }
    struct session *session = session_of(secure);
    struct tls_context *context = session->context;
    WEFT_ASSERT(context->session_count > 0);
    context->session_count--;
    SSL_free(session->ssl);
    OPENSSL_cleanse(session, sizeof *session);
    free(session);
    if (context->session_count == 0 && context->unused != NULL) {
        context->unused(context);
    }
}

static const struct secure_ops session_ops = {
    .name = "openssl",
    .handshake = session_handshake,
    .seal = session_seal,
    .open = session_open,
    .shut = session_shut,
    .facts = session_facts,
    .identity = session_identity,
    .review = session_review,
    .age = session_age,
    .close = session_close,
};

/* Connect session, SSL and BIO with each other; on failure the caller frees session and SSL. */
static bool session_join(struct session *session, SSL_CTX *ssl_context)
{
    session->ssl = SSL_new(ssl_context);
    BIO *bio = session->ssl == NULL ? NULL : BIO_new(session->context->method);
    if (bio == NULL) {
        return false;
    }
    BIO_set_data(bio, session);
    SSL_set_bio(session->ssl, bio, bio);
    if (SSL_set_app_data(session->ssl, session) != 1) {
        return false;
    }
    if (session->server) {
        SSL_set_accept_state(session->ssl);
    } else {
        SSL_set_connect_state(session->ssl);
    }
    return true;
}

enum weft_err session_create(struct tls_context *context, bool server, struct secure **session, struct weft_error *why)
{
    *session = NULL;
    SSL_CTX *ssl_context = server ? context->server : context->client;
    if (ssl_context == NULL) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "TLS cannot be accepted without a certificate; set certificate and keyfile");
    }
    struct session *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for a TLS session");
    }
    made->secure.ops = &session_ops;
    made->context = context;
    made->judged = context->serial;
    made->server = server;
    ERR_clear_error();
    if (!session_join(made, ssl_context)) {
        SSL_free(made->ssl);
        free(made);
        return library_error(why, WEFT_ERR_NO_MEMORY, "no memory for a TLS session");
    }
    context->session_count++;
    *session = &made->secure;
    return WEFT_OK;
}
