/* SPDX-License-Identifier: Apache-2.0 */
/* Rules on one source file: form, includes, calls. */
#include "tests/tidy/tidy.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COLUMNS_MAX 120
#define LICENSE_LINE "SPDX-License-Identifier: Apache-2.0"

enum kind { KIND_NONE, KIND_C, KIND_SCRIPT, KIND_PROSE };

/* Marks of unfinished work.  In halves, so that this file has none. */
static const char *const marks[] = {"to"
                                    "do",
                                    "fix"
                                    "me",
                                    "xx"
                                    "x"};

static bool name_ends(const char *name, const char *end)
{
    size_t name_bytes = strlen(name);
    size_t end_bytes = strlen(end);
    return name_bytes >= end_bytes && strcmp(name + name_bytes - end_bytes, end) == 0;
}

static enum kind kind_of(const char *path)
{
    static const char *const scripts[] = {".py", ".sh", ".cmake", ".in", "CMakeLists.txt"};
    static const char *const prose[] = {".md", ".txt", ".symbols", ".yaml", ".json"};
    if (name_ends(path, ".c") || name_ends(path, ".h")) {
        return KIND_C;
    }
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        if (name_ends(path, scripts[i])) {
            return KIND_SCRIPT;
        }
    }
    for (size_t i = 0; i < sizeof prose / sizeof *prose; i++) {
        if (name_ends(path, prose[i])) {
            return KIND_PROSE;
        }
    }
    const char *name = strrchr(path, '/');
    return name != NULL && strchr(name, '.') == NULL && path_in(path, "script .ci tests") ? KIND_SCRIPT : KIND_NONE;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Blank what is not code: comments, strings, characters.  Keeps newlines, and the quotes of strings. */
static void code_blank(char *code)
{
    enum { CODE, LINE_COMMENT, COMMENT, QUOTED } state = CODE;
    char quote = '\0';
    for (char *c = code; *c != '\0'; c++) {
        if (state == CODE && c[0] == '/' && (c[1] == '/' || c[1] == '*')) {
            state = c[1] == '/' ? LINE_COMMENT : COMMENT;
            *c++ = ' ';
            *c = ' ';
        } else if (state == CODE && (*c == '"' || *c == '\'')) {
            state = QUOTED;
            quote = *c;
        } else if (state == QUOTED && *c == quote) {
            state = CODE;
        } else if (state == QUOTED && *c == '\\' && c[1] != '\0' && c[1] != '\n') {
            *c++ = ' ';
            *c = ' ';
        } else if ((state == LINE_COMMENT || state == QUOTED) && *c == '\n') {
            state = CODE;
        } else if (state == COMMENT && c[0] == '*' && c[1] == '/') {
            state = CODE;
            *c++ = ' ';
            *c = ' ';
        } else if (state != CODE && *c != '\n') {
            *c = ' ';
        }
    }
}

static void marks_check(struct tidy *tidy, const struct source *source, const char *begin, unsigned line)
{
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        size_t bytes = strlen(marks[i]);
        for (const char *c = begin; *c != '\0' && *c != '\n'; c++) {
            bool whole = (c == begin || !is_word(c[-1])) && strncasecmp(c, marks[i], bytes) == 0 && !is_word(c[bytes]);
            if (whole) {
                tidy_report(tidy, source->path, line, "mark",
                            "unfinished work; finish it, or say what is missing in the docs");
            }
        }
    }
}

/* Form of each line: what every kind of file keeps, and what prose need not. */
static void lines_check(struct tidy *tidy, const struct source *source, bool strict)
{
    unsigned line = 1;
    for (const char *begin = source->raw; *begin != '\0'; line++) {
        size_t bytes = strcspn(begin, "\n");
        unsigned columns = 0;
        bool tab = false;
        for (size_t i = 0; i < bytes; i++) {
            columns += ((unsigned char)begin[i] & 0xc0) != 0x80;
            tab = tab || begin[i] == '\t';
        }
        if (tab && strict) {
            tidy_report(tidy, source->path, line, "tab", "indent with four spaces");
        }
        if (bytes > 0 && isspace((unsigned char)begin[bytes - 1])) {
            tidy_report(tidy, source->path, line, "trailing-space", "ends in white space");
        }
        if (strict && columns > COLUMNS_MAX) {
            tidy_report(tidy, source->path, line, "line-length", "%u columns; at most %d", columns, COLUMNS_MAX);
        }
        marks_check(tidy, source, begin, line);
        if (begin[bytes] == '\0') {
            tidy_report(tidy, source->path, line, "last-line", "no newline at the end");
        }
        begin += bytes + (begin[bytes] == '\n');
    }
    struct longest entry = {.lines = line - 1, .line = 1};
    snprintf(entry.path, sizeof entry.path, "%s", source->path);
    if (strict) {
        longest_note(tidy->files, &entry);
    }
}

static void license_check(struct tidy *tidy, const struct source *source, bool is_c)
{
    const char *want = is_c ? "/* " LICENSE_LINE " */\n" : "# " LICENSE_LINE "\n";
    const char *line = source->raw;
    if (!is_c && strncmp(line, "#!", 2) == 0) {
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    if (strncmp(line, want, strlen(want)) != 0) {
        tidy_report(tidy, source->path, 1, "license", "begin with: %.*s", (int)strlen(want) - 1, want);
    }
}

static void include_check(struct tidy *tidy, const struct source *source, unsigned line, const char *header,
                          bool quoted)
{
    char target[PATH_BYTES];
    bool public = strncmp(header, "weft/", 5) == 0;
    for (unsigned row = 0; row < tidy->third_party.rows; row++) {
        const char *begin = tidy->third_party.fields[row][0];
        const char *places = tidy->third_party.fields[row][1];
        if (strncmp(header, begin, strlen(begin)) == 0 && !path_in(source->path, places)) {
            tidy_report(tidy, source->path, line, "third-party", "%s belongs to: %s", header, places);
        }
    }
    if (!quoted && !public) {
        return;
    }
    snprintf(target, sizeof target, "%s%.2048s", public ? "include/" : "", header);
    unsigned from = table_row_of(&tidy->layers, source->path);
    unsigned to = table_row_of(&tidy->layers, target);
    const char *allowed = from < ROWS_MAX ? tidy->layers.fields[from][1] : "";
    if (strcmp(allowed, "*") == 0) {
        return;
    }
    if (from == ROWS_MAX) {
        tidy_report(tidy, source->path, line, "layer", "this folder is in no row of layers.txt");
    } else if (to == ROWS_MAX) {
        tidy_report(tidy, source->path, line, "layer",
                    "\"%s\" is in no folder of layers.txt; write the path from the root", header);
    } else if (!path_in(tidy->layers.fields[to][0], allowed)) {
        tidy_report(tidy, source->path, line, "layer", "%s may not include %s; it may include: %s",
                    tidy->layers.fields[from][0], tidy->layers.fields[to][0], allowed);
    }
}

static void includes_check(struct tidy *tidy, const struct source *source)
{
    unsigned line = 1;
    for (const char *begin = source->raw; *begin != '\0'; line++) {
        char header[256];
        char open = '\0';
        /* Preprocessor lines stand in `code` too, unless they are inside a comment. */
        bool live = source->code[begin - source->raw] == '#';
        if (live && sscanf(begin, "# include %c%255[^\">\n]", &open, header) == 2 && (open == '"' || open == '<')) {
            include_check(tidy, source, line, header, open == '"');
        }
        begin += strcspn(begin, "\n");
        begin += *begin == '\n';
    }
}

static void call_check(struct tidy *tidy, const struct source *source, const char *name, size_t bytes)
{
    const struct table *table = &tidy->banned;
    for (unsigned row = 0; row < table->rows; row++) {
        const char *call = table->fields[row][0];
        if (strlen(call) == bytes && strncmp(name, call, bytes) == 0 && path_in(source->path, table->fields[row][1]) &&
            !path_in(source->path, table->fields[row][3])) {
            tidy_report(tidy, source->path, line_of(source->code, name), "banned", "%s(): %s", call,
                        table->fields[row][2]);
        }
    }
    const char *argument = name + bytes + strspn(name + bytes, " (");
    if (bytes == 5 && strncmp(name, "htons", 5) == 0 && isdigit((unsigned char)*argument) &&
        strtoul(argument, NULL, 0) != 0 && path_in(source->path, "tests/integration tests/interop")) {
        tidy_report(tidy, source->path, line_of(source->code, name), "port",
                    "a fixed port; bind port 0 and ask for it");
    }
}

static void calls_check(struct tidy *tidy, const struct source *source)
{
    char before = '\n'; /* the last character that is not white space */
    for (const char *c = source->code; *c != '\0';) {
        if (!is_word(*c)) {
            before = isspace((unsigned char)*c) ? before : *c;
            c++;
            continue;
        }
        size_t bytes = 0;
        while (is_word(c[bytes])) {
            bytes++;
        }
        const char *after = c + bytes + strspn(c + bytes, " ");
        bool member = before == '.' || before == '>';
        if (*after == '(' && !member) {
            call_check(tidy, source, c, bytes);
        }
        before = c[bytes - 1];
        c += bytes;
    }
}

/* A function's body stands between braces in the first column; its head is the lines above, up to an empty one. */
static void functions_measure(struct tidy *tidy, const struct source *source)
{
    struct longest entry = {0};
    unsigned line = 1;
    const char *head = NULL;
    for (const char *begin = source->code; *begin != '\0'; line++) {
        if (strncmp(begin, "{\n", 2) == 0 && head != NULL) {
            entry.line = line;
            snprintf(entry.path, sizeof entry.path, "%s", source->path);
            snprintf(entry.name, sizeof entry.name, "%.*s", (int)strcspn(head, "(\n"), head);
        } else if (*begin == '}' && entry.line > 0) {
            entry.lines = line - entry.line + 1;
            longest_note(tidy->functions, &entry);
            entry.line = 0;
        }
        head = isalpha((unsigned char)*begin) ? begin : head;
        begin += strcspn(begin, "\n");
        begin += *begin == '\n';
    }
}

void source_check(struct tidy *tidy, const char *path)
{
    enum kind kind = kind_of(path);
    struct source source = {.path = path};
    if (kind == KIND_NONE) {
        return;
    }
    source.raw = file_read(tidy->root, path, &source.bytes);
    source.code = source.raw != NULL ? strdup(source.raw) : NULL;
    if (source.code == NULL) {
        tidy_report(tidy, path, 0, "unreadable", "cannot read it");
    } else {
        tidy->file_count++;
        lines_check(tidy, &source, kind != KIND_PROSE);
        if (kind != KIND_PROSE) {
            license_check(tidy, &source, kind == KIND_C);
        }
        if (kind == KIND_C) {
            code_blank(source.code);
            includes_check(tidy, &source);
            calls_check(tidy, &source);
            functions_measure(tidy, &source);
            if (path_in(path, "include/weft")) {
                api_check_header(tidy, &source);
            }
        }
    }
    free(source.code);
    free(source.raw);
}
