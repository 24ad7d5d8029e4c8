/* Insert and Upsert requests from columns. See encode.h.
 *
 * A field is written inside out: first its values (into the scratch buffer, or as a pointer), then,
 * their length known, the headers that stand in front of them. The pieces are kept in wire order. */
#include "milvus/encode.h"

#include <stdlib.h>
#include <string.h>

#include "base/wire.h"

enum { TAG_BYTES_1 = 0x0A };

/* Where a type's values go: ScalarField (3) or VectorField (4) of FieldData, the field number in it,
 * and how the values stand there. */
typedef enum layout {
    LAYOUT_PACKED_COPY,   /* message{1: packed fixed-width values as they are in memory} */
    LAYOUT_PACKED_BOOL,   /* message{1: packed bools} */
    LAYOUT_PACKED_VARINT, /* message{1: packed varints} */
    LAYOUT_REPEATED,      /* message{1: bytes, 1: bytes, …} */
    LAYOUT_BYTES          /* bytes: all rows in one */
} layout;

typedef struct type_layout {
    mm_type type;
    bool vector;
    uint8_t slot;
    layout layout;
} type_layout;

static const type_layout layouts[] = {
    {MM_TYPE_BOOL, false, 1, LAYOUT_PACKED_BOOL},
    {MM_TYPE_INT8, false, 2, LAYOUT_PACKED_VARINT},
    {MM_TYPE_INT16, false, 2, LAYOUT_PACKED_VARINT},
    {MM_TYPE_INT32, false, 2, LAYOUT_PACKED_VARINT},
    {MM_TYPE_INT64, false, 3, LAYOUT_PACKED_VARINT},
    {MM_TYPE_FLOAT, false, 4, LAYOUT_PACKED_COPY},
    {MM_TYPE_DOUBLE, false, 5, LAYOUT_PACKED_COPY},
    {MM_TYPE_VARCHAR, false, 6, LAYOUT_REPEATED},
    {MM_TYPE_TEXT, false, 6, LAYOUT_REPEATED},
    {MM_TYPE_TIMESTAMPTZ, false, 6, LAYOUT_REPEATED},
    {MM_TYPE_ARRAY, false, 8, LAYOUT_REPEATED}, /* each row a serialised ScalarField */
    {MM_TYPE_JSON, false, 9, LAYOUT_REPEATED},
    {MM_TYPE_GEOMETRY, false, 12, LAYOUT_REPEATED},
    {MM_TYPE_FLOAT_VECTOR, true, 2, LAYOUT_PACKED_COPY},
    {MM_TYPE_BINARY_VECTOR, true, 3, LAYOUT_BYTES},
    {MM_TYPE_FLOAT16_VECTOR, true, 4, LAYOUT_BYTES},
    {MM_TYPE_BFLOAT16_VECTOR, true, 5, LAYOUT_BYTES},
    {MM_TYPE_SPARSE_FLOAT_VECTOR, true, 6, LAYOUT_REPEATED},
    {MM_TYPE_INT8_VECTOR, true, 7, LAYOUT_BYTES},
};

static const type_layout *layout_of(mm_type type)
{
    for (size_t i = 0; i < MM_COUNT(layouts); i++)
        if (layouts[i].type == type)
            return &layouts[i];
    return NULL;
}

/* --- the encoder's buffers ------------------------------------------------------------------------ */

/* Room for `size` more bytes of scratch; NULL when out of memory. */
static uint8_t *room(mm_encoder *e, size_t size)
{
    if (size > e->scratch_capacity - e->scratch_size) {
        size_t want = e->scratch_capacity * 2 > e->scratch_size + size ? e->scratch_capacity * 2
                                                                       : e->scratch_size + size;
        uint8_t *larger = realloc(e->scratch, want);
        if (larger == NULL) {
            e->failed = true;
            return NULL;
        }
        e->scratch = larger;
        e->scratch_capacity = want;
    }
    return e->scratch + e->scratch_size;
}

static void add_piece(mm_encoder *e, mm_encode_piece piece)
{
    if (e->count == e->capacity) {
        size_t capacity = e->capacity > 0 ? e->capacity * 2 : 32;
        mm_encode_piece *pieces = realloc(e->pieces, capacity * sizeof(*pieces));
        if (pieces != NULL)
            e->pieces = pieces;
        mm_grpc_segment *segments = realloc(e->segments, capacity * sizeof(*segments));
        if (segments != NULL)
            e->segments = segments;
        if (pieces == NULL || segments == NULL) {
            e->failed = true;
            return;
        }
        e->capacity = capacity;
    }
    e->pieces[e->count++] = piece;
}

/* Small writes into scratch: headers. A header is at most 64 bytes and a name. */
static void put_tag_varint(mm_encoder *e, uint32_t number, uint64_t value)
{
    uint8_t *at = room(e, 2 * MM_VARINT_MAX);
    if (at == NULL)
        return;
    uint8_t *end = mm_varint_put(at, (uint64_t)number << 3 | MM_WIRE_VARINT);
    end = mm_varint_put(end, value);
    e->scratch_size += (size_t)(end - at);
}

static void put_tag_length(mm_encoder *e, uint32_t number, size_t length)
{
    uint8_t *at = room(e, 2 * MM_VARINT_MAX);
    if (at == NULL)
        return;
    uint8_t *end = mm_varint_put(at, (uint64_t)number << 3 | MM_WIRE_BYTES);
    end = mm_varint_put(end, length);
    e->scratch_size += (size_t)(end - at);
}

static void put_string(mm_encoder *e, uint32_t number, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    size_t length = strlen(text);
    put_tag_length(e, number, length);
    uint8_t *at = room(e, length);
    if (at != NULL) {
        memcpy(at, text, length);
        e->scratch_size += length;
    }
}

/* The scratch bytes written since `begin`, as a piece. */
static void end_piece(mm_encoder *e, size_t begin)
{
    if (!e->failed && e->scratch_size > begin)
        add_piece(e, (mm_encode_piece){NULL, begin, e->scratch_size - begin});
}

/* --- values --------------------------------------------------------------------------------------- */

static bool is_valid(const mm_column *column, size_t row)
{
    return column->validity == NULL || (column->validity[row / 8] >> (row % 8) & 1) != 0;
}

static size_t count_valid(const mm_column *column, size_t from, size_t to)
{
    size_t valid = 0;
    if (column->validity == NULL)
        return to - from;
    for (size_t row = from; row < to; row++)
        valid += is_valid(column, row);
    return valid;
}

static mm_encode_piece scratch_piece(const mm_encoder *e, size_t begin)
{
    return (mm_encode_piece){NULL, begin, e->scratch_size - begin};
}

static mm_encode_piece fixed_values(mm_encoder *e, const mm_column *column, size_t width, size_t from,
                                    size_t to, size_t valid)
{
    if (valid == to - from)
        return (mm_encode_piece){column->values + from * width, 0, valid * width};
    size_t begin = e->scratch_size;
    uint8_t *at = room(e, valid * width);
    for (size_t row = from; at != NULL && row < to; row++) {
        if (is_valid(column, row)) {
            memcpy(at, column->values + row * width, width);
            at += width;
        }
    }
    e->scratch_size += at != NULL ? valid * width : 0;
    return scratch_piece(e, begin);
}

static mm_encode_piece bool_values(mm_encoder *e, const mm_column *column, size_t from, size_t to,
                                   size_t valid)
{
    size_t begin = e->scratch_size;
    uint8_t *at = room(e, valid);
    for (size_t row = from; at != NULL && row < to; row++)
        if (is_valid(column, row))
            *at++ = column->values[row] != 0;
    e->scratch_size += at != NULL ? valid : 0;
    return scratch_piece(e, begin);
}

/* int32 fields carry negative numbers sign-extended to 64 bits, as protobuf's int32 does. */
static uint64_t integer_at(const mm_column *column, mm_type type, size_t row)
{
    int16_t i16;
    int32_t i32;
    int64_t i64;
    switch (type) {
    case MM_TYPE_INT8:
        return (uint64_t)(int64_t)(int8_t)column->values[row];
    case MM_TYPE_INT16:
        memcpy(&i16, column->values + 2 * row, sizeof(i16));
        return (uint64_t)(int64_t)i16;
    case MM_TYPE_INT32:
        memcpy(&i32, column->values + 4 * row, sizeof(i32));
        return (uint64_t)(int64_t)i32;
    default:
        memcpy(&i64, column->values + 8 * row, sizeof(i64));
        return (uint64_t)i64;
    }
}

static mm_encode_piece varint_values(mm_encoder *e, const mm_column *column, mm_type type, size_t from,
                                     size_t to, size_t valid)
{
    size_t begin = e->scratch_size;
    uint8_t *start = room(e, valid * MM_VARINT_MAX), *at = start;
    for (size_t row = from; at != NULL && row < to; row++)
        if (is_valid(column, row))
            at = mm_varint_put(at, integer_at(column, type, row));
    e->scratch_size += (size_t)(at - start);
    return scratch_piece(e, begin);
}

static mm_encode_piece repeated_values(mm_encoder *e, const mm_column *column, size_t from, size_t to)
{
    size_t begin = e->scratch_size;
    size_t bytes = (size_t)(column->offsets[to] - column->offsets[from]);
    uint8_t *start = room(e, bytes + (to - from) * (1 + MM_VARINT_MAX)), *at = start;
    for (size_t row = from; at != NULL && row < to; row++) {
        size_t length = (size_t)(column->offsets[row + 1] - column->offsets[row]);
        if (!is_valid(column, row))
            continue;
        *at++ = TAG_BYTES_1;
        at = mm_varint_put(at, length);
        if (length > 0)
            memcpy(at, column->values + column->offsets[row], length);
        at += length;
    }
    e->scratch_size += (size_t)(at - start);
    return scratch_piece(e, begin);
}

/* The number of dimensions a slice of sparse rows spans: its largest index and one. A row is pairs of
 * u32 index, f32 value, little-endian, ascending by index. */
static uint64_t sparse_dim(const mm_column *column, size_t from, size_t to)
{
    uint64_t dim = 0;
    for (size_t row = from; row < to; row++) {
        uint64_t length = column->offsets[row + 1] - column->offsets[row];
        if (!is_valid(column, row) || length < 8)
            continue;
        uint32_t index;
        memcpy(&index, column->values + column->offsets[row + 1] - 8, sizeof(index));
        if ((uint64_t)index + 1 > dim)
            dim = (uint64_t)index + 1;
    }
    return dim;
}

/* --- a field -------------------------------------------------------------------------------------- */

static mm_encode_piece field_values(mm_encoder *e, const type_layout *how, const mm_column *column,
                                    size_t from, size_t to, size_t valid)
{
    const mm_field *field = column->field;
    switch (how->layout) {
    case LAYOUT_PACKED_BOOL:
        return bool_values(e, column, from, to, valid);
    case LAYOUT_PACKED_VARINT:
        return varint_values(e, column, field->type, from, to, valid);
    case LAYOUT_REPEATED:
        return repeated_values(e, column, from, to);
    default:
        return fixed_values(e, column, mm_type_width(field->type, field->dim), from, to, valid);
    }
}

/* A number that stands behind the values inside their message: Array's element type, a sparse
 * vector's dim. 0: none. */
static uint64_t trailing_number(const mm_column *column, size_t from, size_t to)
{
    if (column->field->type == MM_TYPE_ARRAY)
        return (uint64_t)column->field->element_type;
    if (column->field->type == MM_TYPE_SPARSE_FLOAT_VECTOR)
        return sparse_dim(column, from, to);
    return 0;
}

static void put_validity(mm_encoder *e, const mm_column *column, size_t from, size_t to)
{
    put_tag_length(e, 7, to - from);
    uint8_t *at = room(e, to - from);
    if (at == NULL)
        return;
    for (size_t row = from; row < to; row++)
        *at++ = is_valid(column, row);
    e->scratch_size += to - from;
}

static size_t tag_and_length(uint32_t number, size_t length)
{
    return mm_varint_size((uint64_t)number << 3) + mm_varint_size(length) + length;
}

static void encode_field(mm_encoder *e, const type_layout *how, const mm_column *column, size_t from,
                         size_t to, size_t valid)
{
    const mm_field *field = column->field;
    const char *name = field->dynamic ? "$meta" : field->name;
    mm_encode_piece values = field_values(e, how, column, from, to, valid);
    uint64_t number = trailing_number(column, from, to);
    uint64_t dim = field->type == MM_TYPE_SPARSE_FLOAT_VECTOR ? number : field->dim;
    bool wrapped = how->layout == LAYOUT_PACKED_COPY || how->layout == LAYOUT_PACKED_BOOL ||
                   how->layout == LAYOUT_PACKED_VARINT;

    size_t slot = wrapped ? tag_and_length(1, values.size) : values.size;
    slot += number != 0 ? 1 + mm_varint_size(number) : 0;
    size_t inner = tag_and_length(how->slot, slot) + (how->vector ? 1 + mm_varint_size(dim) : 0);
    size_t outer = 1 + mm_varint_size((uint64_t)field->type) + tag_and_length(2, strlen(name)) +
                   tag_and_length(how->vector ? 4 : 3, inner) + (field->dynamic ? 2 : 0) +
                   (field->nullable ? tag_and_length(7, to - from) : 0);

    size_t begin = e->scratch_size;
    put_tag_length(e, 5, outer); /* InsertRequest.fields_data */
    put_tag_varint(e, 1, (uint64_t)field->type);
    put_string(e, 2, name);
    put_tag_length(e, how->vector ? 4 : 3, inner);
    if (how->vector)
        put_tag_varint(e, 1, dim);
    put_tag_length(e, how->slot, slot);
    if (wrapped)
        put_tag_length(e, 1, values.size);
    end_piece(e, begin);
    if (values.size > 0)
        add_piece(e, values);
    begin = e->scratch_size;
    if (number != 0)
        put_tag_varint(e, 2, number);
    if (field->dynamic)
        put_tag_varint(e, 6, 1);
    if (field->nullable)
        put_validity(e, column, from, to);
    end_piece(e, begin);
}

static mm_status encode_column(mm_encoder *e, const mm_column *column, size_t from, size_t to,
                               mm_error *err)
{
    const mm_field *field = column->field;
    const type_layout *how = layout_of(field->type);
    if (how == NULL)
        return mm_error_set(err, MM_CONFIG, "field '%s': type %d cannot be written to Milvus", field->name,
                            (int)field->type);
    size_t valid = count_valid(column, from, to);
    if (valid < to - from && !field->nullable)
        return mm_error_set(err, MM_DATA, "field '%s' is not nullable and %zu rows have no value",
                            field->name, to - from - valid);
    encode_field(e, how, column, from, to, valid);
    return MM_OK;
}

/* --- a request ------------------------------------------------------------------------------------ */

static bool has_partition_key(const mm_schema *schema)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i].partition_key)
            return true;
    return false;
}

mm_status mm_encode_rows(mm_encoder *e, const mm_encode_args *args, mm_error *err)
{
    const mm_batch *batch = args->batch;
    e->scratch_size = e->count = 0;
    e->failed = false;
    put_string(e, 2, args->database);
    put_string(e, 3, args->collection);
    if (!has_partition_key(batch->schema))
        put_string(e, 4, args->partition);
    end_piece(e, 0);
    for (size_t i = 0; i < batch->column_count; i++) {
        const mm_field *field = batch->columns[i].field;
        if (field->primary && field->auto_id)
            continue;
        mm_status status = encode_column(e, &batch->columns[i], args->from, args->to, err);
        if (status != MM_OK)
            return status;
    }
    size_t begin = e->scratch_size;
    put_tag_varint(e, 7, args->to - args->from);
    end_piece(e, begin);
    if (e->failed)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a request");
    for (size_t i = 0; i < e->count; i++) {
        const mm_encode_piece *piece = &e->pieces[i];
        e->segments[i].data = piece->data != NULL ? piece->data : e->scratch + piece->offset;
        e->segments[i].size = piece->size;
    }
    return MM_OK;
}

void mm_encoder_free(mm_encoder *e)
{
    free(e->scratch);
    free(e->pieces);
    free(e->segments);
    *e = (mm_encoder){0};
}

/* --- sizes ---------------------------------------------------------------------------------------- */

size_t mm_encode_size(const mm_batch *batch, size_t from, size_t to)
{
    size_t size = 256;
    for (size_t i = 0; i < batch->column_count; i++) {
        const mm_column *column = &batch->columns[i];
        const mm_field *field = column->field;
        size_t width = mm_type_width(field->type, field->dim);
        const type_layout *how = layout_of(field->type);
        if (column->offsets != NULL)
            size += (size_t)(column->offsets[to] - column->offsets[from]) + 6 * (to - from);
        else if (how != NULL && how->layout == LAYOUT_PACKED_VARINT)
            size += MM_VARINT_MAX * (to - from);
        else
            size += width * (to - from);
        size += 64 + strlen(field->name) + (field->nullable ? to - from : 0);
    }
    return size;
}

size_t mm_encode_fit(const mm_batch *batch, size_t from, size_t bytes)
{
    size_t low = from + 1, high = batch->rows; /* the answer is in [low, high] */
    if (low >= high || mm_encode_size(batch, from, high) <= bytes)
        return high;
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if (mm_encode_size(batch, from, middle) <= bytes)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}
