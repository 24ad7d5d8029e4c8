/* What is kept of each row group, the state for a later process, and the footer that both become.
 *
 * Records stand in writer->groups, as varints: for each row group its rows, then for each column
 *   values, compressed, uncompressed, dictionary, flags [, nulls] [, size and bytes of min, size and bytes of max].
 * Offsets are not kept: chunks follow one another from the byte after the magic on. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/wire.h"
#include "formats/parquet_thrift_write.h"
#include "formats/parquet_write.h"

enum { FLAG_ZSTD = 1, FLAG_COUNTED = 2, FLAG_BOUNDED = 4 };

/* --- records ---------------------------------------------------------------------------------------------------- */

static void put_varint(mm_buffer *out, uint64_t value)
{
    uint8_t bytes[MM_VARINT_MAX];
    mm_buffer_append(out, bytes, (size_t)(mm_varint_put(bytes, value) - bytes));
}

void mm_parquet_record_group(mm_format_writer *writer, uint64_t rows)
{
    put_varint(&writer->groups, rows);
}

void mm_parquet_record_chunk(mm_format_writer *writer, const mm_parquet_chunk *chunk)
{
    mm_buffer *out = &writer->groups;
    put_varint(out, chunk->values);
    put_varint(out, chunk->compressed);
    put_varint(out, chunk->uncompressed);
    put_varint(out, chunk->dictionary);
    put_varint(out, (chunk->zstd ? FLAG_ZSTD : 0u) | (chunk->counted ? FLAG_COUNTED : 0u) |
                        (chunk->bounded ? FLAG_BOUNDED : 0u));
    if (chunk->counted)
        put_varint(out, chunk->nulls);
    if (!chunk->bounded)
        return;
    put_varint(out, chunk->min_size);
    mm_buffer_append(out, chunk->min, chunk->min_size);
    put_varint(out, chunk->max_size);
    mm_buffer_append(out, chunk->max, chunk->max_size);
}

static bool take_bound(mm_wire *wire, uint8_t *bytes, uint8_t *size)
{
    uint64_t length;
    if (!mm_wire_varint(wire, &length) || length > MM_PARQUET_BOUND_MAX || length > (uint64_t)(wire->end - wire->at))
        return false;
    memcpy(bytes, wire->at, (size_t)length);
    wire->at += length;
    *size = (uint8_t)length;
    return true;
}

static bool take_chunk(mm_wire *wire, mm_parquet_chunk *chunk)
{
    uint64_t flags;
    *chunk = (mm_parquet_chunk){0};
    if (!mm_wire_varint(wire, &chunk->values) || !mm_wire_varint(wire, &chunk->compressed) ||
        !mm_wire_varint(wire, &chunk->uncompressed) || !mm_wire_varint(wire, &chunk->dictionary) ||
        !mm_wire_varint(wire, &flags))
        return false;
    chunk->zstd = flags & FLAG_ZSTD;
    chunk->counted = flags & FLAG_COUNTED;
    chunk->bounded = flags & FLAG_BOUNDED;
    if (chunk->counted && !mm_wire_varint(wire, &chunk->nulls))
        return false;
    return !chunk->bounded || (take_bound(wire, chunk->min, &chunk->min_size) &&
                               take_bound(wire, chunk->max, &chunk->max_size));
}

static mm_wire records_of(const mm_format_writer *writer)
{
    return mm_wire_over((const uint8_t *)writer->groups.data, writer->groups.size);
}

/* --- state ------------------------------------------------------------------------------------------------------ */

#define STATE_FORM "parquet1 "

/* "parquet1 " and in base64: hash of the columns, bytes, rows, row groups, all as varints, and the records. */
mm_status mm_parquet_write_state(const mm_format_writer *writer, mm_buffer *text, mm_error *err)
{
    mm_buffer bytes = MM_BUFFER_INIT;
    put_varint(&bytes, writer->schema_hash);
    put_varint(&bytes, writer->position);
    put_varint(&bytes, writer->rows);
    put_varint(&bytes, writer->group_count);
    mm_buffer_append(&bytes, writer->groups.data, writer->groups.size);
    mm_buffer_append(text, STATE_FORM, strlen(STATE_FORM));
    size_t room = MM_BASE64_SIZE(bytes.size);
    char *to = bytes.failed ? NULL : mm_buffer_room(text, room);
    if (to != NULL)
        text->size -= room - mm_base64(bytes.data, bytes.size, to); /* its NUL stands already */
    mm_buffer_free(&bytes);
    return to != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory for a savepoint of a Parquet file");
}

/* True when the records say of rows and bytes what the state's numbers say. */
static bool records_agree(const mm_format_writer *writer)
{
    mm_wire wire = records_of(writer);
    uint64_t rows = 0, position = MM_PARQUET_MAGIC_SIZE;
    for (uint64_t group = 0; group < writer->group_count; group++) {
        uint64_t more;
        mm_parquet_chunk chunk;
        if (!mm_wire_varint(&wire, &more) || !mm_add_u64(rows, more, &rows))
            return false;
        for (size_t i = 0; i < writer->count; i++)
            if (!take_chunk(&wire, &chunk) || !mm_add_u64(position, chunk.compressed, &position))
                return false;
    }
    return wire.at == wire.end && rows == writer->rows && position == writer->position && position <= INT64_MAX;
}

static mm_status take_state(mm_format_writer *writer, mm_wire wire, mm_error *err)
{
    uint64_t schema;
    if (!mm_wire_varint(&wire, &schema) || !mm_wire_varint(&wire, &writer->position) ||
        !mm_wire_varint(&wire, &writer->rows) || !mm_wire_varint(&wire, &writer->group_count))
        return mm_error_set(err, MM_CHANGED, "the state of a Parquet file is damaged");
    if (schema != writer->schema_hash)
        return mm_error_set(err, MM_CHANGED, "the Parquet file was begun with other columns than it is to go on with");
    mm_buffer_append(&writer->groups, wire.at, (size_t)(wire.end - wire.at));
    if (writer->groups.failed)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (!records_agree(writer))
        return mm_error_set(err, MM_CHANGED, "the state of a Parquet file is damaged");
    return MM_OK;
}

mm_status mm_parquet_resume(mm_format_writer *writer, const char *state, mm_error *err)
{
    size_t form = strlen(STATE_FORM), size;
    if (strncmp(state, STATE_FORM, form) != 0)
        return mm_error_set(err, MM_CHANGED, "not the state of a Parquet file: %.40s", state);
    size_t length = strlen(state + form);
    uint8_t *bytes = malloc(length / 4 * 3 + 1);
    if (bytes == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = mm_base64_decode(state + form, length, bytes, &size)
                           ? take_state(writer, mm_wire_over(bytes, size), err)
                           : mm_error_set(err, MM_CHANGED, "the state of a Parquet file is damaged");
    free(bytes);
    return status;
}

/* --- footer: schema --------------------------------------------------------------------------------------------- */

static void put_leaf(mm_thrift_writer *thrift, const mm_parquet_column *column, const char *name, bool nullable)
{
    bool text = column->logical == MM_PARQUET_LOGICAL_STRING, number = column->logical == MM_PARQUET_LOGICAL_INTEGER;
    mm_thrift_element_struct(thrift);
    mm_thrift_i32(thrift, MM_PARQUET_ELEMENT_TYPE, (int32_t)column->physical);
    mm_thrift_i32(thrift, MM_PARQUET_ELEMENT_REPETITION, nullable ? MM_PARQUET_OPTIONAL : MM_PARQUET_REQUIRED);
    mm_thrift_text(thrift, MM_PARQUET_ELEMENT_NAME, name);
    if (text)
        mm_thrift_i32(thrift, MM_PARQUET_ELEMENT_CONVERTED, MM_PARQUET_UTF8);
    if (number)
        mm_thrift_i32(thrift, MM_PARQUET_ELEMENT_CONVERTED,
                      column->bits == 16   ? MM_PARQUET_INT_16
                      : column->is_signed ? MM_PARQUET_INT_8
                                          : MM_PARQUET_UINT_8);
    if (text || number) {
        mm_thrift_struct(thrift, MM_PARQUET_ELEMENT_LOGICAL);
        mm_thrift_struct(thrift, (int)column->logical);
        if (number) {
            mm_thrift_i8(thrift, 1, (int8_t)column->bits);
            mm_thrift_bool(thrift, 2, column->is_signed);
        }
        mm_thrift_end(thrift);
        mm_thrift_end(thrift);
    }
    mm_thrift_end(thrift);
}

/* The three levels of a list (LogicalTypes.md, Lists), named as Arrow names them. */
static void put_list(mm_thrift_writer *thrift, const mm_parquet_column *column)
{
    mm_thrift_element_struct(thrift);
    mm_thrift_i32(thrift, MM_PARQUET_ELEMENT_REPETITION, column->nullable ? MM_PARQUET_OPTIONAL : MM_PARQUET_REQUIRED);
    mm_thrift_text(thrift, MM_PARQUET_ELEMENT_NAME, column->name);
    mm_thrift_i32(thrift, MM_PARQUET_ELEMENT_CHILDREN, 1);
    mm_thrift_i32(thrift, MM_PARQUET_ELEMENT_CONVERTED, MM_PARQUET_LIST);
    mm_thrift_struct(thrift, MM_PARQUET_ELEMENT_LOGICAL);
    mm_thrift_struct(thrift, MM_PARQUET_LOGICAL_LIST);
    mm_thrift_end(thrift);
    mm_thrift_end(thrift);
    mm_thrift_end(thrift);
    mm_thrift_element_struct(thrift);
    mm_thrift_i32(thrift, MM_PARQUET_ELEMENT_REPETITION, MM_PARQUET_REPEATED);
    mm_thrift_text(thrift, MM_PARQUET_ELEMENT_NAME, "list");
    mm_thrift_i32(thrift, MM_PARQUET_ELEMENT_CHILDREN, 1);
    mm_thrift_end(thrift);
    put_leaf(thrift, column, "element", false);
}

static void put_schema(mm_thrift_writer *thrift, const mm_format_writer *writer)
{
    size_t elements = 1;
    for (size_t i = 0; i < writer->count; i++)
        elements += writer->columns[i].list ? 3 : 1;
    mm_thrift_list(thrift, MM_PARQUET_FILE_SCHEMA, MM_THRIFT_STRUCT, elements);
    mm_thrift_element_struct(thrift);
    mm_thrift_text(thrift, MM_PARQUET_ELEMENT_NAME, "schema");
    mm_thrift_i32(thrift, MM_PARQUET_ELEMENT_CHILDREN, (int32_t)writer->count);
    mm_thrift_end(thrift);
    for (size_t i = 0; i < writer->count; i++) {
        const mm_parquet_column *column = &writer->columns[i];
        if (column->list)
            put_list(thrift, column);
        else
            put_leaf(thrift, column, column->name, column->nullable);
    }
}

/* --- footer: row groups ----------------------------------------------------------------------------------------- */

static void put_statistics(mm_thrift_writer *thrift, const mm_parquet_chunk *chunk)
{
    if (!chunk->counted && !chunk->bounded)
        return;
    mm_thrift_struct(thrift, MM_PARQUET_META_STATISTICS);
    if (chunk->counted)
        mm_thrift_i64(thrift, MM_PARQUET_STATS_NULLS, (int64_t)chunk->nulls);
    if (chunk->bounded) {
        mm_thrift_binary(thrift, MM_PARQUET_STATS_MAX, chunk->max, chunk->max_size);
        mm_thrift_binary(thrift, MM_PARQUET_STATS_MIN, chunk->min, chunk->min_size);
    }
    mm_thrift_end(thrift);
}

static void put_chunk(mm_thrift_writer *thrift, const mm_parquet_column *column, const mm_parquet_chunk *chunk,
                      uint64_t offset)
{
    mm_thrift_element_struct(thrift);
    mm_thrift_i64(thrift, MM_PARQUET_CHUNK_FILE_OFFSET, 0);
    mm_thrift_struct(thrift, MM_PARQUET_CHUNK_META);
    mm_thrift_i32(thrift, MM_PARQUET_META_TYPE, (int32_t)column->physical);
    mm_thrift_list(thrift, MM_PARQUET_META_ENCODINGS, MM_THRIFT_I32, chunk->dictionary > 0 ? 3 : 2);
    mm_thrift_element_i32(thrift, MM_PARQUET_PLAIN);
    mm_thrift_element_i32(thrift, MM_PARQUET_RLE);
    if (chunk->dictionary > 0)
        mm_thrift_element_i32(thrift, MM_PARQUET_RLE_DICTIONARY);
    mm_thrift_list(thrift, MM_PARQUET_META_PATH, MM_THRIFT_BINARY, column->list ? 3 : 1);
    mm_thrift_element_text(thrift, column->name);
    if (column->list) {
        mm_thrift_element_text(thrift, "list");
        mm_thrift_element_text(thrift, "element");
    }
    mm_thrift_i32(thrift, MM_PARQUET_META_CODEC, chunk->zstd ? MM_PARQUET_ZSTD : MM_PARQUET_UNCOMPRESSED);
    mm_thrift_i64(thrift, MM_PARQUET_META_VALUES, (int64_t)chunk->values);
    mm_thrift_i64(thrift, MM_PARQUET_META_UNCOMPRESSED, (int64_t)chunk->uncompressed);
    mm_thrift_i64(thrift, MM_PARQUET_META_COMPRESSED, (int64_t)chunk->compressed);
    mm_thrift_i64(thrift, MM_PARQUET_META_DATA_OFFSET, (int64_t)(offset + chunk->dictionary));
    if (chunk->dictionary > 0)
        mm_thrift_i64(thrift, MM_PARQUET_META_DICTIONARY_OFFSET, (int64_t)offset);
    put_statistics(thrift, chunk);
    mm_thrift_end(thrift);
    mm_thrift_end(thrift);
}

/* One row group from its record. Its chunks are read twice: sums of them stand behind them, its first offset too. */
static bool put_group(mm_thrift_writer *thrift, const mm_format_writer *writer, mm_wire *wire, uint64_t ordinal,
                      uint64_t *offset)
{
    uint64_t rows, plain = 0, stored = 0;
    mm_parquet_chunk chunk;
    if (!mm_wire_varint(wire, &rows))
        return false;
    mm_thrift_element_struct(thrift);
    mm_thrift_list(thrift, MM_PARQUET_GROUP_COLUMNS, MM_THRIFT_STRUCT, writer->count);
    for (size_t i = 0; i < writer->count; i++) {
        if (!take_chunk(wire, &chunk))
            return false;
        put_chunk(thrift, &writer->columns[i], &chunk, *offset + stored);
        plain += chunk.uncompressed;
        stored += chunk.compressed;
    }
    mm_thrift_i64(thrift, MM_PARQUET_GROUP_BYTES, (int64_t)plain);
    mm_thrift_i64(thrift, MM_PARQUET_GROUP_ROWS, (int64_t)rows);
    mm_thrift_i64(thrift, MM_PARQUET_GROUP_OFFSET, (int64_t)*offset);
    mm_thrift_i64(thrift, MM_PARQUET_GROUP_COMPRESSED, (int64_t)stored);
    if (ordinal <= INT16_MAX)
        mm_thrift_i16(thrift, MM_PARQUET_GROUP_ORDINAL, (int16_t)ordinal);
    mm_thrift_end(thrift);
    *offset += stored;
    return true;
}

static bool put_metadata(mm_thrift_writer *thrift, const mm_format_writer *writer)
{
    mm_wire wire = records_of(writer);
    uint64_t offset = MM_PARQUET_MAGIC_SIZE;
    mm_thrift_i32(thrift, MM_PARQUET_FILE_VERSION, 2);
    put_schema(thrift, writer);
    mm_thrift_i64(thrift, MM_PARQUET_FILE_NUM_ROWS, (int64_t)writer->rows);
    mm_thrift_list(thrift, MM_PARQUET_FILE_ROW_GROUPS, MM_THRIFT_STRUCT, (size_t)writer->group_count);
    for (uint64_t group = 0; group < writer->group_count; group++)
        if (!put_group(thrift, writer, &wire, group, &offset))
            return false;
    mm_thrift_text(thrift, MM_PARQUET_FILE_CREATED_BY, "mmresume " MM_VERSION);
    mm_thrift_list(thrift, MM_PARQUET_FILE_COLUMN_ORDERS, MM_THRIFT_STRUCT, writer->count);
    for (size_t i = 0; i < writer->count; i++) {
        mm_thrift_element_struct(thrift);
        mm_thrift_struct(thrift, 1); /* TYPE_ORDER */
        mm_thrift_end(thrift);
        mm_thrift_end(thrift);
    }
    mm_thrift_end(thrift);
    return true;
}

mm_status mm_parquet_put_footer(mm_format_writer *writer, const mm_format_out *out, mm_error *err)
{
    mm_buffer footer = MM_BUFFER_INIT;
    mm_thrift_writer thrift = mm_thrift_write_to(&footer);
    mm_status status;
    if (!put_metadata(&thrift, writer)) {
        status = mm_error_set(err, MM_BUG, "a Parquet file's record of its row groups is damaged");
        goto done;
    }
    uint32_t length = (uint32_t)footer.size;
    if (footer.size > INT32_MAX) {
        status = mm_error_set(err, MM_DATA, "%" PRIu64 " row groups are too many for one Parquet file: choose smaller "
                                            "files", writer->group_count);
        goto done;
    }
    mm_buffer_append(&footer, &length, sizeof(length));
    mm_buffer_append(&footer, MM_PARQUET_MAGIC, MM_PARQUET_MAGIC_SIZE);
    status = footer.failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory for a footer")
                           : mm_parquet_put(writer, out, footer.data, footer.size, err);
done:
    mm_buffer_free(&footer);
    return status;
}
