/* SPDX-License-Identifier: Apache-2.0 */
/* A client that gives up: connects and resets the connection, again and again, each time at the next of all points at
 * which a connection can end.
 *
 *     abort_cycles ADDRESS PORT TLS_PORT COUNT
 *
 * Prints the points and how often each was reached; 1 if one was not, with the reason on standard error.  Every end is
 * a reset (SO_LINGER 0), so that no TIME_WAIT uses up the ports; the source addresses change all the time as well.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#define ANSWER_TIMEOUT_S 10
#define VERB_ECHO 2u
#define VERB_SOURCE 6u
#define VERB_SLEEP 7u
#define HELLO_BYTES_MAX 4096

struct client {
    struct sockaddr_in plain;
    struct sockaddr_in tls;
    SSL_CTX *context;
    uint8_t hello[HELLO_BYTES_MAX]; /* the first bytes of a TLS client */
    size_t hello_bytes;
    uint32_t cycle;
    int socket;
    SSL *session;
};

static const uint8_t negotiation[12] = "SSTARRPC"; /* no records */

static bool failed(const char *what)
{
    fprintf(stderr, "abort_cycles: %s: %s\n", what, strerror(errno));
    return false;
}

/* From another source address each time; the port is chosen when the connection is. */
static bool client_connect(struct client *client, const struct sockaddr_in *to)
{
    const struct timeval timeout = {ANSWER_TIMEOUT_S, 0};
    const struct linger reset = {1, 0};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int on = 1;
    from.sin_addr.s_addr = htonl(0x7f210000u | (client->cycle % 250u + 1u)); /* 127.33.0.x */
    client->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->socket < 0) {
        return failed("socket");
    }
    setsockopt(client->socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(client->socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(client->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(client->socket, (const struct sockaddr *)&from, sizeof from) != 0 ||
        connect(client->socket, (const struct sockaddr *)to, sizeof *to) != 0) {
        return failed("connect");
    }
    return true;
}

static bool client_send(struct client *client, const void *bytes, size_t count)
{
    return send(client->socket, bytes, count, MSG_NOSIGNAL) == (ssize_t)count || failed("send");
}

static bool client_negotiate(struct client *client)
{
    uint8_t answer[sizeof negotiation];
    if (!client_connect(client, &client->plain) || !client_send(client, negotiation, sizeof negotiation)) {
        return false;
    }
    return recv(client->socket, answer, sizeof answer, MSG_WAITALL) == (ssize_t)sizeof answer || failed("negotiation");
}

/* The first bytes of a request with a payload of the given length. */
static size_t request_head(uint8_t *to, uint8_t verb, uint32_t length)
{
    memset(to, 0, 20);
    to[0] = verb;
    to[8] = 1;
    memcpy(to + 16, &length, sizeof length); /* both ends of this test are little-endian */
    return 20;
}

static bool after_syn(struct client *client)
{
    struct sockaddr_in to = client->plain;
    client->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return connect(client->socket, (const struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS ||
           failed("connect");
}

static bool after_connect(struct client *client)
{
    return client_connect(client, &client->plain);
}

static bool mid_negotiation(struct client *client)
{
    return client_connect(client, &client->plain) && client_send(client, negotiation, 7);
}

static bool after_offer(struct client *client)
{
    return client_connect(client, &client->plain) && client_send(client, negotiation, sizeof negotiation);
}

static bool after_negotiation(struct client *client)
{
    return client_negotiate(client);
}

static bool mid_request_header(struct client *client)
{
    uint8_t head[20];
    request_head(head, VERB_ECHO, 100);
    return client_negotiate(client) && client_send(client, head, 11);
}

static bool mid_payload(struct client *client)
{
    static uint8_t request[20 + 30000];
    request_head(request, VERB_ECHO, 100000);
    return client_negotiate(client) && client_send(client, request, sizeof request);
}

static bool answer_pending(struct client *client)
{
    uint8_t request[28];
    const uint64_t us = 30000;
    size_t bytes = request_head(request, VERB_SLEEP, sizeof us);
    memcpy(request + bytes, &us, sizeof us);
    return client_negotiate(client) && client_send(client, request, sizeof request);
}

static bool answer_half_read(struct client *client)
{
    uint8_t request[24];
    uint8_t some[1000];
    const uint32_t length = 1u << 20;
    size_t bytes = request_head(request, VERB_SOURCE, sizeof length);
    memcpy(request + bytes, &length, sizeof length);
    return client_negotiate(client) && client_send(client, request, sizeof request) &&
           (recv(client->socket, some, sizeof some, 0) > 0 || failed("answer"));
}

static bool acceptor_closes_first(struct client *client)
{
    uint8_t none;
    return client_connect(client, &client->plain) && client_send(client, "GET /", 5) &&
           (recv(client->socket, &none, 1, 0) <= 0 || failed("an answer"));
}

static bool mid_tls_hello(struct client *client)
{
    return client_connect(client, &client->tls) && client_send(client, client->hello, client->hello_bytes / 2);
}

static bool after_tls_hello(struct client *client)
{
    return client_connect(client, &client->tls) && client_send(client, client->hello, client->hello_bytes);
}

static bool after_tls_answer(struct client *client)
{
    uint8_t some[16];
    return after_tls_hello(client) && (recv(client->socket, some, sizeof some, 0) > 0 || failed("TLS answer"));
}

static bool after_tls_handshake(struct client *client)
{
    if (!client_connect(client, &client->tls)) {
        return false;
    }
    client->session = SSL_new(client->context);
    return (SSL_set_fd(client->session, client->socket) == 1 && SSL_connect(client->session) == 1) || failed("TLS");
}

static bool mid_tls_request(struct client *client)
{
    uint8_t offer_and_head[sizeof negotiation + 20];
    memcpy(offer_and_head, negotiation, sizeof negotiation);
    request_head(offer_and_head + sizeof negotiation, VERB_ECHO, 100);
    return after_tls_handshake(client) &&
           (SSL_write(client->session, offer_and_head, sizeof offer_and_head) == (int)sizeof offer_and_head ||
            failed("TLS write"));
}

static const struct point {
    const char *name;
    bool (*reach)(struct client *client);
} points[] = {
    {"after_syn", after_syn},
    {"after_connect", after_connect},
    {"mid_negotiation", mid_negotiation},
    {"after_offer", after_offer},
    {"after_negotiation", after_negotiation},
    {"mid_request_header", mid_request_header},
    {"mid_payload", mid_payload},
    {"answer_pending", answer_pending},
    {"answer_half_read", answer_half_read},
    {"acceptor_closes_first", acceptor_closes_first},
    {"mid_tls_hello", mid_tls_hello},
    {"after_tls_hello", after_tls_hello},
    {"after_tls_answer", after_tls_answer},
    {"after_tls_handshake", after_tls_handshake},
    {"mid_tls_request", mid_tls_request},
};

#define POINTS (sizeof points / sizeof points[0])

static void client_abort(struct client *client)
{
    SSL_free(client->session);
    client->session = NULL;
    if (client->socket >= 0) {
        close(client->socket);
        client->socket = -1;
    }
}

static bool client_prepare(struct client *client, char **argv)
{
    client->plain =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10))};
    client->tls = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10))};
    client->socket = -1;
    client->context = SSL_CTX_new(TLS_client_method());
    if (inet_pton(AF_INET, argv[1], &client->plain.sin_addr) != 1 || client->context == NULL) {
        return failed("address");
    }
    client->tls.sin_addr = client->plain.sin_addr;
    SSL *session = SSL_new(client->context);
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(session, BIO_new(BIO_s_mem()), out);
    SSL_connect(session); /* gets as far as its hello */
    int bytes = BIO_read(out, client->hello, sizeof client->hello);
    SSL_free(session);
    client->hello_bytes = bytes > 0 ? (size_t)bytes : 0;
    return client->hello_bytes > 100;
}

int main(int argc, char **argv)
{
    static struct client client;
    uint32_t reached[POINTS] = {0};
    if (argc != 5 || !client_prepare(&client, argv)) {
        fprintf(stderr, "usage: abort_cycles ADDRESS PORT TLS_PORT COUNT\n");
        return 2;
    }
    uint32_t count = (uint32_t)strtoul(argv[4], NULL, 10);
    for (client.cycle = 0; client.cycle < count; client.cycle++) {
        uint32_t at = client.cycle % POINTS;
        bool fine = points[at].reach(&client);
        reached[at] += fine;
        if (!fine) {
            fprintf(stderr, "abort_cycles: cycle %u, %s\n", client.cycle, points[at].name);
            return 1;
        }
        client_abort(&client);
    }
    SSL_CTX_free(client.context);
    for (size_t i = 0; i < POINTS; i++) {
        printf("%s %u\n", points[i].name, reached[i]);
    }
    return 0;
}
