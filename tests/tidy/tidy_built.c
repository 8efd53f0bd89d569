/* SPDX-License-Identifier: Apache-2.0 */
/* Rules on object files: no mutable data outside functions, and nothing past the seam. */
#include "tests/tidy/tidy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct objects {
    char *defined;           /* every global symbol of ours, between newlines */
    char source[PATH_BYTES]; /* of the object that is being read */
};

struct symbol {
    const char *flags;
    char section[256];
    char name[512];
};

/* Sections that are written at run time.  Constant tables with addresses in them are .data.rel.ro, which is not. */
static bool section_is_mutable(const char *section)
{
    if (strncmp(section, ".data.rel.ro", 12) == 0) {
        return false;
    }
    return strncmp(section, ".data", 5) == 0 || strncmp(section, ".bss", 4) == 0 ||
           strncmp(section, ".tdata", 6) == 0 || strncmp(section, ".tbss", 5) == 0 || strcmp(section, "*COM*") == 0;
}

/* build/engine/CMakeFiles/weft_io.dir/./io/socket.c.o is engine/io/socket.c: what stands before the build's own folder
 * is found by trying the folders of the layers. */
static void object_source(const struct tidy *tidy, const char *object, char *source)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%.4000s", object);
    char *own = strstr(path, "CMakeFiles/");
    char *rest = own != NULL ? strstr(own, ".dir/") : NULL;
    if (rest != NULL) {
        rest += strlen(".dir/");
        rest += strncmp(rest, "./", 2) == 0 ? 2 : 0;
        memmove(own, rest, strlen(rest) + 1);
    }
    size_t bytes = strlen(path);
    if (bytes > 2 && strcmp(path + bytes - 2, ".o") == 0) {
        path[bytes - 2] = '\0';
    }
    const char *begin = path;
    for (const char *part = path; part != NULL; part = strchr(part, '/') != NULL ? strchr(part, '/') + 1 : NULL) {
        if (table_row_of(&tidy->layers, part) < ROWS_MAX) {
            begin = part;
        }
    }
    snprintf(source, PATH_BYTES, "%s", begin);
}

static bool seam_matches(const char *pattern, const char *name)
{
    size_t bytes = strlen(pattern);
    bool open = bytes > 0 && pattern[bytes - 1] == '*';
    return open ? strncmp(pattern, name, bytes - 1) == 0 : strcmp(pattern, name) == 0;
}

static void import_check(struct tidy *tidy, const struct objects *objects, const char *name)
{
    char line[600];
    snprintf(line, sizeof line, "\n%s\n", name);
    if (strstr(objects->defined, line) != NULL) {
        return; /* one of ours that is named like one of theirs */
    }
    for (unsigned row = 0; row < tidy->seam.rows; row++) {
        const char *places = tidy->seam.fields[row][1];
        if (seam_matches(tidy->seam.fields[row][0], name) && !path_in(objects->source, places)) {
            tidy_report(tidy, objects->source, 0, "seam",
                        "imports %s; ask through engine/io/io.h, or list it in seam.txt", name);
        }
    }
}

/* One line of `objdump -t`: 16 digits of address, a space, seven letters of flags (blank where not set), a space,
 * section, tab, size, name. */
static bool symbol_read(const char *line, struct symbol *symbol)
{
    if (strspn(line, "0123456789abcdef") != 16 || strlen(line) < 26) {
        return false;
    }
    symbol->flags = line + 17;
    if (sscanf(line + 25, "%255s\t%*16[0-9a-f] %511s", symbol->section, symbol->name) != 2) {
        return false;
    }
    bool hidden = strcmp(symbol->name, ".hidden") == 0;
    return !hidden || sscanf(strstr(line, ".hidden"), ".hidden %511s", symbol->name) == 1;
}

static void symbol_check(struct tidy *tidy, const struct objects *objects, const struct symbol *symbol)
{
    if (strcmp(symbol->section, "*UND*") == 0) {
        import_check(tidy, objects, symbol->name);
    } else if (section_is_mutable(symbol->section) && symbol->flags[5] != 'd') {
        tidy_report(tidy, objects->source, 0, "mutable-data", "%s is in %s; keep it in the object that owns it",
                    symbol->name, symbol->section);
    }
}

/* Go through every symbol of every object: first with `defined` given, to collect what is ours, then to check. */
static bool objects_walk(struct tidy *tidy, struct objects *objects, const char *list_path, FILE *defined)
{
    char command[PATH_BYTES];
    char line[2 * PATH_BYTES];
    unsigned count = 0;
    unsigned symbols = 0;
    snprintf(command, sizeof command, "objdump -t '@%.4000s'", list_path);
    FILE *pipe = popen(command, "r");
    while (pipe != NULL && fgets(line, sizeof line, pipe) != NULL) {
        struct symbol symbol;
        char *end = strstr(line, ":     file format ");
        if (end != NULL) {
            *end = '\0';
            object_source(tidy, line, objects->source);
            count++;
        } else if (symbol_read(line, &symbol)) {
            symbols++;
            if (defined == NULL) {
                symbol_check(tidy, objects, &symbol);
            } else if (symbol.flags[0] == 'g' && strcmp(symbol.section, "*UND*") != 0) {
                fprintf(defined, "%s\n", symbol.name);
            }
        }
    }
    int status = pipe != NULL ? pclose(pipe) : -1;
    if (status != 0 || count == 0 || symbols == 0) {
        tidy_report(tidy, list_path, 0, "objects", "objdump read %u objects with %u symbols, status %d", count, symbols,
                    status);
        return false;
    }
    return true;
}

void objects_check(struct tidy *tidy, const char *list_path)
{
    struct objects objects = {.source = "?"};
    size_t bytes = 0;
    FILE *defined = open_memstream(&objects.defined, &bytes);
    if (defined == NULL) {
        tidy_report(tidy, list_path, 0, "objects", "no memory");
        return;
    }
    fputc('\n', defined);
    bool read = objects_walk(tidy, &objects, list_path, defined);
    fclose(defined);
    if (read) {
        objects_walk(tidy, &objects, list_path, NULL);
    }
    free(objects.defined);
}
