/* SPDX-License-Identifier: Apache-2.0 */
/* One token of a priority string after the other changes lists of names.
 *
 * Happy path: the first token is a keyword, which brings versions and all else; each later one adds to a list, removes
 * from it, or is a %keyword.  A name that is there already keeps its place.
 *
 * Failure modes: what is not known is an error that names what is nearest; so is what weft has not, where it is added
 * by its name.  Removing that is fine: it is not there. */
#include "tls/priority_parser.h"

#include <string.h>
#include <strings.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "engine/base/nearest.h"

/* Of curves GnuTLS knows two names. */
#define CURVE "CURVE-"
#define GROUP "GROUP-"

/* Why a name cannot be added, and what kind of name it is; PRIORITY_KIND_COUNT where nothing of its kind is like it. */
struct priority_absent {
    const char *reason; /* NULL: it can */
    enum priority_kind kind;
};

static void list_add(struct priority_list *list, uint8_t name)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->names[i] == name) {
            return;
        }
    }
    WEFT_ASSERT(list->count < PRIORITY_NAME_COUNT);
    list->names[list->count++] = name;
}

static void list_remove(struct priority_list *list, uint8_t name)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->names[i] != name) {
            list->names[kept++] = list->names[i];
        }
    }
    list->count = kept;
}

static void list_add_all(struct priority_list *list, const uint8_t *names)
{
    for (; *names != PRIORITY_NONE; names++) {
        list_add(list, *names);
    }
}

void priority_drop(struct priority *priority, const char *name)
{
    for (uint32_t i = 0; i < priority->dropped_count; i++) {
        if (strcmp(priority->dropped[i], name) == 0) {
            return;
        }
    }
    WEFT_ASSERT(priority->dropped_count < PRIORITY_DROPPED_MAX);
    priority->dropped[priority->dropped_count++] = name;
}

enum weft_err parser_refuse(const struct priority_token *token, const char *problem, struct weft_error *why)
{
    return weft_error_set(why, WEFT_ERR_CONFIG, "\"%s%s\" at character %u: %s", token->text, token->cut ? "..." : "",
                          token->place, problem);
}

static const char *nearest_special(const char *word)
{
    struct nearest nearest;
    nearest_init(&nearest, word);
    for (uint32_t i = 0; i < priority_special_count; i++) {
        if (priority_specials[i].effect != EFFECT_REFUSED) {
            nearest_offer(&nearest, priority_specials[i].text);
        }
    }
    return nearest.best;
}

/* kind: of which only names of one kind are meant, PRIORITY_KIND_COUNT for all of them and words for many */
static void nearest_offer_names(struct nearest *nearest, enum priority_kind kind)
{
    for (uint32_t i = 0; i < PRIORITY_NAME_COUNT; i++) {
        bool meant = kind == PRIORITY_KIND_COUNT || priority_names[i].kind == kind;
        if (meant && priority_names[i].absent == NULL) {
            nearest_offer(nearest, priority_names[i].text);
        }
    }
    for (uint32_t i = 0; i < priority_bulk_count && kind == PRIORITY_KIND_COUNT; i++) {
        if (priority_bulks[i].absent == NULL) {
            nearest_offer(nearest, priority_bulks[i].text);
        }
    }
}

static void nearest_offer_levels(struct nearest *nearest)
{
    for (uint32_t i = 0; i < priority_level_count; i++) {
        nearest_offer(nearest, priority_levels[i].text);
    }
}

/* sign: '+', '-', '!', or 0 where the word stands alone */
static enum weft_err refuse_unknown(const struct priority_token *token, char sign, const char *word,
                                    struct weft_error *why)
{
    const char prefix[] = {sign, '\0'};
    struct nearest nearest;
    nearest_init(&nearest, word);
    if (sign == '+' || sign == '\0') {
        nearest_offer_levels(&nearest);
    }
    if (sign != '\0') {
        nearest_offer_names(&nearest, PRIORITY_KIND_COUNT);
    }
    return weft_error_set(why, WEFT_ERR_CONFIG, "\"%s%s\" at character %u is not known; nearest is \"%s%s\"",
                          token->text, token->cut ? "..." : "", token->place, prefix, nearest.best);
}

/* What weft has not was added by its name: say why, and what there is of its kind. */
static enum weft_err refuse_absent(const struct priority_token *token, const struct priority_absent *absent,
                                   struct weft_error *why)
{
    struct nearest nearest;
    nearest_init(&nearest, token->text + 1);
    if (absent->kind == PRIORITY_KIND_COUNT) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "\"%s\" at character %u: %s; leave it out", token->text,
                              token->place, absent->reason);
    }
    nearest_offer_names(&nearest, absent->kind);
    return weft_error_set(why, WEFT_ERR_CONFIG, "\"%s\" at character %u: %s; leave it out, or take \"+%s\"",
                          token->text, token->place, absent->reason, nearest.best);
}

static const struct priority_level *level_find(const char *word)
{
    for (uint32_t i = 0; i < priority_level_count; i++) {
        if (strcasecmp(priority_levels[i].text, word) == 0) {
            return &priority_levels[i];
        }
    }
    return NULL;
}

/* Add what a keyword contains. */
static void take_level(struct priority_parser *parser, const struct priority_level *level, bool first)
{
    struct priority *priority = parser->priority;
    for (uint32_t kind = 0; kind < PRIORITY_KIND_COUNT; kind++) {
        if (first || level->adds_versions || kind != PRIORITY_VERSION) {
            list_add_all(&parser->lists[kind], level->lists[kind]);
        }
    }
    if (!parser->strength_named && level->verify_level > priority->verify_level) {
        priority->verify_level = level->verify_level;
    }
}

static bool take_bulk(struct priority_parser *parser, const struct priority_bulk *bulk, bool add)
{
    struct priority_list *list = &parser->lists[bulk->kind];
    if (add) {
        if (bulk->absent == NULL) {
            list_add_all(list, bulk->list);
        }
        return bulk->absent == NULL;
    }
    if (bulk->clears) {
        list->count = 0;
    }
    for (const uint8_t *name = bulk->list; *name != PRIORITY_NONE; name++) {
        list_remove(list, *name);
    }
    return true;
}

static enum weft_err take_special(struct priority_parser *parser, const struct priority_token *token,
                                  struct weft_error *why)
{
    struct priority *priority = parser->priority;
    const struct priority_special *special = NULL;
    for (uint32_t i = 0; i < priority_special_count && special == NULL; i++) {
        special = strcmp(priority_specials[i].text, token->text) == 0 ? &priority_specials[i] : NULL;
    }
    if (special == NULL) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "\"%s%s\" at character %u is not known; nearest is \"%s\"",
                              token->text, token->cut ? "..." : "", token->place, nearest_special(token->text));
    }
    switch (special->effect) {
    case EFFECT_SET:
        priority->flags |= special->value;
        break;
    case EFFECT_PROFILE:
        priority->verify_level = (uint8_t)special->value;
        parser->strength_named = true;
        break;
    case EFFECT_DROPPED:
        priority_drop(priority, special->text);
        break;
    case EFFECT_ETM:
        parser->etm = *token;
        break;
    case EFFECT_REFUSED:
        return weft_error_set(why, WEFT_ERR_CONFIG, "\"%s\" at character %u: %s; leave it out", token->text,
                              token->place, special->absent);
    case EFFECT_HOLDS:
        break;
    }
    return WEFT_OK;
}

/* @return true if the word is one name, which was taken; absent is set where it cannot be added */
static bool take_name(struct priority_parser *parser, const char *word, bool add, struct priority_absent *absent)
{
    bool curve = strncasecmp(word, CURVE, strlen(CURVE)) == 0;
    for (uint8_t i = 0; i < PRIORITY_NAME_COUNT; i++) {
        const struct priority_name *name = &priority_names[i];
        const struct priority_group *group = name->kind == PRIORITY_GROUP ? priority_group_find(i) : NULL;
        bool finite = group != NULL && !group->elliptic;
        bool named = strcasecmp(name->text, word) == 0;
        if (curve && name->kind == PRIORITY_GROUP && !finite) {
            named = strcasecmp(name->text + strlen(GROUP), word + strlen(CURVE)) == 0;
        }
        if (!named) {
            continue;
        }
        if (!add) {
            list_remove(&parser->lists[name->kind], i);
        } else if (name->absent != NULL) {
            *absent = (struct priority_absent){name->absent, name->kind};
        } else {
            list_add(&parser->lists[name->kind], i);
        }
        return true;
    }
    return false;
}

/* The same of words for many names, and for what never changes. */
static bool take_word(struct priority_parser *parser, const char *word, bool add, struct priority_absent *absent)
{
    for (uint32_t i = 0; i < priority_bulk_count; i++) {
        if (strcasecmp(priority_bulks[i].text, word) == 0) {
            if (!take_bulk(parser, &priority_bulks[i], add)) {
                *absent = (struct priority_absent){priority_bulks[i].absent, PRIORITY_KIND_COUNT};
            }
            return true;
        }
    }
    for (uint32_t i = 0; i < priority_fixed_count; i++) {
        if (strcasecmp(priority_fixed_names[i].text, word) == 0) {
            absent->reason = add ? priority_fixed_names[i].absent : NULL;
            return true;
        }
    }
    return false;
}

static enum weft_err take_signed(struct priority_parser *parser, const struct priority_token *token,
                                 struct weft_error *why)
{
    const char *word = token->text + 1;
    struct priority_absent absent = {NULL, PRIORITY_KIND_COUNT};
    bool add = token->text[0] == '+';
    const struct priority_level *level = level_find(word);
    if (level != NULL && add) {
        take_level(parser, level, false);
        return WEFT_OK;
    }
    if (level != NULL) {
        return parser_refuse(token, "a keyword can be added, but not removed; remove names, such as -AES-128-CBC", why);
    }
    if (add && strcasecmp(word, "GOST") == 0) {
        absent.reason = ABSENT_GOST;
        return refuse_absent(token, &absent, why);
    }
    if (!take_name(parser, word, add, &absent) && !take_word(parser, word, add, &absent)) {
        return refuse_unknown(token, token->text[0], word, why);
    }
    return absent.reason != NULL ? refuse_absent(token, &absent, why) : WEFT_OK;
}

enum weft_err parser_take(struct priority_parser *parser, const struct priority_token *token, struct weft_error *why)
{
    bool first = !parser->started;
    parser->started = true;
    if (token->text[0] == '\0') {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "nothing stands at character %u; write a token there, or remove the ':'", token->place);
    }
    switch (token->text[0]) {
    case '+':
    case '-':
    case '!':
        return take_signed(parser, token, why);
    case '%':
        return take_special(parser, token, why);
    case '@':
        return parser_refuse(token,
                             "names of the system's GnuTLS configuration are not read; write out what it stands "
                             "for, such as NORMAL",
                             why);
    default:
        break;
    }
    const struct priority_level *level = level_find(token->text);
    if (level != NULL) {
        take_level(parser, level, first);
        return WEFT_OK;
    }
    if (strcasecmp(token->text, "NONE") == 0) {
        return first ? WEFT_OK : parser_refuse(token, "can only be the first", why);
    }
    struct priority_absent absent = {NULL, PRIORITY_KIND_COUNT};
    if (take_name(parser, token->text, false, &absent) || take_word(parser, token->text, false, &absent)) {
        return parser_refuse(token, "begin it with '+' to add it, or with '-' to remove it", why);
    }
    return refuse_unknown(token, '\0', token->text, why);
}
