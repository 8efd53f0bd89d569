/* SPDX-License-Identifier: Apache-2.0 */
/* Files by which the system tells about itself: /proc and /sys.  Everything that topology/machine reads, it reads here.
 *
 * Happy path: open, line after line, close; or the first line at once.
 *
 * Failure modes: a file that is not there has no lines.  A line that is too long is cut and says so; lines and names
 * beyond a limit are not looked at, so that no file and no directory takes longer than it should. */
#ifndef TOPOLOGY_MACHINE_SYSTEM_FILE_H
#define TOPOLOGY_MACHINE_SYSTEM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A path below the root, with all that is put together for it. */
#define SYSTEM_PATH_BYTES 1024u
/* Lines of one file that are looked at: more than a large machine has interrupts or mounts. */
#define SYSTEM_LINES_MAX 8192u
/* Names of one directory that are looked at. */
#define SYSTEM_NAMES_MAX 4096u
/* One line of a list of CPUs, or of a setting. */
#define SYSTEM_LINE_BYTES 4096u

struct system_file {
    FILE *file; /* NULL: not there */
    uint32_t lines_left;
};

/* @param root "" for this machine, or a directory that holds a copy of another's files   @param path from "/" on */
void system_file_open(struct system_file *file, const char *root, const char *path);
/* The next line without its end.  @param cut set if the line was longer   @return false: there is none */
bool system_file_line(struct system_file *file, char *line, size_t bytes, bool *cut);
void system_file_close(struct system_file *file);

/* The first line of a file.  @return false: no such file, or the line is longer; line is then "" */
bool system_line_read(const char *root, const char *path, char *line, size_t bytes);

/* Called with each name of a directory but those that begin with a dot.  @return false: enough */
typedef bool system_name_fn(void *ctx, const char *name);
void system_names_visit(const char *root, const char *path, system_name_fn *fn, void *ctx);

#endif
