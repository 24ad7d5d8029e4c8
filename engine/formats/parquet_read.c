/* The read half of the format `parquet`: opening, parts, and rows into batches. All columns go forward together, in
 * steps of as many rows as every column has ready; columns of variable length say how many of them fit. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/parquet_read_internal.h"

#define STEP_ROWS 1024
#define PART_BYTES ((uint64_t)64 << 20) /* when the caller does not care */
#define SCAN_ROWS 65536                 /* rows by which the length of lists is told */
#define PIECES_MAX 10000                /* of a row group: a few bytes of a file can stand for any number of rows */

struct mm_format_reader {
    const mm_input *input;
    mm_arena arena;
    mm_parquet_meta meta;
    mm_parquet_leaf *leaves;
    size_t leaf_count; /* top-level columns */
    mm_schema *schema;
    mm_parquet_cursor *cursors; /* one for each field */
    size_t cursor_count, sized; /* sized: how many of them have rows of variable length */
    uint64_t memory;            /* of pages */

    uint64_t row, end; /* next row, and the end of the part */
    size_t group;      /* that `row` lies in; its cursors are open while group_left is not 0 */
    uint64_t group_left;
    bool failed; /* only seek and close are left */
};

static mm_status no_memory(const mm_input *input, mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", input->name);
}

static const mm_parquet_chunk *chunk_of(const mm_format_reader *r, size_t group, const mm_parquet_leaf *leaf)
{
    return &r->meta.chunks[group * r->meta.leaf_count + leaf->index];
}

static void cursor_init(mm_format_reader *r, mm_parquet_cursor *c, const mm_parquet_plan *plan, const mm_field *field)
{
    c->plan = *plan;
    c->field = field;
    c->pages.input = r->input;
    c->pages.leaf = plan->leaf;
    c->pages.memory = &r->memory;
}

/* --- checks of the chunks that are read --------------------------------------------------------------------------- */

static const char *check_chunk(const mm_parquet_leaf *leaf, const mm_parquet_chunk *chunk, uint64_t rows)
{
    if (chunk->type != leaf->type)
        return "the column chunk has another type than the schema";
    if (leaf->list ? chunk->values < rows : chunk->values != rows)
        return "the column chunk has another number of values than its row group has rows";
    return NULL;
}

static mm_status check_chunks(const mm_format_reader *r, const mm_parquet_leaf *leaf, mm_error *err)
{
    for (size_t g = 0; g < r->meta.group_count; g++) {
        const mm_parquet_chunk *chunk = chunk_of(r, g, leaf);
        const char *codec = mm_parquet_codec_refused(chunk->codec);
        const char *wrong = check_chunk(leaf, chunk, r->meta.groups[g].rows);
        if (wrong != NULL)
            return mm_parquet_bad(r->input, chunk->at, err, "footer: column '%s': %s", leaf->name, wrong);
        if (codec != NULL)
            return mm_parquet_bad(r->input, chunk->at, err, "column '%s': the compression %s is not supported (ZSTD, "
                                  "SNAPPY, GZIP and LZ4_RAW are)", leaf->name, codec);
    }
    return MM_OK;
}

/* --- the schema that a file suggests ------------------------------------------------------------------------------ */

/* Whether nulls were seen, or cannot be excluded: by the statistics of all chunks. */
static bool may_be_null(const mm_format_reader *r, const mm_parquet_leaf *leaf)
{
    for (size_t g = 0; g < r->meta.group_count && leaf->optional; g++)
        if (chunk_of(r, g, leaf)->nulls != 0 && r->meta.groups[g].rows > 0)
            return true;
    return false;
}

/* True when every row group has `elements` values for each row. */
static bool all_even(const mm_format_reader *r, const mm_parquet_leaf *leaf, uint32_t elements)
{
    for (size_t g = 0; g < r->meta.group_count; g++) {
        uint64_t values;
        if (!mm_mul_u64(r->meta.groups[g].rows, elements, &values) || values != chunk_of(r, g, leaf)->values)
            return false;
    }
    return true;
}

/* The elements that all lists of a column have, 0 where they differ: read from the first rows, and without nulls
 * confirmed by the number of values of all row groups. */
static mm_status list_shape(mm_format_reader *r, const mm_parquet_leaf *leaf, uint32_t *elements, bool *nullable,
                            mm_error *err)
{
    size_t g = 0;
    bool nulls = false;
    *elements = 0;
    *nullable = false;
    while (g < r->meta.group_count && r->meta.groups[g].rows == 0)
        g++;
    if (g == r->meta.group_count)
        return MM_OK;
    mm_parquet_cursor *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return no_memory(r->input, err);
    mm_parquet_plan plan = {.way = MM_PARQUET_WAY_ARRAY, .leaf = leaf};
    cursor_init(r, c, &plan, NULL);
    mm_parquet_cursor_open(c, chunk_of(r, g, leaf), 0, 0);
    mm_status status = mm_parquet_list_lengths(c, SCAN_ROWS, elements, &nulls, err);
    mm_parquet_cursor_free(c);
    free(c);
    if (status != MM_OK)
        return status;
    bool even = *elements > 0 && all_even(r, leaf, *elements);
    if (!nulls && !even)
        *elements = 0;
    *nullable = leaf->optional && (nulls || (!even && may_be_null(r, leaf)));
    return MM_OK;
}

static mm_status infer_schema(mm_format_reader *r, mm_error *err)
{
    mm_schema *schema = mm_arena_alloc(&r->arena, sizeof(*schema));
    mm_field *fields = mm_arena_array(&r->arena, r->leaf_count, sizeof(*fields));
    if (schema == NULL || fields == NULL)
        return no_memory(r->input, err);
    *schema = (mm_schema){.name = "", .fields = fields, .field_count = r->leaf_count};
    for (size_t i = 0; i < r->leaf_count; i++) {
        const mm_parquet_leaf *leaf = &r->leaves[i];
        uint32_t elements = 0;
        bool nullable = false;
        mm_status status = MM_OK;
        if (leaf->refusal == NULL)
            status = check_chunks(r, leaf, err);
        if (status == MM_OK && leaf->refusal == NULL && leaf->list)
            status = list_shape(r, leaf, &elements, &nullable, err);
        else if (status == MM_OK && leaf->refusal == NULL)
            nullable = may_be_null(r, leaf);
        if (status == MM_OK)
            status = mm_parquet_infer_field(r->input, leaf, elements, nullable, &fields[i], err);
        if (status != MM_OK)
            return status;
        schema->enable_dynamic_field = schema->enable_dynamic_field || fields[i].dynamic;
        for (size_t j = 0; j < i; j++)
            if (strcmp(fields[j].name, fields[i].name) == 0)
                return mm_parquet_bad(r->input, leaf->at, err, "column '%s' stands there twice", leaf->name);
    }
    r->schema = schema;
    return MM_OK;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static mm_status find_leaf(const mm_format_reader *r, const mm_field *field, const mm_parquet_leaf **out,
                           mm_error *err)
{
    const char *name = field->dynamic ? "$meta" : field->name;
    *out = NULL;
    for (size_t i = 0; i < r->leaf_count; i++) {
        if (strcmp(r->leaves[i].name, name) != 0)
            continue;
        if (*out != NULL)
            return mm_parquet_bad(r->input, r->leaves[i].at, err, "column '%s' stands there twice", name);
        *out = &r->leaves[i];
    }
    return MM_OK;
}

static bool has_size(mm_parquet_way way)
{
    return way == MM_PARQUET_WAY_TEXT || way == MM_PARQUET_WAY_UUID || way == MM_PARQUET_WAY_SPARSE ||
           way == MM_PARQUET_WAY_ARRAY;
}

static mm_status open_cursors(mm_format_reader *r, mm_error *err)
{
    r->cursors = calloc(r->schema->field_count + 1, sizeof(*r->cursors));
    if (r->cursors == NULL)
        return no_memory(r->input, err);
    r->cursor_count = r->schema->field_count;
    for (size_t i = 0; i < r->cursor_count; i++) {
        const mm_field *field = &r->schema->fields[i];
        const mm_parquet_leaf *leaf;
        mm_parquet_plan plan;
        mm_status status = find_leaf(r, field, &leaf, err);
        if (status == MM_OK)
            status = mm_parquet_plan_field(r->input, leaf, field, &plan, err);
        if (status == MM_OK && leaf != NULL)
            status = check_chunks(r, leaf, err);
        if (status != MM_OK)
            return status;
        cursor_init(r, &r->cursors[i], &plan, field);
        if (!has_size(plan.way))
            continue;
        r->sized++;
        uint64_t bytes = r->meta.group_count > 0 ? chunk_of(r, 0, leaf)->uncompressed : 0;
        uint64_t rows = r->meta.group_count > 0 ? r->meta.groups[0].rows : 0;
        r->cursors[i].row_bytes = rows > 0 ? (double)bytes / (double)rows : 0;
    }
    return MM_OK;
}

mm_status mm_parquet_read_open(const mm_format_read_args *args, mm_format_reader **out, mm_error *err)
{
    mm_format_reader *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return no_memory(args->inputs[0], err);
    r->input = args->inputs[0];
    mm_status status = mm_parquet_meta_read(r->input, &r->meta, err);
    if (status == MM_OK)
        status = mm_parquet_leaves(r->input, &r->meta, &r->leaves, &r->leaf_count, err);
    if (status == MM_OK && args->schema != NULL) {
        r->schema = mm_schema_copy(&r->arena, args->schema);
        status = r->schema != NULL ? MM_OK : no_memory(r->input, err);
    } else if (status == MM_OK) {
        status = infer_schema(r, err);
    }
    if (status == MM_OK)
        status = open_cursors(r, err);
    if (status == MM_OK)
        *out = r;
    else
        mm_parquet_read_close(r);
    return status;
}

void mm_parquet_read_close(mm_format_reader *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->cursor_count; i++)
        mm_parquet_cursor_free(&r->cursors[i]);
    free(r->cursors);
    mm_parquet_meta_free(&r->meta);
    mm_arena_free(&r->arena);
    free(r);
}

const mm_schema *mm_parquet_read_schema(const mm_format_reader *r)
{
    return r->schema;
}

mm_status mm_parquet_read_count(mm_format_reader *r, uint64_t *rows, mm_error *err)
{
    (void)err;
    *rows = r->meta.rows;
    return MM_OK;
}

/* --- parts -------------------------------------------------------------------------------------------------------- */

/* Bytes of a row group's values in memory: exact for fixed widths, else what they take in the file. */
static uint64_t group_bytes(const mm_format_reader *r, size_t group)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < r->cursor_count; i++) {
        const mm_parquet_cursor *c = &r->cursors[i];
        size_t width = mm_type_width(c->field->type, c->field->dim);
        uint64_t bytes = 0;
        if (width > 0 ? !mm_mul_u64(r->meta.groups[group].rows, width, &bytes) : false)
            bytes = UINT64_MAX;
        if (width == 0 && c->plan.leaf != NULL)
            bytes = chunk_of(r, group, c->plan.leaf)->uncompressed;
        if (!mm_add_u64(sum, bytes, &sum))
            sum = UINT64_MAX;
    }
    return sum;
}

/* A large row group in pieces of equal numbers of rows. */
static mm_status cut_group(const mm_format_reader *r, size_t group, uint64_t size, uint64_t bytes,
                           mm_format_part_fn emit, void *context, mm_error *err)
{
    const mm_parquet_group *g = &r->meta.groups[group];
    uint64_t pieces = size / bytes + (size % bytes > 0);
    if (pieces > PIECES_MAX)
        pieces = PIECES_MAX;
    if (pieces > g->rows)
        pieces = g->rows;
    uint64_t each = g->rows / pieces, more = g->rows % pieces;
    mm_status status = MM_OK;
    for (uint64_t i = 0, first = g->first; i < pieces && status == MM_OK; i++) {
        mm_format_part part = {.first = first, .rows = each + (i < more), .bytes = size / pieces, .at = group};
        status = emit(context, &part, err);
        first += part.rows;
    }
    return status;
}

mm_status mm_parquet_read_parts(mm_format_reader *r, uint64_t bytes, mm_format_part_fn emit, void *context,
                                mm_error *err)
{
    mm_format_part part = {0};
    mm_status status = MM_OK;
    if (bytes == 0)
        bytes = PART_BYTES;
    for (size_t g = 0; g < r->meta.group_count && status == MM_OK; g++) {
        uint64_t rows = r->meta.groups[g].rows, size = group_bytes(r, g);
        if (rows == 0)
            continue;
        bool large = size > bytes + bytes / 2;
        if (part.rows > 0 && (large || size > bytes - (part.bytes < bytes ? part.bytes : bytes))) {
            status = emit(context, &part, err);
            part = (mm_format_part){0};
        }
        if (status == MM_OK && large) {
            status = cut_group(r, g, size, bytes, emit, context, err);
        } else if (part.rows == 0) {
            part = (mm_format_part){.first = r->meta.groups[g].first, .rows = rows, .bytes = size, .at = g};
        } else {
            part.rows += rows;
            part.bytes += size;
        }
    }
    return status == MM_OK && part.rows > 0 ? emit(context, &part, err) : status;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

/* Begins the group that `row` lies in; r->group is not behind it. */
static mm_status enter_group(mm_format_reader *r, mm_error *err)
{
    while (r->meta.groups[r->group].first + r->meta.groups[r->group].rows <= r->row)
        r->group++;
    const mm_parquet_group *group = &r->meta.groups[r->group];
    mm_status status = MM_OK;
    for (size_t i = 0; i < r->cursor_count && status == MM_OK; i++) {
        mm_parquet_cursor *c = &r->cursors[i];
        const mm_parquet_chunk *chunk = c->plan.leaf != NULL ? chunk_of(r, r->group, c->plan.leaf) : NULL;
        mm_parquet_cursor_open(c, chunk, group->first, group->rows);
        status = mm_parquet_cursor_skip(c, r->row - group->first, err);
    }
    r->group_left = status == MM_OK ? group->first + group->rows - r->row : 0;
    return status;
}

mm_status mm_parquet_read_seek(mm_format_reader *r, const mm_format_part *part, uint64_t row, mm_error *err)
{
    uint64_t end;
    if (!mm_add_u64(part->first, part->rows, &end) || row < part->first || row > end)
        return mm_error_set(err, MM_BUG, "%s: row %" PRIu64 " lies outside its part", r->input->name, row);
    if (end > r->meta.rows || (part->rows > 0 && (part->at >= r->meta.group_count ||
                                                  r->meta.groups[part->at].first > part->first)))
        return mm_error_set(err, MM_CHANGED, "%s: it has %" PRIu64 " rows in %zu row groups, which the rows %" PRIu64
                            " to %" PRIu64 " do not fit", r->input->name, r->meta.rows, r->meta.group_count,
                            part->first, end);
    r->row = row;
    r->end = end;
    r->group = part->at;
    r->group_left = 0;
    r->failed = false;
    return MM_OK;
}

/* Rows for which a batch has room, as far as their bytes are known. */
static size_t batch_rows(const mm_format_reader *r, size_t max_rows, size_t max_bytes)
{
    double row_bytes = 0;
    for (size_t i = 0; i < r->cursor_count; i++) {
        const mm_parquet_cursor *c = &r->cursors[i];
        size_t width = mm_type_width(c->field->type, c->field->dim);
        row_bytes += width > 0 ? (double)width : c->row_bytes + (double)sizeof(uint64_t);
    }
    double rows = row_bytes > 0 ? (double)max_bytes / row_bytes : (double)max_bytes;
    uint64_t left = r->end - r->row;
    size_t most = left < max_rows ? (size_t)left : max_rows;
    return rows < 1 || most == 0 ? 1 : rows < (double)most ? (size_t)rows : most;
}

static size_t filled_bytes(const mm_format_reader *r, size_t rows)
{
    size_t bytes = 0;
    for (size_t i = 0; i < r->cursor_count; i++) {
        const mm_column *column = r->cursors[i].to;
        if (column->offsets != NULL)
            bytes += (size_t)column->offsets[rows] + rows * sizeof(uint64_t);
        else
            bytes += rows * mm_type_width(column->field->type, column->field->dim);
    }
    return bytes;
}

/* A step: as many rows as all columns have ready, one at least. */
static mm_status fill_step(mm_format_reader *r, mm_parquet_fill *fill, size_t budget, mm_error *err)
{
    size_t rows = fill->capacity - fill->at;
    if (rows > STEP_ROWS)
        rows = STEP_ROWS;
    if (rows > r->group_left)
        rows = (size_t)r->group_left;
    mm_status status = MM_OK;
    for (size_t i = 0; i < r->cursor_count && status == MM_OK; i++)
        status = mm_parquet_cursor_ready(&r->cursors[i], r->sized > 0 ? budget / r->sized : 0, &rows, err);
    for (size_t i = 0; i < r->cursor_count && status == MM_OK; i++)
        status = mm_parquet_cursor_take(&r->cursors[i], fill, rows, err);
    fill->at += rows;
    r->row += rows;
    r->group_left -= rows;
    return status;
}

/* What the rows that were read end with: the row group, or at least a row. */
static mm_status check_end(mm_format_reader *r, mm_error *err)
{
    mm_status status = MM_OK;
    if (r->group_left > 0 && r->row < r->end)
        return MM_OK;
    for (size_t i = 0; i < r->cursor_count && status == MM_OK; i++)
        status = mm_parquet_cursor_check(&r->cursors[i], r->group_left == 0, err);
    return status;
}

mm_status mm_parquet_read_next(mm_format_reader *r, size_t max_rows, size_t max_bytes, mm_batch *batch, mm_error *err)
{
    if (r->failed)
        return mm_error_set(err, MM_BUG, "%s: read on after a failure", r->input->name);
    if (r->row == r->end)
        return MM_END;
    mm_parquet_fill fill = {.batch = batch, .capacity = batch_rows(r, max_rows, max_bytes), .bytes = max_bytes};
    mm_status status = mm_batch_begin(batch, r->schema, fill.capacity, err);
    for (size_t i = 0; i < r->cursor_count && status == MM_OK; i++) {
        r->cursors[i].to = &batch->columns[i];
        r->cursors[i].room = 0;
    }
    size_t bytes = 0;
    while (status == MM_OK && fill.at < fill.capacity && (fill.at == 0 || bytes < max_bytes)) {
        if (r->group_left == 0)
            status = enter_group(r, err);
        if (status == MM_OK)
            status = fill_step(r, &fill, bytes < max_bytes ? max_bytes - bytes : 0, err);
        if (status == MM_OK)
            status = check_end(r, err);
        if (status == MM_OK)
            bytes = filled_bytes(r, fill.at);
    }
    if (status == MM_OK)
        batch->rows = fill.at;
    else
        r->failed = true;
    return status;
}
