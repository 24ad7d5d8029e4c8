/* Building trees of nodes. Knows no key of a job. */
#include "config/tree.h"

#include <string.h>

static mm_node *make(mm_arena *arena, mm_node_kind kind, const mm_node *at, const char *text)
{
    mm_node *node = at ? mm_arena_array(arena, 1, sizeof(*node)) : NULL;
    if (node)
        *node = (mm_node){.kind = kind, .plain = kind == MM_NODE_SCALAR, .line = at->line, .column = at->column,
                          .origin = at->origin, .text = text};
    return node;
}

mm_node *mm_tree_scalar(mm_arena *arena, const mm_node *at, const char *text)
{
    return text ? make(arena, MM_NODE_SCALAR, at, text) : NULL;
}

mm_node *mm_tree_map(mm_arena *arena, const mm_node *at)
{
    return make(arena, MM_NODE_MAP, at, NULL);
}

mm_node *mm_tree_list(mm_arena *arena, const mm_node *at)
{
    return make(arena, MM_NODE_LIST, at, NULL);
}

bool mm_tree_add(mm_arena *arena, mm_node *list, mm_node *item)
{
    return list && item && mm_node_append(arena, list, NULL, item);
}

bool mm_tree_put(mm_arena *arena, mm_node *map, const char *key, mm_node *value)
{
    mm_node *name = map && value ? mm_tree_scalar(arena, value, key) : NULL;
    return name && mm_node_append(arena, map, name, value);
}

bool mm_tree_put_text(mm_arena *arena, mm_node *map, const char *key, const char *text)
{
    return mm_tree_put(arena, map, key, mm_tree_scalar(arena, map, text));
}

bool mm_tree_replace(mm_arena *arena, mm_node *map, const char *key, mm_node *value)
{
    for (size_t i = 0; map && i < map->count; i++)
        if (strcmp(map->keys[i]->text, key) == 0) {
            map->items[i] = value;
            return value != NULL;
        }
    return mm_tree_put(arena, map, key, value);
}

void mm_tree_remove(mm_node *map, const char *key)
{
    size_t kept = 0;
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->keys[i]->text, key) == 0)
            continue;
        map->keys[kept] = map->keys[i];
        map->items[kept++] = map->items[i];
    }
    map->count = kept;
}
