/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list.  A node that is in no list points to itself, so removal is always safe. */
#ifndef ENGINE_BASE_LIST_H
#define ENGINE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/assert.h"

struct list_node {
    struct list_node *next;
    struct list_node *prev;
};

/* A list is its head node. */
struct list {
    struct list_node head;
};

static inline void list_node_init(struct list_node *node)
{
    node->next = node;
    node->prev = node;
}

static inline void list_init(struct list *list)
{
    list_node_init(&list->head);
}

static inline bool list_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

static inline bool list_node_linked(const struct list_node *node)
{
    return node->next != node;
}

static inline void list_push_back(struct list *list, struct list_node *node)
{
    WEFT_DEBUG_ASSERT(!list_node_linked(node));
    node->prev = list->head.prev;
    node->next = &list->head;
    list->head.prev->next = node;
    list->head.prev = node;
}

static inline void list_push_front(struct list *list, struct list_node *node)
{
    WEFT_DEBUG_ASSERT(!list_node_linked(node));
    node->next = list->head.next;
    node->prev = &list->head;
    list->head.next->prev = node;
    list->head.next = node;
}

static inline void list_remove(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_node_init(node);
}

/* The first node, taken out; NULL if empty. */
static inline struct list_node *list_pop_front(struct list *list)
{
    struct list_node *node = list->head.next;
    if (node == &list->head) {
        return NULL;
    }
    list_remove(node);
    return node;
}

static inline struct list_node *list_first(const struct list *list)
{
    return list->head.next == &list->head ? NULL : list->head.next;
}

static inline struct list_node *list_last(const struct list *list)
{
    return list->head.prev == &list->head ? NULL : list->head.prev;
}

/* Move all of source behind target; source is empty afterwards. */
static inline void list_splice_back(struct list *target, struct list *source)
{
    if (list_empty(source)) {
        return;
    }
    source->head.next->prev = target->head.prev;
    target->head.prev->next = source->head.next;
    source->head.prev->next = &target->head;
    target->head.prev = source->head.prev;
    list_init(source);
}

#define LIST_FOR_EACH(cursor, list)                                                                                    \
    for (struct list_node *cursor = (list)->head.next; cursor != &(list)->head; cursor = cursor->next)

/* The body may remove the cursor's node. */
#define LIST_FOR_EACH_SAFE(cursor, following, list)                                                                    \
    for (struct list_node *cursor = (list)->head.next, *following = cursor->next; cursor != &(list)->head;             \
         cursor = following, following = cursor->next)

#endif
