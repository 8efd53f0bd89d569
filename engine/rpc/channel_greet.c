/* SPDX-License-Identifier: Apache-2.0 */
/* The negotiation: one frame each way, and the decision whether the peer may stay.
 *
 * Happy path, dialer: opened, offer sent, answer read, admitted, up.  Acceptor: offer read, admitted, answer sent, up.
 * Failure modes: a wrong first byte, a broken frame or a stream's connection end without an answer; a refusal is
 * answered by a REFUSAL record where the peer speaks weft, and both sides log the same reason; a peer that says
 * nothing runs into the deadline. */
#include <string.h>

#include "engine/base/error.h"
#include "engine/reactor/engine.h"
#include "engine/rpc/channel.h"
#include "engine/rpc/first_bytes.h"

/* A dialer whose certificate is refused is told so in answer to its offer, which comes with the end of the handshake or
 * a round trip later. */
#define UNPROVEN_OFFER_NS UINT64_C(1000000000)

struct channel_greeting {
    struct negotiation_reader reader;
    struct negotiation theirs;
    bool first_bytes_seen;
    enum first_bytes first_bytes;
};

static struct channel_greeting *greeting_of(struct channel *channel)
{
    if (channel->greeting == NULL) {
        uint8_t *memory = arena_take(&channel->rpc->shard->arena, sizeof(struct channel_greeting));
        if (memory == NULL) {
            conn_abort(&channel->conn, WEFT_ERR_NO_MEMORY, WEFT_REASON_OUT_OF_BUFFERS);
            return NULL;
        }
        channel->greeting = (struct channel_greeting *)(void *)memory;
        memset(channel->greeting, 0, sizeof *channel->greeting);
        negotiation_reader_init(&channel->greeting->reader);
    }
    return channel->greeting;
}

void channel_greet_end(struct channel *channel)
{
    if (channel->greeting != NULL) {
        arena_give_back(&channel->rpc->shard->arena, (uint8_t *)channel->greeting);
        channel->greeting = NULL;
    }
}

static void greet_send(struct channel *channel, const struct negotiation *own)
{
    uint8_t frame[NEGOTIATION_WRITE_BYTES_MAX];
    uint32_t bytes = negotiation_write(own, frame, sizeof frame);
    WEFT_ASSERT(bytes > 0);
    if (conn_send(&channel->conn, (struct weft_span){frame, bytes}, (struct weft_span){NULL, 0}) != WEFT_OK) {
        conn_abort(&channel->conn, WEFT_ERR_NO_MEMORY, WEFT_REASON_OUT_OF_BUFFERS);
    }
}

/* What the certificate alone decides.  A dialer says nothing to a stranger; an acceptor waits for the offer, so that
 * the reason can be told, but whatever comes instead ends by that reason, too.  @return whether to go on */
static bool greet_proven(struct channel *channel, uint64_t *offer_ns)
{
    struct conn *conn = &channel->conn;
    enum weft_reason reason = WEFT_REASON_NONE;
    if (conn->secure != NULL && channel->events->secured != NULL) {
        reason = channel->events->secured(channel);
    }
    if (reason == WEFT_REASON_NONE) {
        return true;
    }
    weft_error_set_reason(&conn->error, WEFT_ERR_REFUSED, reason, "%s", weft_reason_name(reason));
    if (!conn->accepted) {
        channel->state = CHANNEL_REFUSING;
        conn_close(conn, reason);
        return false;
    }
    channel->unproven = reason;
    *offer_ns = *offer_ns < UNPROVEN_OFFER_NS ? *offer_ns : UNPROVEN_OFFER_NS;
    return true;
}

void channel_greet_opened(struct channel *channel)
{
    uint64_t offer_ns = channel->rpc->net->options.handshake_timeout_ns;
    if (channel->state != CHANNEL_GREETING) {
        return; /* the offer came along with the end of the handshake */
    }
    if (!greet_proven(channel, &offer_ns)) {
        return;
    }
    conn_deadline_start(&channel->conn, offer_ns, WEFT_REASON_HELLO_TIMEOUT);
    if (!channel->conn.accepted) {
        struct negotiation own;
        memset(&own, 0, sizeof own);
        channel->events->introduce(channel, NULL, &own);
        channel->offered = true;
        greet_send(channel, &own);
    }
}

static void greet_up(struct channel *channel, const struct negotiation *agreed)
{
    channel->timeout_negotiated = agreed->timeout;
    channel->duration_negotiated = agreed->handler_duration;
    if (channel->conn.accepted) {
        uint32_t header_bytes = wire_request_bytes(agreed->timeout);
        frame_reader_init(&channel->reader, header_bytes, header_bytes - 4);
    } else {
        frame_reader_init(&channel->reader, wire_response_bytes(agreed->handler_duration), 8);
    }
    conn_deadline_stop(&channel->conn);
    channel->state = CHANNEL_UP;
    channel->events->up(channel);
}

static void greet_note_peer(struct channel *channel, const struct negotiation *theirs)
{
    channel->peer_hello = theirs->has_hello;
    if (theirs->has_hello) {
        memcpy(channel->peer_id, theirs->hello.id, UUID_BYTES);
        channel->peer_incarnation = theirs->hello.incarnation;
        channel->peer_shards = theirs->hello.shards;
        channel->peer_shard = theirs->hello.shard;
        channel->peer_wanted = theirs->hello.wanted_shard;
        if (channel->peer_wanted < channel->rpc->shard->engine->options.shard_count) {
            channel->serving_shard = channel->peer_wanted;
        }
    }
}

/* Refuse a peer: tell it if it speaks weft, then close in good order. */
static void greet_refuse(struct channel *channel, const struct negotiation *offer, enum weft_reason reason)
{
    weft_error_set_reason(&channel->conn.error, WEFT_ERR_REFUSED, reason, "%s", weft_reason_name(reason));
    channel->state = CHANNEL_REFUSING;
    if (channel->conn.accepted && offer->has_hello) {
        struct negotiation answer;
        memset(&answer, 0, sizeof answer);
        answer.has_refusal = true;
        answer.refusal = channel->events->disclose(channel, reason);
        greet_send(channel, &answer);
    }
    conn_close(&channel->conn, reason);
}

static void greet_accept(struct channel *channel, const struct negotiation *offer)
{
    if (offer->has_stream_parent) {
        conn_close(&channel->conn, WEFT_REASON_STREAMS_UNSUPPORTED);
        return;
    }
    greet_note_peer(channel, offer);
    enum weft_reason reason = channel->misdirected                    ? WEFT_REASON_PLAINTEXT_ON_TLS_PORT
                              : channel->unproven != WEFT_REASON_NONE ? channel->unproven
                                                                      : channel->events->admit(channel, offer);
    if (reason != WEFT_REASON_NONE) {
        greet_refuse(channel, offer, reason);
        return;
    }
    struct negotiation answer;
    memset(&answer, 0, sizeof answer);
    answer.timeout = offer->timeout;
    answer.handler_duration = offer->handler_duration;
    answer.has_cookie = offer->has_cookie;
    answer.cookie_bytes = offer->cookie_bytes;
    memcpy(answer.cookie, offer->cookie, offer->cookie_bytes);
    channel->events->introduce(channel, offer, &answer);
    greet_send(channel, &answer);
    if (channel->conn.state == CONN_OPEN) {
        greet_up(channel, &answer);
    }
}

static void greet_answered(struct channel *channel, const struct negotiation *answer)
{
    greet_note_peer(channel, answer);
    if (answer->has_refusal) {
        channel->refused_by_peer = true;
        weft_error_set_reason(&channel->conn.error, WEFT_ERR_REFUSED, answer->refusal, "refused by the peer: %s",
                              weft_reason_name(answer->refusal));
        conn_abort(&channel->conn, WEFT_ERR_REFUSED, answer->refusal);
        return;
    }
    if (answer->has_compress) { /* nobody offered it, and from here on everything would be wrapped */
        weft_error_set_reason(&channel->conn.error, WEFT_ERR_PROTOCOL, WEFT_REASON_BAD_NEGOTIATION,
                              "the peer compresses what comes, which nobody offered");
        conn_abort(&channel->conn, WEFT_ERR_PROTOCOL, WEFT_REASON_BAD_NEGOTIATION);
        return;
    }
    channel->connection_id = answer->has_connection_id ? answer->connection_id : 0;
    enum weft_reason reason = channel->events->admit(channel, answer);
    if (reason != WEFT_REASON_NONE) {
        greet_refuse(channel, answer, reason);
        return;
    }
    greet_up(channel, answer);
}

/* TLS on a plain port is answered in its own language, by an alert that no TLS server gives to a hello: unexpected
 * message, fatal.  A dialer of ours knows by it what happened. */
static void greet_tls_on_plain(struct channel *channel, enum first_bytes kind)
{
    static const uint8_t alert[] = {0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x0a};
    weft_error_set_reason(&channel->conn.error, WEFT_ERR_REFUSED, WEFT_REASON_TLS_ON_PLAINTEXT_PORT,
                          "the peer sends %s to the plaintext port; TLS goes to ssl_storage_port",
                          first_bytes_words(kind));
    if (conn_send(&channel->conn, (struct weft_span){alert, sizeof alert}, (struct weft_span){NULL, 0}) != WEFT_OK) {
        conn_abort(&channel->conn, WEFT_ERR_REFUSED, WEFT_REASON_TLS_ON_PLAINTEXT_PORT);
        return;
    }
    channel->state = CHANNEL_REFUSING;
    conn_close(&channel->conn, WEFT_REASON_TLS_ON_PLAINTEXT_PORT);
}

static bool greet_is_tls_on_plain(const struct channel *channel, enum first_bytes kind)
{
    return channel->conn.accepted && channel->conn.secure == NULL && !channel->misdirected &&
           (kind == FIRST_BYTES_TLS_HANDSHAKE || kind == FIRST_BYTES_SSL2);
}

/* The peer does not speak our protocol: what it speaks instead says what to put right. */
static void greet_misunderstood(struct channel *channel, const struct channel_greeting *greeting, enum weft_reason why)
{
    enum first_bytes kind = greeting->first_bytes;
    struct weft_error *error = &channel->conn.error;
    if (channel->misdirected && kind == FIRST_BYTES_SSL2) {
        weft_error_set_reason(error, WEFT_ERR_PROTOCOL, WEFT_REASON_TLS_VERSION,
                              "the peer sends %s (TLS 1.2 and 1.3 are accepted)", first_bytes_words(kind));
    } else if (channel->misdirected) {
        weft_error_set_reason(error, WEFT_ERR_PROTOCOL, WEFT_REASON_PLAINTEXT_ON_TLS_PORT,
                              "the peer sends %s to the TLS port", first_bytes_words(kind));
    } else if (!channel->conn.accepted && channel->conn.secure == NULL && first_bytes_are_tls(kind)) {
        weft_error_set_reason(error, WEFT_ERR_PROTOCOL, WEFT_REASON_PLAINTEXT_ON_TLS_PORT,
                              "the peer answers plaintext with %s: is this its ssl_storage_port?",
                              first_bytes_words(kind));
    } else if (why == WEFT_REASON_BAD_MAGIC) {
        weft_error_set_reason(error, WEFT_ERR_PROTOCOL, why, "the peer %s %s",
                              channel->conn.accepted ? "sends" : "answers with", first_bytes_words(kind));
    } else {
        weft_error_set_reason(error, WEFT_ERR_PROTOCOL, why, "the peer's negotiation %s", greeting->reader.said);
    }
    conn_abort(&channel->conn, WEFT_ERR_PROTOCOL, why);
}

void channel_greet_received(struct channel *channel, struct weft_span *bytes)
{
    if (!channel->conn.accepted && !channel->offered) { /* an answer to what was not said yet is none */
        weft_error_set_reason(&channel->conn.error, WEFT_ERR_PROTOCOL, WEFT_REASON_BAD_NEGOTIATION,
                              "the peer speaks before it was asked; the dialer begins");
        conn_abort(&channel->conn, WEFT_ERR_PROTOCOL, WEFT_REASON_BAD_NEGOTIATION);
        return;
    }
    struct channel_greeting *greeting = greeting_of(channel);
    if (greeting == NULL) {
        return;
    }
    if (!greeting->first_bytes_seen) {
        greeting->first_bytes_seen = true;
        greeting->first_bytes = first_bytes_tell(*bytes);
        if (greet_is_tls_on_plain(channel, greeting->first_bytes)) {
            greet_tls_on_plain(channel, greeting->first_bytes);
            return;
        }
    }
    uint32_t taken = 0;
    enum weft_reason why = WEFT_REASON_NONE;
    enum negotiation_step step = negotiation_read(&greeting->reader, *bytes, &taken, &greeting->theirs, &why);
    bytes->data += taken;
    bytes->bytes -= taken;
    if (step == NEGOTIATION_MORE) {
        return;
    }
    if (step == NEGOTIATION_BAD) {
        greet_misunderstood(channel, greeting, why);
        return;
    }
    if (channel->conn.accepted) {
        greet_accept(channel, &greeting->theirs);
    } else {
        greet_answered(channel, &greeting->theirs);
    }
    channel_greet_end(channel);
}
