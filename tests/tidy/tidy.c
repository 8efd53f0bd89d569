/* SPDX-License-Identifier: Apache-2.0 */
/* tidy: checks the rules of this code base that a machine can check.
 *
 *   tidy [--quiet] [--data DIR] [--objects LIST] [--library FILE] ROOT
 *
 * Walks the sources below ROOT; with --objects also looks into the object files that LIST names, one a line; with
 * --library compares the exports of a libweft.so with tests/abi/weft.symbols.  What is allowed where is data, in the
 * .txt files beside this one.  Prints one line per finding, `file:line: rule: text`, then the longest functions and
 * files, which are for people to judge.  Exit: 0 nothing found, 1 findings, 2 it could not look. */
#include "tests/tidy/tidy.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX (4u * 1024 * 1024)

/* Made by tools, or wrong on purpose. */
static const char skipped[] = "build tests/tidy/fixtures tests/fuzz/corpus tests/fixtures tests/interop/fixtures";

void tidy_report(struct tidy *tidy, const char *path, unsigned line, const char *rule, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%s:%u: %s: ", path, line, rule);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
    tidy->finding_count++;
}

bool path_in(const char *path, const char *places)
{
    for (const char *place = places; *place != '\0';) {
        size_t bytes = strcspn(place, " ");
        bool all = bytes == 1 && *place == '*';
        if (all || (bytes > 0 && strncmp(path, place, bytes) == 0 && (path[bytes] == '\0' || path[bytes] == '/'))) {
            return true;
        }
        place += bytes;
        place += strspn(place, " ");
    }
    return false;
}

unsigned table_row_of(const struct table *table, const char *path)
{
    unsigned best = ROWS_MAX;
    for (unsigned row = 0; row < table->rows; row++) {
        const char *folder = table->fields[row][0];
        if (path_in(path, folder) && (best == ROWS_MAX || strlen(folder) > strlen(table->fields[best][0]))) {
            best = row;
        }
    }
    return best;
}

char *file_read(const char *root, const char *path, size_t *bytes)
{
    char full[PATH_BYTES];
    snprintf(full, sizeof full, "%s%s%s", root, *root != '\0' ? "/" : "", path);
    FILE *file = fopen(full, "rb");
    char *text = file != NULL ? calloc(1, FILE_BYTES_MAX + 1) : NULL;
    if (text != NULL) {
        *bytes = fread(text, 1, FILE_BYTES_MAX, file);
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

unsigned line_of(const char *text, const char *at)
{
    unsigned line = 1;
    for (const char *c = text; c < at; c++) {
        line += *c == '\n';
    }
    return line;
}

void longest_note(struct longest *list, const struct longest *entry)
{
    unsigned place = LONGEST_COUNT;
    while (place > 0 && list[place - 1].lines < entry->lines) {
        place--;
    }
    if (place < LONGEST_COUNT) {
        memmove(&list[place + 1], &list[place], (LONGEST_COUNT - 1 - place) * sizeof *list);
        list[place] = *entry;
    }
}

static void longest_print(const char *what, const struct longest *list)
{
    printf("longest %s:\n", what);
    for (unsigned i = 0; i < LONGEST_COUNT && list[i].lines > 0; i++) {
        printf("  %5u lines  %s:%u  %s\n", list[i].lines, list[i].path, list[i].line, list[i].name);
    }
}

static char *field_trim(char *field)
{
    field += strspn(field, " ");
    for (size_t bytes = strlen(field); bytes > 0 && field[bytes - 1] == ' '; bytes--) {
        field[bytes - 1] = '\0';
    }
    return field;
}

static void table_load(struct table *table, const char *data, const char *name)
{
    size_t bytes = 0;
    table->text = file_read(data, name, &bytes);
    if (table->text == NULL) {
        fprintf(stderr, "tidy: cannot read %s/%s\n", data, name);
        exit(2);
    }
    char *rest = table->text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        if (*line == '#' || *line == '\0') {
            continue;
        }
        if (table->rows == ROWS_MAX) {
            fprintf(stderr, "tidy: %s/%s has more than %d rows\n", data, name, ROWS_MAX);
            exit(2);
        }
        for (unsigned field = 0; field < FIELDS_MAX; field++) {
            char *text = strsep(&line, "|");
            table->fields[table->rows][field] = text != NULL ? field_trim(text) : "";
        }
        table->rows++;
    }
}

static void folder_walk(struct tidy *tidy, const char *folder)
{
    char full[PATH_BYTES];
    struct dirent **entries = NULL;
    snprintf(full, sizeof full, "%s/%s", tidy->root, folder);
    int count = scandir(full, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[PATH_BYTES];
        struct stat about;
        const char *name = entries[i]->d_name;
        snprintf(path, sizeof path, "%.2048s%s%s", folder, *folder != '\0' ? "/" : "", name);
        snprintf(full, sizeof full, "%.1024s/%.3000s", tidy->root, path);
        bool hidden = name[0] == '.' && strcmp(name, ".ci") != 0;
        if (!hidden && strcmp(name, "__pycache__") != 0 && !path_in(path, skipped) && lstat(full, &about) == 0) {
            if (S_ISDIR(about.st_mode)) {
                folder_walk(tidy, path);
            } else if (S_ISREG(about.st_mode)) {
                source_check(tidy, path);
            }
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    struct tidy *tidy = calloc(1, sizeof *tidy);
    const char *objects = NULL;
    const char *library = NULL;
    char data[PATH_BYTES] = "";
    bool quiet = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quiet") == 0) {
            quiet = true;
        } else if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            snprintf(data, sizeof data, "%s", argv[++i]);
        } else if (strcmp(argv[i], "--objects") == 0 && i + 1 < argc) {
            objects = argv[++i];
        } else if (strcmp(argv[i], "--library") == 0 && i + 1 < argc) {
            library = argv[++i];
        } else if (argv[i][0] != '-' && tidy != NULL && tidy->root == NULL) {
            tidy->root = argv[i];
        } else {
            fprintf(stderr, "tidy: unknown argument %s\n", argv[i]);
            return 2;
        }
    }
    if (tidy == NULL || tidy->root == NULL) {
        fprintf(stderr, "usage: tidy [--quiet] [--data DIR] [--objects LIST] [--library FILE] ROOT\n");
        return 2;
    }
    if (data[0] == '\0') {
        snprintf(data, sizeof data, "%s/tests/tidy", tidy->root);
    }
    table_load(&tidy->layers, data, "layers.txt");
    table_load(&tidy->third_party, data, "third_party.txt");
    table_load(&tidy->banned, data, "banned.txt");
    table_load(&tidy->seam, data, "seam.txt");
    table_load(&tidy->api, data, "api.txt");

    folder_walk(tidy, "");
    if (tidy->file_count == 0) {
        tidy_report(tidy, tidy->root, 0, "empty", "no source file below it");
    }
    api_check_symbols(tidy, library);
    if (objects != NULL) {
        objects_check(tidy, objects);
    }
    if (!quiet) {
        longest_print("functions", tidy->functions);
        longest_print("files", tidy->files);
        printf("%u files, %u findings\n", tidy->file_count, tidy->finding_count);
    }
    int result = tidy->finding_count > 0;
    struct table *tables[] = {&tidy->layers, &tidy->third_party, &tidy->banned, &tidy->seam, &tidy->api};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        free(tables[i]->text);
    }
    free(tidy);
    return result;
}
