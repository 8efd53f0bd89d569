/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what libssl calls back while a session's call runs: the BIO that stands on the caller's buffers, and the notes
 * for error texts and limits.  Outside of a call the BIO has neither input nor room. */
#include <string.h>

#include "engine/base/limits.h"
#include "tls/openssl_describe.h"
#include "tls/openssl_session.h"

static int bio_read(BIO *bio, char *to, int bytes)
{
    struct session *session = BIO_get_data(bio);
    struct secure_in *in = session->in;
    BIO_clear_retry_flags(bio);
    if (session->flooded) {
        return -1;
    }
    if (in == NULL || in->bytes == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    uint32_t moved = (uint32_t)bytes < in->bytes ? (uint32_t)bytes : in->bytes;
    memcpy(to, in->data, moved);
    in->data += moved;
    in->bytes -= moved;
    return (int)moved;
}

static int bio_write(BIO *bio, const char *from, int bytes)
{
    struct session *session = BIO_get_data(bio);
    struct secure_out *out = session->out;
    BIO_clear_retry_flags(bio);
    uint32_t room = out == NULL ? 0 : out_room(out);
    if (room == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    uint32_t moved = (uint32_t)bytes < room ? (uint32_t)bytes : room;
    memcpy(out->data + out->used, from, moved);
    out->used += moved;
    return (int)moved;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *session_method_new(void)
{
    /* The plain type without an index: indices are process-wide and never come back. */
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "weft buffers");
    if (method != NULL) {
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_ctrl(method, bio_control);
        BIO_meth_set_create(method, bio_create);
    }
    return method;
}

int session_verify(X509_STORE_CTX *verification, void *ctx)
{
    const struct tls_context *context = ctx;
    SSL *ssl = X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct session *session = SSL_get_app_data(ssl);
    verify_chain(verification, &context->rules, session->server, &context->revocation, &session->verdict);
    return session->verdict.reason == WEFT_REASON_NONE;
}

int session_certificate_asked(SSL *ssl, void *ctx)
{
    (void)ctx;
    struct session *session = SSL_get_app_data(ssl);
    session->certificate_asked = true;
    return 1;
}

void session_message(int written, int version, int type, const void *message, size_t bytes, SSL *ssl, void *ctx)
{
    (void)version;
    (void)message;
    (void)bytes;
    (void)ctx;
    struct session *session = SSL_get_app_data(ssl);
    if (written == 0 && type == SSL3_RT_HANDSHAKE && session->handshake_done) {
        session->messages++;
        session->flooded = session->messages > TLS_MESSAGES_MAX + session->open_records / TLS_MESSAGE_RECORDS;
    }
}
