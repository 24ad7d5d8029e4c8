/* The footer of a Parquet file: FileMetaData of parquet.thrift, read into tables and checked against the file. Knows no
 * page. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/parquet_read_internal.h"
#include "formats/parquet_thrift_read.h"

/* Fields that only a reader asks for. */
enum {
    FILE_ENCRYPTION = 8,
    ELEMENT_SCALE = 7,
    ELEMENT_PRECISION = 8,
    CHUNK_FILE_PATH = 1,
    CHUNK_CRYPTO = 8,
    CHUNK_ENCRYPTED = 9
};
#define ELEMENTS_MAX 65536

typedef struct footer {
    const mm_input *input;
    mm_parquet_meta *meta;
    mm_thrift_reader thrift;
    uint64_t at; /* the footer's first byte in the file */
} footer;

mm_status mm_parquet_bad(const mm_input *input, uint64_t offset, mm_error *err, const char *format, ...)
{
    char text[MM_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return mm_error_set(err, MM_DATA, "%s: byte %" PRIu64 ": %s", input->name, offset, text);
}

static mm_status no_memory(const mm_input *input, mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", input->name);
}

static uint64_t place(const footer *f)
{
    return f->at + (uint64_t)(f->thrift.at - f->thrift.begin);
}

/* --- schema elements -------------------------------------------------------------------------------------------- */

static void read_decimal(mm_thrift_reader *t, mm_parquet_element *element)
{
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        if (field.id == 1)
            element->scale = mm_thrift_read_i32(t, &field);
        else if (field.id == 2)
            element->precision = mm_thrift_read_i32(t, &field);
        else
            mm_thrift_read_skip(t, &field);
    }
}

static void read_integer(mm_thrift_reader *t, mm_parquet_element *element)
{
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        if (field.id == 1)
            element->int_bits = mm_thrift_read_i32(t, &field);
        else if (field.id == 2)
            element->int_signed = mm_thrift_read_bool(t, &field);
        else
            mm_thrift_read_skip(t, &field);
    }
}

static void read_logical(mm_thrift_reader *t, mm_parquet_element *element)
{
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        element->logical = field.id <= MM_PARQUET_LOGICAL_FLOAT16 ? field.id : -1;
        if (field.id == MM_PARQUET_LOGICAL_DECIMAL && mm_thrift_read_struct(t, &field))
            read_decimal(t, element);
        else if (field.id == MM_PARQUET_LOGICAL_INTEGER && mm_thrift_read_struct(t, &field))
            read_integer(t, element);
        else
            mm_thrift_read_skip(t, &field);
    }
}

/* A name without NUL bytes, as text in the arena; NULL: no memory. */
static const char *copy_name(footer *f, const uint8_t *bytes, size_t size)
{
    char *name = mm_arena_alloc(&f->meta->arena, size + 1);
    if (name == NULL)
        return NULL;
    if (size > 0)
        memcpy(name, bytes, size);
    name[size] = '\0';
    if (memchr(name, '\0', size) != NULL)
        mm_thrift_read_fail(&f->thrift, "a NUL byte in a column's name");
    return name;
}

static mm_status read_element(footer *f, mm_parquet_element *element, mm_error *err)
{
    mm_thrift_reader *t = &f->thrift;
    *element = (mm_parquet_element){.type = -1, .repetition = MM_PARQUET_REQUIRED,
                                    .converted = MM_PARQUET_CONVERTED_NONE, .at = place(f)};
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        size_t size;
        switch (field.id) {
        case MM_PARQUET_ELEMENT_TYPE:
            element->type = mm_thrift_read_i32(t, &field);
            if (element->type < 0 || element->type > MM_PARQUET_FIXED_LEN_BYTE_ARRAY)
                mm_thrift_read_fail(t, "an unknown physical type");
            break;
        case MM_PARQUET_ELEMENT_TYPE_LENGTH:
            element->type_length = mm_thrift_read_i32(t, &field);
            break;
        case MM_PARQUET_ELEMENT_REPETITION:
            element->repetition = mm_thrift_read_i32(t, &field);
            if (element->repetition < 0 || element->repetition > MM_PARQUET_REPEATED)
                mm_thrift_read_fail(t, "an unknown repetition");
            break;
        case MM_PARQUET_ELEMENT_NAME: {
            const uint8_t *bytes = mm_thrift_read_bytes(t, &field, &size);
            element->name = copy_name(f, bytes, size);
            if (element->name == NULL)
                return no_memory(f->input, err);
            break;
        }
        case MM_PARQUET_ELEMENT_CHILDREN:
            element->children = (uint32_t)mm_thrift_read_i32(t, &field);
            break;
        case MM_PARQUET_ELEMENT_CONVERTED:
            element->converted = mm_thrift_read_i32(t, &field);
            break;
        case ELEMENT_SCALE:
            element->scale = mm_thrift_read_i32(t, &field);
            break;
        case ELEMENT_PRECISION:
            element->precision = mm_thrift_read_i32(t, &field);
            break;
        case MM_PARQUET_ELEMENT_LOGICAL:
            if (mm_thrift_read_struct(t, &field))
                read_logical(t, element);
            break;
        default:
            mm_thrift_read_skip(t, &field);
        }
    }
    if (element->name == NULL)
        mm_thrift_read_fail(t, "a schema element without a name");
    if (element->type == MM_PARQUET_FIXED_LEN_BYTE_ARRAY &&
        (element->type_length <= 0 || (uint64_t)element->type_length > MM_PARQUET_PAGE_MAX))
        mm_thrift_read_fail(t, "a fixed length out of range");
    return MM_OK;
}

static mm_status read_elements(footer *f, const mm_thrift_field *field, mm_error *err)
{
    mm_parquet_meta *meta = f->meta;
    size_t count = mm_thrift_read_list(&f->thrift, field, MM_THRIFT_STRUCT), capacity = 0;
    if (count > ELEMENTS_MAX)
        mm_thrift_read_fail(&f->thrift, "more than 65536 columns and groups");
    for (size_t i = 0; i < count && f->thrift.wrong == NULL; i++) {
        if (i == capacity) {
            capacity = capacity > 0 ? 2 * capacity : 64;
            mm_parquet_element *larger = realloc(meta->elements, capacity * sizeof(*larger));
            if (larger == NULL)
                return no_memory(f->input, err);
            meta->elements = larger;
        }
        mm_status status = read_element(f, &meta->elements[i], err);
        if (status != MM_OK)
            return status;
        meta->element_count = i + 1;
        meta->leaf_count += i > 0 && meta->elements[i].type >= 0;
    }
    return MM_OK;
}

/* --- row groups ------------------------------------------------------------------------------------------------- */

static int64_t read_nulls(mm_thrift_reader *t)
{
    int64_t nulls = -1;
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        if (field.id == MM_PARQUET_STATS_NULLS)
            nulls = mm_thrift_read_int(t, &field);
        else
            mm_thrift_read_skip(t, &field);
    }
    return nulls;
}

typedef struct chunk_numbers {
    int64_t values, uncompressed, compressed, data_at, dictionary_at;
} chunk_numbers;

static void read_chunk_meta(mm_thrift_reader *t, mm_parquet_chunk *chunk, chunk_numbers *n)
{
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        switch (field.id) {
        case MM_PARQUET_META_TYPE:
            chunk->type = mm_thrift_read_i32(t, &field);
            break;
        case MM_PARQUET_META_CODEC:
            chunk->codec = mm_thrift_read_i32(t, &field);
            break;
        case MM_PARQUET_META_VALUES:
            n->values = mm_thrift_read_int(t, &field);
            break;
        case MM_PARQUET_META_UNCOMPRESSED:
            n->uncompressed = mm_thrift_read_int(t, &field);
            break;
        case MM_PARQUET_META_COMPRESSED:
            n->compressed = mm_thrift_read_int(t, &field);
            break;
        case MM_PARQUET_META_DATA_OFFSET:
            n->data_at = mm_thrift_read_int(t, &field);
            break;
        case MM_PARQUET_META_DICTIONARY_OFFSET:
            n->dictionary_at = mm_thrift_read_int(t, &field);
            break;
        case MM_PARQUET_META_STATISTICS:
            if (mm_thrift_read_struct(t, &field))
                chunk->nulls = read_nulls(t);
            break;
        default:
            mm_thrift_read_skip(t, &field);
        }
    }
}

/* The bytes of a chunk begin with its dictionary, if it has one (0 is what some writers say when there is none), and
 * lie between the magic and the footer. */
static void place_chunk(footer *f, mm_parquet_chunk *chunk, const chunk_numbers *n)
{
    int64_t begin = n->dictionary_at > 0 && n->dictionary_at < n->data_at ? n->dictionary_at : n->data_at;
    uint64_t end;
    if (n->values < 0 || n->uncompressed < 0 || n->compressed < 0)
        mm_thrift_read_fail(&f->thrift, "a column chunk without its sizes");
    else if (n->values == 0)
        chunk->begin = chunk->end = MM_PARQUET_MAGIC_SIZE; /* of an empty row group, wherever it may be said to lie */
    else if (begin < MM_PARQUET_MAGIC_SIZE || !mm_add_u64((uint64_t)begin, (uint64_t)n->compressed, &end) ||
             end > f->at)
        mm_thrift_read_fail(&f->thrift, "a column chunk beyond the data of the file");
    else {
        chunk->begin = (uint64_t)begin;
        chunk->end = end;
        chunk->values = (uint64_t)n->values;
        chunk->uncompressed = (uint64_t)n->uncompressed;
    }
}

static void read_chunk(footer *f, mm_parquet_chunk *chunk)
{
    mm_thrift_reader *t = &f->thrift;
    chunk_numbers numbers = {.values = -1, .uncompressed = -1, .compressed = -1};
    bool described = false;
    *chunk = (mm_parquet_chunk){.nulls = -1, .at = place(f), .type = -1, .codec = -1};
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        switch (field.id) {
        case CHUNK_FILE_PATH:
            mm_thrift_read_fail(t, "a column chunk in another file (not supported)");
            break;
        case MM_PARQUET_CHUNK_META:
            described = mm_thrift_read_struct(t, &field);
            if (described)
                read_chunk_meta(t, chunk, &numbers);
            break;
        case CHUNK_CRYPTO:
        case CHUNK_ENCRYPTED:
            mm_thrift_read_fail(t, "an encrypted column chunk (not supported)");
            break;
        default:
            mm_thrift_read_skip(t, &field);
        }
    }
    if (!described)
        mm_thrift_read_fail(t, "a column chunk without metadata");
    if (t->wrong == NULL)
        place_chunk(f, chunk, &numbers);
}

static mm_status read_chunks(footer *f, const mm_thrift_field *field, mm_error *err)
{
    mm_parquet_meta *meta = f->meta;
    size_t count = mm_thrift_read_list(&f->thrift, field, MM_THRIFT_STRUCT);
    if (f->thrift.wrong == NULL && count != meta->leaf_count)
        mm_thrift_read_fail(&f->thrift, "a row group with another number of columns than the schema has");
    for (size_t i = 0; i < count && f->thrift.wrong == NULL; i++) {
        if (meta->chunk_count == meta->chunk_capacity) {
            size_t capacity = meta->chunk_capacity > 0 ? 2 * meta->chunk_capacity : 64;
            mm_parquet_chunk *larger = realloc(meta->chunks, capacity * sizeof(*larger));
            if (larger == NULL)
                return no_memory(f->input, err);
            meta->chunks = larger;
            meta->chunk_capacity = capacity;
        }
        read_chunk(f, &meta->chunks[meta->chunk_count++]);
    }
    return MM_OK;
}

static mm_status read_group(footer *f, mm_parquet_group *group, mm_error *err)
{
    mm_thrift_reader *t = &f->thrift;
    size_t chunks_before = f->meta->chunk_count;
    int64_t rows = -1;
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        mm_status status = MM_OK;
        if (field.id == MM_PARQUET_GROUP_COLUMNS)
            status = read_chunks(f, &field, err);
        else if (field.id == MM_PARQUET_GROUP_ROWS)
            rows = mm_thrift_read_int(t, &field);
        else
            mm_thrift_read_skip(t, &field);
        if (status != MM_OK)
            return status;
    }
    if (rows < 0)
        mm_thrift_read_fail(t, "a row group without its number of rows");
    if (f->meta->chunk_count - chunks_before != f->meta->leaf_count)
        mm_thrift_read_fail(t, "a row group with another number of columns than the schema has");
    *group = (mm_parquet_group){.rows = (uint64_t)rows};
    return MM_OK;
}

static mm_status read_groups(footer *f, const mm_thrift_field *field, mm_error *err)
{
    mm_parquet_meta *meta = f->meta;
    if (meta->element_count == 0)
        mm_thrift_read_fail(&f->thrift, "row groups before the schema");
    size_t count = mm_thrift_read_list(&f->thrift, field, MM_THRIFT_STRUCT);
    for (size_t i = 0; i < count && f->thrift.wrong == NULL; i++) {
        if (meta->group_count == meta->group_capacity) {
            size_t capacity = meta->group_capacity > 0 ? 2 * meta->group_capacity : 16;
            mm_parquet_group *larger = realloc(meta->groups, capacity * sizeof(*larger));
            if (larger == NULL)
                return no_memory(f->input, err);
            meta->groups = larger;
            meta->group_capacity = capacity;
        }
        mm_parquet_group *group = &meta->groups[meta->group_count];
        mm_status status = read_group(f, group, err);
        if (status != MM_OK)
            return status;
        group->first = meta->rows;
        meta->group_count++;
        if (!mm_add_u64(meta->rows, group->rows, &meta->rows) || meta->rows > INT64_MAX)
            mm_thrift_read_fail(&f->thrift, "more rows than a file can have");
    }
    return MM_OK;
}

/* --- the footer ------------------------------------------------------------------------------------------------- */

static mm_status read_footer(footer *f, mm_error *err)
{
    mm_thrift_reader *t = &f->thrift;
    int64_t rows = -1;
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        mm_status status = MM_OK;
        switch (field.id) {
        case MM_PARQUET_FILE_SCHEMA:
            if (f->meta->element_count > 0)
                mm_thrift_read_fail(t, "a second schema");
            status = read_elements(f, &field, err);
            break;
        case MM_PARQUET_FILE_NUM_ROWS:
            rows = mm_thrift_read_int(t, &field);
            break;
        case MM_PARQUET_FILE_ROW_GROUPS:
            status = read_groups(f, &field, err);
            break;
        case FILE_ENCRYPTION:
            mm_thrift_read_fail(t, "an encrypted file (not supported)");
            break;
        default:
            mm_thrift_read_skip(t, &field);
        }
        if (status != MM_OK)
            return status;
    }
    if (t->wrong == NULL && f->meta->element_count == 0)
        mm_thrift_read_fail(t, "no schema");
    if (t->wrong == NULL && (rows < 0 || (uint64_t)rows != f->meta->rows))
        mm_thrift_read_fail(t, "the rows of the row groups are not those of the file");
    if (t->wrong == NULL && t->at != t->end)
        mm_thrift_read_fail(t, "bytes behind the metadata");
    return t->wrong == NULL ? MM_OK : mm_parquet_bad(f->input, place(f), err, "footer: %s", t->wrong);
}

/* The last 8 bytes: the footer's length and the magic, which stands at the beginning as well. */
static mm_status find_footer(const mm_input *input, uint64_t *at, size_t *size, mm_error *err)
{
    uint8_t head[MM_PARQUET_MAGIC_SIZE], tail[MM_PARQUET_TAIL];
    uint32_t length;
    if (input->size < sizeof(head) + sizeof(tail))
        return mm_parquet_bad(input, input->size, err, "not a Parquet file: it has %" PRIu64 " bytes", input->size);
    mm_status status = mm_input_read(input, 0, head, sizeof(head), err);
    if (status == MM_OK)
        status = mm_input_read(input, input->size - sizeof(tail), tail, sizeof(tail), err);
    if (status != MM_OK)
        return status;
    if (memcmp(tail + 4, "PARE", 4) == 0)
        return mm_parquet_bad(input, input->size - 4, err, "the file is encrypted (not supported)");
    if (memcmp(head, MM_PARQUET_MAGIC, sizeof(head)) != 0)
        return mm_parquet_bad(input, 0, err, "not a Parquet file: it does not begin with PAR1");
    if (memcmp(tail + 4, MM_PARQUET_MAGIC, 4) != 0)
        return mm_parquet_bad(input, input->size - 4, err, "the file does not end with PAR1: it is cut off");
    memcpy(&length, tail, sizeof(length));
    if (length > input->size - sizeof(head) - sizeof(tail))
        return mm_parquet_bad(input, input->size - 8, err, "a footer of %" PRIu32 " bytes does not fit into the file",
                              length);
    if (length > MM_PARQUET_FOOTER_MAX)
        return mm_parquet_bad(input, input->size - 8, err, "a footer of %" PRIu32 " bytes; more than %" PRIu64
                              " are not supported", length, MM_PARQUET_FOOTER_MAX);
    *size = length;
    *at = input->size - sizeof(tail) - length;
    return MM_OK;
}

mm_status mm_parquet_meta_read(const mm_input *input, mm_parquet_meta *meta, mm_error *err)
{
    footer f = {.input = input, .meta = meta};
    size_t size = 0;
    uint8_t *bytes = NULL;
    mm_status status = find_footer(input, &f.at, &size, err);
    if (status != MM_OK)
        return status;
    bytes = malloc(size + 1);
    if (bytes == NULL)
        return no_memory(input, err);
    status = mm_input_read(input, f.at, bytes, size, err);
    if (status == MM_OK) {
        f.thrift = mm_thrift_read_over(bytes, size);
        status = read_footer(&f, err);
    }
    free(bytes);
    return status;
}

void mm_parquet_meta_free(mm_parquet_meta *meta)
{
    mm_arena_free(&meta->arena);
    free(meta->elements);
    free(meta->groups);
    free(meta->chunks);
    *meta = (mm_parquet_meta){0};
}
