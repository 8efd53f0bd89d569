/* SPDX-License-Identifier: Apache-2.0 */
/* Rules on the public interface: each exported function is documented and says who owns what; the list of symbols is
 * the headers' and the library's. */
#include "tests/tidy/tidy.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYMBOLS_FILE "tests/abi/weft.symbols"
#define HEADERS_FOLDER "include/weft"

/* The prototype at `at`, which begins with WEFT_API: its name.  NULL at the macro's own definition. */
static const char *prototype_name(const char *at, size_t *bytes)
{
    const char *open = strpbrk(at, "(;");
    if (open == NULL || *open == ';') {
        return NULL;
    }
    const char *name = open;
    while (name > at && (isalnum((unsigned char)name[-1]) || name[-1] == '_')) {
        name--;
    }
    *bytes = (size_t)(open - name);
    return name;
}

static const char *prototype_next(const char *from)
{
    for (const char *at = strstr(from, "WEFT_API "); at != NULL; at = strstr(at + 1, "WEFT_API ")) {
        const char *line = at;
        while (line > from && line[-1] != '\n') {
            line--;
        }
        if (*line != '#') {
            return at;
        }
    }
    return NULL;
}

/* The comment that ends right above the prototype, as offsets in raw; false if there is none. */
static bool comment_above(const struct source *source, size_t at, size_t *begin, size_t *end)
{
    if (at < 3 || strncmp(source->raw + at - 3, "*/\n", 3) != 0) {
        return false;
    }
    *end = at - 1;
    size_t start = at - 3;
    while (start > 0 && strncmp(source->raw + start, "/*", 2) != 0) {
        start--;
    }
    *begin = start;
    return strncmp(source->raw + start, "/**", 3) == 0;
}

static void doc_check(struct tidy *tidy, const struct source *source, size_t at, unsigned line, const char *name)
{
    size_t begin = 0;
    size_t end = 0;
    if (!comment_above(source, at, &begin, &end)) {
        tidy_report(tidy, source->path, line, "doc", "%s has no /** comment right above it", name);
        return;
    }
    char *comment = strndup(source->raw + begin, end - begin);
    const char *shard = comment != NULL ? strstr(comment, "@shard ") : NULL;
    const char *value = shard != NULL ? shard + strlen("@shard ") : "";
    if (strncmp(value, "owner", 5) != 0 && strncmp(value, "any", 3) != 0 && strncmp(value, "control", 7) != 0) {
        tidy_report(tidy, source->path, line, "doc", "%s says no @shard owner, any or control", name);
    }
    free(comment);
}

static bool api_is_free(const struct tidy *tidy, const char *name, const char *rule)
{
    for (unsigned row = 0; row < tidy->api.rows; row++) {
        if (strcmp(tidy->api.fields[row][0], name) == 0 && path_in(rule, tidy->api.fields[row][1])) {
            return true;
        }
    }
    return false;
}

static void ownership_check(struct tidy *tidy, const struct source *source, unsigned line, const char *name,
                            const char *prototype)
{
    bool fallible = strstr(prototype, "enum weft_err weft_") != NULL;
    if (fallible && strstr(prototype, "WEFT_NODISCARD") == NULL && !api_is_free(tidy, name, "nodiscard")) {
        tidy_report(tidy, source->path, line, "nodiscard", "%s can fail and has no WEFT_NODISCARD", name);
    }
    const char *destroy = strstr(name, "_destroy");
    if (destroy != NULL && destroy[8] == '\0' && strstr(prototype, "WEFT_TAKE") == NULL) {
        tidy_report(tidy, source->path, line, "ownership", "%s does not mark what it takes: WEFT_TAKE", name);
    }
    const char *out = strstr(prototype, "**");
    if (out != NULL && strstr(prototype, "WEFT_GIVE") == NULL && strstr(prototype, "WEFT_LEND") == NULL) {
        tidy_report(tidy, source->path, line, "ownership", "%s does not mark its out-parameter: WEFT_GIVE or WEFT_LEND",
                    name);
    }
}

void api_check_header(struct tidy *tidy, const struct source *source)
{
    for (const char *at = prototype_next(source->code); at != NULL; at = prototype_next(at + 1)) {
        size_t bytes = 0;
        const char *found = prototype_name(at, &bytes);
        char *name = found != NULL ? strndup(found, bytes) : NULL;
        char *prototype = strndup(at, strcspn(at, ";"));
        unsigned line = line_of(source->code, at);
        if (name == NULL || prototype == NULL || strncmp(name, "weft_", 5) != 0) {
            tidy_report(tidy, source->path, line, "doc", "WEFT_API stands before no weft_ function");
        } else {
            doc_check(tidy, source, (size_t)(at - source->code), line, name);
            ownership_check(tidy, source, line, name, prototype);
        }
        free(prototype);
        free(name);
    }
}

/* Does a line of the text consist of the name? */
static bool lines_hold(const char *text, const char *name, size_t bytes)
{
    for (const char *line = text; *line != '\0';) {
        size_t line_bytes = strcspn(line, "\n");
        if (line_bytes == bytes && strncmp(line, name, bytes) == 0) {
            return true;
        }
        line += line_bytes + (line[line_bytes] == '\n');
    }
    return false;
}

/* Report every line of `from` that is not in `in`. */
static void lines_compare(struct tidy *tidy, const char *from, const char *in, const char *path, const char *what)
{
    for (const char *line = from; *line != '\0';) {
        size_t bytes = strcspn(line, "\n");
        if (bytes > 0 && !lines_hold(in, line, bytes)) {
            tidy_report(tidy, path, 0, "symbols", "%.*s %s", (int)bytes, line, what);
        }
        line += bytes + (line[bytes] == '\n');
    }
}

/* Output of a command, one word a line.  Free it. */
static char *command_lines(const char *format, const char *argument)
{
    char command[2 * PATH_BYTES];
    char line[1024];
    char *text = NULL;
    size_t bytes = 0;
    FILE *memory = open_memstream(&text, &bytes);
    snprintf(command, sizeof command, format, argument);
    FILE *pipe = popen(command, "r");
    while (memory != NULL && pipe != NULL && fgets(line, sizeof line, pipe) != NULL) {
        fputs(line, memory);
    }
    if (pipe != NULL) {
        pclose(pipe);
    }
    if (memory != NULL) {
        fclose(memory);
    }
    return text;
}

void api_check_symbols(struct tidy *tidy, const char *library)
{
    size_t bytes = 0;
    char *wanted = file_read(tidy->root, SYMBOLS_FILE, &bytes);
    char headers[PATH_BYTES];
    snprintf(headers, sizeof headers, "%.2048s/" HEADERS_FOLDER, tidy->root);
    char *declared =
        command_lines("cat '%s'/*.h 2>/dev/null | tr '\\n' ' ' | tr ';' '\\n' | sed 's/#define WEFT_API//g'"
                      " | sed -nE 's/.*WEFT_API [^(]*(weft_[a-z0-9_]+)\\(.*/\\1/p' | sort -u",
                      headers);
    if (wanted != NULL && declared != NULL) {
        lines_compare(tidy, declared, wanted, SYMBOLS_FILE, "is declared WEFT_API and missing here");
        lines_compare(tidy, wanted, declared, SYMBOLS_FILE, "is listed and declared in no public header");
    } else if (declared != NULL && declared[0] != '\0') {
        tidy_report(tidy, SYMBOLS_FILE, 0, "symbols", "cannot read it");
    }
    if (library != NULL) {
        char *exported =
            command_lines("nm -D --defined-only '%s' | sed -nE 's/^[0-9a-f]+ [^A] ([^@]+).*/\\1/p'", library);
        if (exported != NULL && wanted != NULL) {
            lines_compare(tidy, exported, wanted, library, "is exported and not in " SYMBOLS_FILE);
            lines_compare(tidy, wanted, exported, library, "is in " SYMBOLS_FILE " and not exported");
        }
        free(exported);
    }
    free(declared);
    free(wanted);
}
