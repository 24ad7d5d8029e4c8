/* Indexes, load and flush. See calls.h. */
#include <stdlib.h>
#include <string.h>

#include "milvus/calls.h"
#include "milvus/proto_schema.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* --- index ---------------------------------------------------------------------------------------- */

static mm_status read_index(const Mmpb__IndexDescription *from, mm_arena *arena, mm_milvus_index *to,
                            mm_error *err)
{
    *to = (mm_milvus_index){.name = mm_arena_strdup(arena, from->index_name),
                            .field = mm_arena_strdup(arena, from->field_name),
                            .fail_reason = mm_arena_strdup(arena, from->fail_reason),
                            .state = from->state,
                            .indexed_rows = from->indexed_rows,
                            .total_rows = from->total_rows,
                            .pending_rows = from->pending_index_rows};
    if (to->name == NULL || to->field == NULL || to->fail_reason == NULL)
        return no_memory(err);
    for (size_t i = 0; i < from->n_params; i++) {
        const char *key = from->params[i]->key, **where = NULL;
        if (strcmp(key, "index_type") == 0)
            where = &to->index_type;
        else if (strcmp(key, "metric_type") == 0)
            where = &to->metric_type;
        if (where != NULL && (*where = mm_arena_strdup(arena, from->params[i]->value)) == NULL)
            return no_memory(err);
    }
    return MM_OK;
}

mm_status mm_milvus_indexes(mm_milvus *client, const char *collection, mm_arena *arena,
                            mm_milvus_index **out, size_t *count, mm_error *err)
{
    Mmpb__IndexRequest request = MMPB__INDEX_REQUEST__INIT;
    Mmpb__DescribeIndexResponse *message = NULL;
    mm_grpc_reply reply;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    mm_status status = mm_milvus_call(client, MM_MILVUS_READ, "DescribeIndex", &request.base, &reply, err);
    const mm_milvus_answer *last = mm_milvus_last(client);
    if (status == MM_NOT_FOUND &&
        (last->code == MM_MILVUS_INDEX_NOT_FOUND || (last->code == 0 && last->legacy == 25))) {
        mm_error_clear(err);
        *out = NULL;
        *count = 0;
        return MM_OK;
    }
    if (status == MM_OK)
        status = mm_milvus_unpack(&mmpb__describe_index_response__descriptor, &reply, &message, err);
    if (status != MM_OK)
        return status;
    size_t n = message->n_index_descriptions;
    mm_milvus_index *items = mm_arena_array(arena, n, sizeof(*items));
    status = items != NULL ? MM_OK : no_memory(err);
    for (size_t i = 0; i < n && status == MM_OK; i++)
        status = read_index(message->index_descriptions[i], arena, &items[i], err);
    protobuf_c_message_free_unpacked(&message->base, NULL);
    if (status == MM_OK) {
        *out = items;
        *count = n;
    }
    return status;
}

mm_status mm_milvus_create_index(mm_milvus *client, const char *collection, const char *field,
                                 const char *name, const char *index_type, const char *metric_type,
                                 const char *params, mm_error *err)
{
    Mmpb__CreateIndexRequest request = MMPB__CREATE_INDEX_REQUEST__INIT;
    Mmpb__KeyValue pairs[3], *list[3];
    const char *keys[3] = {"index_type", "metric_type", "params"};
    const char *values[3] = {index_type, metric_type, params};
    size_t count = 0;
    for (size_t i = 0; i < 3; i++) {
        if (values[i] == NULL)
            continue;
        mmpb__key_value__init(&pairs[count]);
        pairs[count].key = mm_proto_text(keys[i]);
        pairs[count].value = mm_proto_text(values[i]);
        list[count] = &pairs[count];
        count++;
    }
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    request.field_name = mm_proto_text(field);
    request.index_name = mm_proto_text(name);
    request.extra_params = list;
    request.n_extra_params = count;
    mm_grpc_reply reply;
    return mm_milvus_call(client, MM_MILVUS_DEFINE, "CreateIndex", &request.base, &reply, err);
}

mm_status mm_milvus_drop_index(mm_milvus *client, const char *collection, const char *field,
                               const char *name, mm_error *err)
{
    Mmpb__IndexRequest request = MMPB__INDEX_REQUEST__INIT;
    mm_grpc_reply reply;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    request.field_name = mm_proto_text(field);
    request.index_name = mm_proto_text(name);
    mm_status status = mm_milvus_call(client, MM_MILVUS_DEFINE, "DropIndex", &request.base, &reply, err);
    if (status == MM_NOT_FOUND) {
        mm_error_clear(err);
        return MM_OK;
    }
    return status;
}

/* --- load ----------------------------------------------------------------------------------------- */

static mm_status about(mm_milvus *client, const char *rpc, const char *collection, mm_error *err)
{
    Mmpb__CollectionRequest request = MMPB__COLLECTION_REQUEST__INIT;
    mm_grpc_reply reply;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    return mm_milvus_call(client, MM_MILVUS_DEFINE, rpc, &request.base, &reply, err);
}

mm_status mm_milvus_load(mm_milvus *client, const char *collection, mm_error *err)
{
    return about(client, "LoadCollection", collection, err);
}

mm_status mm_milvus_release(mm_milvus *client, const char *collection, mm_error *err)
{
    return about(client, "ReleaseCollection", collection, err);
}

mm_status mm_milvus_load_state(mm_milvus *client, const char *collection, int32_t *state, mm_error *err)
{
    Mmpb__GetLoadStateRequest request = MMPB__GET_LOAD_STATE_REQUEST__INIT;
    Mmpb__GetLoadStateResponse *message = NULL;
    mm_grpc_reply reply;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    mm_status status = mm_milvus_call(client, MM_MILVUS_READ, "GetLoadState", &request.base, &reply, err);
    if (status == MM_OK)
        status = mm_milvus_unpack(&mmpb__get_load_state_response__descriptor, &reply, &message, err);
    if (status != MM_OK)
        return status;
    *state = message->state;
    protobuf_c_message_free_unpacked(&message->base, NULL);
    return MM_OK;
}

/* --- flush ---------------------------------------------------------------------------------------- */

static mm_status read_flush(const Mmpb__FlushResponse *message, mm_arena *arena, mm_milvus_flush *out,
                            mm_error *err)
{
    mm_milvus_flush flush = {NULL, 0, 0};
    for (size_t i = 0; i < message->n_segment_ids; i++)
        if (message->segment_ids[i]->value != NULL)
            flush.segment_count += message->segment_ids[i]->value->n_data;
    flush.segments = mm_arena_array(arena, flush.segment_count, sizeof(*flush.segments));
    if (flush.segments == NULL)
        return no_memory(err);
    size_t at = 0;
    for (size_t i = 0; i < message->n_segment_ids; i++) {
        const Mmpb__LongArray *ids = message->segment_ids[i]->value;
        for (size_t j = 0; ids != NULL && j < ids->n_data; j++)
            flush.segments[at++] = ids->data[j];
    }
    for (size_t i = 0; i < message->n_flush_ts; i++)
        if (message->flush_ts[i]->value > flush.time)
            flush.time = message->flush_ts[i]->value;
    *out = flush;
    return MM_OK;
}

/* Flush is a definition to us (idempotent), but its Status stands in field 1. */
mm_status mm_milvus_flush_begin(mm_milvus *client, const char *collection, mm_arena *arena,
                                mm_milvus_flush *out, mm_error *err)
{
    Mmpb__FlushRequest request = MMPB__FLUSH_REQUEST__INIT;
    Mmpb__FlushResponse *message = NULL;
    mm_grpc_reply reply;
    char *names[1] = {mm_proto_text(collection)};
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_names = names;
    request.n_collection_names = 1;
    mm_status status = mm_milvus_call(client, MM_MILVUS_READ, "Flush", &request.base, &reply, err);
    if (status == MM_OK)
        status = mm_milvus_unpack(&mmpb__flush_response__descriptor, &reply, &message, err);
    if (status != MM_OK)
        return status;
    status = read_flush(message, arena, out, err);
    protobuf_c_message_free_unpacked(&message->base, NULL);
    return status;
}

mm_status mm_milvus_flush_done(mm_milvus *client, const char *collection, const mm_milvus_flush *flush,
                               bool *done, mm_error *err)
{
    Mmpb__GetFlushStateRequest request = MMPB__GET_FLUSH_STATE_REQUEST__INIT;
    Mmpb__GetFlushStateResponse *message = NULL;
    mm_grpc_reply reply;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    request.segment_ids = flush->segments;
    request.n_segment_ids = flush->segment_count;
    request.flush_ts = flush->time;
    mm_status status = mm_milvus_call(client, MM_MILVUS_READ, "GetFlushState", &request.base, &reply, err);
    if (status == MM_OK)
        status = mm_milvus_unpack(&mmpb__get_flush_state_response__descriptor, &reply, &message, err);
    if (status != MM_OK)
        return status;
    *done = message->flushed;
    protobuf_c_message_free_unpacked(&message->base, NULL);
    return MM_OK;
}
