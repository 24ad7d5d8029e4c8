/* One value of a document into a column, by the field's kind. As Elasticsearch does it: a number may stand there as a
 * string, and an array of one is the value in it. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "model/array.h"
#include "sources/elastic/fields.h"

/* common.JSONMaxLength of Milvus, by default. */
#define JSON_MAX 65536

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a document");
}

/* --- scalars ---------------------------------------------------------------------------------------------------- */

/* A number, or a string that holds one and nothing else. */
static mm_status take_number(mm_json *json, mm_json_kind kind, mm_number *out, mm_error *err)
{
    const char *text;
    size_t size;
    const uint8_t *begin = json->at;
    if (kind != MM_JSON_STRING)
        return mm_json_number(json, out, err);
    mm_status status = mm_json_string(json, &text, &size, err);
    if (status != MM_OK)
        return status;
    if (size == 0 || mm_number_scan((const uint8_t *)text, (const uint8_t *)text + size, out) != size) {
        char shown[MM_JSON_SHOWN];
        mm_json_show(text, size, shown);
        return mm_json_bad(json, begin, err, "the text `%s` is no number", shown);
    }
    return MM_OK;
}

static mm_status take_integer(mm_json *json, mm_json_kind kind, size_t width, int64_t *out, mm_error *err)
{
    mm_number number;
    const uint8_t *begin = json->at;
    mm_status status = take_number(json, kind, &number, err);
    if (status != MM_OK)
        return status;
    unsigned spare = 64 - 8 * (unsigned)width;
    if (!mm_number_int64(&number, out) || (int64_t)((uint64_t)*out << spare) >> spare != *out)
        return mm_json_bad(json, begin, err, "%.*s is no integer of %zu bits",
                           (int)(number.size < 40 ? number.size : 40), (const char *)number.text, 8 * width);
    return MM_OK;
}

static mm_status take_float(mm_json *json, mm_json_kind kind, float *out, mm_error *err)
{
    mm_number number;
    const uint8_t *begin = json->at;
    mm_status status = take_number(json, kind, &number, err);
    if (status != MM_OK)
        return status;
    *out = mm_number_float(&number);
    return isfinite(*out) ? MM_OK : mm_json_bad(json, begin, err, "a number beyond the range of a float");
}

static mm_status take_double(mm_json *json, mm_json_kind kind, double *out, mm_error *err)
{
    mm_number number;
    const uint8_t *begin = json->at;
    mm_status status = take_number(json, kind, &number, err);
    if (status != MM_OK)
        return status;
    *out = mm_number_double(&number);
    return isfinite(*out) ? MM_OK : mm_json_bad(json, begin, err, "a number beyond the range of a double");
}

/* "" is false: the documentation of the type. */
static mm_status take_bool(mm_json *json, mm_json_kind kind, bool *out, mm_error *err)
{
    const char *text;
    size_t size;
    const uint8_t *begin = json->at;
    if (kind != MM_JSON_STRING)
        return mm_json_bool(json, out, err);
    mm_status status = mm_json_string(json, &text, &size, err);
    if (status != MM_OK)
        return status;
    *out = size == 4 && memcmp(text, "true", 4) == 0;
    if (!*out && size != 0 && (size != 5 || memcmp(text, "false", 5) != 0))
        return mm_json_bad(json, begin, err, "the text is no truth value");
    return MM_OK;
}

/* The text of a string, a number or a truth value; valid until the next string is read. */
static mm_status take_text(mm_json *json, mm_json_kind kind, const char **text, size_t *size, mm_error *err)
{
    if (kind == MM_JSON_STRING)
        return mm_json_string(json, text, size, err);
    if (kind != MM_JSON_NUMBER && kind != MM_JSON_BOOL)
        return mm_json_bad(json, json->at, err, "a text is wanted, not %s", mm_json_kind_name(kind));
    return mm_json_skip(json, text, size, err);
}

static mm_status take_date(mm_json *json, mm_json_kind kind, const mm_elastic_dates *dates, int64_t *out, mm_error *err)
{
    const char *text;
    size_t size;
    const uint8_t *begin = json->at;
    mm_status status = take_text(json, kind, &text, &size, err);
    if (status != MM_OK)
        return status;
    if (!mm_elastic_date(dates, text, size, out)) {
        char shown[MM_JSON_SHOWN];
        mm_json_show(text, size, shown);
        return mm_json_bad(json, begin, err, "`%s` is no date of the field's format, or is out of range", shown);
    }
    return MM_OK;
}

/* --- points ----------------------------------------------------------------------------------------------------- */

typedef struct coordinate {
    char text[MM_NUMBER_TEXT];
    size_t size;
} coordinate;

static mm_status take_coordinate(mm_json *json, coordinate *out, mm_error *err)
{
    mm_json_kind kind;
    mm_number number;
    const uint8_t *begin = json->at;
    mm_status status = mm_json_peek(json, &kind, err);
    if (status == MM_OK)
        status = take_number(json, kind, &number, err);
    if (status != MM_OK)
        return status;
    if (number.size > sizeof(out->text))
        return mm_json_bad(json, begin, err, "a coordinate of more than %d characters", MM_NUMBER_TEXT);
    memcpy(out->text, number.text, number.size);
    out->size = number.size;
    return MM_OK;
}

/* [lon, lat], perhaps with a height, which is left out. */
static mm_status point_of_array(mm_json *json, coordinate *lon, coordinate *lat, mm_error *err)
{
    bool more;
    size_t count = 0;
    coordinate height;
    const uint8_t *begin = json->at;
    mm_status status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more) {
        status = take_coordinate(json, count == 0 ? lon : count == 1 ? lat : &height, err);
        count++;
    }
    if (status == MM_OK && (count < 2 || count > 3))
        return mm_json_bad(json, begin, err, "an array of %zu values is no point", count);
    return status;
}

/* {"lat": …, "lon": …} or {"type": "Point", "coordinates": […]} */
static mm_status point_of_object(mm_json *json, coordinate *lon, coordinate *lat, mm_error *err)
{
    const char *key, *text;
    size_t size;
    bool more, has_lon = false, has_lat = false;
    const uint8_t *begin = json->at;
    mm_status status = mm_json_enter(json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(json, &key, &size, &more, err)) == MM_OK && more) {
        if (size == 3 && memcmp(key, "lon", 3) == 0) {
            status = take_coordinate(json, lon, err);
            has_lon = true;
        } else if (size == 3 && memcmp(key, "lat", 3) == 0) {
            status = take_coordinate(json, lat, err);
            has_lat = true;
        } else if (size == 11 && memcmp(key, "coordinates", 11) == 0) {
            status = point_of_array(json, lon, lat, err);
            has_lon = has_lat = true;
        } else {
            status = mm_json_skip(json, &text, &size, err);
        }
    }
    if (status == MM_OK && !(has_lon && has_lat))
        return mm_json_bad(json, begin, err, "an object without lon and lat is no point");
    return status;
}

/* "lat,lon", or WKT, which is taken as it is. */
static mm_status point_of_text(mm_json *json, mm_buffer *out, mm_error *err)
{
    const char *text;
    size_t size;
    mm_number lat, lon;
    const uint8_t *begin = json->at;
    mm_status status = mm_json_string(json, &text, &size, err);
    if (status != MM_OK)
        return status;
    if (size >= 5 && strncasecmp(text, "POINT", 5) == 0) {
        mm_buffer_append(out, text, size);
        return MM_OK;
    }
    const uint8_t *at = (const uint8_t *)text, *end = at + size;
    size_t first = mm_number_scan(at, end, &lat);
    const uint8_t *second = at + first;
    if (first > 0 && second < end && *second == ',')
        second++;
    while (second < end && *second == ' ')
        second++;
    size_t rest = second > at + first ? mm_number_scan(second, end, &lon) : 0;
    if (rest == 0 || second + rest != end)
        return mm_json_bad(json, begin, err, "neither \"lat,lon\" nor WKT (a geohash can be read as text: types)");
    mm_buffer_printf(out, "POINT (%.*s %.*s)", (int)lon.size, (const char *)lon.text, (int)lat.size,
                     (const char *)lat.text);
    return MM_OK;
}

static mm_status take_point(mm_json *json, mm_json_kind kind, mm_buffer *out, mm_error *err)
{
    coordinate lon = {.size = 0}, lat = {.size = 0};
    if (kind == MM_JSON_STRING)
        return point_of_text(json, out, err);
    mm_status status = kind == MM_JSON_ARRAY ? point_of_array(json, &lon, &lat, err)
                                             : point_of_object(json, &lon, &lat, err);
    if (status == MM_OK)
        mm_buffer_printf(out, "POINT (%.*s %.*s)", (int)lon.size, lon.text, (int)lat.size, lat.text);
    return status;
}

/* --- arrays ----------------------------------------------------------------------------------------------------- */

static mm_status read_null_value(mm_json *json, mm_elastic_cell *cell, size_t row, mm_error *err);

static mm_status read_element(mm_json *json, mm_json_kind kind, mm_elastic_cell *cell, mm_error *err)
{
    mm_array_value value = {0};
    const char *text;
    bool truth = false;
    mm_type type = cell->field->element_type;
    uint32_t longest = cell->field->max_length;
    const uint8_t *begin = json->at;
    mm_status status;
    if (kind == MM_JSON_NULL)
        return cell->how->null_value != NULL ? read_null_value(json, cell, 0, err) : mm_json_null(json, err);
    switch (cell->how->element) {
    case MM_ELASTIC_BOOL:
        status = take_bool(json, kind, &truth, err);
        value.integer = truth;
        break;
    case MM_ELASTIC_INTEGER:
        status = take_integer(json, kind, mm_type_width(type, 0), &value.integer, err);
        break;
    case MM_ELASTIC_DATE:
        status = take_date(json, kind, &cell->how->dates, &value.integer, err);
        break;
    case MM_ELASTIC_NUMBER:
        status = type == MM_TYPE_FLOAT ? take_float(json, kind, &value.f32, err)
                                       : take_double(json, kind, &value.f64, err);
        break;
    default:
        status = take_text(json, kind, &text, &value.text.size, err);
        if (status == MM_OK && longest > 0 && value.text.size > longest)
            return mm_json_bad(json, begin, err, "an element of %zu bytes, of %u that are allowed", value.text.size,
                               longest);
        if (status == MM_OK)
            mm_buffer_append(&cell->texts, text, value.text.size);
    }
    if (status == MM_OK)
        mm_buffer_append(&cell->elements, &value, sizeof(value));
    return status;
}

static mm_status put_array(mm_json *json, mm_elastic_cell *cell, const uint8_t *begin, mm_error *err)
{
    if (cell->elements.failed || cell->texts.failed)
        return no_memory(err);
    mm_array_value *values = (mm_array_value *)(void *)cell->elements.data;
    size_t count = cell->elements.size / sizeof(*values), at = 0;
    if (count > cell->field->max_capacity)
        return mm_json_bad(json, begin, err, "an array of %zu elements, of %u that are allowed", count,
                           cell->field->max_capacity);
    for (size_t i = 0; cell->field->element_type == MM_TYPE_VARCHAR && i < count; i++) {
        values[i].text.data = (const uint8_t *)cell->texts.data + at; /* the texts do not move any more */
        at += values[i].text.size;
    }
    mm_array_append(&cell->bytes, cell->field->element_type, values, count);
    return MM_OK;
}

/* One value is an array of it; null in an array is nothing, or the mapping's null_value, as for the index. */
static mm_status read_array(mm_json *json, mm_json_kind kind, mm_elastic_cell *cell, mm_error *err)
{
    bool more;
    const uint8_t *begin = json->at;
    cell->elements.size = cell->texts.size = 0;
    if (kind != MM_JSON_ARRAY) {
        mm_status status = read_element(json, kind, cell, err);
        return status == MM_OK ? put_array(json, cell, begin, err) : status;
    }
    mm_status status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more) {
        status = mm_json_peek(json, &kind, err);
        if (status == MM_OK)
            status = read_element(json, kind, cell, err);
    }
    return status == MM_OK ? put_array(json, cell, begin, err) : status;
}

/* --- one value -------------------------------------------------------------------------------------------------- */

static mm_status read_json(mm_json *json, mm_json_kind kind, mm_elastic_cell *cell, mm_error *err)
{
    static const char before[] = "{\"value\":";
    const char *text;
    size_t size, wrapped = cell->how->wrapped && kind != MM_JSON_OBJECT ? sizeof(before) : 0;
    const uint8_t *begin = json->at;
    mm_status status = mm_json_skip(json, &text, &size, err);
    if (status != MM_OK)
        return status;
    if (size + wrapped > JSON_MAX)
        return mm_json_bad(json, begin, err, "%zu bytes of JSON; Milvus takes %d", size + wrapped, JSON_MAX);
    if (wrapped > 0)
        mm_buffer_append(&cell->bytes, before, wrapped - 1);
    mm_buffer_append(&cell->bytes, text, size);
    if (wrapped > 0)
        mm_buffer_append(&cell->bytes, "}", 1);
    return MM_OK;
}

static mm_status read_fixed(mm_json *json, mm_json_kind kind, mm_elastic_cell *cell, uint8_t *to, mm_error *err)
{
    int64_t integer = 0;
    float single = 0;
    double number = 0;
    bool truth = false;
    mm_status status;
    switch (cell->how->kind) {
    case MM_ELASTIC_BOOL:
        status = take_bool(json, kind, &truth, err);
        *to = truth;
        return status;
    case MM_ELASTIC_NUMBER:
        if (cell->field->type == MM_TYPE_FLOAT) {
            status = take_float(json, kind, &single, err);
            memcpy(to, &single, sizeof(single));
        } else {
            status = take_double(json, kind, &number, err);
            memcpy(to, &number, sizeof(number));
        }
        return status;
    case MM_ELASTIC_DATE:
        status = take_date(json, kind, &cell->how->dates, &integer, err);
        break;
    default:
        status = take_integer(json, kind, cell->width, &integer, err);
    }
    memcpy(to, &integer, cell->width); /* little-endian: the low bytes first */
    return status;
}

static mm_status read_one(mm_json *json, mm_json_kind kind, mm_elastic_cell *cell, size_t row, mm_error *err)
{
    const char *text;
    size_t size;
    mm_status status;
    switch (cell->how->kind) {
    case MM_ELASTIC_TEXT:
        if (kind == MM_JSON_STRING)
            return mm_json_string_append(json, &cell->bytes, err);
        status = take_text(json, kind, &text, &size, err);
        if (status == MM_OK)
            mm_buffer_append(&cell->bytes, text, size);
        break;
    case MM_ELASTIC_POINT:
        status = take_point(json, kind, &cell->bytes, err);
        break;
    case MM_ELASTIC_SPARSE:
        status = mm_elastic_read_sparse(json, cell, err);
        break;
    default:
        return read_fixed(json, kind, cell, cell->column->values + row * cell->width, err);
    }
    return status == MM_OK && cell->bytes.failed ? no_memory(err) : status;
}

/* [x] is x, [] and [null] are nothing; null may stand for a value. */
static mm_status unwrap(mm_json *json, mm_elastic_cell *cell, size_t row, bool *present, mm_error *err)
{
    mm_json_kind kind;
    bool more = false;
    const char *text;
    size_t size, count = 0;
    const uint8_t *begin = json->at;
    *present = false;
    mm_status status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more) {
        status = mm_json_peek(json, &kind, err);
        if (status != MM_OK)
            break;
        if (cell->how->kind == MM_ELASTIC_POINT && kind == MM_JSON_NUMBER && count == 0) {
            json->at = begin; /* [lon, lat] */
            *present = true;
            return take_point(json, MM_JSON_ARRAY, &cell->bytes, err);
        }
        bool value = kind != MM_JSON_NULL || cell->how->null_value != NULL;
        count += value;
        if (count == 1 && value)
            status = kind == MM_JSON_NULL ? read_null_value(json, cell, row, err) : read_one(json, kind, cell, row, err);
        else
            status = mm_json_skip(json, &text, &size, err);
    }
    if (status == MM_OK && count > 1)
        return mm_json_bad(json, begin, err,
                           "an array of %zu values, where the sample had one: types: \"%s Array(…)\" or JSON", count,
                           cell->how->path);
    *present = count == 1;
    return status;
}

/* In the place of null. */
static mm_status read_null_value(mm_json *json, mm_elastic_cell *cell, size_t row, mm_error *err)
{
    mm_json value;
    mm_json_kind kind = MM_JSON_NULL;
    mm_status status = mm_json_null(json, err);
    mm_json_open(&value, json->name, cell->how->null_value, strlen(cell->how->null_value));
    if (status == MM_OK)
        status = mm_json_peek(&value, &kind, err);
    if (status == MM_OK && cell->how->kind == MM_ELASTIC_JSON)
        status = read_json(&value, kind, cell, err);
    else if (status == MM_OK)
        status = cell->how->kind == MM_ELASTIC_ARRAY ? read_element(&value, kind, cell, err)
                                                     : read_one(&value, kind, cell, row, err);
    mm_json_close(&value);
    return status;
}

mm_status mm_elastic_read_value(mm_json *json, mm_json_kind kind, mm_elastic_cell *cell, size_t row, bool *present,
                                mm_error *err)
{
    mm_status status;
    *present = true;
    if (kind == MM_JSON_NULL && cell->how->kind != MM_ELASTIC_ARRAY)
        return read_null_value(json, cell, row, err);
    switch (cell->how->kind) {
    case MM_ELASTIC_JSON:
        status = read_json(json, kind, cell, err);
        break;
    case MM_ELASTIC_ARRAY:
        status = read_array(json, kind, cell, err);
        break;
    case MM_ELASTIC_DENSE:
        return mm_elastic_read_dense(json, cell, cell->column->values + row * cell->width, err);
    case MM_ELASTIC_BITS:
        return mm_elastic_read_bits(json, cell, cell->column->values + row * cell->width, err);
    default:
        return kind == MM_JSON_ARRAY ? unwrap(json, cell, row, present, err) : read_one(json, kind, cell, row, err);
    }
    return status == MM_OK && cell->bytes.failed ? no_memory(err) : status;
}
