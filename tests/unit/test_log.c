/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a log line is one line whatever is in it, and no kind of event can fill a disk or silence another.
 * Method: catch the lines; run through a second with too many of one kind, and into the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "topology/cluster/log.h"

#define SECOND_NS UINT64_C(1000000000)
#define LINES_PER_SECOND 64u

struct caught {
    uint32_t lines;
    char level;
    char last[2048];
};

static void catch_line(void *ctx, char level, const char *line)
{
    struct caught *caught = ctx;
    caught->lines++;
    caught->level = level;
    snprintf(caught->last, sizeof caught->last, "%s", line);
}

static void line__formatted__with_its_level(void **state)
{
    (void)state;
    struct caught caught = {0};
    struct log log;
    log_init(&log, catch_line, &caught, NULL);
    log_event(&log, 0, LOG_PEER_DOWN, 'W', "peer down %s: %d", "10.0.0.1", 7);
    assert_int_equal(caught.lines, 1);
    assert_int_equal(caught.level, 'W');
    assert_string_equal(caught.last, "peer down 10.0.0.1: 7");
}

static void line__control_characters__escaped(void **state)
{
    (void)state;
    struct caught caught = {0};
    struct log log;
    log_init(&log, catch_line, &caught, NULL);
    log_event(&log, 0, LOG_REFUSED_IN, 'W', "%s", "name\nE forged\x1b[31m\x7f");
    assert_null(strpbrk(caught.last, "\n\x1b\x7f"));
    assert_non_null(strstr(caught.last, "name"));
    assert_non_null(strstr(caught.last, "forged"));
}

static void line__too_long__cut_and_ended(void **state)
{
    (void)state;
    struct caught caught = {0};
    struct log log;
    char text[4096];
    log_init(&log, catch_line, &caught, NULL);
    for (int control = 0; control < 2; control++) {
        memset(text, control ? '\n' : 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        log_event(&log, 0, LOG_START, 'I', "%s", text);
        assert_in_range(strlen(caught.last), 900, 1023);
    }
}

static void kind__too_often__dropped_and_counted(void **state)
{
    (void)state;
    struct caught caught = {0};
    struct weft_counters counters = {0};
    struct log log;
    uint64_t now_ns = 5 * SECOND_NS;
    log_init(&log, catch_line, &caught, &counters);
    for (uint32_t i = 0; i < LINES_PER_SECOND + 10; i++) {
        log_event(&log, now_ns + i, LOG_REFUSED_IN, 'W', "line %u", i);
    }
    assert_int_equal(caught.lines, LINES_PER_SECOND + 1);
    assert_non_null(strstr(caught.last, "left out"));
    assert_int_equal(caught.level, 'W');
    assert_int_equal(counters.log_suppressed, 10);
    log_event(&log, now_ns + 100, LOG_PEER_UP, 'I', "another kind");
    assert_string_equal(caught.last, "another kind");
    log_event(&log, now_ns + SECOND_NS - 1, LOG_REFUSED_IN, 'W', "still within the second");
    assert_int_equal(counters.log_suppressed, 11);
    log_event(&log, now_ns + SECOND_NS, LOG_REFUSED_IN, 'W', "the next second");
    assert_string_equal(caught.last, "the next second");
    assert_int_equal(counters.log_suppressed, 11);
}

static void kind__too_often_and_nobody_counts__dropped(void **state)
{
    (void)state;
    struct caught caught = {0};
    struct log log;
    log_init(&log, catch_line, &caught, NULL);
    for (uint32_t i = 0; i < 2 * LINES_PER_SECOND; i++) {
        log_event(&log, SECOND_NS, LOG_START, 'I', "x");
    }
    assert_int_equal(caught.lines, LINES_PER_SECOND + 1);
}

static void details__too_many__no_warning_of_their_kind_is_lost(void **state)
{
    (void)state;
    struct caught caught = {0};
    struct log log;
    log_init(&log, catch_line, &caught, NULL);
    for (uint32_t i = 0; i < 2 * LINES_PER_SECOND; i++) {
        log_event(&log, SECOND_NS, LOG_ENDED_IN, 'D', "closed_by_peer");
    }
    log_event(&log, SECOND_NS, LOG_ENDED_IN, 'W', "bad_frame");
    assert_string_equal(caught.last, "bad_frame");
}

/* What the control thread logs has no turn's time: it was silent for good after the 64th. */
static void lines__of_the_control_thread__all_come(void **state)
{
    (void)state;
    struct caught caught = {0};
    struct log log;
    log_init(&log, catch_line, &caught, NULL);
    for (uint32_t i = 0; i < 3 * LINES_PER_SECOND; i++) {
        log_event(&log, LOG_UNLIMITED, LOG_TOPOLOGY, 'I', "change %u", i);
    }
    assert_int_equal(caught.lines, 3 * LINES_PER_SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line__formatted__with_its_level),
        cmocka_unit_test(line__control_characters__escaped),
        cmocka_unit_test(line__too_long__cut_and_ended),
        cmocka_unit_test(kind__too_often__dropped_and_counted),
        cmocka_unit_test(kind__too_often_and_nobody_counts__dropped),
        cmocka_unit_test(details__too_many__no_warning_of_their_kind_is_lost),
        cmocka_unit_test(lines__of_the_control_thread__all_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
