/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml_problem.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct explanation {
    const char *problem;
    const char *text;
    bool begun; /* the line where it begins is a help */
};

static const struct explanation explanations[] = {
    {"mapping values are not allowed in this context",
     "a colon where no key can stand; look here and in the line above for a colon without a space behind it, and for "
     "the indentation",
     false},
    {"could not find expected ':'", "a key without its colon; write KEY: VALUE, with a space behind the colon", false},
    {"did not find expected key", "fits no block above; keys of one block stand in one column", false},
    {"did not find expected '-' indicator", "fits no list above; entries of one list stand in one column", false},
    {"did not find expected ',' or '}'", "entries without a comma between them, or no } for the { that opens", true},
    {"did not find expected ',' or ']'", "entries without a comma between them, or no ] for the [ that opens", true},
    {"found unexpected end of stream", "write the closing quote that is missing for the one that opens", true},
    {"found unexpected document indicator", "write the closing quote that is missing for the one that opens", true},
    {"found character that cannot start any token", "a value cannot begin with this character; write it in quotes",
     false},
    {"found unknown escape character", "an escape that YAML does not have; write \\\\ for a \\, or use single quotes",
     false},
    {"found incompatible YAML document", "a version of YAML that is not 1.1 or 1.2; remove the line", false},
};

void yaml_problem_explain(char text[YAML_PROBLEM_BYTES], const char *problem, uint32_t begun)
{
    for (uint32_t i = 0; i < sizeof explanations / sizeof explanations[0]; i++) {
        const struct explanation *explanation = &explanations[i];
        if (strcmp(problem, explanation->problem) != 0) {
            continue;
        }
        if (explanation->begun && begun != 0) {
            snprintf(text, YAML_PROBLEM_BYTES, "%s in line %u", explanation->text, begun);
        } else {
            snprintf(text, YAML_PROBLEM_BYTES, "%s", explanation->text);
        }
        return;
    }
    snprintf(text, YAML_PROBLEM_BYTES, "%.128s; the text is not YAML here", problem);
}
