/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the names of nodes in certificates: weft://<cluster>/<dc>/<rack>/<node id>, each part percent-encoded.  Fails
 * on parts that could be read back as something else: empty ones, "-" (which means unknown) and longer ones than any
 * configuration accepts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/issue.h"

#define SCHEME "weft://"
#define UNKNOWN_PART "-"
#define PART_COUNT 4u
/* A byte becomes three; each part has a slash or the final NUL behind it. */
#define URI_BYTES_MAX (sizeof SCHEME + PART_COUNT * (3 * WEFT_NAME_BYTES_MAX + 1))

/* RFC 3986, unreserved; independent of the locale. */
static bool uri_is_unreserved(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

bool tls_node_name_is_valid(const char *name)
{
    size_t bytes = strlen(name);
    if (bytes == 0 || bytes > 64 || name[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (!uri_is_unreserved(name[i]) || name[i] == '~') {
            return false;
        }
    }
    return true;
}

static enum weft_err uri_append(char *uri, size_t *used, const char *what, const char *part, struct weft_error *why)
{
    static const char digits[] = "0123456789ABCDEF";
    if (part == NULL) {
        part = UNKNOWN_PART;
    } else if (part[0] == '\0' || strcmp(part, UNKNOWN_PART) == 0) {
        return weft_error_set(why, WEFT_ERR_INVALID, "%s: \"%s\" cannot be a name; leave it out if it is unknown", what,
                              part);
    }
    size_t bytes = strlen(part);
    if (bytes > WEFT_NAME_BYTES_MAX) {
        return weft_error_set(why, WEFT_ERR_INVALID, "%s: has %zu bytes; a name has at most %d", what, bytes,
                              WEFT_NAME_BYTES_MAX);
    }
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)part[i];
        if (uri_is_unreserved(part[i])) {
            uri[(*used)++] = part[i];
        } else {
            uri[(*used)++] = '%';
            uri[(*used)++] = digits[byte >> 4];
            uri[(*used)++] = digits[byte & 15];
        }
    }
    return WEFT_OK;
}

enum weft_err tls_node_uri(char **uri, const char *cluster, const char *dc, const char *rack, const char *id,
                           struct weft_error *why)
{
    static const char *const names[PART_COUNT] = {"cluster", "dc", "rack", "id"};
    const char *const parts[PART_COUNT] = {cluster, dc, rack, id};
    *uri = NULL;
    char *made = calloc(1, URI_BYTES_MAX);
    if (made == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for a URI");
    }
    memcpy(made, SCHEME, strlen(SCHEME));
    size_t used = strlen(SCHEME);
    for (uint32_t i = 0; i < PART_COUNT; i++) {
        if (i > 0) {
            made[used++] = '/';
        }
        enum weft_err err = uri_append(made, &used, names[i], parts[i], why);
        if (err != WEFT_OK) {
            free(made);
            return err;
        }
    }
    WEFT_ASSERT(used < URI_BYTES_MAX);
    *uri = made;
    return WEFT_OK;
}
