/* Milvus client: connection, credentials, one call. See client.h. */
#include "milvus/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define SERVICE "/milvus.proto.milvus.MilvusService/"

struct mm_milvus {
    mm_grpc_channel *channel;
    char *database;
    uint64_t timeout_ms;
    mm_milvus_answer last;
    uint8_t *scratch; /* a packed request */
    size_t scratch_size;
};

/* Base64 with padding, malloc'd; NULL when out of memory. Source: RFC 4648, section 4. */
static char *base64(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = strlen(text), used = 0;
    char *out = malloc((size + 2) / 3 * 4 + 1);
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)(uint8_t)text[i] << 16;
        bits |= i + 1 < size ? (uint32_t)(uint8_t)text[i + 1] << 8 : 0;
        bits |= i + 2 < size ? (uint32_t)(uint8_t)text[i + 2] : 0;
        out[used++] = digits[bits >> 18];
        out[used++] = digits[bits >> 12 & 63];
        out[used++] = i + 1 < size ? digits[bits >> 6 & 63] : '=';
        out[used++] = i + 2 < size ? digits[bits & 63] : '=';
    }
    out[used] = '\0';
    return out;
}

/* "authorization: base64(user:password)" or base64(token), without "Bearer": what Milvus's gRPC side
 * decodes. *line stays NULL where no credentials are given. */
static mm_status authorization(const mm_milvus_config *config, char **line, mm_error *err)
{
    mm_status status = MM_NO_MEMORY;
    char *plain = NULL, *encoded = NULL;
    if (config->token != NULL && config->token[0] != '\0')
        plain = strdup(config->token);
    else if (config->user != NULL && config->user[0] != '\0')
        plain = mm_format("%s:%s", config->user, config->password != NULL ? config->password : "");
    else
        return MM_OK;
    if (plain == NULL || (encoded = base64(plain)) == NULL ||
        (*line = mm_format("authorization: %s", encoded)) == NULL)
        goto out;
    mm_log_add_secret(config->token);
    mm_log_add_secret(config->password);
    mm_log_add_secret(encoded);
    status = MM_OK;
out:
    free(plain);
    free(encoded);
    return status == MM_OK ? MM_OK : mm_error_set(err, status, "out of memory");
}

mm_status mm_milvus_open(const mm_milvus_config *config, mm_milvus **out, mm_error *err)
{
    char *auth = NULL, *database = NULL;
    mm_milvus *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    client->timeout_ms = config->timeout_ms;
    client->last.grpc_status = MM_GRPC_NO_STATUS;
    mm_status status = authorization(config, &auth, err);
    if (status != MM_OK)
        goto out;
    client->database = strdup(config->database != NULL ? config->database : "");
    database = mm_format("dbname: %s", config->database != NULL ? config->database : "");
    if (client->database == NULL || database == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        goto out;
    }
    const char *headers[2];
    size_t count = 0;
    if (client->database[0] != '\0')
        headers[count++] = database;
    if (auth != NULL)
        headers[count++] = auth;
    mm_grpc_config grpc = {.endpoint = config->endpoint,
                           .ca_file = config->tls_ca,
                           .cert_file = config->tls_cert,
                           .key_file = config->tls_key,
                           .server_name = config->tls_server_name,
                           .headers = headers,
                           .header_count = count};
    status = mm_grpc_open(&grpc, &client->channel, err);
out:
    free(auth);
    free(database);
    if (status != MM_OK)
        mm_milvus_close(client);
    else
        *out = client;
    return status;
}

void mm_milvus_close(mm_milvus *client)
{
    if (client == NULL)
        return;
    mm_grpc_close(client->channel);
    free(client->database);
    free(client->scratch);
    free(client);
}

const char *mm_milvus_database(const mm_milvus *client)
{
    return client->database;
}

mm_grpc_channel *mm_milvus_channel(mm_milvus *client)
{
    return client->channel;
}

const mm_milvus_answer *mm_milvus_last(const mm_milvus *client)
{
    return &client->last;
}

mm_status mm_milvus_send(mm_milvus *client, mm_milvus_kind kind, const char *rpc,
                         const mm_grpc_segment *segments, size_t count, mm_grpc_reply *reply,
                         mm_error *err)
{
    char path[128];
    if (snprintf(path, sizeof(path), SERVICE "%s", rpc) >= (int)sizeof(path))
        return mm_error_set(err, MM_BUG, "rpc name '%s' is too long", rpc);
    mm_grpc_call call = {.path = path,
                         .segments = segments,
                         .segment_count = count,
                         .timeout_ms = client->timeout_ms,
                         .repeatable = kind != MM_MILVUS_WRITE};
    memset(&client->last, 0, sizeof(client->last));
    mm_status status = mm_grpc_perform(client->channel, &call, reply, err);
    client->last.grpc_status = reply->grpc_status;
    if (status != MM_OK)
        return mm_error_context(err, "%s", rpc);
    bool nested = kind != MM_MILVUS_DEFINE;
    if (!mm_milvus_read_status(reply->data, reply->size, nested, &client->last)) {
        status = kind == MM_MILVUS_WRITE ? MM_UNKNOWN : MM_UNAVAILABLE;
        return mm_error_set(err, status, "%s: malformed reply of %zu bytes", rpc, reply->size);
    }
    client->last.grpc_status = 0;
    status = mm_milvus_classify(&client->last, kind);
    if (status != MM_OK)
        return mm_error_set(err, status, "%s: %s (code %d)%s", rpc, client->last.reason,
                            client->last.code != 0 ? client->last.code : client->last.legacy,
                            kind == MM_MILVUS_WRITE ? mm_milvus_next_step(&client->last) : "");
    return MM_OK;
}

mm_status mm_milvus_call(mm_milvus *client, mm_milvus_kind kind, const char *rpc,
                         const ProtobufCMessage *request, mm_grpc_reply *reply, mm_error *err)
{
    size_t size = protobuf_c_message_get_packed_size(request);
    if (size > client->scratch_size) {
        uint8_t *larger = realloc(client->scratch, size);
        if (larger == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory for a request of %zu bytes", size);
        client->scratch = larger;
        client->scratch_size = size;
    }
    protobuf_c_message_pack(request, client->scratch);
    mm_grpc_segment segment = {client->scratch, size};
    return mm_milvus_send(client, kind, rpc, &segment, 1, reply, err);
}

mm_status mm_milvus_unpack(const ProtobufCMessageDescriptor *type, const mm_grpc_reply *reply,
                           void *out_message, mm_error *err)
{
    ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, reply->size, reply->data);
    if (message == NULL)
        return mm_error_set(err, MM_UNAVAILABLE, "malformed %s of %zu bytes", type->short_name, reply->size);
    memcpy(out_message, &message, sizeof(message));
    return MM_OK;
}
