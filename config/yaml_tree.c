/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML document as a small tree, made from libyaml's events.
 *
 * Happy path: stream start, document start, one node and what is in it, document end, stream end.
 *
 * Failure modes: the first thing that cannot be understood ends the parse with one line that says where; keys given
 * twice are collected, since what follows them can still be understood. */
#include "config/yaml_tree.h"

#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "config/yaml_problem.h"
#include "engine/base/assert.h"

/* The key under which faults of the text itself are told. */
#define WHOLE_FILE "yaml"

struct yaml_frame {
    struct yaml_node *node;
    const char *key; /* of a mapping: read, and still without a value */
    uint32_t key_line;
    uint32_t key_column;
};

struct yaml_builder {
    yaml_parser_t parser;
    struct config_arena *arena;
    struct config_report *report;
    const char *file;
    const char *text;
    size_t bytes;
    struct yaml_node *root;
    struct yaml_frame stack[YAML_TREE_DEPTH_MAX];
    uint32_t depth;
    uint32_t node_count;
    uint32_t document_count;
    bool keys_twice;
};

static uint32_t mark_line(const yaml_mark_t *mark)
{
    return (uint32_t)mark->line + 1;
}

static uint32_t mark_column(const yaml_mark_t *mark)
{
    return (uint32_t)mark->column + 1;
}

static enum weft_err builder_fail_at(struct yaml_builder *builder, uint32_t line, uint32_t column, const char *what)
{
    struct config_place place = {builder->file, line, column, WHOLE_FILE, builder->text, builder->bytes};
    config_report_add(&builder->report->errors, &place, "%s", what);
    return WEFT_ERR_CONFIG;
}

static enum weft_err builder_fail(struct yaml_builder *builder, const yaml_mark_t *mark, const char *what)
{
    return builder_fail_at(builder, mark_line(mark), mark_column(mark), what);
}

/* The place of a byte, for faults that libyaml finds before it counts lines. */
static void builder_place_of(const struct yaml_builder *builder, size_t offset, uint32_t *line, uint32_t *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset && i < builder->bytes; i++) {
        unsigned char byte = (unsigned char)builder->text[i];
        if (byte == '\n') {
            (*line)++;
            *column = 1;
        } else if ((byte & 0xc0) != 0x80) {
            (*column)++;
        }
    }
}

/* Whether a line is indented with a tab: the usual reason why libyaml finds no token. */
static bool builder_line_has_tab(const struct yaml_builder *builder, uint32_t line)
{
    uint32_t current = 1;
    bool indentation = true;
    for (size_t i = 0; i < builder->bytes && current <= line; i++) {
        char byte = builder->text[i];
        if (byte == '\n') {
            current++;
            indentation = true;
        } else if (current == line && indentation && byte == '\t') {
            return true;
        } else if (byte != ' ') {
            indentation = false;
        }
    }
    return false;
}

static enum weft_err builder_syntax(struct yaml_builder *builder)
{
    const yaml_parser_t *parser = &builder->parser;
    char text[YAML_PROBLEM_BYTES];
    const char *problem = parser->problem != NULL ? parser->problem : "not readable as YAML";
    uint32_t line = mark_line(&parser->problem_mark);
    uint32_t column = mark_column(&parser->problem_mark);
    if (parser->error == YAML_MEMORY_ERROR) {
        return WEFT_ERR_NO_MEMORY;
    }
    if (parser->error == YAML_READER_ERROR) {
        builder_place_of(builder, parser->problem_offset, &line, &column);
        struct config_place place = {builder->file, line, column, WHOLE_FILE, builder->text, builder->bytes};
        config_report_add(&builder->report->errors, &place, "%s; the file must be UTF-8 text", problem);
        return WEFT_ERR_CONFIG;
    }
    if (builder_line_has_tab(builder, line)) {
        return builder_fail_at(builder, line, column, "a tab in the indentation; indent with spaces");
    }
    yaml_problem_explain(text, problem, parser->context != NULL ? mark_line(&parser->context_mark) : 0);
    return builder_fail_at(builder, line, column, text);
}

/* A node, linked to its parent, or the root. */
static enum weft_err builder_add(struct yaml_builder *builder, enum yaml_tree_kind kind, const yaml_mark_t *mark,
                                 struct yaml_node **out)
{
    struct yaml_frame *frame = builder->depth > 0 ? &builder->stack[builder->depth - 1] : NULL;
    if (builder->node_count == YAML_TREE_NODES_MAX) {
        return builder_fail(builder, mark, "too many values; 65536 are the most");
    }
    struct yaml_node *node = config_arena_take(builder->arena, sizeof *node);
    if (node == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    builder->node_count++;
    node->kind = kind;
    node->line = mark_line(mark);
    node->column = mark_column(mark);
    node->key = WHOLE_FILE;
    node->key_line = node->line;
    node->key_column = node->column;
    *out = node;
    if (frame == NULL) {
        builder->root = node;
        return WEFT_OK;
    }
    struct yaml_node *parent = frame->node;
    node->key = parent->key;
    if (parent->kind == YAML_TREE_MAPPING) {
        node->key = frame->key;
        node->key_line = frame->key_line;
        node->key_column = frame->key_column;
        frame->key = NULL;
        const struct yaml_node *before = yaml_node_member(parent, node->key);
        if (before != NULL) {
            struct config_place place = {builder->file, node->key_line, node->key_column,
                                         node->key,     builder->text,  builder->bytes};
            config_report_add(&builder->report->errors, &place, "is given twice, first in line %u; keep one",
                              before->key_line);
            builder->keys_twice = true;
            return WEFT_OK;
        }
    }
    if (parent->kind == YAML_TREE_MAPPING && parent->child_count == YAML_TREE_KEYS_MAX) {
        return builder_fail(builder, mark, "too many keys in one block; 1024 are the most");
    }
    *(parent->last == NULL ? &parent->first : &parent->last->next) = node;
    parent->last = node;
    parent->child_count++;
    return WEFT_OK;
}

static enum weft_err builder_scalar(struct yaml_builder *builder, const yaml_event_t *event)
{
    struct yaml_frame *frame = builder->depth > 0 ? &builder->stack[builder->depth - 1] : NULL;
    const char *value = (const char *)event->data.scalar.value;
    size_t bytes = event->data.scalar.length;
    if (memchr(value, '\0', bytes) != NULL) {
        return builder_fail(builder, &event->start_mark, "a NUL character inside a value; remove it");
    }
    char *text = config_arena_text(builder->arena, value, bytes);
    if (text == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    if (frame != NULL && frame->node->kind == YAML_TREE_MAPPING && frame->key == NULL) {
        frame->key = text;
        frame->key_line = mark_line(&event->start_mark);
        frame->key_column = mark_column(&event->start_mark);
        return WEFT_OK;
    }
    struct yaml_node *node = NULL;
    WEFT_TRY(builder_add(builder, YAML_TREE_SCALAR, &event->start_mark, &node));
    node->text = text;
    node->bytes = (uint32_t)bytes;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!node->quoted && bytes == 0) {
        /* libyaml puts a value that was not written behind the colon or even on the next line. */
        node->line = node->key_line;
        node->column = node->key_column;
    }
    return WEFT_OK;
}

static enum weft_err builder_open(struct yaml_builder *builder, enum yaml_tree_kind kind, const yaml_event_t *event)
{
    struct yaml_frame *frame = builder->depth > 0 ? &builder->stack[builder->depth - 1] : NULL;
    if (frame != NULL && frame->node->kind == YAML_TREE_MAPPING && frame->key == NULL) {
        return builder_fail(builder, &event->start_mark, "a list or block in place of a key; keys are single words");
    }
    if (builder->depth == YAML_TREE_DEPTH_MAX) {
        return builder_fail(builder, &event->start_mark, "nested too deep; 16 levels are the most");
    }
    struct yaml_node *node = NULL;
    WEFT_TRY(builder_add(builder, kind, &event->start_mark, &node));
    builder->stack[builder->depth++] = (struct yaml_frame){.node = node};
    return WEFT_OK;
}

/* What a configuration has no use for, and what could be misread. */
static enum weft_err builder_extras(struct yaml_builder *builder, const yaml_event_t *event, const yaml_char_t *anchor,
                                    const yaml_char_t *tag)
{
    if (anchor != NULL) {
        return builder_fail(builder, &event->start_mark, "anchors (&name) are not supported; write the value out");
    }
    if (tag != NULL) {
        return builder_fail(builder, &event->start_mark, "tags (!name) are not supported; remove it");
    }
    return WEFT_OK;
}

static enum weft_err builder_event(struct yaml_builder *builder, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        builder->document_count++;
        if (builder->document_count > 1) {
            return builder_fail(
                builder, &event->start_mark,
                "a second document; a configuration is one, so remove this line and what does not belong");
        }
        return WEFT_OK;
    case YAML_ALIAS_EVENT:
        return builder_fail(builder, &event->start_mark, "aliases (*name) are not supported; write the value out");
    case YAML_SCALAR_EVENT:
        WEFT_TRY(builder_extras(builder, event, event->data.scalar.anchor, event->data.scalar.tag));
        return builder_scalar(builder, event);
    case YAML_MAPPING_START_EVENT:
        WEFT_TRY(builder_extras(builder, event, event->data.mapping_start.anchor, event->data.mapping_start.tag));
        return builder_open(builder, YAML_TREE_MAPPING, event);
    case YAML_SEQUENCE_START_EVENT:
        WEFT_TRY(builder_extras(builder, event, event->data.sequence_start.anchor, event->data.sequence_start.tag));
        return builder_open(builder, YAML_TREE_SEQUENCE, event);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        WEFT_ASSERT(builder->depth > 0);
        builder->depth--;
        return WEFT_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return WEFT_OK;
}

static enum weft_err builder_run(struct yaml_builder *builder)
{
    bool more = true;
    while (more) {
        yaml_event_t event;
        if (!yaml_parser_parse(&builder->parser, &event)) {
            return builder_syntax(builder);
        }
        enum weft_err err = builder_event(builder, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        WEFT_TRY(err);
    }
    if (builder->root == NULL || yaml_node_is_null(builder->root)) {
        builder->root = NULL;
        return builder_fail_at(builder, 1, 1, "the file is empty; write at least cluster_name");
    }
    return builder->keys_twice ? WEFT_ERR_CONFIG : WEFT_OK;
}

enum weft_err yaml_tree_parse(const struct yaml_node **root, struct config_arena *arena, const char *file,
                              const char *text, size_t bytes, struct config_report *report)
{
    struct yaml_builder builder = {.arena = arena, .report = report, .file = file, .text = text, .bytes = bytes};
    *root = NULL;
    if (bytes > YAML_TREE_FILE_BYTES_MAX) {
        return builder_fail_at(&builder, 1, 1,
                               "larger than 1 MiB, which no configuration needs; name the configuration itself");
    }
    if (bytes >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
        return builder_fail_at(&builder, 1, 1, "the file is UTF-16; save it as UTF-8");
    }
    if (bytes >= 2 && (text[0] == '\0' || text[1] == '\0')) {
        return builder_fail_at(&builder, 1, 1, "the file is UTF-16 without a mark; save it as UTF-8");
    }
    if (!yaml_parser_initialize(&builder.parser)) {
        return WEFT_ERR_NO_MEMORY;
    }
    yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, bytes);
    enum weft_err err = builder_run(&builder);
    yaml_parser_delete(&builder.parser);
    if (err == WEFT_OK || (err == WEFT_ERR_CONFIG && builder.keys_twice && builder.depth == 0)) {
        *root = builder.root;
    }
    return err;
}

const struct yaml_node *yaml_node_member(const struct yaml_node *mapping, const char *key)
{
    for (const struct yaml_node *child = mapping->first; child != NULL; child = child->next) {
        if (strcmp(child->key, key) == 0) {
            return child;
        }
    }
    return NULL;
}

bool yaml_node_is_null(const struct yaml_node *node)
{
    if (node->kind != YAML_TREE_SCALAR || node->quoted) {
        return false;
    }
    return node->bytes == 0 || strcmp(node->text, "~") == 0 || strcasecmp(node->text, "null") == 0;
}

const char *yaml_node_kind_name(const struct yaml_node *node)
{
    switch (node->kind) {
    case YAML_TREE_MAPPING:
        return "a block of keys";
    case YAML_TREE_SEQUENCE:
        return "a list";
    case YAML_TREE_SCALAR:
        break;
    }
    return yaml_node_is_null(node) ? "empty" : "plain text";
}
