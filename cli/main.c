/* SPDX-License-Identifier: Apache-2.0 */
/* `weft`: finds the subcommand and hands over.  Everything else is in one file per subcommand. */
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/certs.h"
#include "cli/check.h"
#include "cli/ciphers.h"
#include "cli/explain.h"
#include "cli/info.h"
#include "cli/node.h"
#include "cli/streams.h"
#include "cli/tls_echo.h"
#include "cli/version.h"

static const struct command {
    const char *name;
    const char *title; /* argv[0] of the subcommand */
    int (*run)(int argc, char **argv);
    const char *text; /* NULL: for tests, and not shown */
} commands[] = {
    {"node", "weft node", cli_node, "run a node from a configuration file"},
    {"check", "weft check", cli_check, "say whether a configuration file starts a node, and what it means"},
    {"explain", "weft explain", cli_explain, "say how a link is made, or whether a connection is admitted, and why"},
    {"ciphers", "weft ciphers", cli_ciphers, "show what TLS a GnuTLS priority string means"},
    {"certs", "weft certs", cli_certs, "make and show certificates for a cluster"},
    {"bench", "weft bench", cli_bench, "measure throughput and latency"},
    {"info", "weft info", cli_info, "what this machine offers"},
    {"version", "weft version", cli_version, "print the version"},
    {"tls-echo", "weft tls-echo", cli_tls_echo, NULL},
};

static void main_usage(FILE *to)
{
    fprintf(to, "Usage: weft COMMAND [OPTIONS]\n\nTraffic between the nodes of a distributed system.\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (commands[i].text != NULL) {
            fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].text);
        }
    }
    fprintf(to, "\n`weft COMMAND --help` explains a command with examples.  Begin with:\n\n"
                "  weft check scylla.yaml          is the configuration right, and what does it mean?\n"
                "  weft node scylla.yaml           run it\n"
                "  weft bench rpc --local          how fast is this machine?\n");
}

static const struct command *main_find(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int main_run(const struct command *command, int argc, char **argv)
{
    argv[0] = (char *)command->title;
    return command->run(argc, argv);
}

int main(int argc, char **argv)
{
    char help[] = "--help";
    streams_init();
    if (argc < 2) {
        main_usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--version") == 0) {
        argv[1] = (char *)"version";
    }
    if (strcmp(argv[1], "help") == 0 && argc == 3 && main_find(argv[2]) != NULL) {
        char *arguments[] = {NULL, help, NULL};
        return main_run(main_find(argv[2]), 2, arguments);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        main_usage(stdout);
        return 0;
    }
    const struct command *command = main_find(argv[1]);
    if (command == NULL) {
        fprintf(stderr, "weft: '%s' is not a command; `weft --help` lists them\n", argv[1]);
        return 2;
    }
    return main_run(command, argc - 1, argv + 1);
}
