/* `only`: some of the collections of a job, as `mmresume run --col a,b` asks for. Works on the tree: the list under
 * `collections` is made, or made shorter, so that everything behind it knows nothing of this. */
#include <string.h>

#include "config/job_parts.h"
#include "config/tree.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static mm_status name_of(mm_config_reader *reader, const mm_node *item, const char *key, const char **out,
                         mm_error *err)
{
    const mm_node *node = mm_node_get(item, key);
    *out = NULL;
    return node ? mm_config_scalar(reader, node, key, out, err) : MM_OK;
}

/* Entries that say the name, as that of the source, or else of the target. */
static mm_status take(mm_config_reader *reader, const mm_node *collections, const mm_node *wanted, const char *name,
                      mm_node *list, mm_error *err)
{
    size_t before = list->count;
    for (size_t i = 0; i < collections->count; i++) {
        const char *from, *to;
        mm_status status = name_of(reader, collections->items[i], "from", &from, err);
        if (status == MM_OK)
            status = name_of(reader, collections->items[i], "to", &to, err);
        if (status != MM_OK)
            return status;
        bool said = (from && strcmp(from, name) == 0) || (to && strcmp(to, name) == 0);
        if (said && !mm_tree_add(reader->arena, list, collections->items[i]))
            return no_memory(err);
    }
    if (list->count == before)
        return mm_node_error(wanted, reader->path, err,
                             "`only` names `%.100s`, which is not among the collections of the job", name);
    return MM_OK;
}

static mm_status make(mm_config_reader *reader, const mm_node *wanted, const char *name, mm_node *list, mm_error *err)
{
    mm_node *item = mm_tree_map(reader->arena, wanted);
    /* the node's own text: it is expanded where it is read */
    if (!mm_tree_put_text(reader->arena, item, "from", wanted->text) || !mm_tree_add(reader->arena, list, item))
        return no_memory(err);
    return *name ? MM_OK : mm_node_error(wanted, reader->path, err, "`only` has an empty entry");
}

mm_status mm_job_select(mm_config_reader *reader, mm_node *root, mm_error *err)
{
    mm_node *only = root->kind == MM_NODE_MAP ? mm_node_get(root, "only") : NULL;
    if (only == NULL || mm_node_is_null(only))
        return MM_OK;
    mm_node *collections = mm_node_get(root, "collections"), *list = mm_tree_list(reader->arena, only);
    bool given = collections && !mm_node_is_null(collections);
    if (only->kind == MM_NODE_MAP)
        return mm_node_error(only, reader->path, err, "`only` is a list of collections, not a mapping");
    if (list == NULL)
        return no_memory(err);
    if (given && collections->kind != MM_NODE_LIST)
        return MM_OK; /* the check of the collections says what is wrong */
    size_t count = only->kind == MM_NODE_LIST ? only->count : 1;
    for (size_t i = 0; i < count; i++) {
        const mm_node *wanted = only->kind == MM_NODE_LIST ? only->items[i] : only;
        const char *name;
        mm_status status = mm_config_scalar(reader, wanted, "only", &name, err);
        if (status == MM_OK && name == NULL)
            status = mm_node_error(wanted, reader->path, err, "`only` has an empty entry");
        if (status == MM_OK)
            status = given ? take(reader, collections, wanted, name, list, err) : make(reader, wanted, name, list, err);
        if (status != MM_OK)
            return status;
    }
    mm_tree_remove(root, "only");
    return count == 0 || mm_tree_replace(reader->arena, root, "collections", list) ? MM_OK : no_memory(err);
}
