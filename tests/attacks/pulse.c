/* SPDX-License-Identifier: Apache-2.0 */
/* A good client: one plain connection on which it calls ECHO again and again, and measures how long each call takes.
 *
 *     pulse ADDRESS PORT PID INTERVAL_US
 *
 * Each line on standard input is answered by one line about the calls since the last one: count, then microseconds: of
 * the longest call, and without what was the machine's doing, at the middle, at 99 %, and of the longest.  That is what
 * this process and process PID waited for a CPU meanwhile, and what a reference took at the same time: a child of this
 * process that does nothing but answer, over a connection of its own.  Ends with 0 at the end of input, and with 1 and
 * a line on standard error when the server does not behave.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX 65536u
#define ANSWER_TIMEOUT_MS 10000
#define PAYLOAD_BYTES 64u
#define REQUEST_BYTES (20u + PAYLOAD_BYTES)
#define RESPONSE_BYTES (12u + PAYLOAD_BYTES)
#define VERB_ECHO 2u

struct pulse {
    int socket;
    int reference;
    int pid;
    uint64_t next_id;
    uint32_t count;
    uint64_t longest_us;
    uint64_t stall_us;
    uint32_t samples[SAMPLES_MAX]; /* microseconds, of the last calls */
};

static void fail(const char *what)
{
    fprintf(stderr, "pulse: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* Nanoseconds that a thread has waited for a CPU; 0 if it is gone. */
static uint64_t run_delay_ns(const char *path)
{
    uint64_t ran = 0;
    uint64_t waited = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%" SCNu64 " %" SCNu64, &ran, &waited) != 2) {
        waited = 0;
    }
    fclose(file);
    return waited;
}

/* Of this process, and of all threads of the server. */
static uint64_t waited_us(int pid)
{
    char path[320];
    uint64_t waited = run_delay_ns("/proc/self/schedstat");
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    for (const struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        if (task->d_name[0] != '.') {
            snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, task->d_name);
            waited += run_delay_ns(path);
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return waited / 1000u;
}

static void receive(int from, uint8_t *to, size_t bytes)
{
    size_t have = 0;
    while (have < bytes) {
        struct pollfd ready = {.fd = from, .events = POLLIN};
        if (poll(&ready, 1, ANSWER_TIMEOUT_MS) != 1) {
            errno = ETIMEDOUT;
            fail("no answer");
        }
        ssize_t got = recv(from, to + have, bytes - have, 0);
        if (got <= 0) {
            fail(got == 0 ? "closed by the server" : "receive");
        }
        have += (size_t)got;
    }
}

static void send_all(int to, const uint8_t *from, size_t bytes)
{
    if (send(to, from, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) {
        fail("send");
    }
}

/* Answers each piece with itself, until the other end is gone. */
_Noreturn static void reference_run(int from)
{
    uint8_t piece[REQUEST_BYTES];
    ssize_t got;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while ((got = recv(from, piece, sizeof piece, 0)) > 0) {
        send_all(from, piece, (size_t)got);
    }
    _exit(0);
}

/* Starts the reference.  @return the connection to it */
static int reference_open(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof to;
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (const struct sockaddr *)&to, sizeof to) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&to, &bytes) != 0 ||
        connect(client, (const struct sockaddr *)&to, sizeof to) != 0) {
        fail("reference");
    }
    int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    close(listener);
    pid_t child = server >= 0 ? fork() : -1;
    if (child < 0) {
        fail("reference");
    }
    if (child == 0) {
        close(client);
        for (int standard = 0; standard <= 2; standard++) {
            close(standard); /* whoever reads ours sees our end */
        }
        reference_run(server);
    }
    close(server);
    return client;
}

/* When an answer has come from both; nothing is read. */
static void await_both(const struct pulse *pulse, uint64_t *server_us, uint64_t *reference_us)
{
    struct pollfd ready[] = {{.fd = pulse->socket, .events = POLLIN}, {.fd = pulse->reference, .events = POLLIN}};
    uint64_t *const came_us[] = {server_us, reference_us};
    for (int left = 2; left > 0;) {
        if (poll(ready, 2, ANSWER_TIMEOUT_MS) < 1) {
            errno = ETIMEDOUT;
            fail("no answer");
        }
        for (int i = 0; i < 2; i++) {
            if (ready[i].fd >= 0 && ready[i].revents != 0) {
                *came_us[i] = now_us();
                ready[i].fd = -1;
                left--;
            }
        }
    }
}

static void pulse_open(struct pulse *pulse, const char *address, uint16_t port)
{
    static const uint8_t negotiation[12] = "SSTARRPC"; /* no records */
    uint8_t answer[sizeof negotiation];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    pulse->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || pulse->socket < 0 ||
        connect(pulse->socket, (const struct sockaddr *)&to, sizeof to) != 0) {
        fail("connect");
    }
    setsockopt(pulse->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    send_all(pulse->socket, negotiation, sizeof negotiation);
    receive(pulse->socket, answer, sizeof answer);
    if (memcmp(answer, negotiation, sizeof negotiation) != 0) {
        fail("another answer than expected to the negotiation");
    }
}

static void pulse_beat(struct pulse *pulse)
{
    uint8_t request[REQUEST_BYTES] = {VERB_ECHO};
    uint8_t response[RESPONSE_BYTES];
    uint64_t id = ++pulse->next_id;
    memcpy(request + 8, &id, sizeof id); /* both ends of this test are little-endian */
    request[16] = PAYLOAD_BYTES;
    memset(request + 20, (int)(id & 0xff), PAYLOAD_BYTES);
    uint8_t same[sizeof request];
    uint64_t server_us;
    uint64_t reference_us;
    uint64_t waited_before = waited_us(pulse->pid);
    uint64_t began = now_us();
    send_all(pulse->socket, request, sizeof request);
    send_all(pulse->reference, request, sizeof request);
    await_both(pulse, &server_us, &reference_us);
    receive(pulse->socket, response, sizeof response);
    receive(pulse->reference, same, sizeof same);
    uint64_t took = server_us - began;
    uint64_t waited = waited_us(pulse->pid) - waited_before + (reference_us - began);
    if (memcmp(response, request + 8, 12) != 0 || memcmp(response + 12, request + 20, PAYLOAD_BYTES) != 0) {
        fail("a wrong answer");
    }
    uint64_t stall = took > waited ? took - waited : 0;
    pulse->samples[pulse->count++ % SAMPLES_MAX] = stall < UINT32_MAX ? (uint32_t)stall : UINT32_MAX;
    pulse->longest_us = took > pulse->longest_us ? took : pulse->longest_us;
    pulse->stall_us = stall > pulse->stall_us ? stall : pulse->stall_us;
}

static int compare_samples(const void *left, const void *right)
{
    uint32_t l = *(const uint32_t *)left;
    uint32_t r = *(const uint32_t *)right;
    return (l > r) - (l < r);
}

static void pulse_report(struct pulse *pulse)
{
    uint32_t kept = pulse->count < SAMPLES_MAX ? pulse->count : SAMPLES_MAX;
    qsort(pulse->samples, kept, sizeof pulse->samples[0], compare_samples);
    uint32_t middle = kept > 0 ? pulse->samples[kept / 2] : 0;
    uint32_t high = kept > 0 ? pulse->samples[(uint64_t)kept * 99 / 100] : 0;
    printf("%u %" PRIu64 " %u %u %" PRIu64 "\n", pulse->count, pulse->longest_us, middle, high, pulse->stall_us);
    fflush(stdout);
    pulse->count = 0;
    pulse->longest_us = 0;
    pulse->stall_us = 0;
}

/* Answer what stands on standard input.  @return false: it ended */
static bool pulse_asked(struct pulse *pulse)
{
    char asked[256];
    ssize_t got = read(STDIN_FILENO, asked, sizeof asked);
    for (ssize_t i = 0; i < got; i++) {
        if (asked[i] == '\n') {
            pulse_report(pulse);
        }
    }
    return got > 0;
}

static int pulse_timer(long interval_us)
{
    const struct timespec interval = {interval_us / 1000000, interval_us % 1000000 * 1000};
    const struct itimerspec beats = {interval, interval};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (timer < 0 || timerfd_settime(timer, 0, &beats, NULL) != 0) {
        fail("timer");
    }
    return timer;
}

int main(int argc, char **argv)
{
    static struct pulse pulse;
    if (argc != 5) {
        fprintf(stderr, "usage: pulse ADDRESS PORT PID INTERVAL_US\n");
        return 2;
    }
    pulse.pid = (int)strtol(argv[3], NULL, 10);
    pulse.reference = reference_open();
    pulse_open(&pulse, argv[1], (uint16_t)strtoul(argv[2], NULL, 10));
    struct pollfd waits[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                             {.fd = pulse_timer(strtol(argv[4], NULL, 10)), .events = POLLIN}};
    for (;;) {
        if (poll(waits, 2, -1) < 0) {
            fail("poll");
        }
        if (waits[1].revents != 0) {
            uint64_t beats;
            if (read(waits[1].fd, &beats, sizeof beats) == (ssize_t)sizeof beats) {
                pulse_beat(&pulse);
            }
        }
        if (waits[0].revents != 0 && !pulse_asked(&pulse)) {
            return 0;
        }
    }
}
