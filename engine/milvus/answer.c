/* What a Milvus Status means: reads the message and classifies it. Source of the codes: Milvus's
 * pkg/util/merr (Status.code, servers since 2.3) and common.proto's ErrorCode (the legacy field, all
 * that 2.2 sets). */
#include <stdio.h>
#include <string.h>

#include "milvus/client.h"
#include "base/wire.h"

/* A foreign string as one printable line. */
static void copy_reason(char *out, size_t capacity, const uint8_t *data, size_t size)
{
    size_t n = size < capacity - 1 ? size : capacity - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = data[i] < 0x20 || data[i] == 0x7F ? ' ' : (char)data[i];
    out[n] = '\0';
}

static bool read_status(const uint8_t *data, size_t size, mm_milvus_answer *out)
{
    mm_wire wire = mm_wire_over(data, size);
    mm_wire_field field;
    while (mm_wire_next(&wire, &field)) {
        if (field.number == 1 && field.type == MM_WIRE_VARINT)
            out->legacy = (int32_t)field.value;
        else if (field.number == 2 && field.type == MM_WIRE_BYTES)
            copy_reason(out->reason, sizeof(out->reason), field.data, field.size);
        else if (field.number == 3 && field.type == MM_WIRE_VARINT)
            out->code = (int32_t)field.value;
        else if (field.number == 4 && field.type == MM_WIRE_VARINT)
            out->retriable = field.value != 0;
    }
    return !wire.bad;
}

bool mm_milvus_read_status(const uint8_t *data, size_t size, bool nested, mm_milvus_answer *out)
{
    *out = (mm_milvus_answer){.grpc_status = 0};
    if (!nested)
        return read_status(data, size, out);
    mm_wire wire = mm_wire_over(data, size);
    mm_wire_field field;
    while (mm_wire_next(&wire, &field))
        if (field.number == 1 && field.type == MM_WIRE_BYTES && !read_status(field.data, field.size, out))
            return false;
    return !wire.bad;
}

/* Refusals that are the same for every kind of call, and given before anything was done. */
static mm_status classify_common(const mm_milvus_answer *answer)
{
    switch (answer->code) {
    case 1: /* service not ready; Milvus Lite says 1 with legacy 1 for "unexpected" */
        return answer->legacy == 1 ? MM_OK : MM_NOT_READY;
    case 3: /* memory limit */
    case 7: /* disk limit */
    case 9: /* quota */
        return MM_QUOTA;
    case 4: /* too many requests */
    case 8: /* rate limit */
        return MM_RATE_LIMITED;
    case 100: /* collection */
    case 200: /* partition */
    case 700: /* index */
    case 800: /* database */
    case 1600: /* alias */
        return MM_NOT_FOUND;
    case 1400: /* not authenticated */
    case 1401: /* not permitted */
        return MM_AUTH;
    default:
        return MM_OK;
    }
}

static mm_status classify_legacy(int32_t legacy)
{
    switch (legacy) {
    case 3: /* PermissionDenied */
        return MM_AUTH;
    case 4:  /* CollectionNotExists */
    case 28: /* CollectionNameNotFound */
    case 25: /* IndexNotExist */
        return MM_NOT_FOUND;
    case 24: /* OutOfMemory */
    case 48: /* ForceDeny */
    case 52: /* InsufficientMemoryToLoad */
    case 53: /* MemoryQuotaExhausted */
    case 54: /* DiskQuotaExhausted */
    case 55: /* TimeTickLongDelay */
        return MM_QUOTA;
    case 49: /* RateLimit */
        return MM_RATE_LIMITED;
    case 56: /* NotReadyServe */
    case 57: /* NotReadyCoordActivating */
        return MM_NOT_READY;
    default:
        return MM_OK;
    }
}

static bool is_argument_error(const mm_milvus_answer *answer)
{
    int32_t code = answer->code, legacy = answer->legacy;
    return (code >= 1100 && code <= 1199) || code == 109 || (code == 0 && legacy >= 5 && legacy <= 13) ||
           (code == 6 && legacy == 6);
}

/* The proxy looks at JSON before anything is written, and says what Go's parser says, under codes for anything (legacy 1,
 * 65535) or for files (1001, seen of 2.3.5). Before 2.4 a value must be an object. */
static bool is_json_error(const mm_milvus_answer *answer)
{
    static const char *const words[] = {"json: cannot unmarshal", "invalid character '", "unexpected end of JSON input"};
    bool general = answer->code == 1001 || answer->code == 65535 || (answer->code == 0 && answer->legacy == 1);
    for (size_t i = 0; general && i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(answer->reason, words[i]) != NULL)
            return true;
    return false;
}

/* A write that failed in any way not listed above may have appended a part of its rows. */
static mm_status classify_write(const mm_milvus_answer *answer)
{
    if (is_argument_error(answer) || is_json_error(answer))
        return MM_DATA;
    return MM_UNKNOWN;
}

/* Collections that are loading, replicas and channels that move: all pass with time. */
static mm_status classify_read(const mm_milvus_answer *answer)
{
    int32_t code = answer->code;
    if (is_argument_error(answer))
        return MM_TARGET;
    if (code == 101 || code == 103 || code == 106 || code == 110 || code == 201 || code == 202 ||
        (code >= 400 && code < 700) || (code >= 900 && code < 1000))
        return MM_NOT_READY;
    return MM_UNAVAILABLE;
}

static mm_status classify_define(const mm_milvus_answer *answer)
{
    int32_t code = answer->code;
    if (answer->retriable || code == 2 || code == 12 || code == 106 || (code >= 900 && code < 1000))
        return MM_NOT_READY;
    return MM_TARGET;
}

const char *mm_milvus_next_step(const mm_milvus_answer *answer)
{
    return is_json_error(answer) ? "; a Milvus before 2.4 takes only objects in a field of JSON" : "";
}

mm_status mm_milvus_classify(const mm_milvus_answer *answer, mm_milvus_kind kind)
{
    if (answer->code == 0 && answer->legacy == 0)
        return MM_OK;
    mm_status status = classify_common(answer);
    if (status == MM_OK && answer->code == 0)
        status = classify_legacy(answer->legacy);
    if (status != MM_OK)
        return status;
    switch (kind) {
    case MM_MILVUS_WRITE:
        return classify_write(answer);
    case MM_MILVUS_READ:
        return classify_read(answer);
    default:
        return classify_define(answer);
    }
}
