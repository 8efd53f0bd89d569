/* SPDX-License-Identifier: Apache-2.0 */
/* Owns writing certificates and keys.  Happy path: both are written aside, whole and synced, under names that nobody
 * else has, then renamed into place; a key is private from its first byte on.  Failure modes: the files are there
 * already, the directory cannot be made or written, the disk is full; what was written aside is removed again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "tls/issue.h"

#define CERTIFICATE_MODE 0644
#define KEY_MODE 0600
/* A node name of 64, an extension, and the temporary form's prefix and process id. */
#define FILE_NAME_BYTES 112

struct issue_file {
    char name[FILE_NAME_BYTES];
    char aside[FILE_NAME_BYTES];
    const char *text;
    uint32_t bytes;
    mode_t mode;
    bool written; /* aside exists */
    bool placed;
};

static void issue_file_init(struct issue_file *file, const char *name, const char *extension, const char *text,
                            uint32_t bytes, mode_t mode)
{
    *file = (struct issue_file){.text = text, .bytes = bytes, .mode = mode};
    snprintf(file->name, sizeof file->name, "%s.%s", name, extension);
    snprintf(file->aside, sizeof file->aside, ".%s.%s.%ld", name, extension, (long)getpid());
}

static enum weft_err issue_file_check(const struct issue_file *file, int directory, const char *path,
                                      struct weft_error *why)
{
    struct stat status;
    if (fstatat(directory, file->name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        return weft_error_set(why, WEFT_ERR_STATE,
                              "%s/%s exists already; choose another place, or --force to replace it", path, file->name);
    }
    return WEFT_OK;
}

static bool issue_file_fill(const struct issue_file *file, int descriptor)
{
    if (fchmod(descriptor, file->mode) != 0) {
        close(descriptor);
        return false;
    }
    FILE *stream = fdopen(descriptor, "w");
    if (stream == NULL) {
        close(descriptor);
        return false;
    }
    setvbuf(stream, NULL, _IONBF, 0);
    bool ok = fwrite(file->text, 1, file->bytes, stream) == file->bytes && fsync(fileno(stream)) == 0;
    int cause = errno;
    ok = fclose(stream) == 0 && ok;
    if (!ok && cause != 0) {
        errno = cause;
    }
    return ok;
}

static enum weft_err issue_file_write(struct issue_file *file, int directory, const char *path, struct weft_error *why)
{
    int descriptor = openat(directory, file->aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, KEY_MODE);
    if (descriptor < 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "%s/%s cannot be created", path, file->aside);
    }
    file->written = true;
    errno = 0;
    if (!issue_file_fill(file, descriptor)) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "%s/%s cannot be written", path, file->aside);
    }
    return WEFT_OK;
}

static enum weft_err issue_file_place(struct issue_file *file, int directory, const char *path, bool force,
                                      struct weft_error *why)
{
    int result = force ? renameat(directory, file->aside, directory, file->name)
                       : renameat2(directory, file->aside, directory, file->name, RENAME_NOREPLACE);
    if (result != 0) {
        return weft_error_set_errno(why, errno == EEXIST ? WEFT_ERR_STATE : WEFT_ERR_SYSTEM, errno,
                                    "%s/%s cannot be put in place", path, file->name);
    }
    file->written = false;
    file->placed = true;
    return WEFT_OK;
}

/* The key goes first: a certificate without its key is of no use, and shows at once. */
static enum weft_err issue_file_pair(struct issue_file files[2], int directory, const char *path, bool force,
                                     struct weft_error *why)
{
    for (uint32_t i = 0; i < 2 && !force; i++) {
        enum weft_err err = issue_file_check(&files[i], directory, path, why);
        if (err != WEFT_OK) {
            return err;
        }
    }
    enum weft_err err = WEFT_OK;
    for (uint32_t i = 0; i < 2 && err == WEFT_OK; i++) {
        err = issue_file_write(&files[i], directory, path, why);
    }
    for (uint32_t i = 0; i < 2 && err == WEFT_OK; i++) {
        err = issue_file_place(&files[i], directory, path, force, why);
    }
    for (uint32_t i = 0; i < 2 && err != WEFT_OK; i++) {
        if (files[i].written) {
            unlinkat(directory, files[i].aside, 0);
        }
        if (files[i].placed && !force) {
            unlinkat(directory, files[i].name, 0);
        }
    }
    return err;
}

enum weft_err tls_material_write(const struct tls_material *material, const char *directory, const char *name,
                                 bool force, struct weft_error *why)
{
    if (!tls_node_name_is_valid(name)) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "name: 1 to 64 of A-Z a-z 0-9 . _ - (not a leading dot, no path) are needed");
    }
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "directory %s cannot be made", directory);
    }
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "directory %s cannot be opened", directory);
    }
    struct issue_file files[2];
    issue_file_init(&files[0], name, "key", material->key, material->key_bytes, KEY_MODE);
    issue_file_init(&files[1], name, "crt", material->certificate, material->certificate_bytes, CERTIFICATE_MODE);
    enum weft_err err = issue_file_pair(files, descriptor, directory, force, why);
    close(descriptor);
    return err;
}
