/* SPDX-License-Identifier: Apache-2.0 */
/* Files of properties, as java.util.Properties reads them: key=value with its separators, comments, escapes and lines
 * that continue.
 *
 *     struct properties properties;
 *     struct property property;
 *     if (properties_open(&properties, file, text, bytes, FILE_BYTES_MAX, &faults)) {
 *         while (properties_next(&properties, &property)) { ... }
 *     }
 */
#ifndef TOPOLOGY_CLUSTER_PROPERTIES_H
#define TOPOLOGY_CLUSTER_PROPERTIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/defs.h>

/* A key is a word or an address, or else a host name: 253 bytes. */
#define PROPERTY_KEY_BYTES_MAX 256u
/* A value is at most two names and what separates them, with some blanks. */
#define PROPERTY_VALUE_BYTES_MAX 1024u

/* Where faults go, one printable line each: file:line:column: key: what is wrong, what would be right. */
struct properties_faults {
    void (*add)(void *ctx, const char *line);
    void *ctx;
    uint32_t count;
};

struct properties {
    const char *file; /* name in messages */
    struct properties_faults *faults;
    bool scylla; /* read by Scylla too, by rules of its own: what it reads otherwise is a fault */
    const char *at;
    const char *end;
    const char *line_begin;
    uint32_t line;
    bool line_bad; /* a fault of this logical line was told */
};

struct property {
    char key[PROPERTY_KEY_BYTES_MAX + 1];     /* UTF-8 */
    char value[PROPERTY_VALUE_BYTES_MAX + 1]; /* UTF-8; blanks at its end do not count */
    uint32_t key_bytes;
    uint32_t value_bytes;
    char separator; /* '=', ':', ' ', or '\0' where the line ends behind the key */
    uint32_t line;
    uint32_t column;
    uint32_t value_line;
    uint32_t value_column;
};

/* Look at a file as a whole.  The text must outlive the reader.  @return false: a fault was told, nothing can be read
 */
bool properties_open(struct properties *properties, const char *file, const char *text, size_t bytes, size_t bytes_max,
                     struct properties_faults *faults);
/* The next pair; faulty lines are told and passed over.  @return false: there is none */
bool properties_next(struct properties *properties, struct property *property);

/* Tell a fault.  key: what it is about */
void properties_fault(const struct properties *properties, uint32_t line, uint32_t column, const char *key,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Whether a part of the value can be a name; tells a fault if not.  begin: where in the value it stands */
bool properties_name(const struct properties *properties, const struct property *property, uint32_t begin,
                     uint32_t bytes, const char *what);

#endif
