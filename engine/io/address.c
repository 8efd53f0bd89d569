/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text, as values and in the system's form.
 *
 * Happy path: text from a configuration file becomes a value, the value becomes a sockaddr.  Printing follows RFC 5952,
 * so that one address has one text everywhere.
 *
 * Failure modes: anything that is not exactly one numeric address is WEFT_ERR_INVALID and leaves family 0: names,
 * missing or doubled brackets, ports out of range, a scope where none belongs. */
#include "engine/io/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "engine/base/assert.h"

/* "65535". */
#define PORT_DIGITS_MAX 5u
/* "4294967295". */
#define SCOPE_DIGITS_MAX 10u

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Decimal digits only: no sign, no space, nothing behind. */
static bool number_parse(const char *text, uint32_t digits_max, uint64_t value_max, uint64_t *value)
{
    uint64_t sum = 0;
    uint32_t digits = 0;
    for (; text[digits] != '\0'; digits++) {
        if (digits == digits_max || text[digits] < '0' || text[digits] > '9') {
            return false;
        }
        sum = sum * 10 + (uint64_t)(text[digits] - '0');
    }
    *value = sum;
    return digits > 0 && sum <= value_max;
}

static bool is_link_local(const uint8_t ip[16])
{
    return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

/* A number, or the name of an interface. */
static bool scope_parse(const char *text, uint32_t *scope)
{
    uint64_t value;
    if (number_parse(text, SCOPE_DIGITS_MAX, UINT32_MAX, &value)) {
        *scope = (uint32_t)value;
    } else {
        *scope = if_nametoindex(text);
    }
    return *scope != 0;
}

static void address_set_ipv6(struct address *address, const uint8_t ip[16], uint32_t scope)
{
    if (memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0) {
        memcpy(address->ip, ip + sizeof mapped_prefix, 4);
        address->family = 4;
        return;
    }
    memcpy(address->ip, ip, 16);
    address->scope = scope;
    address->family = 6;
}

static enum weft_err ipv6_parse(struct address *address, char *text)
{
    uint8_t ip[16];
    uint32_t scope = 0;
    char *percent = strchr(text, '%');
    if (percent != NULL) {
        *percent = '\0';
        if (!scope_parse(percent + 1, &scope)) {
            return WEFT_ERR_INVALID;
        }
    }
    if (inet_pton(AF_INET6, text, ip) != 1 || (scope != 0 && !is_link_local(ip))) {
        return WEFT_ERR_INVALID;
    }
    address_set_ipv6(address, ip, scope);
    return WEFT_OK;
}

enum weft_err address_parse(struct address *address, const char *text, uint16_t port)
{
    char copy[ADDRESS_TEXT_BYTES];
    size_t bytes = strlen(text);
    enum weft_err err = WEFT_OK;
    memset(address, 0, sizeof *address);
    bool bracketed = bytes >= 2 && text[0] == '[' && text[bytes - 1] == ']';
    if (bracketed) {
        text++;
        bytes -= 2;
    }
    if (bytes >= sizeof copy) {
        return WEFT_ERR_INVALID;
    }
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    if (bracketed || strchr(copy, ':') != NULL) {
        err = ipv6_parse(address, copy);
    } else if (inet_pton(AF_INET, copy, address->ip) == 1) {
        address->family = 4;
    } else {
        err = WEFT_ERR_INVALID;
    }
    if (err == WEFT_OK) {
        address->port = port;
    }
    return err;
}

enum weft_err address_parse_with_port(struct address *address, const char *text)
{
    char host[ADDRESS_TEXT_BYTES];
    uint64_t port;
    memset(address, 0, sizeof *address);
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !number_parse(colon + 1, PORT_DIGITS_MAX, UINT16_MAX, &port)) {
        return WEFT_ERR_INVALID;
    }
    size_t bytes = (size_t)(colon - text);
    if (bytes >= sizeof host) {
        return WEFT_ERR_INVALID;
    }
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    /* Without brackets nobody can tell an IPv6 address's last group from a port. */
    if (host[0] != '[' && strchr(host, ':') != NULL) {
        return WEFT_ERR_INVALID;
    }
    return address_parse(address, host, (uint16_t)port);
}

/* Text that grows in a caller's array of ADDRESS_TEXT_BYTES. */
struct printer {
    char *text;
    uint32_t bytes;
};

static void print_char(struct printer *printer, char value)
{
    WEFT_ASSERT(printer->bytes + 1 < ADDRESS_TEXT_BYTES);
    printer->text[printer->bytes++] = value;
    printer->text[printer->bytes] = '\0';
}

static void print_number(struct printer *printer, uint32_t value, uint32_t base)
{
    static const char digits[] = "0123456789abcdef";
    char reversed[SCOPE_DIGITS_MAX];
    uint32_t count = 0;
    do {
        reversed[count++] = digits[value % base];
        value /= base;
    } while (value > 0);
    while (count > 0) {
        print_char(printer, reversed[--count]);
    }
}

static void print_ipv4(struct printer *printer, const uint8_t ip[4])
{
    for (uint32_t i = 0; i < 4; i++) {
        if (i > 0) {
            print_char(printer, '.');
        }
        print_number(printer, ip[i], 10);
    }
}

static uint32_t ipv6_group(const uint8_t ip[16], uint32_t index)
{
    return (uint32_t)ip[2 * index] << 8 | ip[2 * index + 1];
}

/* The longest run of two or more zero groups, the first of equals; if there is none, begin is 8 and count is 0. */
static void ipv6_longest_zeros(const uint8_t ip[16], uint32_t *begin, uint32_t *count)
{
    *begin = 8;
    *count = 0;
    uint32_t run = 0;
    for (uint32_t i = 0; i < 8; i++) {
        run = ipv6_group(ip, i) == 0 ? run + 1 : 0;
        if (run >= 2 && run > *count) {
            *count = run;
            *begin = i + 1 - run;
        }
    }
}

static void print_ipv6(struct printer *printer, const struct address *address)
{
    uint32_t zeros_begin;
    uint32_t zeros_count;
    ipv6_longest_zeros(address->ip, &zeros_begin, &zeros_count);
    for (uint32_t i = 0; i < 8;) {
        if (i == zeros_begin) {
            print_char(printer, ':');
            print_char(printer, ':');
            i += zeros_count;
            continue;
        }
        if (i > 0 && i != zeros_begin + zeros_count) {
            print_char(printer, ':');
        }
        print_number(printer, ipv6_group(address->ip, i), 16);
        i++;
    }
    if (address->scope != 0) {
        print_char(printer, '%');
        print_number(printer, address->scope, 10);
    }
}

static void print_ip(struct printer *printer, const struct address *address)
{
    if (address->family == 4) {
        print_ipv4(printer, address->ip);
    } else if (address->family == 6) {
        print_ipv6(printer, address);
    } else {
        print_char(printer, '-');
    }
}

void address_print_ip(const struct address *address, char text[ADDRESS_TEXT_BYTES])
{
    struct printer printer = {text, 0};
    print_ip(&printer, address);
}

void address_print(const struct address *address, char text[ADDRESS_TEXT_BYTES])
{
    struct printer printer = {text, 0};
    if (address->family == 6) {
        print_char(&printer, '[');
    }
    print_ip(&printer, address);
    if (address->family == 6) {
        print_char(&printer, ']');
    }
    if (address->family != 0) {
        print_char(&printer, ':');
        print_number(&printer, address->port, 10);
    }
}

bool address_same_ip(const struct address *a, const struct address *b)
{
    if (a->family != b->family) {
        return false;
    }
    switch (a->family) {
    case 4:
        return memcmp(a->ip, b->ip, 4) == 0;
    case 6:
        return memcmp(a->ip, b->ip, 16) == 0 && a->scope == b->scope;
    default:
        return true;
    }
}

bool address_is_any(const struct address *address)
{
    static const uint8_t any[16] = {0};
    return address->family != 0 && memcmp(address->ip, any, address->family == 4 ? 4 : 16) == 0;
}

bool address_is_group(const struct address *address)
{
    static const uint8_t broadcast[4] = {255, 255, 255, 255};
    if (address->family == 4) {
        return (address->ip[0] & 0xf0) == 0xe0 || memcmp(address->ip, broadcast, sizeof broadcast) == 0;
    }
    return address->family == 6 && address->ip[0] == 0xff;
}

bool address_is_link_local(const struct address *address)
{
    return address->family == 6 && address->ip[0] == 0xfe && (address->ip[1] & 0xc0) == 0x80;
}

bool address_is_loopback(const struct address *address)
{
    static const uint8_t loopback[16] = {[15] = 1};
    if (address->family == 4) {
        return address->ip[0] == 127;
    }
    return address->family == 6 && memcmp(address->ip, loopback, 16) == 0;
}

uint32_t address_to_system(const struct address *address, struct sockaddr_storage *storage)
{
    memset(storage, 0, sizeof *storage);
    if (address->family == 4) {
        struct sockaddr_in *ipv4 = (struct sockaddr_in *)storage;
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(address->port);
        memcpy(&ipv4->sin_addr, address->ip, 4);
        return sizeof *ipv4;
    }
    if (address->family == 6) {
        struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)storage;
        ipv6->sin6_family = AF_INET6;
        ipv6->sin6_port = htons(address->port);
        ipv6->sin6_scope_id = address->scope;
        memcpy(&ipv6->sin6_addr, address->ip, 16);
        return sizeof *ipv6;
    }
    return 0;
}

bool address_from_system(struct address *address, const struct sockaddr_storage *storage)
{
    memset(address, 0, sizeof *address);
    if (storage->ss_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)storage;
        memcpy(address->ip, &ipv4->sin_addr, 4);
        address->port = ntohs(ipv4->sin_port);
        address->family = 4;
        return true;
    }
    if (storage->ss_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)storage;
        address_set_ipv6(address, (const uint8_t *)&ipv6->sin6_addr, ipv6->sin6_scope_id);
        address->port = ntohs(ipv6->sin6_port);
        return true;
    }
    return false;
}
