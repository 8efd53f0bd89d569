/* SPDX-License-Identifier: Apache-2.0 */
/* The state directory of a node.
 *
 * Happy path: find the directory, lock it, read the file `node`, take its id and the next incarnation, write both back.
 * The incarnation is the time of the start, and more than the last one even if the clock went back.
 *
 * Failure modes: a directory that cannot be made, locked or written costs the memory, not the start: the node says so
 * and is somebody new, or who it was for as long as that can be read.  A damaged file is an error, and so is a
 * directory that was named for this node and is in use by another. */
#include "config/config_state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config_machine.h"
#include "config/config_state_file.h"
#include "engine/base/error.h"
#include "engine/io/socket.h"

struct state_place {
    char directory[PATH_MAX];
    char path[PATH_MAX + sizeof "/node"];
    bool named; /* for this node, by the file or by $STATE_DIRECTORY */
    int fd;
};

static void state_tell(const struct config *config, struct config_report_lines *to, const char *what)
{
    struct config_place place = {
        .file = config->path, .line = config->state_line, .column = config->state_column, .key = "state_directory"};
    config_report_add(to, &place, "%s", what);
}

/* Below a directory of the user's, each node has its own by where it listens. */
static bool place_below(struct state_place *place, const struct config *config, const char *base, const char *below)
{
    int written = snprintf(place->directory, sizeof place->directory, "%s%s/weft/%s-%u", base, below,
                           config_listen_address(config), config_storage_port(config));
    return written > 0 && (size_t)written < sizeof place->directory;
}

static bool place_find(struct state_place *place, const struct config *config)
{
    const char *given = config->state_directory;
    const char *of_service = secure_getenv("STATE_DIRECTORY");
    const char *of_user = secure_getenv("XDG_STATE_HOME");
    const char *home = secure_getenv("HOME");
    place->named = true;
    if (given == NULL && of_service != NULL && of_service[0] == '/') {
        given = of_service;
    }
    if (given != NULL) {
        /* systemd names several with colons; the first is the node's. */
        int bytes = given == of_service ? (int)strcspn(given, ":") : (int)strlen(given);
        int written = snprintf(place->directory, sizeof place->directory, "%.*s", bytes, given);
        return written > 0 && (size_t)written < sizeof place->directory;
    }
    place->named = false;
    if (of_user != NULL && of_user[0] == '/') {
        return place_below(place, config, of_user, "");
    }
    return home != NULL && home[0] == '/' && place_below(place, config, home, "/.local/state");
}

/* With what leads to it. */
static bool directory_make(const char *directory)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", directory);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES) {
            return false;
        }
        *slash = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static enum weft_err place_open(struct state_place *place, struct weft_error *why)
{
    if (!directory_make(place->directory) ||
        (place->fd = open(place->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "cannot use %s", place->directory);
    }
    if (flock(place->fd, LOCK_EX | LOCK_NB) != 0) {
        int failed = errno;
        close(place->fd);
        place->fd = -1;
        if (failed != EWOULDBLOCK) {
            return weft_error_set_errno(why, WEFT_ERR_SYSTEM, failed, "cannot lock %s", place->directory);
        }
        return weft_error_set(why, place->named ? WEFT_ERR_CONFIG : WEFT_ERR_STATE,
                              "%s is in use by another node; give each node a state_directory of its own",
                              place->directory);
    }
    snprintf(place->path, sizeof place->path, "%s/node", place->directory);
    return WEFT_OK;
}

/* @return ok | NOT_FOUND: none yet | SYSTEM: not readable | CONFIG: damaged | NO_MEMORY */
static enum weft_err state_read(struct config_state *state, const struct state_place *place, struct weft_error *why)
{
    char *text = NULL;
    size_t bytes = 0;
    if (faccessat(place->fd, "node", F_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
        return WEFT_ERR_NOT_FOUND;
    }
    enum weft_err err = config_machine_read_file(NULL, place->path, &text, &bytes, why);
    if (err == WEFT_OK) {
        err = config_state_parse(state, place->path, text, bytes, why);
        free(text);
        return err;
    }
    return err == WEFT_ERR_NO_MEMORY || err == WEFT_ERR_SYSTEM ? err : WEFT_ERR_CONFIG;
}

static void id_draw(char text[UUID_TEXT_BYTES])
{
    uint8_t id[UUID_BYTES];
    socket_entropy(id, sizeof id);
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40); /* version 4: random */
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    uuid_print(id, text);
}

/* What the node is called from now on, in the memory of the configuration. */
static enum weft_err state_use(struct config *config, const struct config_state *state)
{
    const char *id = config_arena_text(&config->arena, state->node_id, strlen(state->node_id));
    if (id == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    config->options.node_id = id;
    config->options.incarnation = state->incarnation;
    return WEFT_OK;
}

/* The next start of who was read, or the first of somebody new. */
static void state_next(struct config *config, struct config_state *state, bool known, struct config_report *report)
{
    const char *given = config->options.node_id;
    uint64_t now = socket_wall_ns();
    if (given != NULL && known && strcasecmp(given, state->node_id) != 0) {
        char what[WEFT_ERROR_TEXT_BYTES];
        snprintf(what, sizeof what, "keeps node_id %s, but the file says %s, which is kept from now on", state->node_id,
                 given);
        state_tell(config, &report->warnings, what);
    }
    if (given != NULL) {
        snprintf(state->node_id, sizeof state->node_id, "%s", given);
    } else if (!known) {
        id_draw(state->node_id);
    }
    state->incarnation = known && state->incarnation >= now ? state->incarnation + 1 : now;
}

static enum weft_err state_keep(struct config *config, const struct state_place *place, struct config_report *report,
                                struct weft_error *why)
{
    struct config_state state = {.incarnation = 0};
    enum weft_err err = state_read(&state, place, why);
    if (err != WEFT_OK && err != WEFT_ERR_NOT_FOUND) {
        return err;
    }
    state_next(config, &state, err == WEFT_OK, report);
    WEFT_TRY(state_use(config, &state));
    return config_state_write(&state, place->fd, place->path, why);
}

enum weft_err config_state_take(struct config *config, struct config_report *report)
{
    struct weft_error why = {0};
    struct state_place *place = calloc(1, sizeof *place);
    if (place == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    place->fd = -1;
    enum weft_err err = WEFT_ERR_SYSTEM;
    if (place_find(place, config)) {
        err = place_open(place, &why);
    } else {
        weft_error_set(&why, err, "neither state_directory nor $STATE_DIRECTORY, $XDG_STATE_HOME or $HOME is set");
    }
    if (err == WEFT_OK) {
        err = state_keep(config, place, report, &why);
        config->state_fd = place->fd;
    }
    free(place);
    if (err == WEFT_OK || err == WEFT_ERR_NO_MEMORY) {
        return err;
    }
    if (err == WEFT_ERR_CONFIG) {
        state_tell(config, &report->errors, why.text);
        return err;
    }
    char what[WEFT_ERROR_TEXT_BYTES];
    snprintf(what, sizeof what, "%.400s; the node is not remembered, and may be somebody new at the next start",
             why.text);
    state_tell(config, &report->warnings, what);
    return WEFT_OK;
}

enum weft_err config_state_look(struct config *config)
{
    struct weft_error why = {0};
    struct config_state state = {.incarnation = 0};
    struct state_place *place = calloc(1, sizeof *place);
    if (place == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    enum weft_err err = WEFT_OK;
    bool found = config->options.node_id == NULL && place_find(place, config);
    place->fd = found ? open(place->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (place->fd >= 0) {
        snprintf(place->path, sizeof place->path, "%s/node", place->directory);
        if (state_read(&state, place, &why) == WEFT_OK) {
            config->options.node_id = config_arena_text(&config->arena, state.node_id, strlen(state.node_id));
            err = config->options.node_id != NULL ? WEFT_OK : WEFT_ERR_NO_MEMORY;
        }
        close(place->fd);
    }
    free(place);
    return err;
}
