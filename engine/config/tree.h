/* Building trees of nodes: what translates one job into another works on the tree, so that everything behind it knows
 * nothing of that. Made nodes stand where `at` does, so that messages point into the file. Internal to
 * engine/config. */
#ifndef MM_CONFIG_TREE_H
#define MM_CONFIG_TREE_H

#include "config/node.h"

/* Each returns NULL, or false, when out of memory; a NULL that is handed in is passed on as such, so that one check at
 * the end of a chain suffices. */
mm_node *mm_tree_scalar(mm_arena *arena, const mm_node *at, const char *text);
mm_node *mm_tree_map(mm_arena *arena, const mm_node *at);
mm_node *mm_tree_list(mm_arena *arena, const mm_node *at);
bool mm_tree_add(mm_arena *arena, mm_node *list, mm_node *item);
/* key must outlive the tree. */
bool mm_tree_put(mm_arena *arena, mm_node *map, const char *key, mm_node *value);
bool mm_tree_put_text(mm_arena *arena, mm_node *map, const char *key, const char *text);
/* The value of `key` is from now on another one, or the key is added. */
bool mm_tree_replace(mm_arena *arena, mm_node *map, const char *key, mm_node *value);
/* The key and its value are no longer there. */
void mm_tree_remove(mm_node *map, const char *key);

#endif
