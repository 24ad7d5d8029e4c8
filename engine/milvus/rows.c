/* Insert, Upsert, Query, count(*), Delete. See rows.h. */
#include "milvus/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milvus/proto_schema.h"
#include "base/wire.h"

enum { CONSISTENCY_STRONG = 0 };

/* --- writes --------------------------------------------------------------------------------------- */

bool mm_decode_mutation(const uint8_t *data, size_t size, mm_mutation *out)
{
    mm_wire wire = mm_wire_over(data, size);
    mm_wire_field field;
    *out = (mm_mutation){0};
    while (mm_wire_next(&wire, &field)) {
        if (field.number == 4)
            out->has_errors = field.type != MM_WIRE_BYTES || field.size > 0;
        else if (field.number == 6 && field.type == MM_WIRE_VARINT)
            out->inserted = (int64_t)field.value;
        else if (field.number == 7 && field.type == MM_WIRE_VARINT)
            out->deleted = (int64_t)field.value;
        else if (field.number == 8 && field.type == MM_WIRE_VARINT)
            out->upserted = (int64_t)field.value;
    }
    return !wire.bad;
}

mm_status mm_milvus_write(mm_milvus *client, mm_encoder *encoder, const mm_encode_args *args, bool upsert,
                          mm_error *err)
{
    const char *rpc = upsert ? "Upsert" : "Insert";
    mm_grpc_reply reply;
    mm_mutation result;
    mm_status status = mm_encode_rows(encoder, args, err);
    if (status != MM_OK)
        return status;
    status = mm_milvus_send(client, MM_MILVUS_WRITE, rpc, encoder->segments, encoder->count, &reply, err);
    if (status != MM_OK)
        return status;
    if (!mm_decode_mutation(reply.data, reply.size, &result))
        return mm_error_set(err, MM_UNKNOWN, "%s: malformed reply of %zu bytes", rpc, reply.size);
    int64_t sent = (int64_t)(args->to - args->from);
    int64_t said = upsert ? result.upserted : result.inserted;
    if (said != sent || result.has_errors)
        return mm_error_set(err, MM_UNKNOWN, "%s: %" PRId64 " rows sent, %" PRId64 " confirmed", rpc, sent, said);
    return MM_OK;
}

mm_status mm_milvus_delete(mm_milvus *client, const char *collection, const char *partition,
                           const char *expr, mm_error *err)
{
    Mmpb__DeleteRequest request = MMPB__DELETE_REQUEST__INIT;
    mm_grpc_reply reply;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    request.partition_name = mm_proto_text(partition);
    request.expr = mm_proto_text(expr);
    return mm_milvus_call(client, MM_MILVUS_WRITE, "Delete", &request.base, &reply, err);
}

/* --- queries -------------------------------------------------------------------------------------- */

/* limit 0: none. */
static mm_status query(mm_milvus *client, const char *collection, const char *partition, const char *expr,
                       char **fields, size_t field_count, uint32_t limit, mm_grpc_reply *reply, mm_error *err)
{
    Mmpb__QueryRequest request = MMPB__QUERY_REQUEST__INIT;
    Mmpb__KeyValue most = MMPB__KEY_VALUE__INIT, *parameters[1] = {&most};
    char digits[16];
    snprintf(digits, sizeof(digits), "%" PRIu32, limit);
    most.key = mm_proto_text("limit");
    most.value = digits;
    request.query_params = parameters;
    request.n_query_params = limit > 0 ? 1 : 0;
    char *partitions[1] = {mm_proto_text(partition)};
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    request.expr = mm_proto_text(expr);
    request.output_fields = fields;
    request.n_output_fields = field_count;
    request.partition_names = partitions;
    request.n_partition_names = partition != NULL ? 1 : 0;
    request.consistency_level = CONSISTENCY_STRONG;
    return mm_milvus_call(client, MM_MILVUS_READ, "Query", &request.base, reply, err);
}

mm_status mm_milvus_count(mm_milvus *client, const char *collection, const char *partition,
                          const char *expr, uint64_t *rows, mm_error *err)
{
    char *fields[1] = {mm_proto_text("count(*)")};
    mm_grpc_reply reply;
    mm_status status = query(client, collection, partition, expr, fields, 1, 0, &reply, err);
    if (status != MM_OK)
        return status;
    if (!mm_decode_count(reply.data, reply.size, rows))
        return mm_error_set(err, MM_UNAVAILABLE, "Query: no count in a reply of %zu bytes", reply.size);
    return MM_OK;
}

/* The frame's prefix goes, so that the buffer is the message. */
static void take_reply(mm_milvus *client, const mm_grpc_reply *reply, mm_buffer *out)
{
    mm_buffer taken = mm_grpc_take_buffer(mm_milvus_channel(client));
    memmove(taken.data, reply->data, reply->size);
    taken.size = reply->size;
    *out = taken;
}

mm_status mm_milvus_query(mm_milvus *client, const char *collection, const char *partition,
                          const char *expr, const mm_schema *schema, mm_buffer *out, mm_error *err)
{
    mm_grpc_reply reply;
    char **fields = calloc(schema->field_count + 1, sizeof(*fields));
    if (fields == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < schema->field_count; i++)
        fields[i] = mm_proto_text(schema->fields[i].dynamic ? "$meta" : schema->fields[i].name);
    mm_status status = query(client, collection, partition, expr, fields, schema->field_count, 0, &reply, err);
    free(fields);
    if (status != MM_OK)
        return status;
    take_reply(client, &reply, out);
    return MM_OK;
}

/* --- expressions ---------------------------------------------------------------------------------- */

/* The smallest Int64 cannot be written in an expression: the number behind its sign is out of range. */
static mm_status int64_expr(const mm_column *column, const char *name, size_t from, size_t to, size_t max,
                            mm_buffer *expr, size_t *next)
{
    size_t row = from, start = expr->size, written = 0;
    bool smallest = false;
    mm_buffer_printf(expr, "%s in [", name);
    for (; row < to && row - from < max && expr->size - start + 64 < MM_MILVUS_EXPR_MAX; row++) {
        int64_t key;
        memcpy(&key, column->values + 8 * row, sizeof(key));
        if (key == INT64_MIN)
            smallest = true;
        else
            mm_buffer_printf(expr, "%s%" PRId64, written++ > 0 ? "," : "", key);
    }
    mm_buffer_printf(expr, "]");
    if (smallest)
        mm_buffer_printf(expr, " or %s < %" PRId64, name, INT64_MIN + 1);
    *next = row;
    return MM_OK;
}

/* A string literal: only the escapes that every server's grammar knows; other bytes stand as they
 * are. */
static void append_literal(mm_buffer *expr, const uint8_t *text, size_t length)
{
    mm_buffer_append(expr, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        const char *escape = NULL;
        switch (text[i]) {
        case '"':
            escape = "\\\"";
            break;
        case '\\':
            escape = "\\\\";
            break;
        case '\n':
            escape = "\\n";
            break;
        case '\r':
            escape = "\\r";
            break;
        case '\t':
            escape = "\\t";
            break;
        default:
            break;
        }
        if (escape != NULL)
            mm_buffer_append(expr, escape, 2);
        else
            mm_buffer_append(expr, text + i, 1);
    }
    mm_buffer_append(expr, "\"", 1);
}

static mm_status varchar_expr(const mm_column *column, const char *name, size_t from, size_t to, size_t max,
                              mm_buffer *expr, size_t *next, mm_error *err)
{
    size_t row = from, start = expr->size;
    mm_buffer_printf(expr, "%s in [", name);
    for (; row < to && row - from < max; row++) {
        size_t length;
        const uint8_t *key = mm_column_at(column, row, &length);
        if (key == NULL)
            return mm_error_set(err, MM_DATA, "row %zu has no primary key", row);
        if (row > from && expr->size - start + 2 * length + 64 > MM_MILVUS_EXPR_MAX)
            break;
        if (row > from)
            mm_buffer_append(expr, ",", 1);
        append_literal(expr, key, length);
    }
    mm_buffer_printf(expr, "]");
    *next = row;
    return MM_OK;
}

mm_status mm_milvus_keys_expr(const mm_batch *keys, size_t from, size_t to, size_t max, mm_buffer *expr,
                              size_t *next, mm_error *err)
{
    const mm_column *column = NULL;
    for (size_t i = 0; i < keys->column_count; i++)
        if (keys->columns[i].field->primary)
            column = &keys->columns[i];
    if (column == NULL)
        return mm_error_set(err, MM_CONFIG, "the rows have no primary key");
    if (max > MM_MILVUS_KEYS_MAX || max == 0)
        max = MM_MILVUS_KEYS_MAX;
    mm_status status;
    if (column->field->type == MM_TYPE_INT64)
        status = int64_expr(column, column->field->name, from, to, max, expr, next);
    else if (column->field->type == MM_TYPE_VARCHAR)
        status = varchar_expr(column, column->field->name, from, to, max, expr, next, err);
    else
        return mm_error_set(err, MM_CONFIG, "primary key '%s' is neither Int64 nor VarChar", column->field->name);
    if (status == MM_OK && expr->failed)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for an expression");
    return status;
}

/* Every key, or those behind one. Servers want an expression where there is no limit, and take the smallest Int64 only as
 * the one that is below all others. */
static mm_status after_expr(const mm_field *key, const void *after, size_t size, mm_buffer *expr, mm_error *err)
{
    int64_t number;
    if (key->type == MM_TYPE_INT64) {
        if (after == NULL) {
            mm_buffer_printf(expr, "%s < 0 or %s >= 0", key->name, key->name);
        } else {
            memcpy(&number, after, sizeof(number));
            if (number == INT64_MIN)
                mm_buffer_printf(expr, "%s >= %" PRId64, key->name, INT64_MIN + 1);
            else
                mm_buffer_printf(expr, "%s > %" PRId64, key->name, number);
        }
    } else {
        mm_buffer_printf(expr, "%s %s ", key->name, after == NULL ? ">=" : ">");
        append_literal(expr, after, size);
    }
    mm_buffer_append(expr, "", 1);
    return expr->failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory for an expression") : MM_OK;
}

mm_status mm_milvus_query_keys(mm_milvus *client, const char *collection, const mm_schema *key, const void *after,
                               size_t after_size, uint32_t limit, mm_buffer *out, mm_error *err)
{
    mm_grpc_reply reply;
    mm_buffer expr = MM_BUFFER_INIT;
    char *fields[1] = {mm_proto_text(key->fields[0].name)};
    mm_status status = after_expr(&key->fields[0], after, after_size, &expr, err);
    if (status == MM_OK)
        status = query(client, collection, NULL, expr.data, fields, 1, limit, &reply, err);
    if (status == MM_OK)
        take_reply(client, &reply, out);
    mm_buffer_free(&expr);
    return status;
}
