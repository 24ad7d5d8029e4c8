/* An index file in words. */
#include "sources/faiss/inspect.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sources/faiss/view.h"

/* faiss/MetricType.h */
static const char *metric_name(const mm_faiss_node *node)
{
    if (node->binary)
        return "Hamming";
    switch (node->metric) {
    case 0:
        return "inner product";
    case 1:
        return "L2";
    case 2:
        return "L1";
    case 3:
        return "Linf";
    case 4:
        return "Lp";
    case 20:
        return "Canberra";
    case 21:
        return "BrayCurtis";
    case 22:
        return "JensenShannon";
    case 23:
        return "Jaccard";
    case 24:
        return "NaNEuclidean";
    case 25:
        return "Gower";
    default:
        return "unknown";
    }
}

/* Milvus's name, NULL where it has none. Lp with the argument 2 ranks as L2 does. */
static const char *milvus_metric(const mm_faiss_node *node)
{
    if (node->binary)
        return "HAMMING";
    if (node->metric == MM_FAISS_IP)
        return "IP";
    if (node->metric == MM_FAISS_L2 ||
        (node->metric == MM_FAISS_LP && memcmp(&node->metric_arg, &(float){2.0f}, 4) == 0))
        return "L2";
    return NULL;
}

static mm_status set_hint(mm_arena *arena, mm_field *field, const char *type, mm_error *err,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

static mm_status set_hint(mm_arena *arena, mm_field *field, const char *type, mm_error *err,
                          const char *format, ...)
{
    char params[160];
    va_list args;
    va_start(args, format);
    vsnprintf(params, sizeof(params), format, args);
    va_end(args);
    field->index_type = type;
    field->index_params = mm_arena_strdup(arena, params);
    return field->index_params != NULL
               ? MM_OK
               : mm_error_set(err, MM_NO_MEMORY, "out of memory for a schema");
}

/* Bounds as Milvus checks them: nlist 1 to 65536, M 2 to 2048. */
static mm_status hint_ivf(const mm_faiss_node *node, mm_arena *arena, mm_field *field,
                          mm_error *err)
{
    if (node->nlist > 65536)
        return MM_OK;
    if (node->coding == MM_FAISS_PQ)
        return set_hint(arena, field, "IVF_PQ", err,
                        "{\"nlist\": %" PRIu64 ", \"m\": %" PRIu64 ", \"nbits\": %" PRIu64 "}",
                        node->nlist, node->pq.m, node->pq.bits);
    return set_hint(arena, field,
                    node->binary                    ? "BIN_IVF_FLAT"
                    : node->coding == MM_FAISS_SQ ? "IVF_SQ8"
                                                    : "IVF_FLAT",
                    err, "{\"nlist\": %" PRIu64 "}", node->nlist);
}

mm_status mm_faiss_hint(const mm_faiss_node *root, mm_arena *arena, mm_field *field, mm_error *err)
{
    const mm_faiss_node *node = root;
    while (node->kind == MM_FAISS_IDMAP)
        node = node->inner;
    field->metric_type = milvus_metric(root);
    if (field->metric_type == NULL)
        return MM_OK;
    if (node->kind == MM_FAISS_CODES && node->coding == MM_FAISS_RAW)
        return set_hint(arena, field, node->binary ? "BIN_FLAT" : "FLAT", err, "{}");
    if (node->kind == MM_FAISS_IVF)
        return hint_ivf(node, arena, field, err);
    if (node->kind == MM_FAISS_GRAPH && !node->binary && node->hnsw_m >= 2 &&
        node->hnsw_m <= 2048)
        return set_hint(arena, field, "HNSW", err, "{\"M\": %u, \"efConstruction\": %u}",
                        node->hnsw_m, node->hnsw_ef);
    return MM_OK;
}

static const char *list_kind(const mm_faiss_lists *lists)
{
    switch (lists->kind) {
    case MM_FAISS_LISTS_ABSENT:
        return "not stored";
    case MM_FAISS_LISTS_FULL:
        return "array";
    case MM_FAISS_LISTS_SPARSE:
        return "array, sparse";
    case MM_FAISS_LISTS_DISK:
        return "on disk";
    case MM_FAISS_LISTS_LEGACY:
        return "legacy vectors";
    case MM_FAISS_LISTS_BLOCKS:
        return "FastScan blocks";
    }
    return "unknown";
}

static void print_node(mm_buffer *text, const mm_faiss_node *node, int depth, const char *role)
{
    mm_buffer_printf(text, "tree: %*s%s%s ('%s') at byte %" PRIu64, depth * 2, "", role,
                     mm_faiss_node_name(node), mm_faiss_fourcc_text(node->fourcc).text, node->at);
    if (node->kind != MM_FAISS_MISSING)
        mm_buffer_printf(text, ": %" PRIu64 " rows, %u %s, %s, %" PRIu64 " bytes", node->rows,
                         node->d, node->binary ? "bits" : "dimensions", metric_name(node),
                         node->end - node->at);
    if (node->kind == MM_FAISS_IVF)
        mm_buffer_printf(text, ", %" PRIu64 " lists (%s)", node->nlist, list_kind(&node->lists));
    if (node->dedup)
        mm_buffer_printf(text, ", %" PRIu64 " of the rows are duplicates", node->pair_count);
    if (node->hnsw_m > 0)
        mm_buffer_printf(text, ", M %u, efConstruction %u", node->hnsw_m, node->hnsw_ef);
    if (node->kind == MM_FAISS_TRANSFORM)
        for (uint32_t i = 0; i < node->transform_count; i++)
            mm_buffer_printf(text, ", %s %u to %u",
                             mm_faiss_fourcc_text(node->transforms[i].fourcc).text,
                             node->transforms[i].d_in, node->transforms[i].d_out);
    mm_buffer_printf(text, "\n");
    if (node->inner != NULL)
        print_node(text, node->inner, depth + 1,
                   node->kind == MM_FAISS_IVF      ? "quantizer "
                   : node->kind == MM_FAISS_REFINE ? "base "
                   : node->kind == MM_FAISS_GRAPH  ? "storage "
                                                   : "");
    if (node->second != NULL)
        print_node(text, node->second, depth + 1, "refine ");
}

static void print_view(mm_buffer *text, const mm_faiss_view *view)
{
    mm_buffer_printf(text, "rows: %" PRIu64 "\n", view->rows);
    mm_buffer_printf(text, "vectors: %s, dimension %u, %zu bytes a row\n",
                     view->binary ? "BinaryVector" : "FloatVector", view->d, view->width);
    mm_buffer_printf(text, "ids: %s\n",
                     view->map_count > 0                  ? "id map"
                     : view->codes->kind == MM_FAISS_IVF ? "of the inverted lists"
                                                          : "none: row numbers from start_id on");
    if (view->lossy == NULL)
        mm_buffer_printf(text, "exact: yes\n");
    else
        mm_buffer_printf(text, "exact: no, %s ('%s') holds approximations: needs lossy: true\n",
                         view->lossy, mm_faiss_fourcc_text(view->lossy_fourcc).text);
    if (view->codes->kind == MM_FAISS_IVF && view->codes->lists.kind == MM_FAISS_LISTS_DISK)
        mm_buffer_printf(text, "invlists: %s, %" PRIu64 " bytes\n", view->codes->lists.side_name,
                         view->codes->lists.side_size);
}

mm_status mm_faiss_inspect(const char *location, mm_buffer *text, mm_error *err)
{
    mm_input *file;
    mm_faiss_node *root;
    mm_faiss_view view;
    uint32_t fourcc = 0;
    mm_arena arena = MM_ARENA_INIT;
    struct stat there;
    if (strstr(location, "://") != NULL && !mm_storage_is_remote(location))
        return mm_error_set(err, MM_NOT_FOUND, "%s: a service, not a FAISS index file", location);
    if (stat(location, &there) == 0 && S_ISDIR(there.st_mode))
        return mm_error_set(err, MM_NOT_FOUND, "%s: a folder, not a FAISS index file", location);
    mm_status status = mm_faiss_open(location, NULL, &file, err);
    if (status != MM_OK)
        return status;
    if (file->size >= sizeof(fourcc))
        status = mm_faiss_read(file, 0, &fourcc, sizeof(fourcc), err);
    if (status == MM_OK && mm_faiss_fourcc_name(fourcc) == NULL)
        status = mm_error_set(err, MM_NOT_FOUND, "%s: not a FAISS index file", location);
    if (status == MM_OK)
        status = mm_faiss_walk(file, &arena, &root, err);
    if (status == MM_OK)
        status = mm_faiss_view_make(file, &arena, root, &view, err);
    if (status == MM_OK) {
        mm_buffer_printf(text, "format: FAISS index\nfile: %s\nsize: %" PRIu64 "\n", location,
                         file->size);
        mm_buffer_printf(text, "type: %s\nmetric: %s\n", mm_faiss_node_name(root),
                         metric_name(root));
        print_view(text, &view);
        print_node(text, root, 0, "");
        if (text->failed)
            status = mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", location);
    }
    mm_arena_free(&arena);
    mm_input_close(file);
    return status;
}
