/* A small stand-in for the engine over the target `files`: writes known rows through lanes, commits cursors
 * and the sink's state to a text file by rename, goes on from there when started again, verifies by reading
 * back, publishes. Made to be killed at any failpoint. Knows no savepoint store.
 *
 *   files_engine OUT STORE FORMAT fail|append|skip|overwrite SEED LANES FIRST_TASK TASKS ROWS
 *
 * Task t has rows 0 … ROWS - 1, less those with (row + t) % 7 == 3 when t is odd; row r is id = t × 1000000 + r,
 * vector of 8 floats id / 2 + j, name "n<id mod 1000>", in partition t % 3 of {none, "even/odd", "p2"}. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/util.h"
#include "sinks/files/files.h"

enum { DIM = 8, PARTITIONS = 3, FILE_SIZE = 6000 };
#define TAG "00112233aabbccdd"

typedef struct entry { char *key, *value; } entry;

static struct {
    const char *path;
    entry *items;
    size_t count;
    pthread_mutex_t lock;
} store = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t first_task, task_count, task_rows;
static const mm_sink_driver *driver = &mm_sink_files;
static mm_sink *sink;

static void fail(const char *what, const mm_error *err)
{
    fprintf(stderr, "files_engine: %s: %s\n", what, err ? err->text : "");
    exit(err ? mm_status_exit(err->status) : 1);
}

static void *must(void *memory)
{
    if (memory == NULL)
        fail("out of memory", NULL);
    return memory;
}

/* --- the store: lines of key TAB value --- */

static void store_set(const char *key, const char *value)
{
    size_t i = 0;
    while (i < store.count && strcmp(store.items[i].key, key) != 0)
        i++;
    if (i < store.count) {
        free(store.items[i].value);
        free(store.items[i].key);
        store.items[i] = store.items[--store.count];
    }
    if (value == NULL)
        return;
    store.items = must(reallocarray(store.items, store.count + 1, sizeof(*store.items)));
    store.items[store.count++] = (entry){must(strdup(key)), must(strdup(value))};
}

static const char *store_get(const char *key)
{
    for (size_t i = 0; i < store.count; i++)
        if (strcmp(store.items[i].key, key) == 0)
            return store.items[i].value;
    return NULL;
}

static void store_commit(void)
{
    char *part = must(mm_format("%s.part", store.path));
    FILE *file = must(fopen(part, "w"));
    for (size_t i = 0; i < store.count; i++)
        fprintf(file, "%s\t%s\n", store.items[i].key, store.items[i].value);
    if (fclose(file) != 0 || rename(part, store.path) != 0)
        fail("cannot write the store", NULL);
    free(part);
    MM_FAILPOINT("engine.committed");
}

static void store_load(void)
{
    FILE *file = fopen(store.path, "r");
    if (file == NULL)
        return;
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) > 0) {
        char *tab = strchr(line, '\t');
        line[strlen(line) - 1] = '\0';
        *tab = '\0';
        store_set(line, tab + 1);
    }
    free(line);
    fclose(file);
}

static mm_status host_record(void *context, const char *key, const char *value, mm_error *err)
{
    (void)context;
    (void)err;
    char *name = must(mm_format("state/%s", key));
    pthread_mutex_lock(&store.lock);
    store_set(name, value);
    store_commit();
    pthread_mutex_unlock(&store.lock);
    free(name);
    return MM_OK;
}

static bool host_stopping(void *context)
{
    (void)context;
    return false;
}

/* settle records while it iterates: a copy of the states as they were */
typedef struct states { entry *items; size_t count, at; } states;

static bool next_state(void *context, const char **key, const char **value)
{
    states *s = context;
    if (s->at == s->count)
        return false;
    *key = s->items[s->at].key;
    *value = s->items[s->at++].value;
    return true;
}

static void settle(void)
{
    states s = {must(calloc(store.count + 1, sizeof(entry))), 0, 0};
    for (size_t i = 0; i < store.count; i++)
        if (strncmp(store.items[i].key, "state/", 6) == 0)
            s.items[s.count++] = (entry){must(strdup(store.items[i].key + 6)), must(strdup(store.items[i].value))};
    mm_error err = MM_ERROR_INIT;
    if (driver->settle(sink, next_state, &s, &err) != MM_OK)
        fail("settle", &err);
    for (size_t i = 0; i < s.count; i++) {
        free(s.items[i].key);
        free(s.items[i].value);
    }
    free(s.items);
}

/* --- steps --- */

static bool run_step(const mm_step *step)
{
    char intent[MM_STEP_DETAIL] = "", detail[MM_STEP_DETAIL] = "", key[64];
    mm_error err = MM_ERROR_INIT;
    snprintf(key, sizeof(key), "done/%s", step->name);
    const char *done = store_get(key);
    if (done) {
        if (step->recall && step->recall(sink, 0, done, &err) != MM_OK)
            fail(step->name, &err);
        return true;
    }
    snprintf(key, sizeof(key), "intent/%s", step->name);
    const char *intended = store_get(key);
    if (intended) {
        snprintf(intent, sizeof(intent), "%s", intended);
    } else {
        if (step->intend && step->intend(sink, 0, intent, &err) != MM_OK)
            fail(step->name, &err);
        store_set(key, intent);
        store_commit();
    }
    mm_status status = step->run(sink, 0, intent, detail, &err);
    if (status == MM_END)
        return false;
    if (status != MM_OK)
        fail(step->name, &err);
    MM_FAILPOINT("engine.step.ran");
    snprintf(key, sizeof(key), "done/%s", step->name);
    store_set(key, detail);
    store_commit();
    return true;
}

static bool run_steps(mm_step_phase phase)
{
    for (size_t i = 0; i < driver->step_count; i++)
        if (driver->steps[i].phase == phase && !run_step(&driver->steps[i]))
            return false;
    return true;
}

/* --- rows --- */

static void make_batch(mm_batch *batch, const mm_schema *schema, uint64_t task, uint64_t first, size_t rows)
{
    mm_error err = MM_ERROR_INIT;
    mm_batch_reset(batch);
    if (mm_batch_begin(batch, schema, rows, &err) != MM_OK)
        fail("batch", &err);
    int64_t *ids = (int64_t *)(void *)batch->columns[0].values;
    float *vectors = (float *)(void *)batch->columns[1].values;
    mm_column *names = &batch->columns[2];
    names->values = must(mm_arena_alloc(&batch->arena, rows * 16));
    uint8_t *keep = must(mm_arena_alloc(&batch->arena, rows / 8 + 1));
    memset(keep, 0, rows / 8 + 1);
    size_t kept = 0;
    for (size_t i = 0; i < rows; i++) {
        uint64_t row = first + i;
        ids[i] = (int64_t)(task * 1000000 + row);
        for (size_t j = 0; j < DIM; j++)
            vectors[i * DIM + j] = (float)ids[i] / 2 + (float)j;
        int length = snprintf((char *)names->values + names->offsets[i], 16, "n%" PRId64, ids[i] % 1000);
        names->offsets[i + 1] = names->offsets[i] + (uint64_t)length;
        if (task % 2 == 0 || (row + task) % 7 != 3) {
            keep[i / 8] |= (uint8_t)(1u << (i % 8));
            kept++;
        }
    }
    batch->rows = rows;
    batch->first_row = first;
    batch->end.row = first + rows;
    if (kept < rows && mm_batch_filter(batch, keep, kept, &err) != MM_OK)
        fail("filter", &err);
}

typedef struct worker {
    pthread_t thread;
    mm_lane *lane;
    const mm_schema *schema;
    uint32_t number, lanes;
    uint64_t random;
} worker;

static uint64_t cursor_of(uint64_t task)
{
    char key[64];
    snprintf(key, sizeof(key), "cursor/%" PRIu64, task);
    const char *value = store_get(key);
    return value ? strtoull(value, NULL, 10) : 0;
}

static void flush(worker *w, const uint64_t *cursors)
{
    mm_changes changes = {NULL, 0, 0};
    mm_error err = MM_ERROR_INIT;
    if (driver->flush(w->lane, &changes, &err) != MM_OK)
        fail("flush", &err);
    MM_FAILPOINT("engine.flushed");
    pthread_mutex_lock(&store.lock);
    for (size_t i = 0; i < changes.count; i++) {
        char *name = must(mm_format("state/%s", changes.items[i].key));
        store_set(name, changes.items[i].value);
        free(name);
    }
    for (uint64_t task = w->number; task < task_count; task += w->lanes) {
        char key[64], value[32];
        snprintf(key, sizeof(key), "cursor/%" PRIu64, first_task + task);
        snprintf(value, sizeof(value), "%" PRIu64, cursors[task]);
        store_set(key, value);
    }
    store_commit();
    pthread_mutex_unlock(&store.lock);
    mm_changes_free(&changes);
}

/* Tasks of a lane are written in turn, as their random choice has it, and flushed now and then. */
static void *work(void *context)
{
    worker *w = context;
    mm_batch batch = {.arena = MM_ARENA_INIT};
    mm_error err = MM_ERROR_INIT;
    uint64_t *cursors = must(calloc(task_count, sizeof(*cursors)));
    pthread_mutex_lock(&store.lock);
    uint64_t left = 0;
    for (uint64_t task = w->number; task < task_count; task += w->lanes) {
        cursors[task] = cursor_of(first_task + task);
        left += cursors[task] < task_rows;
    }
    pthread_mutex_unlock(&store.lock);
    if (driver->lane_open(sink, w->number, &w->lane, &err) != MM_OK)
        fail("lane", &err);
    while (left > 0) {
        uint64_t task = mm_random_next(&w->random) % task_count;
        if (task % w->lanes != w->number || cursors[task] == task_rows)
            continue;
        uint64_t rows = 1 + mm_random_next(&w->random) % 60;
        if (rows > task_rows - cursors[task])
            rows = task_rows - cursors[task];
        mm_write what = {.collection = 0, .partition = (uint32_t)((first_task + task) % PARTITIONS),
                         .task = first_task + task, .mode = MM_WRITE_INSERT};
        size_t acknowledged = 0;
        make_batch(&batch, w->schema, first_task + task, cursors[task], (size_t)rows);
        if (driver->write(w->lane, &what, &batch, &acknowledged, &err) != MM_OK)
            fail("write", &err);
        if (acknowledged != batch.rows)
            fail("not all acknowledged", NULL);
        cursors[task] += rows;
        left -= cursors[task] == task_rows;
        if (left == 0 || mm_random_next(&w->random) % 4 == 0)
            flush(w, cursors);
    }
    driver->lane_close(w->lane);
    mm_batch_free(&batch);
    free(cursors);
    return NULL;
}

static void copy(const mm_schema *schema, uint32_t lanes, uint64_t seed)
{
    worker *workers = must(calloc(lanes, sizeof(*workers)));
    for (uint32_t i = 0; i < lanes; i++) {
        workers[i] = (worker){.schema = schema, .number = i, .lanes = lanes, .random = seed * 1000 + i};
        if (lanes == 1)
            work(&workers[i]);
        else if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            fail("thread", NULL);
    }
    for (uint32_t i = 0; lanes > 1 && i < lanes; i++)
        pthread_join(workers[i].thread, NULL);
    free(workers);
}

/* --- verification --- */

static void verify_batch(mm_lane *lane, uint64_t task, const mm_batch *like, mm_batch *found)
{
    mm_error err = MM_ERROR_INIT;
    mm_write what = {.collection = 0, .partition = (uint32_t)(task % PARTITIONS), .task = task};
    mm_batch_reset(found);
    if (driver->read_back(lane, &what, like, found, &err) != MM_OK)
        fail("read_back", &err);
    if (found->rows != like->rows)
        fail("read_back found another number of rows", NULL);
    for (size_t i = 0; i < like->rows; i++)
        if (mm_batch_row_hash(like, i) != mm_batch_row_hash(found, i))
            fail("read_back found another row", NULL);
}

static void verify(const mm_schema *schema, uint64_t seed)
{
    mm_batch like = {.arena = MM_ARENA_INIT}, found = {.arena = MM_ARENA_INIT};
    mm_error err = MM_ERROR_INIT;
    mm_lane *lane;
    uint64_t rows = 0, counted = 0;
    if (driver->lane_open(sink, 0, &lane, &err) != MM_OK)
        fail("lane", &err);
    for (uint64_t task = first_task; task < first_task + task_count; task++) {
        for (uint64_t at = 0; at < task_rows;) {
            uint64_t size = 1 + mm_random_next(&seed) % 100;
            if (size > task_rows - at)
                size = task_rows - at;
            make_batch(&like, schema, task, at, (size_t)size);
            verify_batch(lane, task, &like, &found);
            rows += like.rows;
            at += size;
        }
    }
    driver->lane_close(lane);
    if (driver->count(sink, 0, NULL, &counted, &err) != MM_OK)
        fail("count", &err);
    if (counted != rows)
        fail("the count is wrong", NULL);
    mm_batch_free(&like);
    mm_batch_free(&found);
}

static mm_if_exists exists_of(const char *text)
{
    static const char *const names[] = {"fail", "append", "skip", "overwrite"};
    for (size_t i = 0; i < MM_COUNT(names); i++)
        if (strcmp(text, names[i]) == 0)
            return (mm_if_exists)i;
    fail("unknown mode", NULL);
    return MM_EXISTS_FAIL;
}

int main(int argc, char **argv)
{
    if (argc != 10) {
        fprintf(stderr, "usage: files_engine OUT STORE FORMAT MODE SEED LANES FIRST_TASK TASKS ROWS\n");
        return 2;
    }
    char *format = must(mm_format("format=%s", argv[3]));
    store.path = argv[2];
    const char *out = argv[1];
    argv++;
    uint64_t seed = strtoull(argv[4], NULL, 10);
    first_task = strtoull(argv[6], NULL, 10);
    task_count = strtoull(argv[7], NULL, 10);
    task_rows = strtoull(argv[8], NULL, 10);
    mm_field fields[] = {{.name = "id", .type = MM_TYPE_INT64, .primary = true},
                         {.name = "vector", .type = MM_TYPE_FLOAT_VECTOR, .dim = DIM},
                         {.name = "name", .type = MM_TYPE_VARCHAR, .max_length = 12}};
    const mm_schema schema = {.name = "c", .fields = fields, .field_count = MM_COUNT(fields)};
    const char *const partitions[PARTITIONS] = {NULL, "even/odd", "p2"};
    const mm_sink_collection collection = {.name = "pro ducts", .schema = &schema, .partitions = partitions,
                                           .partition_count = PARTITIONS, .if_exists = exists_of(argv[3])};
    char *path = must(mm_format("path=%s", out)), *size = must(mm_format("file_size=%d", FILE_SIZE));
    mm_error err = MM_ERROR_INIT;
    mm_options *options;
    if (mm_options_make(driver->options, driver->option_count, (const char *const[]){path, size, format, NULL}, &options,
                        &err) != MM_OK)
        fail("options", &err);
    const mm_sink_host host = {NULL, host_record, host_stopping};
    const mm_sink_args args = {.options = options, .job_tag = TAG, .run = 1 + (uint32_t)first_task, .host = &host,
                               .collections = &collection, .collection_count = 1};
    store_load();
    bool resumed = store.count > 0;
    if (driver->open(&args, &sink, &err) != MM_OK)
        fail("open", &err);
    if (!run_steps(MM_STEP_BEFORE)) {
        printf("skipped\n");
        goto out;
    }
    if (resumed)
        settle();
    copy(&schema, (uint32_t)strtoul(argv[5], NULL, 10), seed);
    if (!run_steps(MM_STEP_AFTER))
        fail("skipped after the copy", NULL);
    verify(&schema, seed);
    if (!run_steps(MM_STEP_FINISH))
        fail("skipped at the end", NULL);
    verify(&schema, seed);
    printf("done\n");
out:
    driver->close(sink);
    mm_options_free(options);
    while (store.count > 0)
        store_set(store.items[0].key, NULL);
    free(store.items);
    free(format);
    free(size);
    free(path);
    return 0;
}
