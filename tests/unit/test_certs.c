/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: `weft certs` makes and shows what nodes need from a command line.
 * Method: the command runs in a child process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/certs.h"
#include "pki_issue.h"
#include "tls/credentials.h"

struct command_result {
    int code;
    char output[32768]; /* stdout, then stderr */
};

/* Run `weft certs ...` in a child, because a wrong command line ends the process.  @param line words and blanks */
static struct command_result *command(const char *line)
{
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char program[] = "weft certs";
        char words[4096];
        char *arguments[32] = {program};
        int count = 1;
        char *rest = words;
        snprintf(words, sizeof words, "%s", line);
        for (char *word = strsep(&rest, " "); word != NULL && count < 31; word = strsep(&rest, " ")) {
            arguments[count++] = word;
        }
        dup2(pipe_ends[1], STDOUT_FILENO);
        dup2(pipe_ends[1], STDERR_FILENO);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        int code = cli_certs(count, arguments);
        fflush(NULL);
        _exit(code);
    }
    close(pipe_ends[1]);
    struct command_result *result = calloc(1, sizeof *result);
    FILE *stream = fdopen(pipe_ends[0], "r");
    assert_non_null(result);
    assert_non_null(stream);
    assert_true(fread(result->output, 1, sizeof result->output - 1, stream) < sizeof result->output - 1);
    fclose(stream);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    result->code = WEXITSTATUS(status);
    return result;
}

static void command_expect(const char *line, int code, const char *text)
{
    struct command_result *result = command(line);
    if (result->code != code || strstr(result->output, text) == NULL) {
        fail_msg("weft certs %s: exit %d instead of %d, or \"%s\" is not in: %s", line, result->code, code, text,
                 result->output);
    }
    free(result);
}

static void certs__from_nothing__a_set_that_loads(void **state)
{
    const struct pki *pki = *state;
    char line[1024];
    struct pki made;
    int written = snprintf(made.directory, sizeof made.directory, "%s/made", pki->directory);
    assert_in_range(written, 1, sizeof made.directory - 1);
    snprintf(line, sizeof line, "ca --cluster c1 --out %s", made.directory);
    command_expect(line, 0, "ca.crt");
    command_expect(line, 1, "exists already");
    snprintf(line, sizeof line,
             "node n1 --ca %s --cluster c1 --dc dc1 --rack r1 --id 6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00 "
             "--address 127.0.0.1,::1 --address 127.0.0.2 --dns localhost --out %s",
             made.directory, made.directory);
    command_expect(line, 0, "weft://c1/dc1/r1/6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00\n");
    command_expect(line, 1, "exists already");
    char again[1100];
    snprintf(again, sizeof again, "%s --force --days 10", line);
    command_expect(again, 0, "n1.key   (mode 0600)");
    snprintf(line, sizeof line, "show %s/n1.crt", made.directory);
    command_expect(line, 0, "name:         IP:127.0.0.2\nname:         DNS:localhost\n");
    struct tls_description *leaf = pki_description(&made, "n1.crt");
    assert_in_range(leaf->days_left, 9, 10);
    tls_descriptions_destroy(leaf, 1);

    struct tls_credentials *credentials = pki_credentials(&made, "n1", "ca.crt");
    assert_int_equal(tls_credentials_warning_count(credentials), 1);
    tls_credentials_destroy(credentials);
    pki_close(&made);
}

static void certs_show__json__one_object(void **state)
{
    const struct pki *pki = *state;
    char line[1024];
    static const char *const parts[] = {"good.crt", "ca.crt", NULL};
    pki_bundle(pki, "two.crt", parts);
    snprintf(line, sizeof line, "show --json %s/two.crt", pki->directory);
    struct command_result *result = command(line);
    assert_int_equal(result->code, 0);
    json_error_t error;
    json_t *object = json_loads(result->output, 0, &error);
    assert_non_null(object);
    json_t *certificates = json_object_get(object, "certificates");
    assert_int_equal(json_array_size(certificates), 2);
    json_t *leaf = json_array_get(certificates, 0);
    assert_string_equal(json_string_value(json_object_get(leaf, "subject")), "CN=good");
    assert_true(json_is_false(json_object_get(leaf, "ca")));
    assert_int_equal(json_array_size(json_object_get(leaf, "names")), 2);
    assert_true(json_is_true(json_object_get(json_array_get(certificates, 1), "ca")));
    json_decref(object);
    free(result);
}

static void certs__wrong_command_line__exit_2_and_a_hint(void **state)
{
    (void)state;
    command_expect("bogus", 2, "is none of ca, node, show");
    command_expect("ca --cluster c1", 2, "--cluster NAME and --out DIR are needed");
    command_expect("ca --wrong", 2, "--help");
    command_expect("node --ca d --cluster c --dc d --rack r --address 1.1.1.1 --out d", 2, "Give its NAME");
    command_expect("node ../x --ca d --cluster c --dc d --rack r --address 1.1.1.1 --out d", 2, "no path");
    command_expect("node ca --ca d --cluster c --dc d --rack r --address 1.1.1.1 --out d", 2, "name of the CA's files");
    command_expect("node n --ca d --cluster c --dc d --rack r --out d", 2, "--address A is needed");
    command_expect("node n --ca d --cluster c --address 1.1.1.1 --out d", 2, "--dc DC and --rack RACK");
    command_expect("node n --days 0", 2, "--days");
    command_expect("node n --days 99999999999999999999", 2, "--days");
    command_expect("show", 2, "Name its FILE");
    command_expect("show a b", 2, "one FILE at a time");
}

static void certs__failures__exit_1(void **state)
{
    char line[1024];
    const struct pki *pki = *state;
    command_expect("show /nowhere/x.crt", 1, "weft certs show: certificate /nowhere/x.crt: cannot be opened");
    snprintf(line, sizeof line, "show %s/ca.key", pki->directory);
    command_expect(line, 1, "holds a key and no certificate");
    snprintf(line, sizeof line, "node n --ca %s --cluster c --dc d --rack r --address 1.2.3 --out %s", pki->directory,
             pki->directory);
    command_expect(line, 1, "address: 1.2.3 is no numeric address");
    char path[PKI_PATH_BYTES];
    assert_int_equal(access(pki_path(pki, "n.key", path), F_OK), -1);
}

static void certs__help__teaches_with_examples(void **state)
{
    (void)state;
    command_expect("--help", 0, "weft certs node n1 --ca pki");
    command_expect("ca --help", 0, "weft certs ca --cluster prod --out pki");
    command_expect("node --help", 0, "Exit codes: 0 written");
    command_expect("show --help", 0, "weft certs show pki/n1.crt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certs__from_nothing__a_set_that_loads),        cmocka_unit_test(certs_show__json__one_object),
        cmocka_unit_test(certs__wrong_command_line__exit_2_and_a_hint), cmocka_unit_test(certs__failures__exit_1),
        cmocka_unit_test(certs__help__teaches_with_examples),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
