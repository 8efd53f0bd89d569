/* SPDX-License-Identifier: Apache-2.0 */
/* A socket address of IPv4 or IPv6, compared and printed without the system. */
#ifndef ENGINE_IO_ADDRESS_H
#define ENGINE_IO_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <weft/error.h>

/* Longest printed form: "[ipv6%scope]:port" with NUL. */
#define ADDRESS_TEXT_BYTES 72

/* family 0 is no address.  IPv4-mapped IPv6 is stored as IPv4. */
struct address {
    uint8_t ip[16]; /* network order; IPv4 uses the first four */
    uint32_t scope; /* IPv6 link-local scope */
    uint16_t port;  /* host order */
    uint8_t family; /* 0, 4 or 6 */
};

/* Parse a numeric address without port; "[::1]" and "::1" are both fine. */
WEFT_NODISCARD enum weft_err address_parse(struct address *address, const char *text, uint16_t port);
/* Parse "host:port" or "[v6]:port", numeric. */
WEFT_NODISCARD enum weft_err address_parse_with_port(struct address *address, const char *text);
/* "127.0.0.1:7000"; "[::1]:7000". */
void address_print(const struct address *address, char text[ADDRESS_TEXT_BYTES]);
/* Without the port. */
void address_print_ip(const struct address *address, char text[ADDRESS_TEXT_BYTES]);
/* The same IP, whatever the port. */
bool address_same_ip(const struct address *a, const struct address *b);
bool address_is_any(const struct address *address);
/* Multicast or broadcast: no single node has it. */
bool address_is_group(const struct address *address);
/* An IPv6 address that every interface has anew; scope says which. */
bool address_is_link_local(const struct address *address);
bool address_is_loopback(const struct address *address);

/* To and from the system's form.  from returns false for other families. */
uint32_t address_to_system(const struct address *address, struct sockaddr_storage *storage);
bool address_from_system(struct address *address, const struct sockaddr_storage *storage);

#endif
