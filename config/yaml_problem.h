/* SPDX-License-Identifier: Apache-2.0 */
/* What libyaml says of a text that it cannot read, in words that help to repair it. */
#ifndef CONFIG_YAML_PROBLEM_H
#define CONFIG_YAML_PROBLEM_H

#include <stdint.h>

#define YAML_PROBLEM_BYTES 192u

/* @param problem libyaml's words   @param begun the line where what it was reading begins; 0: not known */
void yaml_problem_explain(char text[YAML_PROBLEM_BYTES], const char *problem, uint32_t begun);

#endif
