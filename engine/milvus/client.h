/* A client of Milvus's gRPC interface: one connection, one thread at a time. Turns a server's answer
 * into a status whose class says what may be done next. Knows no job, step or sink.
 *
 * Source of names and numbers: milvus-proto; of the codes: Milvus's pkg/util/merr. */
#ifndef MM_MILVUS_CLIENT_H
#define MM_MILVUS_CLIENT_H

#include <protobuf-c/protobuf-c.h>

#include "base/util.h"
#include "model/schema.h"
#include "net/grpc.h"

typedef struct mm_milvus mm_milvus;

typedef struct mm_milvus_config {
    const char *endpoint; /* http:// or https:// URL */
    const char *token;    /* "user:password" or an API key; or user and password apart; or nothing */
    const char *user, *password;
    const char *database; /* NULL: the default one */
    const char *tls_ca, *tls_cert, *tls_key, *tls_server_name;
    uint64_t timeout_ms; /* deadline of each request; 0: 60 s */
} mm_milvus_config;

/* Connects at the first call. Strings are copied. MM_CONFIG. */
mm_status mm_milvus_open(const mm_milvus_config *config, mm_milvus **out, mm_error *err) MM_MUST_USE;
void mm_milvus_close(mm_milvus *client);
/* "" for the default database. */
const char *mm_milvus_database(const mm_milvus *client);
mm_grpc_channel *mm_milvus_channel(mm_milvus *client);

/* What a call does decides what a failure of unknown outcome means, and where the Status stands:
 * definitions answer with a Status itself, the others with a message whose field 1 is the Status. */
typedef enum mm_milvus_kind {
    MM_MILVUS_DEFINE, /* idempotent definition of data: create, drop, load, … */
    MM_MILVUS_READ,   /* changes nothing */
    MM_MILVUS_WRITE   /* Insert, Upsert, Delete: an unknown outcome is MM_UNKNOWN */
} mm_milvus_kind;

/* Codes of Status.code (merr) that callers tell apart. */
enum {
    MM_MILVUS_COLLECTION_NOT_FOUND = 100,
    MM_MILVUS_PARTITION_NOT_FOUND = 200,
    MM_MILVUS_INDEX_NOT_FOUND = 700,
    MM_MILVUS_ALIAS_NOT_FOUND = 1600
};

/* What the server said last; for callers that treat one refusal as an answer. */
typedef struct mm_milvus_answer {
    int grpc_status;     /* MM_GRPC_NO_STATUS: none came */
    int32_t code;        /* Status.code; 0: fine, or an old server that sets only legacy */
    int32_t legacy;      /* Status.error_code */
    bool retriable;
    char reason[512];
} mm_milvus_answer;
const mm_milvus_answer *mm_milvus_last(const mm_milvus *client);

/* Statuses of all calls, besides those of mm_grpc_perform:
 *   MM_RATE_LIMITED  rate limit              MM_QUOTA  memory, disk or write quota
 *   MM_NOT_READY     server or collection not ready, not loaded, no replica yet
 *   MM_NOT_FOUND     no such collection, partition, database, index
 *   MM_AUTH          MM_TARGET: a definition or query was refused      MM_DATA: rows were refused
 *   MM_UNKNOWN       a write failed in a way that does not prove it was not executed */

/* One call: packs request, performs, checks the Status. reply: the reply message, valid until the next
 * call. */
mm_status mm_milvus_call(mm_milvus *client, mm_milvus_kind kind, const char *rpc,
                         const ProtobufCMessage *request, mm_grpc_reply *reply, mm_error *err) MM_MUST_USE;
/* The same with the request's bytes ready in segments. */
mm_status mm_milvus_send(mm_milvus *client, mm_milvus_kind kind, const char *rpc,
                         const mm_grpc_segment *segments, size_t count, mm_grpc_reply *reply,
                         mm_error *err) MM_MUST_USE;
/* Decodes a reply with protobuf-c; free with protobuf_c_message_free_unpacked. */
mm_status mm_milvus_unpack(const ProtobufCMessageDescriptor *type, const mm_grpc_reply *reply,
                           void *out_message, mm_error *err) MM_MUST_USE;

/* --- parts, apart for tests and fuzzing ----------------------------------------------------------- */

/* Reads a Status message, or (nested) the Status in field 1 of a message. False when malformed. */
bool mm_milvus_read_status(const uint8_t *data, size_t size, bool nested, mm_milvus_answer *out);
/* What to do about a refused write, for behind the server's reason; "": nothing is known. */
const char *mm_milvus_next_step(const mm_milvus_answer *answer);
/* The status that an answer stands for; MM_OK when it is none of an error. */
mm_status mm_milvus_classify(const mm_milvus_answer *answer, mm_milvus_kind kind);

#endif
