/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the list keeps order, and every node knows whether it is in one.
 * Method: small lists spelled out, checked forwards and backwards; then random operations beside a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/list.h"
#include "engine/base/prng.h"

struct item {
    uint32_t id;
    struct list_node link;
};

#define ITEMS 8u

static void items_init(struct item *items)
{
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].id = i;
        list_node_init(&items[i].link);
    }
}

static uint32_t id_of(const struct list_node *node)
{
    return WEFT_CONTAINER_OF(node, const struct item, link)->id;
}

/* The list holds exactly these ids, in both directions. */
static void expect_ids(const struct list *list, const uint32_t *ids, uint32_t count)
{
    uint32_t seen = 0;
    LIST_FOR_EACH(node, list)
    {
        assert_true(seen < count);
        assert_int_equal(id_of(node), ids[seen]);
        assert_true(list_node_linked(node));
        seen++;
    }
    assert_int_equal(seen, count);
    for (const struct list_node *node = list->head.prev; node != &list->head; node = node->prev) {
        assert_true(seen > 0);
        seen--;
        assert_int_equal(id_of(node), ids[seen]);
    }
    assert_int_equal(seen, 0);
    assert_int_equal(list_empty(list), count == 0);
    if (count == 0) {
        assert_null(list_first(list));
        assert_null(list_last(list));
    } else {
        assert_int_equal(id_of(list_first(list)), ids[0]);
        assert_int_equal(id_of(list_last(list)), ids[count - 1]);
    }
}

static void list__empty__has_no_ends_and_pops_null(void **state)
{
    (void)state;
    struct list list;
    list_init(&list);
    expect_ids(&list, NULL, 0);
    assert_null(list_pop_front(&list));
}

static void list__push_at_both_ends__keeps_order(void **state)
{
    (void)state;
    struct item items[ITEMS];
    struct list list;
    items_init(items);
    list_init(&list);
    list_push_back(&list, &items[1].link);
    list_push_back(&list, &items[2].link);
    list_push_front(&list, &items[0].link);
    expect_ids(&list, (const uint32_t[]){0, 1, 2}, 3);
    assert_ptr_equal(list_pop_front(&list), &items[0].link);
    assert_false(list_node_linked(&items[0].link));
    expect_ids(&list, (const uint32_t[]){1, 2}, 2);
}

static void list__remove__node_is_unlinked_and_removable_again(void **state)
{
    (void)state;
    struct item items[ITEMS];
    struct list list;
    items_init(items);
    list_init(&list);
    for (uint32_t i = 0; i < 3; i++) {
        list_push_back(&list, &items[i].link);
    }
    list_remove(&items[1].link);
    assert_false(list_node_linked(&items[1].link));
    list_remove(&items[1].link);
    expect_ids(&list, (const uint32_t[]){0, 2}, 2);
    list_push_back(&list, &items[1].link);
    expect_ids(&list, (const uint32_t[]){0, 2, 1}, 3);
}

static void list__splice__moves_all_behind_and_empties_source(void **state)
{
    (void)state;
    struct item items[ITEMS];
    struct list target;
    struct list source;
    items_init(items);
    list_init(&target);
    list_init(&source);
    list_splice_back(&target, &source);
    expect_ids(&target, NULL, 0);
    list_push_back(&source, &items[2].link);
    list_push_back(&source, &items[3].link);
    list_splice_back(&target, &source);
    expect_ids(&target, (const uint32_t[]){2, 3}, 2);
    expect_ids(&source, NULL, 0);
    list_push_back(&source, &items[4].link);
    list_splice_back(&target, &source);
    expect_ids(&target, (const uint32_t[]){2, 3, 4}, 3);
    expect_ids(&source, NULL, 0);
    list_splice_back(&target, &source);
    expect_ids(&target, (const uint32_t[]){2, 3, 4}, 3);
}

static void list__walk_that_removes__visits_each_once(void **state)
{
    (void)state;
    struct item items[ITEMS];
    struct list list;
    items_init(items);
    list_init(&list);
    for (uint32_t i = 0; i < ITEMS; i++) {
        list_push_back(&list, &items[i].link);
    }
    uint32_t visited = 0;
    LIST_FOR_EACH_SAFE(node, following, &list)
    {
        assert_int_equal(id_of(node), visited);
        visited++;
        if (id_of(node) % 2 == 0) {
            list_remove(node);
        }
    }
    assert_int_equal(visited, ITEMS);
    expect_ids(&list, (const uint32_t[]){1, 3, 5, 7}, 4);
}

/* The array model: ids in order. */
struct model {
    uint32_t ids[ITEMS];
    uint32_t count;
};

static void model_insert(struct model *model, uint32_t at, uint32_t id)
{
    memmove(&model->ids[at + 1], &model->ids[at], (model->count - at) * sizeof model->ids[0]);
    model->ids[at] = id;
    model->count++;
}

static void model_remove(struct model *model, uint32_t id)
{
    for (uint32_t i = 0; i < model->count; i++) {
        if (model->ids[i] == id) {
            model->count--;
            memmove(&model->ids[i], &model->ids[i + 1], (model->count - i) * sizeof model->ids[0]);
            return;
        }
    }
}

static void list__random_operations__same_as_an_array(void **state)
{
    (void)state;
    struct prng prng;
    struct item items[ITEMS];
    struct list list;
    struct model model = {.count = 0};
    prng_init(&prng, 5);
    items_init(items);
    list_init(&list);
    for (uint32_t round = 0; round < 20000; round++) {
        uint32_t id = (uint32_t)prng_below(&prng, ITEMS);
        struct list_node *node = &items[id].link;
        if (list_node_linked(node)) {
            list_remove(node);
            model_remove(&model, id);
        } else if (prng_chance(&prng, 500000)) {
            list_push_back(&list, node);
            model_insert(&model, model.count, id);
        } else {
            list_push_front(&list, node);
            model_insert(&model, 0, id);
        }
        expect_ids(&list, model.ids, model.count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list__empty__has_no_ends_and_pops_null),
        cmocka_unit_test(list__push_at_both_ends__keeps_order),
        cmocka_unit_test(list__remove__node_is_unlinked_and_removable_again),
        cmocka_unit_test(list__splice__moves_all_behind_and_empties_source),
        cmocka_unit_test(list__walk_that_removes__visits_each_once),
        cmocka_unit_test(list__random_operations__same_as_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
