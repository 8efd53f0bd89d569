/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and removes the certificates of a local run.  Happy path: mkdtemp, a CA, two nodes, all valid for two days.
 * Failure modes: no temporary directory, no entropy; whatever was written is removed. */
#include "bench/rpc_tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/issue.h"

/* From an hour ago, for clocks that are a little off inside one machine's containers, until tomorrow. */
static const struct tls_validity validity = {.from_s = -3600, .until_s = 24 * 3600};

static const char *const names[] = {"ca", "server", "client"};

static void files_name(struct rpc_tls_files *files, const char *side)
{
    snprintf(files->truststore, sizeof files->truststore, "%s/ca.crt", files->directory);
    snprintf(files->certificate, sizeof files->certificate, "%s/%s.crt", files->directory, side);
    snprintf(files->keyfile, sizeof files->keyfile, "%s/%s.key", files->directory, side);
}

static enum weft_err directory_make(struct rpc_tls_files *files, struct weft_error *why)
{
    const char *parent = getenv("TMPDIR");
    char path[sizeof files->directory];
    int length =
        snprintf(path, sizeof path, "%s/weft-bench-XXXXXX", parent != NULL && parent[0] != '\0' ? parent : "/tmp");
    if (length < 0 || (size_t)length >= sizeof path) {
        return weft_error_set(why, WEFT_ERR_INVALID, "TMPDIR is too long for the throw-away certificates");
    }
    if (mkdtemp(path) == NULL) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "a directory for throw-away certificates, %s", path);
    }
    memcpy(files->directory, path, sizeof path);
    return WEFT_OK;
}

static enum weft_err ca_write(const struct rpc_tls_files *files, struct weft_error *why)
{
    const struct tls_ca_options options = {.cluster = RPC_CLUSTER, .validity = validity};
    struct tls_material material = {0};
    WEFT_TRY(tls_issue_ca(&material, &options, why));
    enum weft_err err = tls_material_write(&material, files->directory, "ca", false, why);
    tls_material_fini(&material);
    return err;
}

static enum weft_err node_write(const struct rpc_tls_files *files, const char *side, struct weft_error *why)
{
    const struct tls_node_options options = {
        .name = side,
        .cluster = RPC_CLUSTER,
        .addresses = {"127.0.0.1"},
        .address_count = 1,
        .validity = validity,
    };
    char key[RPC_TLS_PATH_BYTES];
    struct tls_material material = {0};
    snprintf(key, sizeof key, "%s/ca.key", files->directory);
    WEFT_TRY(tls_issue_node(&material, &options, files->truststore, key, why));
    enum weft_err err = tls_material_write(&material, files->directory, side, false, why);
    tls_material_fini(&material);
    return err;
}

static enum weft_err files_write(struct rpc_tls_files *server, struct rpc_tls_files *client, struct weft_error *why)
{
    WEFT_TRY(ca_write(server, why));
    WEFT_TRY(node_write(server, "server", why));
    return node_write(client, "client", why);
}

enum weft_err rpc_tls_create(struct rpc_tls_files *server, struct rpc_tls_files *client, struct weft_error *why)
{
    memset(server, 0, sizeof *server);
    memset(client, 0, sizeof *client);
    WEFT_TRY(directory_make(server, why));
    memcpy(client->directory, server->directory, sizeof client->directory);
    files_name(server, "server");
    files_name(client, "client");
    enum weft_err err = files_write(server, client, why);
    if (err != WEFT_OK) {
        rpc_tls_remove(server);
        memset(client, 0, sizeof *client);
    }
    return err;
}

void rpc_tls_remove(struct rpc_tls_files *files)
{
    char path[RPC_TLS_PATH_BYTES];
    if (files->directory[0] == '\0') {
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s.crt", files->directory, names[i]);
        unlink(path);
        snprintf(path, sizeof path, "%s/%s.key", files->directory, names[i]);
        unlink(path);
    }
    rmdir(files->directory);
    memset(files, 0, sizeof *files);
}
