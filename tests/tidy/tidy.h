/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of tidy share: the tables, one source file as text, and findings. */
#ifndef TESTS_TIDY_TIDY_H
#define TESTS_TIDY_TIDY_H

#include <stdbool.h>
#include <stddef.h>

#define PATH_BYTES 4096
#define FIELDS_MAX 4
#define ROWS_MAX 256
#define LONGEST_COUNT 5

/* A data file: rows of fields between bars. */
struct table {
    char *text;
    const char *fields[ROWS_MAX][FIELDS_MAX];
    unsigned rows;
};

/* Something long, for people to look at. */
struct longest {
    unsigned lines;
    unsigned line;
    char path[PATH_BYTES];
    char name[128];
};

struct tidy {
    const char *root;
    struct table layers;      /* folder | folders that it may include */
    struct table third_party; /* header or its beginning | places that may include it */
    struct table banned;      /* call | where it is banned | what to use | files that may use it */
    struct table seam;        /* imported symbol | objects that may import it */
    struct table api;         /* public function | rules that it is free of */
    struct longest functions[LONGEST_COUNT];
    struct longest files[LONGEST_COUNT];
    unsigned file_count;
    unsigned finding_count;
};

/* One file.  `code` is `raw` with comments, strings and characters blanked, so that offsets are the same. */
struct source {
    const char *path; /* from the root */
    char *raw;
    char *code;
    size_t bytes;
};

/* Print a finding.  line 0: the whole file. */
void tidy_report(struct tidy *tidy, const char *path, unsigned line, const char *rule, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Is path one of the places, or below one?  Places are separated by spaces; "*" is everywhere. */
bool path_in(const char *path, const char *places);
/* The row of the table whose first field is the longest that path is in, ROWS_MAX if none. */
unsigned table_row_of(const struct table *table, const char *path);
/* Read a file of at most 4 MiB, with a NUL behind it.  NULL if it cannot be read; free it. */
char *file_read(const char *root, const char *path, size_t *bytes);
unsigned line_of(const char *text, const char *at);
void longest_note(struct longest *list, const struct longest *entry);

/* Rules on sources (tidy_source.c), on public headers (tidy_api.c), on what was built (tidy_built.c). */
void source_check(struct tidy *tidy, const char *path);
void api_check_header(struct tidy *tidy, const struct source *source);
void api_check_symbols(struct tidy *tidy, const char *library);
void objects_check(struct tidy *tidy, const char *list_path);

#endif
