/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/system_root.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

char system_root[64];

int system_root_make(void **state)
{
    (void)state;
    snprintf(system_root, sizeof system_root, "/tmp/weft-system-XXXXXX");
    return mkdtemp(system_root) != NULL ? 0 : -1;
}

static int entry_remove(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

int system_root_remove(void **state)
{
    (void)state;
    return nftw(system_root, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
}

void system_root_put(const char *path, const char *text)
{
    char whole[512];
    assert_true((size_t)snprintf(whole, sizeof whole, "%s%s", system_root, path) < sizeof whole);
    for (char *slash = strchr(whole + strlen(system_root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(whole, 0777);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}
