/* Metadata in a meta.json, as milvus-migration's export and this program's write it (its form: meta_json.h). */
#include "sources/milvus1x/meta_json.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json_parse.h"
#include "storage/input.h"

#define BYTES_MOST ((uint64_t)1 << 30) /* a segment takes some 150 bytes: this is millions of them */

/* A value of an object that has a place in a row. */
typedef struct field {
    const char *key;
    size_t offset; /* in the row: of a const char * when it is text, else of an int64_t */
    bool text;
} field;

/* A value that is read later: where it stands. */
typedef struct span {
    const char *text; /* NULL: not there */
    size_t size;
    uint64_t offset; /* in the file */
} span;

#define TEXT(row, key, field_) {key, offsetof(row, field_), true}
#define NUMBER(row, key, field_) {key, offsetof(row, field_), false}

static const field table_fields[] = {
    TEXT(mm_milvus1x_table_row, "collection", table_id),
    NUMBER(mm_milvus1x_table_row, "metric", metric_type),
    NUMBER(mm_milvus1x_table_row, "dim", dimension),
    TEXT(mm_milvus1x_table_row, "owner", owner_table),
    TEXT(mm_milvus1x_table_row, "partition", partition_tag),
    NUMBER(mm_milvus1x_table_row, "created", created),
    NUMBER(mm_milvus1x_table_row, "flag", flag),
    NUMBER(mm_milvus1x_table_row, "indexFileSize", index_file_size),
    NUMBER(mm_milvus1x_table_row, "engine", engine_type),
    TEXT(mm_milvus1x_table_row, "indexParams", index_params),
};
static const field segment_fields[] = {
    TEXT(mm_milvus1x_file_row, "collection", table_id),
    TEXT(mm_milvus1x_file_row, "segment", segment_id),
    NUMBER(mm_milvus1x_file_row, "rows", row_count),
    NUMBER(mm_milvus1x_file_row, "fileSize", file_size),
    NUMBER(mm_milvus1x_file_row, "fileType", file_type),
    NUMBER(mm_milvus1x_file_row, "created", created),
    NUMBER(mm_milvus1x_file_row, "updated", updated),
};

/* --- values ----------------------------------------------------------------------------------------------------- */

static mm_status read_text(mm_json *json, mm_arena *arena, const char **out, mm_error *err)
{
    const char *text;
    size_t size;
    const uint8_t *at = json->at;
    mm_status status = mm_json_string(json, &text, &size, err);
    if (status != MM_OK)
        return status;
    if (memchr(text, '\0', size))
        return mm_json_bad(json, at, err, "a name with a NUL in it");
    char *copy = mm_arena_alloc(arena, size + 1);
    if (copy == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", json->name);
    memcpy(copy, text, size);
    copy[size] = '\0';
    *out = copy;
    return MM_OK;
}

static mm_status read_number(mm_json *json, int64_t *out, mm_error *err)
{
    mm_number number;
    const uint8_t *at = json->at;
    mm_status status = mm_json_number(json, &number, err);
    if (status == MM_OK && !mm_number_int64(&number, out))
        return mm_json_bad(json, at, err, "a whole number of 64 bits is wanted");
    return status;
}

/* The value of one key into its place; null is as if it were not there, as for Go. */
static mm_status read_value(mm_json *json, const field *f, mm_arena *arena, void *row, mm_error *err)
{
    mm_json_kind kind;
    mm_status status = mm_json_peek(json, &kind, err);
    if (status != MM_OK)
        return status;
    if (kind == MM_JSON_NULL)
        return mm_json_null(json, err);
    json->field = f->key;
    if (f->text) {
        const char *text = NULL;
        status = read_text(json, arena, &text, err);
        if (status == MM_OK)
            memcpy((char *)row + f->offset, &text, sizeof(text));
    } else {
        int64_t number;
        status = read_number(json, &number, err);
        if (status == MM_OK)
            memcpy((char *)row + f->offset, &number, sizeof(number));
    }
    json->field = NULL;
    return status;
}

static const field *find(const field *fields, size_t count, const char *key, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(fields[i].key) == size && memcmp(fields[i].key, key, size) == 0)
            return &fields[i];
    return NULL;
}

/* An object into a row; of `list`, unless it is NULL, only where it stands. Other keys are passed over. */
static mm_status read_object(mm_json *json, const field *fields, size_t count, mm_arena *arena, void *row,
                             const char *list, span *where, mm_error *err)
{
    bool more;
    const char *key;
    size_t size;
    mm_status status = mm_json_enter(json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(json, &key, &size, &more, err)) == MM_OK && more) {
        const field *f = find(fields, count, key, size);
        bool is_list = list != NULL && strlen(list) == size && memcmp(list, key, size) == 0;
        if (f != NULL) {
            status = read_value(json, f, arena, row, err);
            continue;
        }
        span value;
        status = mm_json_skip(json, &value.text, &value.size, err);
        value.offset = mm_json_offset(json) - value.size;
        if (status == MM_OK && is_list)
            *where = value;
    }
    return status;
}

/* --- the file --------------------------------------------------------------------------------------------------- */

typedef mm_status (*item_fn)(mm_json *json, void *context, mm_error *err);

/* Each item of an array; null is an empty one, as Go writes it. */
static mm_status read_list(mm_json *json, item_fn read_item, void *context, mm_error *err)
{
    bool more;
    mm_json_kind kind;
    mm_status status = mm_json_peek(json, &kind, err);
    if (status == MM_OK && kind == MM_JSON_NULL)
        return mm_json_null(json, err);
    if (status == MM_OK)
        status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more)
        status = read_item(json, context, err);
    return status;
}

typedef struct parent {
    mm_milvus1x_meta *meta;
    const char *table_id;
} parent;

static mm_status read_segment(mm_json *json, void *context, mm_error *err)
{
    const parent *p = context;
    mm_milvus1x_file_row row = {.table_id = p->table_id, .file_type = MM_MILVUS1X_RAW};
    const uint8_t *at = json->at;
    mm_status status =
        read_object(json, segment_fields, MM_COUNT(segment_fields), &p->meta->arena, &row, NULL, NULL, err);
    if (status != MM_OK)
        return status;
    if (row.segment_id == NULL)
        return mm_json_bad(json, at, err, "a segment without its name, `segment`");
    if (strcmp(row.table_id, p->table_id) != 0)
        return mm_json_bad(json, at, err, "segment %.80s stands in collection `%.80s`, and says that it is of `%.80s`",
                           row.segment_id, p->table_id, row.table_id);
    return mm_milvus1x_meta_file(p->meta, &row, err);
}

static mm_status read_collection(mm_json *json, void *context, mm_error *err)
{
    mm_milvus1x_meta *meta = context;
    mm_milvus1x_table_row row = {.state = MM_MILVUS1X_NORMAL};
    span segments = {NULL, 0, 0};
    const uint8_t *at = json->at;
    mm_status status =
        read_object(json, table_fields, MM_COUNT(table_fields), &meta->arena, &row, "segments", &segments, err);
    if (status != MM_OK)
        return status;
    if (row.table_id == NULL)
        return mm_json_bad(json, at, err, "a collection without its name, `collection`");
    status = mm_milvus1x_meta_table(meta, &row, err);
    if (status != MM_OK || segments.text == NULL)
        return status;
    mm_json inner; /* again, now that the collection's name is known, wherever it stands in the object */
    parent p = {meta, row.table_id};
    mm_json_open(&inner, json->name, NULL, 0);
    mm_json_set(&inner, segments.text, segments.size, segments.offset, true);
    status = read_list(&inner, read_segment, &p, err);
    mm_json_close(&inner);
    return status;
}

static mm_status read_file(mm_json *json, mm_milvus1x_meta *meta, mm_error *err)
{
    bool more, found = false;
    const char *key, *text;
    size_t size;
    mm_status status = mm_json_enter(json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(json, &key, &size, &more, err)) == MM_OK && more) {
        bool collections = size == 11 && memcmp(key, "collections", 11) == 0;
        found = found || collections;
        if (collections || (size == 5 && memcmp(key, "empty", 5) == 0))
            status = read_list(json, read_collection, meta, err);
        else
            status = mm_json_skip(json, &text, &size, err);
    }
    if (status == MM_OK)
        status = mm_json_finish(json, err);
    if (status == MM_OK && !found)
        return mm_error_set(err, MM_DATA, "%s: it has no list `collections`: it is no meta.json of a Milvus 0.9 to 1.x",
                            json->name);
    return status;
}

mm_status mm_milvus1x_meta_json_parse(const char *name, const void *bytes, size_t size, mm_milvus1x_meta *meta,
                                      mm_error *err)
{
    mm_json json;
    meta->name = mm_arena_strdup(&meta->arena, name);
    if (meta->name == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", name);
    mm_json_open(&json, meta->name, bytes, size);
    mm_status status = read_file(&json, meta, err);
    mm_json_close(&json);
    return status == MM_OK ? mm_milvus1x_meta_finish(meta, err) : status;
}

mm_status mm_milvus1x_meta_json(const char *location, const mm_options *options, mm_milvus1x_meta *meta, mm_error *err)
{
    mm_input *input = NULL;
    void *bytes = NULL;
    mm_status status = mm_input_open(location, options, &input, err);
    if (status == MM_OK && input->size > BYTES_MOST)
        status = mm_error_set(err, MM_DATA, "%s: %" PRIu64 " bytes are more than metadata has", location, input->size);
    if (status == MM_OK && (bytes = malloc((size_t)input->size + 1)) == NULL)
        status = mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", location);
    if (status == MM_OK)
        status = mm_input_read(input, 0, bytes, (size_t)input->size, err);
    if (status == MM_OK)
        status = mm_milvus1x_meta_json_parse(location, bytes, (size_t)input->size, meta, err);
    free(bytes);
    mm_input_close(input);
    return status;
}
