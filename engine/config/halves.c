/* `half: dump` and `half: load`: a job of which only one half is wanted, turned into the job that is that half. A
 * dump's target is the files at target.staging; a load's source is the dump that lies there. Works on the tree, so
 * that everything behind it knows nothing of halves. */
#include <string.h>

#include "config/job_parts.h"
#include "config/tree.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* Those keys of the target that say where and how staged files lie. */
static bool copy_place(mm_arena *arena, const mm_node *from, mm_node *to, bool writing)
{
    for (size_t i = 0; i < from->count; i++) {
        const char *key = from->keys[i]->text;
        bool wanted = strncmp(key, "storage_", 8) == 0;
        if (writing)
            wanted = wanted || strcmp(key, "file_size") == 0 || strcmp(key, "spool") == 0;
        if (wanted && !mm_node_append(arena, to, from->keys[i], from->items[i]))
            return false;
    }
    return mm_tree_put(arena, to, "path", mm_node_get(from, "staging"));
}

static mm_status make_dump(mm_config_reader *reader, mm_node *root, const mm_node *target, mm_error *err)
{
    const char *format = NULL;
    const mm_node *given = mm_node_get(target, "format");
    mm_node *files = mm_tree_map(reader->arena, target);
    if (files == NULL || !mm_tree_put_text(reader->arena, files, "driver", "files") ||
        !copy_place(reader->arena, target, files, true))
        return no_memory(err);
    if (given) {
        mm_status status = mm_config_scalar(reader, given, "format", &format, err);
        if (status != MM_OK)
            return status;
    }
    /* which server it will be is not known yet; Parquet is taken by all that this decade brought */
    if (format == NULL || strcmp(format, "auto") == 0)
        format = "parquet";
    bool done = mm_tree_put_text(reader->arena, files, "format", format) &&
                mm_tree_replace(reader->arena, root, "target", files);
    if (done && mm_node_get(root, "duplicates") == NULL) /* as for the target that the files are for */
        done = mm_tree_put_text(reader->arena, root, "duplicates", "refuse");
    return done ? MM_OK : no_memory(err);
}

/* A collection of the dump has its target's name, fields and partitions already. */
static mm_node *load_collection(mm_arena *arena, const mm_node *from)
{
    static const char *const kept[] = {"if_exists", "index", "load"};
    mm_node *to = mm_tree_map(arena, from), *name = mm_node_get(from, "to");
    if (to == NULL)
        return NULL;
    if (name == NULL)
        name = mm_node_get(from, "from");
    if (name && !mm_tree_put(arena, to, "from", name))
        return NULL;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        mm_node *value = mm_node_get(from, kept[i]);
        if (value && !mm_tree_put(arena, to, kept[i], value))
            return NULL;
    }
    return to;
}

static bool load_collections(mm_arena *arena, mm_node *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i]->kind != MM_NODE_MAP)
            continue; /* the check of the collections says what is wrong */
        list->items[i] = load_collection(arena, list->items[i]);
        if (list->items[i] == NULL)
            return false;
    }
    return true;
}

static mm_status make_load(mm_config_reader *reader, mm_node *root, mm_node *target, mm_error *err)
{
    mm_node *dump = mm_tree_map(reader->arena, target), *collections = mm_node_get(root, "collections");
    if (dump == NULL || !mm_tree_put_text(reader->arena, dump, "driver", "dump") ||
        !copy_place(reader->arena, target, dump, false) || !mm_tree_replace(reader->arena, root, "source", dump) ||
        !mm_tree_replace(reader->arena, target, "transfer", mm_tree_scalar(reader->arena, target, "import")))
        return no_memory(err);
    if (collections && collections->kind == MM_NODE_LIST && !load_collections(reader->arena, collections))
        return no_memory(err);
    return MM_OK;
}

mm_status mm_job_halve(mm_config_reader *reader, mm_node *root, mm_error *err)
{
    const char *half = NULL;
    const mm_node *node = root->kind == MM_NODE_MAP ? mm_node_get(root, "half") : NULL;
    mm_node *target = node ? mm_node_get(root, "target") : NULL;
    if (node == NULL || target == NULL || target->kind != MM_NODE_MAP)
        return MM_OK; /* the check of the job itself says what is wrong */
    mm_status status = mm_config_scalar(reader, node, "half", &half, err);
    if (status != MM_OK)
        return status;
    bool dump = strcmp(half, "dump") == 0;
    if (!dump && strcmp(half, "load") != 0)
        return MM_OK;
    if (mm_node_get(target, "staging") == NULL)
        return mm_node_error(target, reader->path, err,
                             "%s needs target.staging: the folder or URL where the staged files lie", half);
    return dump ? make_dump(reader, root, target, err) : make_load(reader, root, target, err);
}
