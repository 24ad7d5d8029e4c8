/* Databases, collections, partitions and aliases. See calls.h. */
#include <stdio.h>
#include <string.h>

#include "milvus/calls.h"
#include "milvus/proto_schema.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

bool mm_names_have(const mm_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static mm_status copy_names(mm_arena *arena, char *const *from, size_t count, mm_names *out, mm_error *err)
{
    const char **items = mm_arena_array(arena, count, sizeof(*items));
    if (items == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++)
        if ((items[i] = mm_arena_strdup(arena, from[i])) == NULL)
            return no_memory(err);
    *out = (mm_names){items, count};
    return MM_OK;
}

/* Calls whose reply is a list of names in one repeated string field. */
static mm_status call_names(mm_milvus *client, const char *rpc, const ProtobufCMessage *request,
                            const ProtobufCMessageDescriptor *type, const char *field, mm_arena *arena,
                            mm_names *out, mm_error *err)
{
    mm_grpc_reply reply;
    ProtobufCMessage *message = NULL;
    mm_status status = mm_milvus_call(client, MM_MILVUS_READ, rpc, request, &reply, err);
    if (status == MM_OK)
        status = mm_milvus_unpack(type, &reply, &message, err);
    if (status != MM_OK)
        return status;
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(type, field);
    size_t count;
    char **items;
    memcpy(&count, (const char *)message + f->quantifier_offset, sizeof(count));
    memcpy(&items, (const char *)message + f->offset, sizeof(items));
    status = copy_names(arena, items, count, out, err);
    protobuf_c_message_free_unpacked(message, NULL);
    return status;
}

static mm_status call_status(mm_milvus *client, const char *rpc, const ProtobufCMessage *request,
                             mm_error *err)
{
    mm_grpc_reply reply;
    return mm_milvus_call(client, MM_MILVUS_DEFINE, rpc, request, &reply, err);
}

/* --- server and databases ------------------------------------------------------------------------- */

mm_status mm_milvus_version(mm_milvus *client, char version[64], mm_error *err)
{
    Mmpb__Empty request = MMPB__EMPTY__INIT;
    Mmpb__GetVersionResponse *message = NULL;
    mm_grpc_reply reply;
    mm_status status = mm_milvus_call(client, MM_MILVUS_READ, "GetVersion", &request.base, &reply, err);
    if (status == MM_TARGET && mm_milvus_last(client)->grpc_status == MM_GRPC_UNIMPLEMENTED) {
        mm_error_clear(err);
        version[0] = '\0';
        return MM_OK;
    }
    if (status == MM_OK)
        status = mm_milvus_unpack(&mmpb__get_version_response__descriptor, &reply, &message, err);
    if (status != MM_OK)
        return status;
    snprintf(version, 64, "%s", message->version);
    protobuf_c_message_free_unpacked(&message->base, NULL);
    return MM_OK;
}

mm_status mm_milvus_databases(mm_milvus *client, mm_arena *arena, mm_names *out, mm_error *err)
{
    Mmpb__Empty request = MMPB__EMPTY__INIT;
    return call_names(client, "ListDatabases", &request.base, &mmpb__list_databases_response__descriptor,
                      "db_names", arena, out, err);
}

mm_status mm_milvus_create_database(mm_milvus *client, const char *name, mm_error *err)
{
    Mmpb__CreateDatabaseRequest request = MMPB__CREATE_DATABASE_REQUEST__INIT;
    request.db_name = mm_proto_text(name);
    return call_status(client, "CreateDatabase", &request.base, err);
}

/* --- collections ---------------------------------------------------------------------------------- */

static Mmpb__CollectionRequest about(const mm_milvus *client, const char *collection)
{
    Mmpb__CollectionRequest request = MMPB__COLLECTION_REQUEST__INIT;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    return request;
}

static mm_status read_description(const Mmpb__DescribeCollectionResponse *message, const char *name,
                                  mm_arena *arena, mm_milvus_description *out, mm_error *err)
{
    mm_milvus_description d = {.id = message->collection_id,
                               .shards = message->shards_num,
                               .consistency = message->consistency_level};
    if (message->schema == NULL)
        return mm_error_set(err, MM_UNAVAILABLE, "DescribeCollection: reply without a schema");
    mm_status status = mm_proto_read_schema(message->schema, arena, &d.schema, err);
    if (status == MM_OK)
        status = copy_names(arena, message->aliases, message->n_aliases, &d.aliases, err);
    if (status != MM_OK)
        return status;
    if (d.schema->name[0] == '\0') {
        const char *own = message->collection_name[0] != '\0' ? message->collection_name : name;
        if ((d.schema->name = mm_arena_strdup(arena, own)) == NULL)
            return no_memory(err);
    }
    for (size_t i = 0; i < message->n_properties; i++)
        if (strcmp(message->properties[i]->key, MM_MILVUS_JOB) == 0 &&
            (d.job = mm_arena_strdup(arena, message->properties[i]->value)) == NULL)
            return no_memory(err);
    *out = d;
    return MM_OK;
}

mm_status mm_milvus_describe(mm_milvus *client, const char *name, mm_arena *arena,
                             mm_milvus_description *out, mm_error *err)
{
    Mmpb__CollectionRequest request = about(client, name);
    Mmpb__DescribeCollectionResponse *message = NULL;
    mm_grpc_reply reply;
    mm_status status = mm_milvus_call(client, MM_MILVUS_READ, "DescribeCollection", &request.base, &reply, err);
    if (status == MM_OK)
        status = mm_milvus_unpack(&mmpb__describe_collection_response__descriptor, &reply, &message, err);
    if (status != MM_OK)
        return status;
    status = read_description(message, name, arena, out, err);
    protobuf_c_message_free_unpacked(&message->base, NULL);
    return status;
}

mm_status mm_milvus_look(mm_milvus *client, const char *name, mm_arena *arena, bool *exists,
                         mm_milvus_description *out, mm_error *err)
{
    mm_status status = mm_milvus_describe(client, name, arena, out, err);
    if (status == MM_NOT_FOUND) {
        mm_error_clear(err);
        *exists = false;
        return MM_OK;
    }
    if (status == MM_OK)
        *exists = true;
    return status;
}

mm_status mm_milvus_collections(mm_milvus *client, mm_arena *arena, mm_names *out, mm_error *err)
{
    Mmpb__CollectionRequest request = about(client, NULL);
    return call_names(client, "ShowCollections", &request.base, &mmpb__show_collections_response__descriptor,
                      "collection_names", arena, out, err);
}

mm_status mm_milvus_create_collection(mm_milvus *client, const char *name, const mm_schema *schema,
                                      int32_t shards, int32_t consistency, const char *job, mm_error *err)
{
    Mmpb__CreateCollectionRequest request = MMPB__CREATE_COLLECTION_REQUEST__INIT;
    Mmpb__KeyValue property = MMPB__KEY_VALUE__INIT, *properties[1] = {&property};
    mm_buffer bytes = MM_BUFFER_INIT;
    mm_status status = mm_proto_write_schema(schema, name, &bytes, err);
    if (status != MM_OK)
        goto out;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(name);
    request.schema.data = (uint8_t *)bytes.data;
    request.schema.len = bytes.size;
    request.shards_num = shards;
    request.consistency_level = consistency >= 0 ? consistency : 2; /* Bounded, the server's own default */
    property.key = mm_proto_text(MM_MILVUS_JOB);
    property.value = mm_proto_text(job);
    request.properties = properties;
    request.n_properties = job != NULL ? 1 : 0;
    status = call_status(client, "CreateCollection", &request.base, err);
out:
    mm_buffer_free(&bytes);
    return status;
}

mm_status mm_milvus_drop_collection(mm_milvus *client, const char *name, mm_error *err)
{
    Mmpb__CollectionRequest request = about(client, name);
    mm_status status = call_status(client, "DropCollection", &request.base, err);
    if (status == MM_NOT_FOUND) {
        mm_error_clear(err);
        return MM_OK;
    }
    return status;
}

mm_status mm_milvus_rename(mm_milvus *client, const char *from, const char *to, mm_error *err)
{
    Mmpb__RenameCollectionRequest request = MMPB__RENAME_COLLECTION_REQUEST__INIT;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.old_name = mm_proto_text(from);
    request.new_name = mm_proto_text(to);
    return call_status(client, "RenameCollection", &request.base, err);
}

mm_status mm_milvus_partitions(mm_milvus *client, const char *collection, mm_arena *arena, mm_names *out,
                               mm_error *err)
{
    Mmpb__CollectionRequest request = about(client, collection);
    return call_names(client, "ShowPartitions", &request.base, &mmpb__show_partitions_response__descriptor,
                      "partition_names", arena, out, err);
}

mm_status mm_milvus_create_partition(mm_milvus *client, const char *collection, const char *partition,
                                     mm_error *err)
{
    Mmpb__PartitionRequest request = MMPB__PARTITION_REQUEST__INIT;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    request.partition_name = mm_proto_text(partition);
    return call_status(client, "CreatePartition", &request.base, err);
}

/* --- aliases -------------------------------------------------------------------------------------- */

mm_status mm_milvus_aliases(mm_milvus *client, const char *collection, mm_arena *arena, mm_names *out,
                            mm_error *err)
{
    Mmpb__CollectionRequest request = about(client, collection);
    return call_names(client, "ListAliases", &request.base, &mmpb__list_aliases_response__descriptor,
                      "aliases", arena, out, err);
}

mm_status mm_milvus_alias_of(mm_milvus *client, const char *alias, mm_arena *arena, const char **collection,
                             mm_error *err)
{
    Mmpb__AliasName request = MMPB__ALIAS_NAME__INIT;
    Mmpb__DescribeAliasResponse *message = NULL;
    mm_grpc_reply reply;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.alias = mm_proto_text(alias);
    mm_status status = mm_milvus_call(client, MM_MILVUS_READ, "DescribeAlias", &request.base, &reply, err);
    if (status == MM_NOT_FOUND) {
        mm_error_clear(err);
        *collection = NULL;
        return MM_OK;
    }
    if (status == MM_OK)
        status = mm_milvus_unpack(&mmpb__describe_alias_response__descriptor, &reply, &message, err);
    if (status != MM_OK)
        return status;
    const char *copy = mm_arena_strdup(arena, message->collection);
    protobuf_c_message_free_unpacked(&message->base, NULL);
    if (copy == NULL)
        return no_memory(err);
    *collection = copy;
    return MM_OK;
}

static mm_status set_alias(mm_milvus *client, const char *rpc, const char *collection, const char *alias,
                           mm_error *err)
{
    Mmpb__AliasRequest request = MMPB__ALIAS_REQUEST__INIT;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    request.alias = mm_proto_text(alias);
    return call_status(client, rpc, &request.base, err);
}

mm_status mm_milvus_create_alias(mm_milvus *client, const char *collection, const char *alias, mm_error *err)
{
    return set_alias(client, "CreateAlias", collection, alias, err);
}

mm_status mm_milvus_alter_alias(mm_milvus *client, const char *collection, const char *alias, mm_error *err)
{
    return set_alias(client, "AlterAlias", collection, alias, err);
}

mm_status mm_milvus_drop_alias(mm_milvus *client, const char *alias, mm_error *err)
{
    Mmpb__AliasName request = MMPB__ALIAS_NAME__INIT;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.alias = mm_proto_text(alias);
    mm_status status = call_status(client, "DropAlias", &request.base, err);
    if (status == MM_NOT_FOUND) {
        mm_error_clear(err);
        return MM_OK;
    }
    return status;
}
