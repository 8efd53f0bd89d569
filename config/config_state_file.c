/* SPDX-License-Identifier: Apache-2.0 */
/* The file `node` of a state directory.
 *
 * Happy path: three lines are read; three lines are written beside it, synced, renamed over it, and the directory is
 * synced.
 *
 * Failure modes: any other byte in it is an error, since a guess would be another node's identity. */
#include "config/config_state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/config_scalar.h"
#include "engine/base/error.h"

#define FIRST_LINE "weft-node 1"
#define FILE_NAME "node"
#define FILE_NAME_NEW "node.new"

/* The rest of a line behind its word; NULL: the line is another one. */
static char *line_value(char **at, const char *word)
{
    char *line = strsep(at, "\n");
    size_t word_bytes = strlen(word);
    if (line == NULL || *at == NULL || strncmp(line, word, word_bytes) != 0) {
        return NULL;
    }
    return line + word_bytes;
}

/* The line that is not as it must be; 0: all are. */
static unsigned line_damaged(struct config_state *state, const char *text, size_t bytes)
{
    char copy[CONFIG_STATE_FILE_BYTES] = "";
    char *at = copy;
    if (bytes >= sizeof copy || memchr(text, '\0', bytes) != NULL) {
        return 1;
    }
    memcpy(copy, text, bytes);
    const char *first = line_value(&at, FIRST_LINE);
    if (first == NULL || first[0] != '\0') {
        return 1;
    }
    const char *id = line_value(&at, "node_id ");
    if (id == NULL || config_scalar_uuid(id, NULL) != WEFT_OK) {
        return 2;
    }
    snprintf(state->node_id, sizeof state->node_id, "%s", id);
    const char *incarnation = line_value(&at, "incarnation ");
    if (incarnation == NULL ||
        config_scalar_number(&state->incarnation, incarnation, 1, UINT64_MAX - 1, NULL) != WEFT_OK) {
        return 3;
    }
    return *at == '\0' ? 0 : 4;
}

enum weft_err config_state_parse(struct config_state *state, const char *path, const char *text, size_t bytes,
                                 struct weft_error *why)
{
    unsigned line = line_damaged(state, text, bytes);
    if (line != 0) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "%s:%u:1: damaged; restore it from a backup, or remove it to start as a new node", path,
                              line);
    }
    return WEFT_OK;
}

void config_state_print(const struct config_state *state, char text[CONFIG_STATE_FILE_BYTES])
{
    snprintf(text, CONFIG_STATE_FILE_BYTES, FIRST_LINE "\nnode_id %s\nincarnation %" PRIu64 "\n", state->node_id,
             state->incarnation);
}

static bool text_write(const char *text, int directory)
{
    int fd = openat(directory, FILE_NAME_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    FILE *stream = fd < 0 ? NULL : fdopen(fd, "w");
    if (stream == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    bool written = fputs(text, stream) >= 0 && fflush(stream) == 0 && fsync(fd) == 0;
    int failed = errno;
    bool closed = fclose(stream) == 0;
    errno = written ? errno : failed;
    return written && closed;
}

enum weft_err config_state_write(const struct config_state *state, int directory, const char *path,
                                 struct weft_error *why)
{
    char text[CONFIG_STATE_FILE_BYTES];
    config_state_print(state, text);
    if (!text_write(text, directory) || renameat(directory, FILE_NAME_NEW, directory, FILE_NAME) != 0 ||
        fsync(directory) != 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "cannot write %s", path);
    }
    return WEFT_OK;
}
