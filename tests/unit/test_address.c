/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: one address has one value and one text, and everything that is not exactly an address is refused.
 * Method: tables of texts with the expected print or refusal; round trips through the system's form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "engine/io/address.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct address parsed(const char *text)
{
    struct address address;
    assert_int_equal(address_parse_with_port(&address, text), WEFT_OK);
    return address;
}

static void address__numeric_text__prints_shortest_form(void **state)
{
    static const struct {
        const char *text;
        const char *printed;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1:7000"},
        {"0.0.0.0", "0.0.0.0:7000"},
        {"255.255.255.255", "255.255.255.255:7000"},
        {"::1", "[::1]:7000"},
        {"[::1]", "[::1]:7000"},
        {"::", "[::]:7000"},
        {"1::", "[1::]:7000"},
        {"2001:DB8:0:0:0:0:0:1", "[2001:db8::1]:7000"},
        {"2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]:7000"},
        {"2001:0:0:1:0:0:0:1", "[2001:0:0:1::1]:7000"},
        {"2001:db8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]:7000"},
        {"1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]:7000"},
        {"1:2:3:4:5:6:0:0", "[1:2:3:4:5:6::]:7000"},
        {"0:0:3:4:5:6:7:8", "[::3:4:5:6:7:8]:7000"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:7000"},
        {"::ffff:10.0.0.1", "10.0.0.1:7000"},
        {"[::ffff:a00:1]", "10.0.0.1:7000"},
        {"fe80::1%4294967295", "[fe80::1%4294967295]:7000"},
        {"[fe80::2%7]", "[fe80::2%7]:7000"},
        {"fe80:1111:2222:3333:4444:5555:6666:7777%4294967295",
         "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:7000"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address address;
        struct address again;
        char text[ADDRESS_TEXT_BYTES];
        assert_int_equal(address_parse(&address, cases[i].text, 7000), WEFT_OK);
        address_print(&address, text);
        assert_string_equal(text, cases[i].printed);
        assert_int_equal(address_parse_with_port(&again, text), WEFT_OK);
        assert_memory_equal(&address, &again, sizeof address);
        address_print_ip(&address, text);
        assert_int_equal(address_parse(&again, text, 7000), WEFT_OK);
        assert_memory_equal(&address, &again, sizeof address);
    }
}

static void address__not_numeric__refused(void **state)
{
    static const char *const cases[] = {
        "",
        "localhost",
        "127.0.0",
        "127.0.0.1.5",
        "127.0.0.256",
        "127.0.0.01",
        " 127.0.0.1",
        "127.0.0.1 ",
        "127.1",
        "0x7f.0.0.1",
        "[127.0.0.1]",
        "[::1",
        "::1]",
        "[]",
        "[[::1]]",
        ":::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "::g",
        "12345::",
        "::1%1",
        "10.0.0.1%1",
        "fe80::1%",
        "fe80::1%0",
        "fe80::1%4294967296",
        "fe80::1%-1",
        "fe80::1%no_such_interface",
        "127.0.0.1:7000",
        "::ffff:10.0.0.1%3",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001"};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address address;
        memset(&address, 0xaa, sizeof address);
        assert_int_equal(address_parse(&address, cases[i], 1), WEFT_ERR_INVALID);
        assert_int_equal(address.family, 0);
    }
}

static void address__interface_name_as_scope__becomes_number(void **state)
{
    struct address address;
    (void)state;
    assert_int_equal(address_parse(&address, "fe80::1%lo", 1), WEFT_OK);
    assert_int_not_equal(address.scope, 0);
}

static void port__decimal_up_to_65535__read(void **state)
{
    (void)state;
    assert_int_equal(parsed("127.0.0.1:0").port, 0);
    assert_int_equal(parsed("127.0.0.1:65535").port, 65535);
    assert_int_equal(parsed("[2001:db8::1]:7001").port, 7001);
    assert_int_equal(parsed("127.0.0.1:00080").port, 80);
}

static void port__missing_or_odd__refused(void **state)
{
    static const char *const cases[] = {"",
                                        ":",
                                        ":1",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:000001",
                                        "127.0.0.1:+1",
                                        "127.0.0.1:-1",
                                        "127.0.0.1: 1",
                                        "127.0.0.1:1 ",
                                        "127.0.0.1:1x",
                                        "::1:7000",
                                        "[::1]",
                                        "[::1]7000",
                                        "[::1]:",
                                        "host:1",
                                        "127.0.0.1:1:2"};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address address;
        memset(&address, 0xaa, sizeof address);
        assert_int_equal(address_parse_with_port(&address, cases[i]), WEFT_ERR_INVALID);
        assert_int_equal(address.family, 0);
    }
}

static void address__other_port__same_ip(void **state)
{
    struct address a = parsed("10.0.0.1:1");
    struct address b = parsed("10.0.0.1:2");
    struct address mapped = parsed("[::ffff:10.0.0.1]:3");
    struct address other = parsed("10.0.0.2:1");
    struct address six = parsed("[::1]:1");
    struct address scoped = parsed("[fe80::1%2]:1");
    struct address scoped_elsewhere = parsed("[fe80::1%3]:1");
    (void)state;
    assert_true(address_same_ip(&a, &b));
    assert_true(address_same_ip(&a, &mapped));
    assert_false(address_same_ip(&a, &other));
    assert_false(address_same_ip(&a, &six));
    assert_true(address_same_ip(&scoped, &scoped));
    assert_false(address_same_ip(&scoped, &scoped_elsewhere));
}

static void address__kinds__told_apart(void **state)
{
    static const struct {
        const char *text;
        bool any;
        bool loopback;
    } cases[] = {{"0.0.0.0:1", true, false},   {"[::]:1", true, false},     {"127.0.0.1:1", false, true},
                 {"127.9.9.9:1", false, true}, {"[::1]:1", false, true},    {"128.0.0.1:1", false, false},
                 {"[1::]:1", false, false},    {"[::1:1]:1", false, false}, {"0.0.0.1:1", false, false}};
    struct address none = {.family = 0};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address address = parsed(cases[i].text);
        assert_int_equal(address_is_any(&address), cases[i].any);
        assert_int_equal(address_is_loopback(&address), cases[i].loopback);
    }
    assert_false(address_is_any(&none));
    assert_false(address_is_loopback(&none));
}

static void address__to_system_and_back__unchanged(void **state)
{
    static const char *const cases[] = {"127.0.0.1:7000", "[2001:db8::5]:65535", "[fe80::1%9]:1", "0.0.0.0:0"};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sockaddr_storage storage;
        struct address back;
        struct address address = parsed(cases[i]);
        uint32_t bytes = address_to_system(&address, &storage);
        assert_int_equal(bytes, address.family == 4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        assert_true(address_from_system(&back, &storage));
        assert_memory_equal(&address, &back, sizeof address);
    }
}

static void address__system_form_of_others__refused_or_folded(void **state)
{
    struct sockaddr_storage storage;
    struct address address = {.family = 0};
    char text[ADDRESS_TEXT_BYTES];
    (void)state;
    assert_int_equal(address_to_system(&address, &storage), 0);
    address_print(&address, text);
    assert_string_equal(text, "-");
    memset(&storage, 0, sizeof storage);
    storage.ss_family = AF_UNIX;
    assert_false(address_from_system(&address, &storage));
    assert_int_equal(address.family, 0);
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&storage;
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons(9);
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &ipv6->sin6_addr), 1);
    assert_true(address_from_system(&address, &storage));
    address_print(&address, text);
    assert_string_equal(text, "192.0.2.1:9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address__numeric_text__prints_shortest_form),
        cmocka_unit_test(address__not_numeric__refused),
        cmocka_unit_test(address__interface_name_as_scope__becomes_number),
        cmocka_unit_test(port__decimal_up_to_65535__read),
        cmocka_unit_test(port__missing_or_odd__refused),
        cmocka_unit_test(address__other_port__same_ip),
        cmocka_unit_test(address__kinds__told_apart),
        cmocka_unit_test(address__to_system_and_back__unchanged),
        cmocka_unit_test(address__system_form_of_others__refused_or_folded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
