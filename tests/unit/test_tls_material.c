/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: keys are private from the first byte on, and no file is lost.
 * Method: files that exist, links, an umask that allows all and one that allows nothing, and places that cannot be. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pki_issue.h"
#include "tls/issue.h"

static mode_t file_mode(const struct pki *pki, const char *file)
{
    char path[PKI_PATH_BYTES];
    struct stat status;
    assert_int_equal(lstat(pki_path(pki, file, path), &status), 0);
    return status.st_mode;
}

static void file_set_mode(const struct pki *pki, const char *file, mode_t mode)
{
    char path[PKI_PATH_BYTES];
    assert_int_equal(chmod(pki_path(pki, file, path), mode), 0);
}

static bool file_exists(const struct pki *pki, const char *file)
{
    char path[PKI_PATH_BYTES];
    struct stat status;
    return lstat(pki_path(pki, file, path), &status) == 0;
}

static uint32_t directory_count(const struct pki *pki)
{
    uint32_t count = 0;
    DIR *directory = opendir(pki->directory);
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static void material_write__new_files__key_private_whatever_the_umask(void **state)
{
    const struct pki *pki = *state;
    mode_t before = umask(0);
    pki_node(pki, "loose", "ca", 0, 0);
    umask(0777);
    pki_node(pki, "tight", "ca", 0, 0);
    umask(before);
    assert_int_equal(file_mode(pki, "loose.key"), S_IFREG | 0600);
    assert_int_equal(file_mode(pki, "loose.crt"), S_IFREG | 0644);
    assert_int_equal(file_mode(pki, "tight.key"), S_IFREG | 0600);
    assert_int_equal(file_mode(pki, "tight.crt"), S_IFREG | 0644);
    assert_int_equal(file_mode(pki, "ca.key"), S_IFREG | 0600);
    char *certificate = pki_text(pki, "loose.crt");
    assert_null(strstr(certificate, "PRIVATE"));
    /* The leaf and nothing else. */
    assert_null(strstr(strstr(certificate, "BEGIN CERTIFICATE") + 1, "BEGIN CERTIFICATE"));
    free(certificate);
}

static void material_write__file_exists__untouched_without_force(void **state)
{
    const struct pki *pki = *state;
    static const char *const existing[] = {"kept.key", "kept.crt"};
    char path[PKI_PATH_BYTES];
    struct tls_node_options options = pki_node_options();
    struct tls_material material;
    struct weft_error why;
    assert_int_equal(pki_issue(pki, &options, "ca.crt", "ca.key", &material, &why), WEFT_OK);
    for (uint32_t i = 0; i < 2; i++) {
        pki_file(pki, existing[i], "precious");
        uint32_t count = directory_count(pki);
        why = (struct weft_error){0};
        assert_int_equal(tls_material_write(&material, pki->directory, "kept", false, &why), WEFT_ERR_STATE);
        assert_non_null(strstr(why.text, existing[i]));
        assert_non_null(strstr(why.text, "--force"));
        char *text = pki_text(pki, existing[i]);
        assert_string_equal(text, "precious");
        free(text);
        assert_false(file_exists(pki, existing[1 - i]));
        assert_int_equal(directory_count(pki), count);
        assert_int_equal(unlink(pki_path(pki, existing[i], path)), 0);
    }
    tls_material_fini(&material);
}

static void material_write__force__replaces_and_never_follows_links(void **state)
{
    const struct pki *pki = *state;
    char path[PKI_PATH_BYTES];
    char target[PKI_PATH_BYTES];
    struct tls_node_options options = pki_node_options();
    struct tls_material material;
    struct weft_error why;
    assert_int_equal(pki_issue(pki, &options, "ca.crt", "ca.key", &material, &why), WEFT_OK);
    pki_file(pki, "target", "precious");
    file_set_mode(pki, "target", 0644);
    assert_int_equal(symlink(pki_path(pki, "target", target), pki_path(pki, "linked.key", path)), 0);
    pki_file(pki, "linked.crt", "old");
    assert_int_equal(tls_material_write(&material, pki->directory, "linked", false, &why), WEFT_ERR_STATE);
    why = (struct weft_error){0};
    assert_int_equal(tls_material_write(&material, pki->directory, "linked", true, &why), WEFT_OK);
    char *text = pki_text(pki, "target");
    assert_string_equal(text, "precious");
    free(text);
    assert_int_equal(file_mode(pki, "linked.key"), S_IFREG | 0600);
    text = pki_text(pki, "linked.key");
    assert_string_equal(text, material.key);
    free(text);
    text = pki_text(pki, "linked.crt");
    assert_string_equal(text, material.certificate);
    free(text);
    tls_material_fini(&material);
}

static void material_write__impossible_place__says_which(void **state)
{
    char path[PKI_PATH_BYTES];
    struct tls_node_options options = pki_node_options();
    struct tls_material material;
    struct weft_error why;
    assert_int_equal(pki_issue(*state, &options, "ca.crt", "ca.key", &material, &why), WEFT_OK);
    assert_int_equal(tls_material_write(&material, pki_path(*state, "ca.crt", path), "n", false, &why),
                     WEFT_ERR_SYSTEM);
    assert_non_null(strstr(why.text, "ca.crt cannot be opened: Not a directory"));
    why = (struct weft_error){0};
    assert_int_equal(tls_material_write(&material, pki_path(*state, "no/where", path), "n", false, &why),
                     WEFT_ERR_SYSTEM);
    assert_non_null(strstr(why.text, "no/where cannot be made"));
    why = (struct weft_error){0};
    assert_int_equal(tls_material_write(&material, "/dev", "../n", true, &why), WEFT_ERR_INVALID);
    tls_material_fini(&material);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(material_write__new_files__key_private_whatever_the_umask),
        cmocka_unit_test(material_write__file_exists__untouched_without_force),
        cmocka_unit_test(material_write__force__replaces_and_never_follows_links),
        cmocka_unit_test(material_write__impossible_place__says_which),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
