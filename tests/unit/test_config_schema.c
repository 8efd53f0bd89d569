/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the table of keys is what the decoder reads: each bound that it states is the bound, each word is taken, and
 * every row says what a reader must know.  The line that is shown of a file points at the fault.
 * Method: for each number, size, time and word of the block weft, files with the bounds and with what lies behind them;
 * lines of a small file cut out. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/config_excerpt.h"
#include "config/config_schema.h"
#include "topology/cluster/settings.h"

/* Whether a file with one key of weft starts; refused: with one error, of that key. */
static bool starts(const struct config_key *key, const char *value, bool *refused)
{
    static const struct config_surroundings surroundings = {.directory = "/"};
    struct config_report *report = calloc(1, sizeof *report);
    struct config *config = NULL;
    char yaml[512];
    char place[128];
    assert_non_null(report);
    snprintf(yaml, sizeof yaml, "cluster_name: c\nweft:\n  %s: %s\n", key->name, value);
    snprintf(place, sizeof place, "w.yaml:3:%zu: %s: ", strlen(key->name) + 5, key->name);
    enum weft_err err = config_decode(&config, "w.yaml", yaml, strlen(yaml), &surroundings, report);
    *refused = report->errors.count == 1 && strncmp(report->errors.lines[0], place, strlen(place)) == 0;
    config_destroy(config);
    free(report);
    return err == WEFT_OK;
}

static void expect(const struct config_key *key, const char *value, bool wanted)
{
    bool refused;
    bool started = starts(key, value, &refused);
    if (started != wanted || refused == wanted) {
        fail_msg("%s: %s %s", key->name, value, wanted ? "must start" : "must be refused");
    }
}

static void expect_bounds(const struct config_key *key)
{
    static const char *const units[] = {"", "B", "ns"};
    const char *unit = units[key->type == CONFIG_TYPE_SIZE ? 1 : key->type == CONFIG_TYPE_TIME ? 2 : 0];
    char text[64];
    snprintf(text, sizeof text, "%" PRIu64 "%s", key->min, unit);
    expect(key, text, true);
    snprintf(text, sizeof text, "%" PRIu64 "%s", key->max, unit);
    expect(key, text, true);
    snprintf(text, sizeof text, "%" PRIu64 "%s", key->max + 1, unit);
    expect(key, text, false);
    if (key->type != CONFIG_TYPE_TIME && key->min > 1) {
        snprintf(text, sizeof text, "%" PRIu64 "%s", key->min - 1, unit);
        expect(key, text, false);
    }
    expect(key, "0", key->type != CONFIG_TYPE_NUMBER && key->zero != CONFIG_ZERO_FORBIDDEN);
    if (key->type != CONFIG_TYPE_NUMBER) {
        expect(key, "1000000", false); /* without a unit */
    }
}

static void schema__bounds_and_words__are_what_the_decoder_takes(void **state)
{
    uint32_t checked = 0;
    (void)state;
    for (uint32_t i = 0; i < config_schema_count(); i++) {
        const struct config_key *key = config_schema_at(i);
        bool refused;
        if (key->block != CONFIG_BLOCK_WEFT) {
            continue;
        }
        if (key->type == CONFIG_TYPE_NUMBER || key->type == CONFIG_TYPE_SIZE || key->type == CONFIG_TYPE_TIME) {
            expect_bounds(key);
            checked++;
        }
        for (uint32_t w = 0; w < key->word_count; w++) {
            expect(key, key->words[w].text, true);
            checked++;
        }
        if (key->word_count > 0) {
            expect(key, "nonsense", false);
        }
        if (key->type == CONFIG_TYPE_BOOL) {
            expect(key, "YES", true);
            expect(key, "nonsense", false);
            checked++;
        }
        assert_false(starts(key, "", &refused) && key->type != CONFIG_TYPE_BLOCK && key->type != CONFIG_TYPE_PATH);
    }
    assert_true(checked > 30);
}

static void schema__every_row__complete_and_alone(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < config_schema_count(); i++) {
        const struct config_key *key = config_schema_at(i);
        char range[CONFIG_KEY_RANGE_BYTES];
        char path[CONFIG_KEY_PATH_BYTES];
        config_key_range(key, range);
        config_key_path(key, path);
        assert_ptr_equal(config_schema_find(key->block, key->name), key);
        assert_true(strlen(key->text) > 5 && strchr(key->text, '\n') == NULL);
        assert_true(strlen(key->standard) > 0);
        assert_true(key->type == CONFIG_TYPE_BLOCK || key->type == CONFIG_TYPE_NAME || key->type == CONFIG_TYPE_UUID ||
                    strlen(range) > 0);
        assert_true(key->min <= key->max);
        assert_non_null(strstr(path, key->name));
        /* Keys of the blocks below a block stand behind it, with its path. */
        assert_true(i == 0 || config_schema_at(i - 1)->block <= key->block);
    }
    assert_null(config_schema_find(CONFIG_BLOCK_WEFT, "cluster_name"));
}

/* The settings of a node that has the key written, or not. */
static void settings_of(struct settings *settings, const char *yaml)
{
    static const struct config_surroundings surroundings = {.directory = "/"};
    struct config_report *report = calloc(1, sizeof *report);
    struct config *config = NULL;
    assert_non_null(report);
    if (config_decode(&config, "w.yaml", yaml, strlen(yaml), &surroundings, report) != WEFT_OK ||
        settings_init(settings, &config->options, NULL) != WEFT_OK) {
        fail_msg("%s: %s", yaml, report->errors.lines[0]);
    }
    config_destroy(config);
    free(report);
}

/* What the table calls the default is what the node does without the key. */
static void schema__default__is_what_a_node_does_without_the_key(void **state)
{
    struct settings *without = calloc(1, sizeof *without);
    struct settings *with = calloc(1, sizeof *with);
    uint32_t checked = 0;
    (void)state;
    assert_non_null(without);
    assert_non_null(with);
    settings_of(without, "weft: {}\n");
    for (uint32_t i = 0; i < config_schema_count(); i++) {
        const struct config_key *key = config_schema_at(i);
        char yaml[512];
        bool plain = key->type == CONFIG_TYPE_NUMBER || key->type == CONFIG_TYPE_SIZE ||
                     key->type == CONFIG_TYPE_TIME || key->type == CONFIG_TYPE_WORD || key->type == CONFIG_TYPE_BOOL;
        bool listed = key->block == CONFIG_BLOCK_LANE || key->block == CONFIG_BLOCK_NODE;
        if (!plain || listed) {
            continue;
        }
        bool root = key->block == CONFIG_BLOCK_ROOT;
        snprintf(yaml, sizeof yaml, "%s%s%s: %s\n", root ? "" : config_block_name(key->block), root ? "" : ":\n  ",
                 key->name, key->standard);
        memset(with, 0, sizeof *with);
        settings_of(with, yaml);
        /* Written on purpose, though it is the same. */
        with->connections_given = without->connections_given;
        with->connections_per_peer_max = strcmp(key->name, "connections_per_peer_max") == 0
                                             ? without->connections_per_peer_max
                                             : with->connections_per_peer_max;
        if (memcmp(with, without, sizeof *with) != 0) {
            fail_msg("%s is not what a node does without it", yaml);
        }
        checked++;
    }
    assert_true(checked > 30);
    free(with);
    free(without);
}

static void schema__range__in_words(void **state)
{
    static const struct {
        enum config_block block;
        const char *name;
        const char *range;
    } ranges[] = {
        {CONFIG_BLOCK_ROOT, "storage_port", "1 to 65535"},
        {CONFIG_BLOCK_ROOT, "inter_dc_tcp_nodelay", "true or false"},
        {CONFIG_BLOCK_ENCRYPTION, "internode_encryption", "none, rack, dc, all or transitional"},
        {CONFIG_BLOCK_WEFT, "memory_per_shard", "128KiB to 1024GiB"},
        {CONFIG_BLOCK_WEFT, "handshake_timeout", "1ms to 24h"},
        {CONFIG_BLOCK_WEFT, "idle_timeout", "0 for no limit, or 1ms to 24h"},
        {CONFIG_BLOCK_WEFT, "drain_timeout", "1ms to 24h, or 0"},
        {CONFIG_BLOCK_WEFT, "tcp_keepalive_interval", "1s to 32767s"},
        {CONFIG_BLOCK_WEFT, "tcp_unsent_bytes_max", "0 for no limit, or 1B to 2147483647B"},
        {CONFIG_BLOCK_WEFT, "shards", "auto, a number, or CPUs such as 0-3,8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        char range[CONFIG_KEY_RANGE_BYTES];
        config_key_range(config_schema_find(ranges[i].block, ranges[i].name), range);
        assert_string_equal(range, ranges[i].range);
    }
}

static void excerpt__a_line__harmless_and_with_its_caret(void **state)
{
    static const char text[] = "\xef\xbb\xbf"
                               "a: 1\r\n\tb\x1b[31m: \xc3\xa4\xf0\x9f\x98\x80!\rc: 3\xe2\x80\xa8"
                               "d: 4";
    struct config_excerpt excerpt;
    (void)state;
    config_excerpt_make(&excerpt, text, sizeof text - 1, 1, 4);
    assert_string_equal(excerpt.text, "a: 1");
    assert_int_equal(excerpt.caret, 3);
    config_excerpt_make(&excerpt, text, sizeof text - 1, 2, 10);
    assert_string_equal(excerpt.text, " b?[31m: ?\?!");
    assert_int_equal(excerpt.caret, 9);
    config_excerpt_make(&excerpt, text, sizeof text - 1, 3, 1);
    assert_string_equal(excerpt.text, "c: 3");
    config_excerpt_make(&excerpt, text, sizeof text - 1, 4, 4);
    assert_string_equal(excerpt.text, "d: 4");
    config_excerpt_make(&excerpt, text, sizeof text - 1, 5, 1);
    assert_string_equal(excerpt.text, "");
}

static void excerpt__a_long_line__the_part_around_the_place(void **state)
{
    char text[4096];
    struct config_excerpt excerpt;
    (void)state;
    memset(text, 'x', sizeof text);
    text[2000] = '!';
    config_excerpt_make(&excerpt, text, sizeof text, 1, 2001);
    assert_int_equal(strlen(excerpt.text), CONFIG_EXCERPT_CHARACTERS);
    assert_int_equal(excerpt.text[excerpt.caret], '!');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema__bounds_and_words__are_what_the_decoder_takes),
        cmocka_unit_test(schema__every_row__complete_and_alone),
        cmocka_unit_test(schema__default__is_what_a_node_does_without_the_key),
        cmocka_unit_test(schema__range__in_words),
        cmocka_unit_test(excerpt__a_line__harmless_and_with_its_caret),
        cmocka_unit_test(excerpt__a_long_line__the_part_around_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
