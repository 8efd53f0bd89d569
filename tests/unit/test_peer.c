/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a peer is taken as it was described or refused with a reason, and the topology's verdict on a source address is
 * never more than all its entries agree on.
 * Method: tables of peers, right and wrong; tables of entries that share an address, and what is known of it then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/prng.h"
#include "topology/cluster/peer.h"

static void peer__described__taken(void **state)
{
    (void)state;
    struct weft_peer_options options = WEFT_PEER_OPTIONS_INIT;
    struct peer peer;
    options.addresses[0] = "10.0.0.1";
    assert_int_equal(peer_init(&peer, &options, 7000, 7001, NULL), WEFT_OK);
    assert_int_equal(peer.address_count, 1);
    assert_int_equal(peer.addresses[0].port, 7000);
    assert_int_equal(peer.storage_port, 7000);
    assert_int_equal(peer.ssl_storage_port, 7001);
    assert_int_equal(peer.connections, 1);
    assert_false(peer.id_known);
    assert_string_equal(peer.dc, "");
    assert_string_equal(peer.text, "10.0.0.1");
    options.addresses[1] = "fd00::1";
    options.addresses[2] = "10.0.0.2";
    options.addresses[3] = "10.0.0.3";
    options.dc = "dc1";
    options.rack = "r1";
    options.id = "6f1c0000-1111-2222-3333-444455556666";
    options.storage_port = 17000;
    options.ssl_storage_port = 17001;
    options.connections = 1024;
    options.host_name = "n1.example.";
    assert_int_equal(peer_init(&peer, &options, 7000, 7001, NULL), WEFT_OK);
    assert_int_equal(peer.address_count, 4);
    assert_int_equal(peer.addresses[0].port, 17000);
    assert_int_equal(peer.ssl_storage_port, 17001);
    assert_int_equal(peer.connections, 1024);
    assert_string_equal(peer.host_name, "n1.example"); /* as certificates have it */
    assert_true(peer.id_known);
    assert_int_equal(peer.id[0], 0x6f);
    assert_string_equal(peer_location(&peer).dc, "dc1");
    assert_string_equal(peer_location(&peer).rack, "r1");
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(peer_has_address(&peer, &peer.addresses[i]));
    }
    struct address other = peer.addresses[0];
    other.port = 1; /* a source port is anything */
    assert_true(peer_has_address(&peer, &other));
    other.ip[3] = 99;
    assert_false(peer_has_address(&peer, &other));
}

static void peer__wrong__error_says_what(void **state)
{
    (void)state;
    char long_name[WEFT_NAME_BYTES_MAX + 2] = {0};
    memset(long_name, 'n', sizeof long_name - 1);
    const struct {
        struct weft_peer_options options;
        enum weft_err err;
        const char *words;
    } cases[] = {
        {{.size = 0, .addresses = {"10.0.0.1"}}, WEFT_ERR_INVALID, "size is 0"},
        {{.size = 8, .addresses = {"10.0.0.1"}}, WEFT_ERR_INVALID, "no address"},
        {{.addresses = {NULL}}, WEFT_ERR_INVALID, "no address"},
        {{.addresses = {NULL, "10.0.0.1"}}, WEFT_ERR_INVALID, "no address"},
        {{.addresses = {"node1"}}, WEFT_ERR_INVALID, "node1"},
        {{.addresses = {"10.0.0.1", "10.0.0.300"}}, WEFT_ERR_INVALID, "10.0.0.300"},
        {{.addresses = {"0.0.0.0"}}, WEFT_ERR_INVALID, "0.0.0.0"},
        {{.addresses = {"::"}}, WEFT_ERR_INVALID, "any address"},
        {{.addresses = {"10.0.0.1", "0.0.0.0"}}, WEFT_ERR_INVALID, "addresses: 0.0.0.0"},
        {{.addresses = {"224.0.0.1"}}, WEFT_ERR_INVALID, "addresses: 224.0.0.1 is a multicast"},
        {{.addresses = {"10.0.0.1", "ff02::1"}}, WEFT_ERR_INVALID, "addresses: ff02::1 is a multicast"},
        {{.addresses = {"255.255.255.255"}}, WEFT_ERR_INVALID, "multicast or broadcast"},
        {{.addresses = {"10.0.0.1"}, .connections = 1025}, WEFT_ERR_INVALID, "1025"},
        {{.addresses = {"10.0.0.1"}, .id = "abc"}, WEFT_ERR_INVALID, "UUID"},
        {{.addresses = {"10.0.0.1"}, .dc = long_name}, WEFT_ERR_TOO_LARGE, "dc"},
        {{.addresses = {"10.0.0.1"}, .rack = long_name}, WEFT_ERR_TOO_LARGE, "rack"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weft_peer_options options = cases[i].options;
        struct peer peer;
        struct weft_error why = {0};
        options.size = i < 2 ? options.size : sizeof options;
        assert_int_equal(peer_init(&peer, &options, 7000, 7001, &why), cases[i].err);
        assert_int_equal(why.code, cases[i].err);
        assert_non_null(strstr(why.text, cases[i].words));
    }
}

struct entry {
    const char *address;
    const char *dc;
    const char *rack;
};

static void match__entries_that_share_an_address__what_all_agree_on(void **state)
{
    (void)state;
    static const struct {
        struct entry entries[3];
        uint32_t count;
        uint32_t matches; /* of 10.0.0.1 */
        const char *dc;
        const char *rack;
        int only; /* the entry's index, -1: none or several */
    } cases[] = {
        {{{NULL, NULL, NULL}}, 0, 0, "", "", -1},
        {{{"10.0.0.2", "dc1", "r1"}}, 1, 0, "", "", -1},
        {{{"10.0.0.1", "dc1", "r1"}}, 1, 1, "dc1", "r1", 0},
        {{{"10.0.0.1", NULL, NULL}}, 1, 1, "", "", 0},
        {{{"10.0.0.2", "dc2", "r2"}, {"10.0.0.1", "dc1", "r1"}}, 2, 1, "dc1", "r1", 1},
        {{{"10.0.0.1", "dc1", "r1"}, {"10.0.0.1", "dc1", "r1"}}, 2, 2, "dc1", "r1", -1},
        {{{"10.0.0.1", "dc1", "r1"}, {"10.0.0.1", "dc1", "r2"}}, 2, 2, "dc1", "", -1},
        {{{"10.0.0.1", "dc1", "r1"}, {"10.0.0.1", "dc2", "r1"}}, 2, 2, "", "", -1},
        {{{"10.0.0.1", "dc1", "r1"}, {"10.0.0.1", NULL, NULL}}, 2, 2, "", "", -1},
        {{{"10.0.0.1", "dc1", "r1"}, {"10.0.0.1", "dc1", NULL}}, 2, 2, "dc1", "", -1},
        {{{"10.0.0.1", "dc1", "r1"}, {"10.0.0.1", "dc1", "r2"}, {"10.0.0.1", "dc1", "r1"}}, 3, 3, "dc1", "", -1},
        {{{"10.0.0.1", "dc1", "r1"}, {"10.0.0.1", "dc2", "r1"}, {"10.0.0.1", "dc1", "r1"}}, 3, 3, "", "", -1},
    };
    struct address from;
    assert_int_equal(address_parse(&from, "10.0.0.1", 40000), WEFT_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer peers[3];
        for (uint32_t p = 0; p < cases[i].count; p++) {
            struct weft_peer_options options = WEFT_PEER_OPTIONS_INIT;
            options.addresses[0] = cases[i].entries[p].address;
            options.dc = cases[i].entries[p].dc;
            options.rack = cases[i].entries[p].rack;
            assert_int_equal(peer_init(&peers[p], &options, 7000, 7001, NULL), WEFT_OK);
        }
        struct peer_match match = peer_match_address(peers, cases[i].count, &from);
        assert_int_equal(match.entries, cases[i].matches);
        assert_string_equal(match.location.dc, cases[i].dc);
        assert_string_equal(match.location.rack, cases[i].rack);
        assert_ptr_equal(match.only, cases[i].only >= 0 ? &peers[cases[i].only] : NULL);
    }
}

static void match__second_address_of_an_entry__counts(void **state)
{
    (void)state;
    struct weft_peer_options options = WEFT_PEER_OPTIONS_INIT;
    struct peer peer;
    struct address from;
    options.addresses[0] = "10.0.0.1";
    options.addresses[1] = "::ffff:10.0.0.7"; /* IPv4, written otherwise */
    options.dc = "dc1";
    assert_int_equal(peer_init(&peer, &options, 7000, 7001, NULL), WEFT_OK);
    assert_int_equal(address_parse(&from, "10.0.0.7", 1), WEFT_OK);
    struct peer_match match = peer_match_address(&peer, 1, &from);
    assert_int_equal(match.entries, 1);
    assert_ptr_equal(match.only, &peer);
    assert_string_equal(match.location.dc, "dc1");
}

static void match__address_of_several_entries__counts_where_all_agree(void **state)
{
    (void)state;
    const struct weft_peer_options entries[] = {
        {.addresses = {"127.0.1.1", "127.0.2.1"}, .dc = "dc1", .rack = "r1"},
        {.addresses = {"127.0.1.2"}, .dc = "dc1", .rack = "r1"},
        {.addresses = {"127.0.1.2"}, .dc = "dc1", .rack = "r2"},
        {.addresses = {"127.0.1.3"}, .dc = "dc1", .rack = "r1"},
        {.addresses = {"127.0.1.3"}, .dc = "dc2", .rack = "r1"},
        {.addresses = {"127.0.1.3"}, .dc = "dc1", .rack = "r1"},
        {.addresses = {"127.0.1.4"}},
        {.addresses = {"127.0.1.4"}, .dc = "dc1", .rack = "r1"},
        {.addresses = {"::1"}, .dc = "dc6", .rack = "r6"},
    };
    static const struct {
        const char *address, *dc, *rack;
    } cases[] = {{"127.0.1.1", "dc1", "r1"}, {"127.0.2.1", "dc1", "r1"}, {"127.0.1.2", "dc1", ""},
                 {"127.0.1.3", "", ""},      {"127.0.1.4", "", ""},      {"127.0.9.9", "", ""},
                 {"::1", "dc6", "r6"}};
    struct peer peers[(sizeof entries / sizeof entries[0])];
    for (size_t i = 0; i < (sizeof entries / sizeof entries[0]); i++) {
        struct weft_peer_options entry = entries[i];
        entry.size = sizeof entry;
        assert_int_equal(peer_init(&peers[i], &entry, 7000, 7001, NULL), WEFT_OK);
    }
    for (size_t i = 0; i < (sizeof cases / sizeof cases[0]); i++) {
        struct address address;
        assert_int_equal(address_parse(&address, cases[i].address, 1234), WEFT_OK);
        struct location found = peer_match_address(peers, (sizeof peers / sizeof peers[0]), &address).location;
        bool rack_known = location_rack_known(&found);
        assert_string_equal(location_dc_known(&found) ? found.dc : "", cases[i].dc);
        assert_string_equal(rack_known ? found.rack : "", cases[i].rack);
    }
}

/* A topology that grows: for an address that has an entry already, another can only take knowledge away. */
static void match__further_entry_for_an_address__never_adds_knowledge(void **state)
{
    (void)state;
    static const char *const names[] = {NULL, "", "a", "A", "b"};
    static const char *const addresses[] = {"10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1"};
    struct prng prng;
    struct peer peers[6];
    size_t lost = 0;
    prng_init(&prng, 7);
    for (int round = 0; round < 500; round++) {
        struct address from;
        struct peer_match before = {0};
        assert_int_equal(address_parse(&from, addresses[prng_below(&prng, 3)], 999), WEFT_OK);
        for (uint32_t count = 0; count <= sizeof peers / sizeof peers[0]; count++) {
            struct peer_match match = peer_match_address(peers, count, &from);
            if (match.entries == 0) {
                assert_false(location_dc_known(&match.location));
            } else if (before.entries > 0) {
                assert_true(!location_dc_known(&match.location) || location_same_dc(&match.location, &before.location));
                assert_true(!location_rack_known(&match.location) ||
                            location_same_rack(&match.location, &before.location));
                lost += location_dc_known(&before.location) && !location_dc_known(&match.location) ? 1 : 0;
            }
            before = match;
            if (count < sizeof peers / sizeof peers[0]) {
                struct weft_peer_options options = WEFT_PEER_OPTIONS_INIT;
                options.addresses[0] = addresses[prng_below(&prng, 3)];
                options.dc = names[prng_below(&prng, 5)];
                options.rack = names[prng_below(&prng, 5)];
                assert_int_equal(peer_init(&peers[count], &options, 7000, 7001, NULL), WEFT_OK);
            }
        }
    }
    assert_true(lost > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peer__described__taken),
        cmocka_unit_test(peer__wrong__error_says_what),
        cmocka_unit_test(match__entries_that_share_an_address__what_all_agree_on),
        cmocka_unit_test(match__second_address_of_an_entry__counts),
        cmocka_unit_test(match__address_of_several_entries__counts_where_all_agree),
        cmocka_unit_test(match__further_entry_for_an_address__never_adds_knowledge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
