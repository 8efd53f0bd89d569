/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every way in which a file is replaced is noticed, and nothing else is; with inotify and without.
 * Method: real files in a folder of the test's own, a watch that looks often and settles fast; each wait ends by its
 * event or by a bound that a quiet machine never reaches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "engine/io/file_watch.h"

#define BOUND_NS UINT64_C(30000000000)

struct fixture {
    char folder[64];
    struct file_watch *watch;
    const struct file_watch_options *options;
};

/* Looks come too late to pass for events; or there is nothing but looks. */
static const struct file_watch_options by_events = {.poll_ns = UINT64_C(60000000000), .settle_ns = 1000000};
static const struct file_watch_options by_looks = {.poll_ns = 2000000, .settle_ns = 1000000, .only_poll = true};

static int fixture_make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->options = *state;
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/weft-watch-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    *state = fixture;
    return 0;
}

static const char *path_of(const struct fixture *fixture, const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", fixture->folder, name);
    return path;
}

static void file_write(const struct fixture *fixture, const char *name, const char *text)
{
    char path[256];
    FILE *file = fopen(path_of(fixture, name, path), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void file_rename(const struct fixture *fixture, const char *from, const char *to)
{
    char a[256];
    char b[256];
    assert_int_equal(rename(path_of(fixture, from, a), path_of(fixture, to, b)), 0);
}

static void link_make(const struct fixture *fixture, const char *target, const char *name)
{
    char path[256];
    assert_int_equal(symlink(target, path_of(fixture, name, path)), 0);
}

static void folder_make(const struct fixture *fixture, const char *name)
{
    char path[256];
    assert_int_equal(mkdir(path_of(fixture, name, path), 0700), 0);
}

static void watch_open(struct fixture *fixture, const char *name)
{
    char path[256];
    const char *paths[] = {path_of(fixture, name, path)};
    struct weft_error why = {0};
    assert_int_equal(file_watch_create(&fixture->watch, paths, 1, fixture->options, &why), WEFT_OK);
    assert_int_equal(file_watch_polls(fixture->watch), fixture->options->only_poll);
}

static void changed(struct fixture *fixture)
{
    assert_int_equal(file_watch_wait(fixture->watch, BOUND_NS), FILE_WATCH_CHANGED);
    assert_int_equal(file_watch_wait(fixture->watch, 10000000), FILE_WATCH_NOTHING);
}

static int fixture_destroy(void **state)
{
    struct fixture *fixture = *state;
    file_watch_destroy(fixture->watch);
    static const char *const names[] = {"f", "g", "a/f", "b/f", "..data", "..next", "a", "b", "sub/f", "sub"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256];
        remove(path_of(fixture, names[i], path));
    }
    assert_int_equal(rmdir(fixture->folder), 0);
    *state = (void *)(uintptr_t)fixture->options;
    free(fixture);
    return 0;
}

static void watch__written_renamed_deleted_and_made_again__each_noticed(void **state)
{
    struct fixture *fixture = *state;
    char path[256];
    file_write(fixture, "f", "one");
    watch_open(fixture, "f");
    file_write(fixture, "f", "three");
    changed(fixture);
    file_write(fixture, "g", "two");
    file_rename(fixture, "g", "f");
    changed(fixture);
    assert_int_equal(unlink(path_of(fixture, "f", path)), 0);
    changed(fixture);
    file_write(fixture, "f", "four");
    changed(fixture);
}

static void watch__another_file_beside__nothing(void **state)
{
    struct fixture *fixture = *state;
    file_write(fixture, "f", "one");
    watch_open(fixture, "f");
    file_write(fixture, "g", "two");
    assert_int_equal(file_watch_wait(fixture->watch, 10000000), FILE_WATCH_NOTHING);
}

/* As secrets are mounted: the file is a link through a folder's link, which is swapped by rename. */
static void watch__link_on_the_way_swapped__noticed(void **state)
{
    struct fixture *fixture = *state;
    folder_make(fixture, "a");
    folder_make(fixture, "b");
    file_write(fixture, "a/f", "same");
    file_write(fixture, "b/f", "same");
    link_make(fixture, "a", "..data");
    link_make(fixture, "..data/f", "f");
    watch_open(fixture, "f");
    link_make(fixture, "b", "..next");
    file_rename(fixture, "..next", "..data");
    changed(fixture);
    /* And the folder that it leads to now is the one that is watched. */
    file_write(fixture, "b/f", "other");
    changed(fixture);
}

/* The folder itself comes later: seen at a look. */
static void watch__folder_comes_later__noticed_at_a_look(void **state)
{
    struct fixture *fixture = *state;
    static const struct file_watch_options looking = {.poll_ns = 2000000, .settle_ns = 1000000};
    fixture->options = &looking;
    watch_open(fixture, "sub/f");
    assert_int_equal(file_watch_wait(fixture->watch, 10000000), FILE_WATCH_NOTHING);
    folder_make(fixture, "sub");
    file_write(fixture, "sub/f", "one");
    changed(fixture);
}

static void *wake(void *ctx)
{
    file_watch_wake(ctx);
    return NULL;
}

static void watch__woken__told_and_once(void **state)
{
    struct fixture *fixture = *state;
    pthread_t thread;
    watch_open(fixture, "f");
    assert_int_equal(pthread_create(&thread, NULL, wake, fixture->watch), 0);
    assert_int_equal(file_watch_wait(fixture->watch, UINT64_MAX), FILE_WATCH_WOKEN);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(file_watch_wait(fixture->watch, 1000000), FILE_WATCH_NOTHING);
}

/* Neither is lost when both come. */
static void watch__woken_with_a_change__both_told(void **state)
{
    struct fixture *fixture = *state;
    watch_open(fixture, "f");
    file_write(fixture, "f", "one");
    file_watch_wake(fixture->watch);
    assert_int_equal(file_watch_wait(fixture->watch, BOUND_NS), FILE_WATCH_WOKEN);
    changed(fixture);
}

#define CASE(test, how)                                                                                                \
    {                                                                                                                  \
#test " " #how, test, fixture_make, fixture_destroy, (void *)(uintptr_t) & (how)                               \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(watch__written_renamed_deleted_and_made_again__each_noticed, by_events),
        CASE(watch__written_renamed_deleted_and_made_again__each_noticed, by_looks),
        CASE(watch__another_file_beside__nothing, by_events),
        CASE(watch__another_file_beside__nothing, by_looks),
        CASE(watch__link_on_the_way_swapped__noticed, by_events),
        CASE(watch__link_on_the_way_swapped__noticed, by_looks),
        CASE(watch__folder_comes_later__noticed_at_a_look, by_events),
        CASE(watch__woken__told_and_once, by_events),
        CASE(watch__woken_with_a_change__both_told, by_events),
        CASE(watch__woken_with_a_change__both_told, by_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
