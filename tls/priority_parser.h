/* SPDX-License-Identifier: Apache-2.0 */
/* What a priority string says, name by name, before it is known what comes of it. */
#ifndef TLS_PRIORITY_PARSER_H
#define TLS_PRIORITY_PARSER_H

#include "tls/priority_table.h"

struct priority_list {
    uint8_t names[PRIORITY_NAME_COUNT]; /* enum priority_name_id, each once */
    uint32_t count;
};

/* Longer than any name; of a longer token the beginning is told. */
#define PRIORITY_TOKEN_BYTES 64u

struct priority_token {
    char text[PRIORITY_TOKEN_BYTES]; /* NUL-terminated, without blanks before it */
    uint32_t place;                  /* of its first character, from 1 */
    bool cut;                        /* it is longer than that */
};

struct priority_parser {
    struct priority *priority; /* flags, level and dropped keywords are written here at once */
    struct priority_list lists[PRIORITY_KIND_COUNT];
    struct priority_token etm; /* %FORCE_ETM, if it was there: whether it holds is known at the end */
    bool started;              /* the first token was taken */
    bool strength_named;       /* by %PROFILE_…, which goes over what keywords imply */
};

/* Take one token after the other.  @return ok | CONFIG */
WEFT_NODISCARD enum weft_err parser_take(struct priority_parser *parser, const struct priority_token *token,
                                         struct weft_error *why);
/* Refuse the token. */
enum weft_err parser_refuse(const struct priority_token *token, const char *problem, struct weft_error *why);

void priority_drop(struct priority *priority, const char *name);

#endif
