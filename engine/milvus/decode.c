/* Query replies into columns. Foreign bytes: every length is checked against its frame, every count
 * against the others before memory is taken for it. Two passes: the first measures, the second fills,
 * so that nothing is grown or copied twice. Source: milvus-proto, QueryResults, FieldData.
 *
 * Scalars of nullable fields come with a value in every row; vectors without values for null rows.
 * Both forms are accepted for both. */
#include <stdlib.h>
#include <string.h>

#include "milvus/rows.h"
#include "base/wire.h"

/* A FieldData of a reply. */
typedef struct field_view {
    const uint8_t *name, *data; /* data: of the one slot of scalars or vectors */
    const uint8_t *valid;       /* packed bools, one byte a row; NULL: every row is present */
    size_t name_size, size, valid_size;
    uint32_t slot;
    bool vector, dynamic;
} field_view;

enum { VALID_SCALAR = 17, VALID_VECTOR = 9, SLOT_ARRAY = 8 };

static mm_status malformed(const mm_field *field, const char *what, mm_error *err)
{
    return mm_error_set(err, MM_DATA, "Query reply: field '%s': %s", field->name, what);
}

/* --- finding fields ------------------------------------------------------------------------------- */

/* ScalarField or VectorField: one slot that holds the values, perhaps valid_data, a vector's dim. */
static bool view_slots(const mm_wire_field *outer, bool vector, field_view *view)
{
    mm_wire wire = mm_wire_over(outer->data, outer->size);
    mm_wire_field field;
    view->vector = vector;
    while (mm_wire_next(&wire, &field)) {
        if (field.type != MM_WIRE_BYTES)
            continue;
        if (field.number == (vector ? VALID_VECTOR : VALID_SCALAR)) {
            view->valid = field.data;
            view->valid_size = field.size;
            continue;
        }
        if (view->slot != 0)
            return false;
        view->slot = field.number;
        view->data = field.data;
        view->size = field.size;
    }
    return !wire.bad;
}

static bool view_field(const uint8_t *data, size_t size, field_view *view)
{
    mm_wire wire = mm_wire_over(data, size);
    mm_wire_field field;
    *view = (field_view){0};
    while (mm_wire_next(&wire, &field)) {
        if (field.number == 2 && field.type == MM_WIRE_BYTES) {
            view->name = field.data;
            view->name_size = field.size;
        } else if ((field.number == 3 || field.number == 4) && field.type == MM_WIRE_BYTES) {
            if (!view_slots(&field, field.number == 4, view))
                return false;
        } else if (field.number == 6 && field.type == MM_WIRE_VARINT) {
            view->dynamic = field.value != 0;
        } else if (field.number == 7 && field.type == MM_WIRE_BYTES) {
            view->valid = field.data;
            view->valid_size = field.size;
        }
    }
    return !wire.bad;
}

static bool is_named(const field_view *view, const mm_field *field)
{
    if (field->dynamic && view->dynamic)
        return true;
    return view->name_size == strlen(field->name) && memcmp(view->name, field->name, view->name_size) == 0;
}

/* The FieldData of `field` in a QueryResults message. */
static mm_status find_field(const mm_buffer *reply, const mm_field *field, field_view *view, mm_error *err)
{
    mm_wire wire = mm_wire_over((const uint8_t *)reply->data, reply->size);
    mm_wire_field outer;
    while (mm_wire_next(&wire, &outer)) {
        if (outer.number != 2 || outer.type != MM_WIRE_BYTES)
            continue;
        if (!view_field(outer.data, outer.size, view))
            return malformed(field, "malformed", err);
        if (is_named(view, field))
            return MM_OK;
    }
    return malformed(field, wire.bad ? "malformed" : "not in the reply", err);
}

/* --- elements ------------------------------------------------------------------------------------- */

/* What one value takes on the wire and how it is found. */
typedef enum shape { SHAPE_VARINTS, SHAPE_FIXED, SHAPE_BYTES, SHAPE_RAW } shape;

typedef struct type_shape {
    uint32_t slot;
    bool vector;
    shape shape;
} type_shape;

static bool shape_of(mm_type type, type_shape *out)
{
    switch (type) {
    case MM_TYPE_BOOL:
        *out = (type_shape){1, false, SHAPE_VARINTS};
        return true;
    case MM_TYPE_INT8:
    case MM_TYPE_INT16:
    case MM_TYPE_INT32:
        *out = (type_shape){2, false, SHAPE_VARINTS};
        return true;
    case MM_TYPE_INT64:
        *out = (type_shape){3, false, SHAPE_VARINTS};
        return true;
    case MM_TYPE_FLOAT:
        *out = (type_shape){4, false, SHAPE_FIXED};
        return true;
    case MM_TYPE_DOUBLE:
        *out = (type_shape){5, false, SHAPE_FIXED};
        return true;
    case MM_TYPE_VARCHAR:
    case MM_TYPE_TEXT:
    case MM_TYPE_TIMESTAMPTZ:
        *out = (type_shape){6, false, SHAPE_BYTES};
        return true;
    case MM_TYPE_ARRAY:
        *out = (type_shape){SLOT_ARRAY, false, SHAPE_BYTES};
        return true;
    case MM_TYPE_JSON:
        *out = (type_shape){9, false, SHAPE_BYTES};
        return true;
    case MM_TYPE_GEOMETRY:
        *out = (type_shape){12, false, SHAPE_BYTES};
        return true;
    case MM_TYPE_FLOAT_VECTOR:
        *out = (type_shape){2, true, SHAPE_FIXED};
        return true;
    case MM_TYPE_BINARY_VECTOR:
        *out = (type_shape){3, true, SHAPE_RAW};
        return true;
    case MM_TYPE_FLOAT16_VECTOR:
        *out = (type_shape){4, true, SHAPE_RAW};
        return true;
    case MM_TYPE_BFLOAT16_VECTOR:
        *out = (type_shape){5, true, SHAPE_RAW};
        return true;
    case MM_TYPE_SPARSE_FLOAT_VECTOR:
        *out = (type_shape){6, true, SHAPE_BYTES};
        return true;
    case MM_TYPE_INT8_VECTOR:
        *out = (type_shape){7, true, SHAPE_RAW};
        return true;
    default:
        return false;
    }
}

/* Walks the elements of a slot's field 1, packed or not, in order. */
typedef struct elements {
    mm_wire wire;   /* over the slot's message */
    mm_wire packed; /* inside a packed list */
    bool bad;
} elements;

static elements elements_of(const field_view *view)
{
    return (elements){mm_wire_over(view->data, view->size), {NULL, NULL, false}, false};
}

static bool next_varint(elements *e, uint64_t *value)
{
    mm_wire_field field;
    for (;;) {
        if (e->packed.at != e->packed.end) {
            if (mm_wire_varint(&e->packed, value))
                return true;
            e->bad = true;
            return false;
        }
        if (!mm_wire_next(&e->wire, &field)) {
            e->bad = e->wire.bad;
            return false;
        }
        if (field.number != 1)
            continue;
        if (field.type == MM_WIRE_VARINT) {
            *value = field.value;
            return true;
        }
        if (field.type != MM_WIRE_BYTES) {
            e->bad = true;
            return false;
        }
        e->packed = mm_wire_over(field.data, field.size);
    }
}

static bool next_bytes(elements *e, const uint8_t **data, size_t *size)
{
    mm_wire_field field;
    while (mm_wire_next(&e->wire, &field)) {
        if (field.number != 1 || field.type != MM_WIRE_BYTES)
            continue;
        *data = field.data;
        *size = field.size;
        return true;
    }
    e->bad = e->wire.bad;
    return false;
}

/* Number of values in the slot, and for variable ones their bytes. */
static bool measure(const field_view *view, shape kind, size_t width, size_t *count, uint64_t *bytes)
{
    elements e = elements_of(view);
    const uint8_t *data;
    size_t size, n = 0;
    uint64_t value, total = 0;
    switch (kind) {
    case SHAPE_RAW:
        *count = view->size / width;
        *bytes = view->size;
        return view->size % width == 0;
    case SHAPE_FIXED:
        while (next_bytes(&e, &data, &size))
            total += size;
        *count = (size_t)(total / width);
        *bytes = total;
        return !e.bad && total % width == 0;
    case SHAPE_VARINTS:
        while (next_varint(&e, &value))
            n++;
        break;
    case SHAPE_BYTES:
        while (next_bytes(&e, &data, &size)) {
            total += size;
            n++;
        }
        break;
    }
    *count = n;
    *bytes = total;
    return !e.bad;
}

static size_t count_true(const uint8_t *bools, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += bools[i] != 0;
    return n;
}

/* Rows that one field of one reply says it has; values either for each or for those present. */
static mm_status field_rows(const mm_buffer *reply, const mm_field *field, field_view *view, size_t *rows,
                            uint64_t *bytes, mm_error *err)
{
    type_shape want;
    size_t values, width = mm_type_width(field->type, field->dim);
    mm_status status = find_field(reply, field, view, err);
    if (status != MM_OK)
        return status;
    if (!shape_of(field->type, &want))
        return malformed(field, "unsupported type", err);
    if (view->slot == 0) { /* no values: an empty reply, or nothing but nulls */
        *rows = view->valid_size;
        *bytes = 0;
        if (count_true(view->valid, view->valid_size) > 0)
            return malformed(field, "values are missing", err);
        return MM_OK;
    }
    if (view->slot != want.slot || view->vector != want.vector)
        return malformed(field, "another type than in the schema", err);
    if ((want.shape == SHAPE_FIXED || want.shape == SHAPE_RAW) && width == 0)
        return malformed(field, "no dimension in the schema", err);
    if (!measure(view, want.shape, width, &values, bytes))
        return malformed(field, "malformed values", err);
    if (view->valid_size == 0) {
        *rows = values;
        return MM_OK;
    }
    if (values != view->valid_size && values != count_true(view->valid, view->valid_size))
        return malformed(field, "valid_data does not fit the values", err);
    *rows = view->valid_size;
    return MM_OK;
}

/* --- filling -------------------------------------------------------------------------------------- */

typedef struct filler {
    mm_column *column;
    const field_view *view;
    size_t at, rows; /* rows [at, at + rows) of the batch are this reply's */
    bool compact;    /* values only for rows that are present */
} filler;

static bool present(const filler *f, size_t row)
{
    return f->view->valid_size == 0 || f->view->valid[row] != 0;
}

/* True when a value stands in the reply for this row, whether null or not. */
static bool has_value(const filler *f, size_t row)
{
    return !f->compact || present(f, row);
}

static bool fill_varints(const filler *f)
{
    elements e = elements_of(f->view);
    mm_type type = f->column->field->type;
    size_t width = mm_type_width(type, 0);
    uint8_t *to = f->column->values + f->at * width;
    for (size_t row = 0; row < f->rows; row++, to += width) {
        uint64_t value = 0;
        if (has_value(f, row) && !next_varint(&e, &value))
            return false;
        int64_t number = (int64_t)value;
        if (width < 8 && type != MM_TYPE_BOOL &&
            (number < -(1LL << (8 * width - 1)) || number >= 1LL << (8 * width - 1)))
            return false;
        if (type == MM_TYPE_BOOL)
            value = value != 0;
        memcpy(to, &value, width); /* little-endian: the low bytes first */
    }
    return true;
}

static bool fill_fixed(const filler *f, bool raw)
{
    size_t width = mm_type_width(f->column->field->type, f->column->field->dim);
    uint8_t *to = f->column->values + f->at * width;
    elements e = elements_of(f->view);
    const uint8_t *data = f->view->data;
    size_t size = f->view->size;
    if (!raw && !next_bytes(&e, &data, &size))
        size = 0;
    if (size == f->rows * width) {
        if (size > 0)
            memcpy(to, data, size);
        return true;
    }
    for (size_t row = 0; row < f->rows; row++, to += width) {
        if (!has_value(f, row)) {
            memset(to, 0, width);
            continue;
        }
        while (size == 0) /* values in several pieces */
            if (raw || !next_bytes(&e, &data, &size))
                return false;
        if (size < width)
            return false;
        memcpy(to, data, width);
        data += width;
        size -= width;
    }
    return true;
}

static bool fill_bytes(const filler *f)
{
    elements e = elements_of(f->view);
    mm_column *column = f->column;
    for (size_t row = 0; row < f->rows; row++) {
        const uint8_t *data = NULL;
        size_t size = 0;
        if (has_value(f, row) && !next_bytes(&e, &data, &size))
            return false;
        if (!present(f, row))
            size = 0;
        uint64_t offset = column->offsets[f->at + row];
        if (size > 0)
            memcpy(column->values + offset, data, size);
        column->offsets[f->at + row + 1] = offset + size;
    }
    return true;
}

static void fill_validity(const filler *f)
{
    for (size_t row = 0; row < f->rows; row++) {
        size_t to = f->at + row;
        if (present(f, row))
            f->column->validity[to / 8] |= (uint8_t)(1u << (to % 8));
    }
}

static mm_status fill(const mm_buffer *reply, mm_column *column, size_t at, size_t rows, mm_error *err)
{
    field_view view;
    type_shape want;
    size_t said, values = 0;
    uint64_t bytes;
    mm_status status = field_rows(reply, column->field, &view, &said, &bytes, err);
    if (status != MM_OK)
        return status;
    if (!shape_of(column->field->type, &want))
        return malformed(column->field, "unsupported type", err);
    size_t width = mm_type_width(column->field->type, column->field->dim);
    if (view.slot != 0 && !measure(&view, want.shape, width, &values, &bytes))
        return malformed(column->field, "malformed values", err);
    filler f = {column, &view, at, rows, view.valid_size > 0 && values != view.valid_size};
    bool ok = true;
    if (want.shape == SHAPE_VARINTS)
        ok = fill_varints(&f);
    else if (want.shape == SHAPE_BYTES)
        ok = fill_bytes(&f);
    else
        ok = fill_fixed(&f, want.shape == SHAPE_RAW);
    if (!ok)
        return malformed(column->field, "malformed values", err);
    if (column->validity != NULL)
        fill_validity(&f);
    return MM_OK;
}

/* --- a batch -------------------------------------------------------------------------------------- */

/* Rows of each reply, the same by every field, and their sum: checked before memory is taken. */
static mm_status count_rows(const mm_buffer *replies, size_t count, const mm_schema *schema, size_t *rows,
                            size_t *total, mm_error *err)
{
    *total = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < schema->field_count; c++) {
            field_view view;
            size_t said;
            uint64_t bytes;
            mm_status status = field_rows(&replies[i], &schema->fields[c], &view, &said, &bytes, err);
            if (status != MM_OK)
                return status;
            if (c > 0 && said != rows[i])
                return malformed(&schema->fields[c], "another number of rows than its siblings", err);
            rows[i] = said;
        }
        *total += rows[i];
    }
    return MM_OK;
}

/* Values of variable length, and the validity bitmap of a nullable column. */
static mm_status begin_column(const mm_buffer *replies, size_t count, mm_arena *arena, mm_column *column,
                              size_t total, mm_error *err)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count && column->offsets != NULL; i++) {
        field_view view;
        size_t rows;
        uint64_t bytes;
        mm_status status = field_rows(&replies[i], column->field, &view, &rows, &bytes, err);
        if (status != MM_OK)
            return status;
        all += bytes;
    }
    if (column->offsets != NULL && (column->values = mm_arena_alloc(arena, (size_t)all)) == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a reply");
    if (!column->field->nullable)
        return MM_OK;
    size_t bytes = (total + 7) / 8;
    if ((column->validity = mm_arena_alloc(arena, bytes)) == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a reply");
    memset(column->validity, 0, bytes);
    return MM_OK;
}

mm_status mm_decode_rows(const mm_buffer *replies, size_t count, const mm_schema *schema, mm_batch *out,
                         mm_error *err)
{
    size_t total;
    size_t *rows = calloc(count + 1, sizeof(*rows));
    if (rows == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a reply");
    mm_status status = count_rows(replies, count, schema, rows, &total, err);
    if (status == MM_OK)
        status = mm_batch_begin(out, schema, total, err);
    for (size_t c = 0; c < schema->field_count && status == MM_OK; c++) {
        status = begin_column(replies, count, &out->arena, &out->columns[c], total, err);
        size_t at = 0;
        for (size_t i = 0; i < count && status == MM_OK; i++) {
            status = fill(&replies[i], &out->columns[c], at, rows[i], err);
            at += rows[i];
        }
    }
    if (status == MM_OK) {
        out->rows = total;
        mm_batch_hash(out);
    }
    free(rows);
    return status;
}

bool mm_decode_count(const uint8_t *data, size_t size, uint64_t *rows)
{
    mm_wire wire = mm_wire_over(data, size);
    mm_wire_field field;
    while (mm_wire_next(&wire, &field)) {
        field_view view;
        if (field.number != 2 || field.type != MM_WIRE_BYTES)
            continue;
        if (!view_field(field.data, field.size, &view) || view.vector || view.slot != 3)
            return false;
        elements e = elements_of(&view);
        return next_varint(&e, rows);
    }
    return false;
}
