/* A lane of the Milvus sink: one connection, one loader thread. Writes batches in requests below the
 * size limit, and reads rows back by primary key. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "sinks/milvus/internal.h"

/* A reply of about this size is asked for when rows are read back. */
enum { READ_BACK_BYTES = 16 << 20 };

mm_status mm_milvus_lane_open(mm_sink *sink, uint32_t number, mm_lane **out, mm_error *err)
{
    (void)number;
    mm_lane *lane = calloc(1, sizeof(*lane));
    if (lane == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    lane->sink = sink;
    mm_status status = mm_milvus_open(&sink->config, &lane->client, err);
    if (status != MM_OK)
        free(lane);
    else
        *out = lane;
    return status;
}

void mm_milvus_lane_close(mm_lane *lane)
{
    if (lane == NULL)
        return;
    mm_milvus_close(lane->client);
    mm_encoder_free(&lane->encoder);
    mm_buffer_free(&lane->last_key);
    free(lane);
}

/* --- writing -------------------------------------------------------------------------------------- */

/* The name that a request goes through: the epoch's alias, or without a fence the collection's. */
static void address(const mm_sink *sink, uint32_t collection, uint64_t fence, char out[MM_MILVUS_NAME])
{
    if (fence > 0)
        mm_milvus_alias_name(sink, collection, fence, out);
    else
        snprintf(out, MM_MILVUS_NAME, "%s", sink->targets[collection].work);
}

/* Remembers for all lanes that requests of `bytes` are refused; false when no smaller one is worth a
 * try. */
static bool learn_limit(mm_sink *sink, size_t bytes)
{
    size_t smaller = bytes / 2;
    if (smaller < MM_MILVUS_REQUEST_MIN)
        return false;
    size_t known = atomic_load(&sink->request_limit);
    while (known > smaller)
        if (atomic_compare_exchange_weak(&sink->request_limit, &known, smaller)) {
            mm_log(MM_LOG_WARN, "the server refuses requests of %zu bytes: at most %zu from now on", bytes, smaller);
            break;
        }
    return true;
}

static bool is_partition_missing(const mm_lane *lane)
{
    return mm_milvus_last(lane->client)->code == MM_MILVUS_PARTITION_NOT_FOUND;
}

mm_status mm_milvus_lane_write(mm_lane *lane, const mm_write *what, const mm_batch *batch, size_t *acknowledged,
                               mm_error *err)
{
    mm_sink *sink = lane->sink;
    const mm_milvus_target *target = &sink->targets[what->collection];
    char name[MM_MILVUS_NAME];
    address(sink, what->collection, what->fence, name);
    mm_encode_args args = {.database = sink->config.database,
                           .collection = name,
                           .partition = mm_milvus_partition_name(target, what->partition),
                           .batch = batch,
                           .from = what->from};
    bool upsert = what->mode == MM_WRITE_UPSERT || target->plan->upsert;
    mm_status status = MM_OK;
    while (args.from < batch->rows) {
        size_t limit = atomic_load(&sink->request_limit);
        args.to = mm_encode_fit(batch, args.from, limit);
        MM_FAILPOINT("milvus.write.before");
        status = mm_milvus_write(lane->client, &lane->encoder, &args, upsert, err);
        MM_FAILPOINT("milvus.write.after");
        if (status == MM_TOO_LARGE && args.to - args.from > 1 &&
            learn_limit(sink, mm_encode_size(batch, args.from, args.to)))
            continue;
        if (status != MM_OK)
            break;
        args.from = args.to;
    }
    if (status == MM_NOT_FOUND && what->fence > 0 && !is_partition_missing(lane))
        status = mm_error_set(err, MM_FENCED, "%s: alias %s is gone: another owner moved the fence",
                              target->work, name);
    *acknowledged = args.from;
    return status;
}

/* --- by key --------------------------------------------------------------------------------------- */

/* The partition to look into; NULL: all of them. Where a partition key decides, a partition has no name
 * of the plan's. */
static const char *partition_to_query(const mm_milvus_target *target, uint32_t partition)
{
    const mm_schema *schema = target->plan->schema;
    for (size_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i].partition_key)
            return NULL;
    if (partition == MM_PARTITION_ANY)
        return NULL;
    const char *name = mm_milvus_partition_name(target, partition);
    return name ? name : MM_DEFAULT_PARTITION;
}

/* Rows of one Query: a reply of READ_BACK_BYTES at the size that these rows have. */
static size_t rows_per_query(const mm_batch *like)
{
    size_t size = mm_encode_size(like, 0, like->rows) / (like->rows > 0 ? like->rows : 1) + 16;
    size_t rows = READ_BACK_BYTES / size;
    return rows < 1 ? 1 : rows < MM_MILVUS_KEYS_MAX ? rows : MM_MILVUS_KEYS_MAX;
}

mm_status mm_milvus_lane_count_keys(mm_lane *lane, uint32_t collection, uint32_t partition, const mm_batch *keys,
                                    size_t from, size_t count, uint64_t *rows, mm_error *err)
{
    const mm_milvus_target *target = &lane->sink->targets[collection];
    uint64_t sum = 0;
    mm_buffer expr = MM_BUFFER_INIT;
    mm_status status = MM_OK;
    for (size_t at = from, end = from + count; at < end && status == MM_OK;) {
        uint64_t part = 0;
        expr.size = 0;
        status = mm_milvus_keys_expr(keys, at, end, MM_MILVUS_KEYS_MAX, &expr, &at, err);
        if (status == MM_OK)
            status = mm_milvus_count(lane->client, target->work, partition_to_query(target, partition),
                                     expr.data, &part, err);
        sum += part;
    }
    mm_buffer_free(&expr);
    if (status == MM_OK)
        *rows = sum;
    return status;
}

/* Queries in pieces; a piece whose reply is too large for the server is halved. */
static mm_status query_all(mm_lane *lane, const mm_milvus_target *target, const char *partition,
                           const mm_batch *like, mm_buffer *replies, size_t *count, mm_error *err)
{
    size_t limit = rows_per_query(like), next;
    mm_buffer expr = MM_BUFFER_INIT;
    mm_status status = MM_OK;
    for (size_t at = 0; at < like->rows && status == MM_OK;) {
        expr.size = 0;
        status = mm_milvus_keys_expr(like, at, like->rows, limit, &expr, &next, err);
        if (status != MM_OK)
            break;
        status = mm_milvus_query(lane->client, target->work, partition, expr.data, like->schema,
                                 &replies[*count], err);
        if (status == MM_TOO_LARGE && limit > 1) {
            limit = limit / 2;
            status = MM_OK;
            continue;
        }
        if (status == MM_OK) {
            (*count)++;
            at = next;
        }
    }
    mm_buffer_free(&expr);
    return status;
}

mm_status mm_milvus_lane_read_back(mm_lane *lane, const mm_write *what, const mm_batch *like, mm_batch *out,
                                   mm_error *err)
{
    const mm_milvus_target *target = &lane->sink->targets[what->collection];
    const char *partition = partition_to_query(target, what->partition);
    size_t count = 0;
    mm_buffer *replies = calloc(like->rows + 1, sizeof(*replies)); /* a reply has at least one row's keys */
    if (replies == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = query_all(lane, target, partition, like, replies, &count, err);
    if (status == MM_OK)
        status = mm_decode_rows(replies, count, like->schema, out, err);
    for (size_t i = 0; i < count; i++)
        mm_buffer_free(&replies[i]);
    free(replies);
    return status;
}

/* --- all keys ------------------------------------------------------------------------------------- */

/* The greatest key of a page, behind which the next one begins; bytes in their order, as the server compares text. */
static const uint8_t *greatest(const mm_column *keys, size_t rows, size_t *size)
{
    const uint8_t *most = NULL;
    for (size_t row = 0; row < rows; row++) {
        size_t length = 0;
        const uint8_t *key = mm_column_at(keys, row, &length);
        if (key == NULL)
            continue;
        bool more = most == NULL;
        if (!more && keys->field->type == MM_TYPE_INT64) {
            int64_t a, b;
            memcpy(&a, key, sizeof(a));
            memcpy(&b, most, sizeof(b));
            more = a > b;
        } else if (!more) {
            int order = memcmp(key, most, length < *size ? length : *size);
            more = order > 0 || (order == 0 && length > *size);
        }
        if (more) {
            most = key;
            *size = length;
        }
    }
    return most;
}

/* Milvus Lite does not sort: it gives all keys in one reply. */
static mm_status next_page(mm_lane *lane, const char *collection, bool first, mm_batch *out, mm_error *err)
{
    uint32_t limit = lane->sink->lite ? 0 : MM_MILVUS_KEYS_MAX;
    mm_buffer reply = MM_BUFFER_INIT;
    const void *after = first ? NULL : lane->last_key.data;
    if (!first && limit == 0)
        return MM_END;
    mm_status status = mm_milvus_query_keys(lane->client, collection, &lane->key_schema, after, first ? 0 : lane->last_key.size,
                                            limit, &reply, err);
    if (status == MM_OK)
        status = mm_decode_rows(&reply, 1, &lane->key_schema, out, err);
    mm_buffer_free(&reply);
    return status == MM_OK && out->rows == 0 ? MM_END : status;
}

mm_status mm_milvus_lane_list_keys(mm_lane *lane, uint32_t collection, bool first, mm_batch *out, mm_error *err)
{
    const mm_milvus_target *target = &lane->sink->targets[collection];
    const mm_schema *schema = target->plan->schema;
    int primary = mm_schema_primary(schema);
    if (primary < 0)
        return mm_error_set(err, MM_CONFIG, "%s: the rows have no primary key", target->work);
    lane->key_field = schema->fields[primary];
    lane->key_schema = (mm_schema){.name = schema->name, .fields = &lane->key_field, .field_count = 1};
    mm_status status = next_page(lane, target->work, first, out, err);
    if (status != MM_OK)
        return status;
    size_t size = 0;
    const uint8_t *last = greatest(&out->columns[0], out->rows, &size);
    if (last == NULL)
        return mm_error_set(err, MM_TARGET, "%s: rows without a primary key", target->work);
    lane->last_key.size = 0;
    mm_buffer_append(&lane->last_key, last, size);
    mm_buffer_append(&lane->last_key, "", 1); /* never NULL */
    if (lane->last_key.failed)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a key");
    lane->last_key.size = size;
    return MM_OK;
}

static mm_status delete_in(mm_lane *lane, const char *name, const char *partition, const mm_batch *keys,
                           size_t from, size_t count, mm_error *err)
{
    mm_buffer expr = MM_BUFFER_INIT;
    mm_status status = MM_OK;
    for (size_t at = from, end = from + count; at < end && status == MM_OK;) {
        expr.size = 0;
        status = mm_milvus_keys_expr(keys, at, end, MM_MILVUS_KEYS_MAX, &expr, &at, err);
        MM_FAILPOINT("milvus.delete.before");
        if (status == MM_OK)
            status = mm_milvus_delete(lane->client, name, partition, expr.data, err);
        MM_FAILPOINT("milvus.delete.after");
    }
    mm_buffer_free(&expr);
    return status;
}

/* elsewhere: in every partition but the one named; else in that one, or in all of them. Goes through the alias in force,
 * so that a late Delete cannot take rows that were written after it. */
mm_status mm_milvus_lane_delete_keys(mm_lane *lane, uint32_t collection, uint32_t partition, bool elsewhere,
                                     const mm_batch *keys, size_t from, size_t count, mm_error *err)
{
    mm_milvus_target *target = &lane->sink->targets[collection];
    const char *own = mm_milvus_partition_name(target, partition);
    char name[MM_MILVUS_NAME];
    mm_arena arena = MM_ARENA_INIT;
    mm_names names;
    if (own == NULL)
        own = MM_DEFAULT_PARTITION;
    address(lane->sink, collection, atomic_load(&target->fence), name);
    if (partition == MM_PARTITION_ANY)
        return delete_in(lane, name, NULL, keys, from, count, err);
    if (!elsewhere)
        return delete_in(lane, name, own, keys, from, count, err);
    mm_status status = mm_milvus_partitions(lane->client, target->work, &arena, &names, err);
    for (size_t i = 0; status == MM_OK && i < names.count; i++)
        if (strcmp(names.items[i], own) != 0)
            status = delete_in(lane, name, names.items[i], keys, from, count, err);
    mm_arena_free(&arena);
    return status;
}
