/* Fuzz target: what a Milvus server answers. The first byte chooses the reader; the rest is the reply's
 * body. Nothing may crash, read beyond the bytes, or take memory out of proportion to them. */
#include <stddef.h>
#include <stdint.h>

#include "milvus/proto_schema.h"
#include "milvus/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mm_field fields[] = {
    {.name = "id", .type = MM_TYPE_INT64, .primary = true},
    {.name = "t", .type = MM_TYPE_VARCHAR, .nullable = true},
    {.name = "b", .type = MM_TYPE_BOOL},
    {.name = "i", .type = MM_TYPE_INT8, .nullable = true},
    {.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = 3},
    {.name = "w", .type = MM_TYPE_BINARY_VECTOR, .dim = 16, .nullable = true},
    {.name = "s", .type = MM_TYPE_SPARSE_FLOAT_VECTOR},
};

/* Every prefix of the fields is a schema of its own, so that one odd field does not hide the others. */
static void rows(const uint8_t *message, size_t size)
{
    union {
        const uint8_t *in;
        char *out;
    } bytes = {message};
    for (size_t count = 1; count <= MM_COUNT(fields); count++) {
        mm_schema schema = {.name = "c", .fields = fields + MM_COUNT(fields) - count, .field_count = count};
        mm_batch batch = {0};
        mm_error err = MM_ERROR_INIT;
        mm_buffer replies[2] = {{bytes.out, size, size, false}, {bytes.out, size, size, false}};
        if (mm_decode_rows(replies, 2, &schema, &batch, &err) == MM_OK)
            mm_batch_hash(&batch);
        mm_batch_free(&batch);
    }
}

static void schema_of(const uint8_t *message, size_t size)
{
    Mmpb__DescribeCollectionResponse *reply = mmpb__describe_collection_response__unpack(NULL, size, message);
    if (reply == NULL)
        return;
    mm_arena arena = MM_ARENA_INIT;
    mm_schema *schema;
    mm_error err = MM_ERROR_INIT;
    if (reply->schema != NULL)
        (void)!mm_proto_read_schema(reply->schema, &arena, &schema, &err);
    mm_arena_free(&arena);
    mmpb__describe_collection_response__free_unpacked(reply, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *message;
    size_t length;
    mm_milvus_answer answer;
    mm_mutation mutation;
    uint64_t count;
    char text[64];
    if (size < 1)
        return 0;
    mm_grpc_decode_message((const char *)data + 1, size - 1, text, sizeof(text));
    if (!mm_grpc_unframe(data + 1, size - 1, &message, &length)) {
        message = data + 1;
        length = size - 1;
    }
    switch (data[0] % 5) {
    case 0:
        rows(message, length);
        break;
    case 1:
        (void)!mm_milvus_read_status(message, length, (data[0] & 0x80) != 0, &answer);
        break;
    case 2:
        (void)!mm_decode_mutation(message, length, &mutation);
        break;
    case 3:
        (void)!mm_decode_count(message, length, &count);
        break;
    default:
        schema_of(message, length);
        break;
    }
    return 0;
}
