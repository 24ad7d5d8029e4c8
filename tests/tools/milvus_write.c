/* Drives the Milvus sink directly with synthetic rows, for the integration tests and the benchmark.
 * Knows no engine: it calls the driver's functions in the order in which an engine would.
 *
 *   milvus_write key=value …
 * endpoint, and every other option of the driver; and:
 *   collection=NAME  schema=plain|wide|binary|half|varchar  dim=N  rows=N  first=N  batch=ROWS  lanes=N
 *   mode=insert|upsert  if_exists=fail|append|skip|overwrite  index=auto|none  load=true|false
 *   verify=true|false  partition=NAME  tag=16 HEX DIGITS  run=N  fence=EPOCH (0: through the name)
 *   move_from=EPOCH  do=LIST of before,move,write,drop,after,check,delete,finish (in the order given)
 *   metric=NAME
 * Prints one JSON object; exit code as the program's for the status that ended it.
 *
 * Row r of any schema is a function of r alone: see fill_*; the tests compute the same in Python. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "sinks/milvus/milvus.h"

enum { PAIRS_MAX = 64 };

typedef struct settings {
    const char *pairs[PAIRS_MAX + 1]; /* the driver's own */
    size_t pair_count;
    const char *collection, *schema, *partition, *tag, *list, *mode, *if_exists, *index, *metric;
    uint64_t rows, first, batch, fence, move_from;
    uint32_t dim, lanes, run;
    bool load, verify;
} settings;

typedef struct result {
    uint64_t acknowledged, read_back, different, counted, keys_counted;
    double wall, cpu;
} result;

/* --- rows ----------------------------------------------------------------------------------------- */

static mm_field fields_plain[] = {
    {.name = "id", .type = MM_TYPE_INT64, .primary = true},
    {.name = "v", .type = MM_TYPE_FLOAT_VECTOR},
};
static mm_field fields_wide[] = {
    {.name = "id", .type = MM_TYPE_INT64, .primary = true},
    {.name = "b", .type = MM_TYPE_BOOL},
    {.name = "i8", .type = MM_TYPE_INT8},
    {.name = "i16", .type = MM_TYPE_INT16},
    {.name = "i32", .type = MM_TYPE_INT32},
    {.name = "i64", .type = MM_TYPE_INT64},
    {.name = "f", .type = MM_TYPE_FLOAT},
    {.name = "d", .type = MM_TYPE_DOUBLE},
    {.name = "s", .type = MM_TYPE_VARCHAR, .max_length = 200},
    {.name = "j", .type = MM_TYPE_JSON},
    {.name = "v", .type = MM_TYPE_FLOAT_VECTOR},
    {.name = "$meta", .type = MM_TYPE_JSON, .dynamic = true},
};
static mm_field fields_binary[] = {
    {.name = "id", .type = MM_TYPE_INT64, .primary = true},
    {.name = "v", .type = MM_TYPE_BINARY_VECTOR},
};
static mm_field fields_half[] = {
    {.name = "id", .type = MM_TYPE_INT64, .primary = true},
    {.name = "v", .type = MM_TYPE_FLOAT16_VECTOR},
};
static mm_field fields_varchar[] = {
    {.name = "key", .type = MM_TYPE_VARCHAR, .primary = true, .max_length = 200},
    {.name = "v", .type = MM_TYPE_FLOAT_VECTOR},
};

static void make_schema(const settings *s, mm_schema *schema)
{
    static const struct {
        const char *name;
        mm_field *fields;
        size_t count;
    } known[] = {{"plain", fields_plain, MM_COUNT(fields_plain)},    {"wide", fields_wide, MM_COUNT(fields_wide)},
                 {"binary", fields_binary, MM_COUNT(fields_binary)}, {"half", fields_half, MM_COUNT(fields_half)},
                 {"varchar", fields_varchar, MM_COUNT(fields_varchar)}};
    for (size_t i = 0; i < MM_COUNT(known); i++) {
        if (strcmp(known[i].name, s->schema) != 0)
            continue;
        *schema = (mm_schema){.name = s->collection, .fields = known[i].fields, .field_count = known[i].count};
        for (size_t j = 0; j < known[i].count; j++) {
            if (!mm_type_is_vector(known[i].fields[j].type))
                continue;
            known[i].fields[j].dim = s->dim;
            known[i].fields[j].metric_type = s->metric;
        }
        schema->enable_dynamic_field = strcmp(s->schema, "wide") == 0;
        return;
    }
    fprintf(stderr, "unknown schema '%s'\n", s->schema);
    exit(2);
}

/* Integers: r times an odd number, cut to the type, so that signs and sizes vary; keys are r itself, and
 * the first of each 1000 its negative. */
static int64_t key_of(uint64_t r)
{
    return r % 1000 == 0 ? -(int64_t)r : (int64_t)r;
}

static void fill_fixed(const mm_field *field, uint64_t r, uint8_t *to)
{
    uint64_t number = field->primary ? (uint64_t)key_of(r) : r * 0x9E3779B97F4A7C15ull;
    float f32 = (float)(r % 4096) / 8 - 100;
    double f64 = (double)r / 1024 - 1000;
    switch (field->type) {
    case MM_TYPE_BOOL:
        *to = r % 3 == 0;
        break;
    case MM_TYPE_FLOAT:
        memcpy(to, &f32, sizeof(f32));
        break;
    case MM_TYPE_DOUBLE:
        memcpy(to, &f64, sizeof(f64));
        break;
    case MM_TYPE_FLOAT_VECTOR:
        for (uint32_t i = 0; i < field->dim; i++) {
            float value = (float)((r * 31 + i * 7) % 1000) / 8;
            memcpy(to + 4 * i, &value, sizeof(value));
        }
        break;
    case MM_TYPE_FLOAT16_VECTOR: /* bit patterns 0x3C00 + n: small numbers above 1 */
        for (uint32_t i = 0; i < field->dim; i++) {
            uint16_t value = (uint16_t)(0x3C00 + (r * 31 + i * 7) % 1000);
            memcpy(to + 2 * i, &value, sizeof(value));
        }
        break;
    case MM_TYPE_BINARY_VECTOR:
        for (uint32_t i = 0; i < field->dim / 8; i++)
            to[i] = (uint8_t)(r * 31 + i * 7);
        break;
    default:
        memcpy(to, &number, mm_type_width(field->type, 0));
        break;
    }
}

static int fill_text(const mm_field *field, uint64_t r, char out[200])
{
    if (field->primary)
        return snprintf(out, 200, "k\"%" PRIu64 "\\\n'é\t", r);
    if (field->dynamic)
        return snprintf(out, 200, "{\"extra\":%" PRIu64 "}", r);
    if (field->type == MM_TYPE_JSON)
        return snprintf(out, 200, "{\"r\":%" PRIu64 ",\"t\":\"ü%" PRIu64 "\"}", r, r % 7);
    return snprintf(out, 200, "text %" PRIu64 " ßé%.*s", r, (int)(r % 50), "--------------------------------------------------");
}

static mm_status fill_batch(const mm_schema *schema, uint64_t first, size_t rows, mm_batch *batch, mm_error *err)
{
    mm_batch_reset(batch);
    mm_status status = mm_batch_begin(batch, schema, rows, err);
    for (size_t c = 0; c < schema->field_count && status == MM_OK; c++) {
        mm_column *column = &batch->columns[c];
        size_t width = mm_type_width(column->field->type, column->field->dim);
        if (width == 0 && (column->values = mm_arena_alloc(&batch->arena, rows * 200)) == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory");
        for (size_t r = 0; r < rows; r++) {
            if (width > 0) {
                fill_fixed(column->field, first + r, column->values + r * width);
                continue;
            }
            char text[200];
            size_t length = (size_t)fill_text(column->field, first + r, text);
            memcpy(column->values + column->offsets[r], text, length);
            column->offsets[r + 1] = column->offsets[r] + length;
        }
    }
    batch->rows = rows;
    batch->first_row = first;
    if (status == MM_OK)
        mm_batch_hash(batch);
    return status;
}

/* --- lanes ---------------------------------------------------------------------------------------- */

typedef struct job {
    const settings *s;
    const mm_schema *schema;
    mm_sink *sink;
    const mm_sink_driver *driver;
    char what; /* w: write, c: check, d: delete elsewhere */
    pthread_mutex_t lock;
    pthread_barrier_t start;
    uint64_t next; /* next row to take */
    mm_status status;
    mm_error err;
    result *out;
} job;

static bool take(job *j, uint64_t *first, size_t *rows)
{
    pthread_mutex_lock(&j->lock);
    uint64_t end = j->s->first + j->s->rows;
    bool any = j->next < end && j->status == MM_OK;
    if (any) {
        *first = j->next;
        *rows = (size_t)(end - j->next < j->s->batch ? end - j->next : j->s->batch);
        j->next += *rows;
    }
    pthread_mutex_unlock(&j->lock);
    return any;
}

static void finish(job *j, mm_status status, const mm_error *err, uint64_t acknowledged, const result *add)
{
    pthread_mutex_lock(&j->lock);
    if (status != MM_OK && j->status == MM_OK) {
        j->status = status;
        j->err = *err;
    }
    j->out->acknowledged += acknowledged;
    j->out->read_back += add->read_back;
    j->out->different += add->different;
    j->out->keys_counted += add->keys_counted;
    pthread_mutex_unlock(&j->lock);
}

static mm_status check_batch(job *j, mm_lane *lane, const mm_write *what, const mm_batch *batch, mm_batch *back,
                             result *add, mm_error *err)
{
    uint64_t keys = 0;
    mm_batch_reset(back);
    mm_status status = j->driver->read_back(lane, what, batch, back, err);
    if (status == MM_OK)
        status = j->driver->count_keys(lane, 0, 0, batch, 0, batch->rows, &keys, err);
    if (status != MM_OK)
        return status;
    add->read_back = back->rows;
    add->keys_counted = keys;
    add->different = back->rows != batch->rows || back->checksum != batch->checksum;
    return MM_OK;
}

static void *work(void *context)
{
    job *j = context;
    mm_lane *lane = NULL;
    mm_batch batch = {0}, back = {0};
    mm_error err = MM_ERROR_INIT;
    result none = {0};
    uint64_t first;
    size_t rows;
    mm_status status = j->driver->lane_open(j->sink, 0, &lane, &err);
    if (status == MM_OK) /* memory is touched before the clock starts */
        status = fill_batch(j->schema, j->s->first, (size_t)j->s->batch, &batch, &err);
    pthread_barrier_wait(&j->start);
    finish(j, status, &err, 0, &none);
    while (status == MM_OK && take(j, &first, &rows)) {
        mm_write what = {.mode = strcmp(j->s->mode, "upsert") == 0 ? MM_WRITE_UPSERT : MM_WRITE_INSERT,
                         .fence = j->s->fence};
        size_t acknowledged = 0;
        result add = {0};
        status = fill_batch(j->schema, first, rows, &batch, &err);
        if (status == MM_OK && j->what == 'w')
            status = j->driver->write(lane, &what, &batch, &acknowledged, &err);
        else if (status == MM_OK && j->what == 'c')
            status = check_batch(j, lane, &what, &batch, &back, &add, &err);
        else if (status == MM_OK)
            status = j->driver->delete_keys(lane, 0, 0, true, &batch, 0, batch.rows, &err);
        finish(j, status, &err, acknowledged, &add);
    }
    mm_batch_free(&batch);
    mm_batch_free(&back);
    if (lane != NULL)
        j->driver->lane_close(lane);
    return NULL;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static mm_status run_lanes(const settings *s, const mm_schema *schema, mm_sink *sink, char what, result *out,
                           mm_error *err)
{
    job j = {.s = s, .schema = schema, .sink = sink, .driver = &mm_sink_milvus, .what = what, .next = s->first, .out = out};
    pthread_t threads[64];
    uint32_t lanes = s->lanes < 64 ? s->lanes : 64;
    uint32_t most = mm_sink_milvus.lanes_max(sink);
    if (most > 0 && lanes > most)
        lanes = most;
    pthread_mutex_init(&j.lock, NULL);
    pthread_barrier_init(&j.start, NULL, lanes + 1);
    for (uint32_t i = 0; i < lanes; i++)
        if (pthread_create(&threads[i], NULL, work, &j) != 0)
            abort();
    pthread_barrier_wait(&j.start);
    uint64_t begin = mm_clock_ns();
    double cpu = cpu_seconds();
    for (uint32_t i = 0; i < lanes; i++)
        pthread_join(threads[i], NULL);
    if (what == 'w') {
        out->wall = (double)(mm_clock_ns() - begin) / 1e9;
        out->cpu = cpu_seconds() - cpu;
    }
    if (j.status != MM_OK)
        *err = j.err;
    return j.status;
}

/* --- steps ---------------------------------------------------------------------------------------- */

static mm_status run_steps(mm_sink *sink, mm_step_phase phase, bool act, mm_error *err)
{
    char intent[MM_STEP_DETAIL], detail[MM_STEP_DETAIL];
    for (size_t i = 0; act && i < mm_sink_milvus.step_count; i++) {
        const mm_step *step = &mm_sink_milvus.steps[i];
        mm_status status = MM_OK;
        if (step->phase != phase)
            continue;
        intent[0] = detail[0] = '\0';
        if (step->intend != NULL)
            status = step->intend(sink, 0, intent, err);
        if (status == MM_OK)
            status = step->run(sink, 0, intent, detail, err);
        fprintf(stderr, "step %s: intent '%s' detail '%s' %s\n", step->name, intent, detail, mm_status_name(status));
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

static mm_status run_one(const settings *s, const mm_schema *schema, mm_sink *sink, const char *what, result *out,
                         mm_error *err)
{
    uint64_t highest = 0;
    if (strcmp(what, "before") == 0)
        return run_steps(sink, MM_STEP_BEFORE, true, err);
    if (strcmp(what, "move") == 0) {
        mm_status status = mm_sink_milvus.fence_move(sink, 0, s->move_from, s->fence, err);
        if (status == MM_OK)
            status = mm_sink_milvus.fence_highest(sink, 0, &highest, err);
        if (status == MM_OK && highest != s->fence)
            return mm_error_set(err, MM_BUG, "highest epoch is %" PRIu64, highest);
        return status;
    }
    if (strcmp(what, "write") == 0)
        return run_lanes(s, schema, sink, 'w', out, err);
    if (strcmp(what, "drop") == 0)
        return mm_sink_milvus.fence_drop(sink, 0, s->fence, err);
    if (strcmp(what, "after") == 0)
        return run_steps(sink, MM_STEP_AFTER, true, err);
    if (strcmp(what, "check") == 0) {
        mm_status status = mm_sink_milvus.count(sink, 0, s->partition, &out->counted, err);
        return status == MM_OK ? run_lanes(s, schema, sink, 'c', out, err) : status;
    }
    if (strcmp(what, "delete") == 0)
        return run_lanes(s, schema, sink, 'd', out, err);
    if (strcmp(what, "finish") == 0)
        return run_steps(sink, MM_STEP_FINISH, true, err);
    return mm_error_set(err, MM_USAGE, "unknown action '%s'", what);
}

/* --- settings ------------------------------------------------------------------------------------- */

static bool set(settings *s, const char *key, const char *value)
{
    const struct {
        const char *key;
        const char **text;
        uint64_t *number;
        uint32_t *small;
        bool *flag;
    } known[] = {
        {"collection", &s->collection, NULL, NULL, NULL}, {"schema", &s->schema, NULL, NULL, NULL},
        {"partition", &s->partition, NULL, NULL, NULL},   {"tag", &s->tag, NULL, NULL, NULL},
        {"do", &s->list, NULL, NULL, NULL},               {"mode", &s->mode, NULL, NULL, NULL},
        {"if_exists", &s->if_exists, NULL, NULL, NULL},   {"index", &s->index, NULL, NULL, NULL},
        {"metric", &s->metric, NULL, NULL, NULL},         {"rows", NULL, &s->rows, NULL, NULL},
        {"first", NULL, &s->first, NULL, NULL},           {"batch", NULL, &s->batch, NULL, NULL},
        {"fence", NULL, &s->fence, NULL, NULL},           {"move_from", NULL, &s->move_from, NULL, NULL},
        {"dim", NULL, NULL, &s->dim, NULL},               {"lanes", NULL, NULL, &s->lanes, NULL},
        {"run", NULL, NULL, &s->run, NULL},               {"load", NULL, NULL, NULL, &s->load},
        {"verify", NULL, NULL, NULL, &s->verify},
    };
    for (size_t i = 0; i < MM_COUNT(known); i++) {
        if (strcmp(known[i].key, key) != 0)
            continue;
        if (known[i].text != NULL)
            *known[i].text = value;
        else if (known[i].number != NULL)
            *known[i].number = strtoull(value, NULL, 10);
        else if (known[i].small != NULL)
            *known[i].small = (uint32_t)strtoul(value, NULL, 10);
        else
            *known[i].flag = strcmp(value, "true") == 0;
        return true;
    }
    return false;
}

static settings read_settings(int argc, char **argv)
{
    settings s = {.collection = "rows", .schema = "plain", .tag = "00000000000000aa", .mode = "insert", .if_exists = "fail",
                  .index = "auto", .list = "before,move,write,drop,after,check,finish", .rows = 1000, .batch = 10000, .fence = 1,
                  .dim = 8, .lanes = 2, .run = 1, .load = true, .verify = true, .metric = "L2"};
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        char key[64];
        if (value == NULL || snprintf(key, sizeof(key), "%.*s", (int)(value - argv[i]), argv[i]) >= (int)sizeof(key) ||
            s.pair_count == PAIRS_MAX) {
            fprintf(stderr, "not key=value: %s\n", argv[i]);
            exit(2);
        }
        if (!set(&s, key, value + 1))
            s.pairs[s.pair_count++] = argv[i];
    }
    if (s.metric[0] == '\0')
        s.metric = NULL;
    return s;
}

static mm_if_exists if_exists_of(const char *name)
{
    static const char *const names[] = {"fail", "append", "skip", "overwrite"};
    for (size_t i = 0; i < MM_COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            return (mm_if_exists)i;
    fprintf(stderr, "unknown if_exists '%s'\n", name);
    exit(2);
}

static bool never_stopping(void *context)
{
    (void)context;
    return false;
}

static mm_status run(const settings *s, result *out, mm_error *err)
{
    mm_options *options = NULL;
    mm_sink *sink = NULL;
    mm_schema schema;
    make_schema(s, &schema);
    const char *partitions[1] = {s->partition};
    mm_sink_collection collection = {.name = s->collection, .schema = &schema, .partitions = partitions, .partition_count = 1,
                                     .if_exists = if_exists_of(s->if_exists), .load = s->load, .verify = s->verify, .rows = s->rows,
                                     .index_mode = strcmp(s->index, "none") == 0 ? MM_INDEX_NONE : MM_INDEX_AUTO};
    mm_sink_host host = {.stopping = never_stopping};
    mm_status status = mm_options_make(mm_sink_milvus.options, mm_sink_milvus.option_count, s->pairs, &options, err);
    mm_sink_args args = {.options = options, .job_tag = s->tag, .run = s->run, .host = &host, .collections = &collection,
                         .collection_count = 1};
    if (status == MM_OK)
        status = mm_sink_milvus.open(&args, &sink, err);
    char list[256];
    snprintf(list, sizeof(list), "%s", s->list);
    char *rest = list;
    for (char *what = strsep(&rest, ","); status == MM_OK && what != NULL; what = strsep(&rest, ","))
        status = run_one(s, &schema, sink, what, out, err);
    if (sink != NULL)
        mm_sink_milvus.close(sink);
    mm_options_free(options);
    return status;
}

int main(int argc, char **argv)
{
    settings s = read_settings(argc, argv);
    result r = {0};
    mm_error err = MM_ERROR_INIT;
    mm_status status = run(&s, &r, &err);
    for (char *c = err.text; *c != '\0'; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < 0x20)
            *c = '\'';
    printf("{\"status\":\"%s\",\"error\":\"%s\",\"acknowledged\":%" PRIu64 ",\"counted\":%" PRIu64 ",\"read_back\":%" PRIu64
           ",\"keys_counted\":%" PRIu64 ",\"different\":%" PRIu64 ",\"wall_s\":%.4f,\"cpu_s\":%.4f}\n",
           mm_status_name(status), status == MM_OK ? "" : err.text, r.acknowledged, r.counted, r.read_back, r.keys_counted,
           r.different, r.wall, r.cpu);
    return mm_status_exit(status);
}
