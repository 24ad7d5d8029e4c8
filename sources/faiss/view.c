/* From the tree of a file to one flat description for its readers. */
#include "sources/faiss/view.h"

#include <inttypes.h>

static void lose(mm_faiss_view *view, const mm_faiss_node *node)
{
    if (view->lossy != NULL)
        return;
    view->lossy = mm_faiss_node_name(node);
    view->lossy_fourcc = node->fourcc;
    view->lossy_at = node->at;
}

static mm_status add_transforms(const mm_input *file, mm_arena *arena, mm_faiss_view *view,
                                const mm_faiss_node *node, mm_error *err)
{
    size_t count = view->transform_count + node->transform_count;
    const mm_faiss_transform **all = mm_arena_array(arena, count, sizeof(*all));
    if (all == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", file->name);
    for (size_t i = 0; i < view->transform_count; i++)
        all[i] = view->transforms[i];
    for (size_t i = 0; i < node->transform_count; i++)
        all[view->transform_count + i] = &node->transforms[i];
    view->transforms = all;
    view->transform_count = count;
    if (node->transform_count > 0)
        lose(view, node);
    return MM_OK;
}

/* owner: the index that addresses this one's rows by their number, so that neither lists nor id maps
 * can be read in its place; NULL: there is none. */
static mm_status take(const mm_input *file, mm_arena *arena, const mm_faiss_node *node,
                      const mm_faiss_node *owner, mm_faiss_view *view, mm_error *err)
{
    if (owner != NULL && (node->kind == MM_FAISS_IVF || node->kind == MM_FAISS_IDMAP))
        return mm_faiss_bad(file, node->at, err,
                            "the index type %s ('%s') is not supported within %s (byte %" PRIu64 ")",
                            mm_faiss_node_name(node), mm_faiss_fourcc_text(node->fourcc).text,
                            mm_faiss_node_name(owner), owner->at);
    switch (node->kind) {
    case MM_FAISS_CODES:
    case MM_FAISS_IVF:
        view->codes = node;
        if (node->coding != MM_FAISS_RAW)
            lose(view, node);
        return MM_OK;
    case MM_FAISS_IDMAP:
        view->maps[view->map_count++] = node; /* from the outside in; turned round at the end */
        return take(file, arena, node->inner, owner, view, err);
    case MM_FAISS_GRAPH:
        return take(file, arena, node->inner, node, view, err);
    case MM_FAISS_REFINE: /* the ids of the rough index are row numbers of the finer one */
        return take(file, arena, node->second, node, view, err);
    case MM_FAISS_TRANSFORM: {
        mm_status status = add_transforms(file, arena, view, node, err);
        return status == MM_OK ? take(file, arena, node->inner, owner, view, err) : status;
    }
    case MM_FAISS_MULTI:
    case MM_FAISS_PACKED:
    case MM_FAISS_MISSING:
        break;
    }
    return mm_faiss_unsupported(file, node->at, node->fourcc, "index type", err);
}

static void finish(const mm_faiss_node *root, mm_faiss_view *view)
{
    view->binary = root->binary;
    view->d = root->d;
    view->width = root->binary ? root->d / 8 : (size_t)root->d * 4;
    for (size_t i = 0; i < view->map_count / 2; i++) {
        const mm_faiss_node *map = view->maps[i];
        view->maps[i] = view->maps[view->map_count - 1 - i];
        view->maps[view->map_count - 1 - i] = map;
    }
}

mm_status mm_faiss_view_make(const mm_input *file, mm_arena *arena, const mm_faiss_node *root,
                             mm_faiss_view *out, mm_error *err)
{
    mm_faiss_view view = {.rows = 0};
    mm_status status = take(file, arena, root, NULL, &view, err);
    if (status != MM_OK)
        return status;
    finish(root, &view);
    view.rows = view.codes->rows;
    *out = view;
    return MM_OK;
}

mm_status mm_faiss_view_of_quantizer(const mm_input *file, mm_arena *arena,
                                     const mm_faiss_node *quantizer, mm_faiss_view *out,
                                     mm_error *err)
{
    mm_faiss_view view = {.rows = 0};
    if (quantizer->kind == MM_FAISS_MULTI) {
        view.codes = quantizer;
    } else {
        mm_status status = take(file, arena, quantizer, quantizer, &view, err);
        if (status != MM_OK)
            return status;
    }
    finish(quantizer, &view);
    view.rows = view.codes->rows;
    *out = view;
    return MM_OK;
}
