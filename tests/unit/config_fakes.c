/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/config_fakes.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

/* Names that exist. */
static enum weft_err fake_resolve(void *ctx, const char *name, struct address *address, struct weft_error *why)
{
    (void)ctx;
    if (strcmp(name, "localhost") == 0) {
        return address_parse(address, "127.0.0.1", 0);
    }
    if (strcmp(name, "host1") == 0) {
        return address_parse(address, "10.0.0.1", 0);
    }
    return weft_error_set(why, WEFT_ERR_NOT_FOUND, "cannot resolve \"%s\": no such name", name);
}

/* Every file exists but those that are called missing. */
enum weft_err fake_check_file(void *ctx, const char *path, uint32_t *mode, struct weft_error *why)
{
    (void)ctx;
    *mode = strstr(path, "open") != NULL ? 0644 : 0600;
    if (strstr(path, "missing") != NULL) {
        return weft_error_set(why, WEFT_ERR_SYSTEM, "cannot open %s: no such file", path);
    }
    return WEFT_OK;
}

/* eth0 has an address of each family; nothing else exists. */
enum weft_err fake_interface(void *ctx, const char *name, bool prefer_ipv6, struct address *address,
                             struct weft_error *why)
{
    (void)ctx;
    if (strcmp(name, "eth0") == 0) {
        return address_parse(address, prefer_ipv6 ? "2001:db8::1" : "10.0.0.1", 0);
    }
    return weft_error_set(why, WEFT_ERR_NOT_FOUND, "\"%s\" is no network interface of this machine", name);
}

/* ctx: the text of every file, or NULL. */
static enum weft_err fake_read_file(void *ctx, const char *path, char **text, size_t *bytes, struct weft_error *why)
{
    if (ctx == NULL) {
        return weft_error_set(why, WEFT_ERR_SYSTEM, "cannot open %s: no such file", path);
    }
    *text = strdup(ctx);
    *bytes = strlen(ctx);
    return WEFT_OK;
}

enum weft_err config_decode_faked(struct config **config, const char *text, size_t bytes, const char *directory,
                                  const char *rackdc, struct config_report *report)
{
    struct config_surroundings surroundings = {.ctx = (void *)(uintptr_t)rackdc,
                                               .directory = directory,
                                               .resolve = fake_resolve,
                                               .interface_address = fake_interface,
                                               .check_file = fake_check_file,
                                               .read_file = fake_read_file};
    memset(report, 0, sizeof *report);
    return config_decode(config, "w.yaml", text, bytes, &surroundings, report);
}
