/* The bare client that insert.py compares with: sends Insert requests that lie ready in memory, over libcurl,
 * and does nothing else: no reading, no queue, no savepoint, no fence, no retry. The requests are those that
 * mmresume sends for the same file (same extents, same batches, same encoder), made before the clock starts.
 *
 * usage: bare_insert URL FLAT.index COLLECTION CONNECTIONS EXTENT_BYTES BATCH_BYTES
 * Prints wall and processor milliseconds from the first send to the last acknowledgement, as JSON. */
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "milvus/client.h"
#include "milvus/encode.h"

#define FLAT_ROWS_AT 45 /* of an "IxF2" file: fourcc, i32 d, i64 n, 2 × i64, u8, i32 metric, u64 count */
#define UPLOAD_BUFFER (2L << 20)

typedef struct request {
    uint8_t *bytes; /* gRPC prefix and message */
    size_t size;
} request;

typedef struct work {
    const char *url;
    request *requests;
    size_t count;
    _Atomic size_t next;
    _Atomic bool failed;
} work;

typedef struct reply {
    uint8_t bytes[65536];
    size_t size;
    bool grpc_ok;
} reply;

static void die(const char *what)
{
    fprintf(stderr, "bare_insert: %s\n", what);
    exit(1);
}

/* --- before the clock: the requests --- */

static request flatten(const mm_encoder *encoder)
{
    request r = {.size = 5};
    for (size_t i = 0; i < encoder->count; i++)
        r.size += encoder->segments[i].size;
    r.bytes = malloc(r.size);
    if (r.bytes == NULL)
        die("out of memory");
    size_t at = 5, message = r.size - 5;
    r.bytes[0] = 0;
    for (int i = 0; i < 4; i++)
        r.bytes[1 + i] = (uint8_t)(message >> (24 - 8 * i));
    for (size_t i = 0; i < encoder->count; i++) {
        memcpy(r.bytes + at, encoder->segments[i].data, encoder->segments[i].size);
        at += encoder->segments[i].size;
    }
    return r;
}

static void add_request(work *w, FILE *file, mm_batch *batch, const mm_schema *schema, const char *collection,
                        uint64_t first, size_t rows)
{
    mm_error err = MM_ERROR_INIT;
    mm_encoder encoder = {0};
    mm_batch_reset(batch);
    if (mm_batch_begin(batch, schema, rows, &err) != MM_OK)
        die(err.text);
    for (size_t i = 0; i < rows; i++) {
        uint64_t id = first + i;
        memcpy(batch->columns[0].values + i * sizeof(id), &id, sizeof(id));
    }
    size_t bytes = rows * schema->fields[1].dim * sizeof(float);
    if (fread(batch->columns[1].values, 1, bytes, file) != bytes)
        die("the index file is too short");
    batch->rows = rows;
    mm_encode_args args = {.collection = collection, .batch = batch, .to = rows};
    if (mm_encode_rows(&encoder, &args, &err) != MM_OK)
        die(err.text);
    w->requests = realloc(w->requests, (w->count + 1) * sizeof(*w->requests));
    if (w->requests == NULL)
        die("out of memory");
    w->requests[w->count++] = flatten(&encoder);
    mm_encoder_free(&encoder);
}

static void make_requests(work *w, const char *path, const char *collection, size_t extent_bytes, size_t batch_bytes)
{
    unsigned char head[FLAT_ROWS_AT];
    FILE *file = fopen(path, "rb");
    if (file == NULL || fread(head, 1, sizeof(head), file) != sizeof(head) || memcmp(head, "IxF2", 4) != 0)
        die("no flat index file");
    int32_t dim;
    int64_t total;
    memcpy(&dim, head + 4, sizeof(dim));
    memcpy(&total, head + 8, sizeof(total));
    mm_field fields[] = {{.name = "id", .type = MM_TYPE_INT64, .primary = true},
                         {.name = "vector", .type = MM_TYPE_FLOAT_VECTOR, .dim = (uint32_t)dim}};
    mm_schema schema = {.name = "flat", .fields = fields, .field_count = 2};
    uint64_t width = (uint64_t)dim * sizeof(float);
    uint64_t per_extent = extent_bytes / width, per_batch = batch_bytes / (width + sizeof(int64_t));
    mm_batch batch = {.arena = MM_ARENA_INIT};
    for (uint64_t at = 0; at < (uint64_t)total;) {
        uint64_t left = per_extent - at % per_extent;
        uint64_t rows = left < per_batch ? left : per_batch;
        if (rows > (uint64_t)total - at)
            rows = (uint64_t)total - at;
        add_request(w, file, &batch, &schema, collection, at, (size_t)rows);
        at += rows;
    }
    mm_batch_free(&batch);
    fclose(file);
}

/* --- on the clock: sending --- */

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    reply *r = context;
    size_t bytes = size * count;
    if (bytes > sizeof(r->bytes) - r->size)
        bytes = sizeof(r->bytes) - r->size; /* the Status stands at the front; the row ids behind it */
    memcpy(r->bytes + r->size, data, bytes);
    r->size += bytes;
    return size * count;
}

static size_t take_header(char *line, size_t size, size_t count, void *context)
{
    reply *r = context;
    if (size * count >= 14 && strncmp(line, "grpc-status: 0", 14) == 0)
        r->grpc_ok = true;
    return size * count;
}

/* Whether the server says that it took the rows: the Status is the reply's first field. */
static bool accepted(const reply *r)
{
    mm_milvus_answer answer = {0};
    if (!r->grpc_ok || r->size < 7 || r->bytes[5] != 0x0A || r->bytes[6] >= 0x80)
        return false;
    size_t status = 2 + (size_t)r->bytes[6];
    return r->size >= 5 + status && mm_milvus_read_status(r->bytes + 5, status, true, &answer) && answer.code == 0 &&
           answer.legacy == 0;
}

static void set_up(CURL *curl, const work *w, struct curl_slist *headers, reply *r)
{
    curl_easy_setopt(curl, CURLOPT_URL, w->url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

static void *send_requests(void *context)
{
    work *w = context;
    reply *r = malloc(sizeof(*r));
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/grpc");
    curl_slist_append(headers, "TE: trailers");
    curl_slist_append(headers, "Expect:");
    if (r == NULL || curl == NULL || headers == NULL)
        die("out of memory");
    set_up(curl, w, headers, r);
    /* libcurl 7 cannot reuse a connection of prior knowledge; HTTP/2 by name works on the open one */
    long version = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    for (size_t at; (at = w->next++) < w->count && !w->failed; version = CURL_HTTP_VERSION_2_0) {
        r->size = 0;
        r->grpc_ok = false;
        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, version);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, w->requests[at].bytes);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)w->requests[at].size);
        CURLcode code = curl_easy_perform(curl);
        if (code != CURLE_OK || !accepted(r)) {
            fprintf(stderr, "bare_insert: request %zu: %s\n", at, curl_easy_strerror(code));
            w->failed = true;
        }
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    free(r);
    return NULL;
}

static double processor_ms(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

int main(int argc, char **argv)
{
    if (argc != 7)
        die("usage: bare_insert URL FLAT.index COLLECTION CONNECTIONS EXTENT_BYTES BATCH_BYTES");
    char url[512];
    pthread_t threads[64];
    size_t connections = strtoul(argv[4], NULL, 10);
    if (connections == 0 || connections > MM_COUNT(threads))
        die("1 to 64 connections");
    snprintf(url, sizeof(url), "%s/milvus.proto.milvus.MilvusService/Insert", argv[1]);
    work w = {.url = url};
    curl_global_init(CURL_GLOBAL_DEFAULT);
    make_requests(&w, argv[2], argv[3], strtoull(argv[5], NULL, 10), strtoull(argv[6], NULL, 10));
    double cpu = processor_ms();
    uint64_t began = mm_clock_ns();
    for (size_t i = 0; i < connections; i++)
        if (pthread_create(&threads[i], NULL, send_requests, &w) != 0)
            die("cannot start a thread");
    for (size_t i = 0; i < connections; i++)
        pthread_join(threads[i], NULL);
    printf("{\"wall_ms\": %.1f, \"cpu_ms\": %.1f, \"requests\": %zu}\n", (double)(mm_clock_ns() - began) / 1e6,
           processor_ms() - cpu, w.count);
    for (size_t i = 0; i < w.count; i++)
        free(w.requests[i].bytes);
    free(w.requests);
    return w.failed ? 1 : 0;
}
