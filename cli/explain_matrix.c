/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain_matrix.h"

#include <jansson.h>
#include <stdio.h>

#include "cli/explain_link.h"
#include "topology/cluster/policy_kind.h"

/* Wide enough for the longest cell, a refusal for an unknown location. */
#define CELL_COLUMNS 34

typedef void matrix_fn(void *ctx, const struct explain_link *link, enum policy_kind kind,
                       const struct explain_answer *answer);

static bool rows_hold(const struct explain_rows *rows, int direction, int lane)
{
    return (!rows->one_direction || direction == (int)rows->direction) && (!rows->one_lane || lane == (int)rows->lane);
}

static void matrix_visit(const struct config *config, const struct location *own, const struct explain_rows *rows,
                         matrix_fn *fn, void *ctx)
{
    for (int direction = 0; direction < EXPLAIN_DIRECTIONS; direction++) {
        for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
            for (int kind = 0; kind < POLICY_KINDS && rows_hold(rows, direction, lane); kind++) {
                const struct explain_link link = {.direction = (enum explain_direction)direction,
                                                  .lane = (enum weft_lane)lane,
                                                  .own = *own,
                                                  .peer = policy_kind_location(own, (enum policy_kind)kind)};
                struct explain_answer answer = explain_link_ask(config, &link);
                fn(ctx, &link, (enum policy_kind)kind, &answer);
            }
        }
    }
}

/* The last of a row is not padded. */
static void cell_end(enum policy_kind kind, const char *text)
{
    if (kind == POLICY_KINDS - 1) {
        printf(" %s\n", text);
    } else {
        printf(" %-*s", CELL_COLUMNS, text);
    }
}

static void cell_print(void *ctx, const struct explain_link *link, enum policy_kind kind,
                       const struct explain_answer *answer)
{
    char cell[64];
    (void)ctx;
    if (kind == 0) {
        printf("%-10s %-8s", explain_direction_name(link->direction), weft_lane_name(link->lane));
    }
    snprintf(cell, sizeof cell, "%s %s", policy_verdict_name(answer->decision.verdict),
             weft_reason_name(answer->decision.reason));
    cell_end(kind, cell);
}

void explain_matrix_print(const struct config *config, const struct location *own, const struct explain_rows *rows)
{
    printf("scope %s, ports %u plain, %u tls\n%-10s %-8s", weft_encryption_name(config->options.encryption),
           config_storage_port(config), config_ssl_storage_port(config), "direction", "lane");
    for (int kind = 0; kind < POLICY_KINDS; kind++) {
        cell_end((enum policy_kind)kind, policy_kind_words((enum policy_kind)kind));
    }
    matrix_visit(config, own, rows, cell_print, NULL);
}

static void cell_add(void *ctx, const struct explain_link *link, enum policy_kind kind,
                     const struct explain_answer *answer)
{
    json_t *port = answer->port != 0 ? json_integer(answer->port) : json_null();
    json_array_append_new(ctx,
                          json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "direction",
                                    explain_direction_name(link->direction), "lane", weft_lane_name(link->lane), "peer",
                                    policy_kind_name(kind), "decision", policy_verdict_name(answer->decision.verdict),
                                    "reason", weft_reason_name(answer->decision.reason), "port", port));
}

bool explain_matrix_print_json(const struct config *config, const struct location *own, const struct explain_rows *rows)
{
    json_t *decisions = json_array();
    matrix_visit(config, own, rows, cell_add, decisions);
    json_t *object =
        json_pack("{s:s, s:o}", "scope", weft_encryption_name(config->options.encryption), "decisions", decisions);
    bool ok = object != NULL && json_dumpf(object, stdout, JSON_PRESERVE_ORDER) == 0;
    json_decref(object);
    putchar('\n');
    return ok;
}
