/* Which slots of a file belong to which rows of which task, and that as text in the savepoint store. Knows no file
 * but by its number. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sinks/hdf5/internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for the places of rows");
}

char *mm_h5_path(const mm_h5_collection *c, const mm_h5_file *file, const char *extension)
{
    return mm_format("%s/%s%s", c->root, file->name, extension);
}

void mm_h5_range_free(mm_h5_range *range)
{
    if (range)
        free(range->runs);
    free(range);
}

/* Under the lock. */
static mm_status add(mm_sink *sink, mm_h5_range *range, mm_error *err)
{
    if (sink->range_count == sink->range_capacity) {
        size_t capacity = sink->range_capacity ? sink->range_capacity * 2 : 64;
        mm_h5_range **ranges = reallocarray(sink->ranges, capacity, sizeof(*ranges));
        if (ranges == NULL)
            return no_memory(err);
        sink->ranges = ranges;
        sink->range_capacity = capacity;
    }
    sink->ranges[sink->range_count++] = range;
    return MM_OK;
}

static mm_h5_range *make(uint32_t collection, uint32_t file, uint64_t task, uint64_t start, uint64_t capacity)
{
    mm_h5_range *range = calloc(1, sizeof(*range));
    if (range) {
        range->collection = collection;
        range->file = file;
        range->task = task;
        range->start = start;
        range->capacity = capacity;
    }
    return range;
}

static mm_status adopt(mm_sink *sink, mm_h5_range *range, mm_h5_range **out, mm_error *err)
{
    if (range == NULL)
        return no_memory(err);
    pthread_mutex_lock(&sink->lock);
    mm_status status = add(sink, range, err);
    pthread_mutex_unlock(&sink->lock);
    if (status != MM_OK)
        mm_h5_range_free(range);
    else
        *out = range;
    return status;
}

void mm_h5_range_take(mm_sink *sink, uint32_t collection, uint32_t file, uint64_t task, mm_h5_range **out)
{
    *out = NULL;
    pthread_mutex_lock(&sink->lock);
    for (size_t i = 0; i < sink->range_count && sink->idle_count > 0 && *out == NULL; i++) {
        mm_h5_range *range = sink->ranges[i];
        if (range->idle && range->task == task && range->collection == collection && range->file == file)
            *out = range;
    }
    if (*out) {
        (*out)->idle = false;
        sink->idle_count--;
    }
    pthread_mutex_unlock(&sink->lock);
}

/* Bytes up to the end of these slots can be told by off_t. */
static bool fits(const mm_h5_collection *c, uint64_t start, uint64_t capacity)
{
    uint64_t end, bytes;
    return mm_add_u64(start, capacity, &end) && mm_mul_u64(end, c->width + MM_H5_KEY_WIDTH, &bytes) &&
           mm_add_u64(bytes, c->head, &bytes) && bytes <= INT64_MAX;
}

mm_status mm_h5_range_new(mm_sink *sink, uint32_t collection, uint32_t file, uint64_t task, uint64_t capacity,
                          mm_h5_range **out, mm_error *err)
{
    mm_h5_collection *c = &sink->collections[collection];
    uint64_t start = 0;
    pthread_mutex_lock(&sink->lock);
    bool fit = fits(c, c->files[file].next, capacity);
    if (fit) {
        start = c->files[file].next;
        c->files[file].next += capacity;
    }
    pthread_mutex_unlock(&sink->lock);
    if (!fit)
        return mm_error_set(err, MM_TARGET, "%s: the file of partition %s would be too large for this system",
                            c->plan->name, c->files[file].partition);
    return adopt(sink, make(collection, file, task, start, capacity), out, err);
}

mm_status mm_h5_range_split(mm_sink *sink, mm_h5_range *range, mm_h5_range **out, mm_error *err)
{
    uint64_t left = range->capacity - range->rows;
    mm_status status = adopt(sink, make(range->collection, range->file, range->task, range->start + range->rows, left),
                             out, err);
    if (status == MM_OK) {
        range->capacity = range->rows;
        range->cut = true;
    }
    return status;
}

/* --- runs --- */

static mm_status add_run(mm_h5_range *range, uint64_t first, uint64_t rows, mm_error *err)
{
    mm_h5_run *last = range->run_count ? &range->runs[range->run_count - 1] : NULL;
    if (last && last->first + last->rows == first) {
        last->rows += rows;
        return MM_OK;
    }
    if (last && first < last->first + last->rows)
        return mm_error_set(err, MM_BUG, "task %" PRIu64 ": row %" PRIu64 " after row %" PRIu64, range->task, first,
                            last->first + last->rows);
    if (range->run_count == range->run_capacity) {
        size_t capacity = range->run_capacity ? range->run_capacity * 2 : 4;
        mm_h5_run *runs = reallocarray(range->runs, capacity, sizeof(*runs));
        if (runs == NULL)
            return no_memory(err);
        range->runs = runs;
        range->run_capacity = capacity;
    }
    range->runs[range->run_count++] = (mm_h5_run){first, rows};
    return MM_OK;
}

mm_status mm_h5_range_note(mm_h5_range *range, const mm_batch *batch, size_t from, size_t count, mm_error *err)
{
    if (batch->ordinals == NULL)
        return add_run(range, batch->first_row + from, count, err);
    for (size_t i = from; i < from + count;) {
        size_t end = i + 1;
        while (end < from + count && batch->ordinals[end] == batch->ordinals[end - 1] + 1)
            end++;
        mm_status status = add_run(range, batch->first_row + batch->ordinals[i], end - i, err);
        if (status != MM_OK)
            return status;
        i = end;
    }
    return MM_OK;
}

/* --- records: rows/<collection>/<file>/<start> = "<capacity> <task>[ <first>:<rows>[,<gap>,<rows>…]]" --- */

mm_status mm_h5_range_print(const mm_h5_range *range, char **key, char **value, mm_error *err)
{
    mm_buffer out = MM_BUFFER_INIT;
    mm_buffer_printf(&out, "%" PRIu64 " %" PRIu64, range->capacity, range->task);
    uint64_t end = 0;
    for (size_t i = 0; i < range->run_count; i++) {
        const mm_h5_run *run = &range->runs[i];
        if (i == 0)
            mm_buffer_printf(&out, " %" PRIu64 ":%" PRIu64, run->first, run->rows);
        else
            mm_buffer_printf(&out, ",%" PRIu64 ",%" PRIu64, run->first - end, run->rows);
        end = run->first + run->rows;
    }
    char *name = mm_format("rows/%" PRIu32 "/%" PRIu32 "/%" PRIu64, range->collection, range->file, range->start);
    if (out.failed || name == NULL) {
        free(name);
        mm_buffer_free(&out);
        return no_memory(err);
    }
    *key = name;
    *value = out.data;
    return MM_OK;
}

static bool read_number(const char **at, char before, uint64_t *out)
{
    if (before != '\0' && *(*at)++ != before)
        return false;
    if (**at < '0' || **at > '9')
        return false;
    char *end;
    errno = 0;
    *out = strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

static mm_status not_ours(const char *key, const char *value, mm_error *err)
{
    return mm_error_set(err, MM_CHANGED, "the record %s (%.40s) does not belong to this plan", key, value);
}

/* Runs, until the end of the text. */
static mm_status read_runs(mm_h5_range *range, const char *key, const char *value, const char *at, mm_error *err)
{
    uint64_t first = 0, rows = 0, end = 0, gap;
    for (char before = ' '; *at != '\0'; before = ',') {
        bool fine = before == ' ' ? read_number(&at, ' ', &first) && read_number(&at, ':', &rows)
                                  : read_number(&at, ',', &gap) && read_number(&at, ',', &rows) &&
                                        mm_add_u64(end, gap, &first);
        if (!fine || !mm_add_u64(first, rows, &end) || !mm_add_u64(range->rows, rows, &range->rows))
            return not_ours(key, value, err);
        mm_status status = add_run(range, first, rows, err);
        if (status != MM_OK)
            return status;
    }
    return range->rows <= range->capacity ? MM_OK : not_ours(key, value, err);
}

static mm_status recall_range(mm_sink *sink, const char *key, const char *value, uint64_t collection, uint64_t file,
                              uint64_t start, mm_error *err)
{
    mm_h5_collection *c = &sink->collections[collection];
    uint64_t capacity, task;
    const char *at = value;
    if (!read_number(&at, '\0', &capacity) || !read_number(&at, ' ', &task) || !fits(c, start, capacity))
        return not_ours(key, value, err);
    mm_h5_range *range = make((uint32_t)collection, (uint32_t)file, task, start, capacity);
    if (range == NULL)
        return no_memory(err);
    mm_status status = read_runs(range, key, value, at, err);
    if (status == MM_OK)
        status = add(sink, range, err);
    if (status != MM_OK) {
        mm_h5_range_free(range);
        return status;
    }
    range->flushed_rows = range->kicked_rows = range->rows;
    range->idle = range->rows < range->capacity;
    sink->idle_count += range->idle;
    if (start + capacity > c->files[file].next)
        c->files[file].next = start + capacity;
    return MM_OK;
}

/* whole/<collection>/<file> = "<rows> <vectors_at> <keys_at> <size> <hash of the head>" */
mm_status mm_h5_whole_print(uint32_t collection, uint32_t number, const mm_h5_file *file, char **key, char **value,
                            mm_error *err)
{
    const mm_h5_layout *l = &file->layout;
    *key = mm_format("whole/%" PRIu32 "/%" PRIu32, collection, number);
    *value = mm_format("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, l->rows, l->vectors_at, l->keys_at,
                       l->size, file->head_hash);
    if (*key && *value)
        return MM_OK;
    free(*key);
    free(*value);
    return no_memory(err);
}

static bool recall_whole(mm_h5_file *file, const char *at)
{
    mm_h5_layout *l = &file->layout;
    file->is_whole = read_number(&at, '\0', &l->rows) && read_number(&at, ' ', &l->vectors_at) &&
                     read_number(&at, ' ', &l->keys_at) && read_number(&at, ' ', &l->size) &&
                     read_number(&at, ' ', &file->head_hash) && *at == '\0';
    return file->is_whole;
}

mm_status mm_h5_recall(mm_sink *sink, const char *key, const char *value, mm_error *err)
{
    static const char *const kinds[] = {"rows/", "filled/", "whole/"};
    size_t kind = 0;
    uint64_t collection, file, start = 0;
    const char *at = strchr(key, '/');
    while (kind < MM_COUNT(kinds) && strncmp(key, kinds[kind], strlen(kinds[kind])) != 0)
        kind++;
    if (kind == MM_COUNT(kinds))
        return MM_OK;
    if (!read_number(&at, '/', &collection) || !read_number(&at, '/', &file) ||
        (kind == 0 && !read_number(&at, '/', &start)) || *at != '\0' || collection >= sink->collection_count ||
        file >= sink->collections[collection].file_count)
        return not_ours(key, value, err);
    if (kind == 0)
        return recall_range(sink, key, value, collection, file, start, err);
    mm_h5_file *f = &sink->collections[collection].files[file];
    if (kind == 2)
        return recall_whole(f, value) ? MM_OK : not_ours(key, value, err);
    at = value;
    return read_number(&at, '\0', &f->filled) && *at == '\0' ? MM_OK : not_ours(key, value, err);
}

/* --- when all rows are in --- */

static int by_start(const void *a, const void *b)
{
    const mm_h5_range *left = *(mm_h5_range *const *)a, *right = *(mm_h5_range *const *)b;
    return left->start < right->start ? -1 : left->start > right->start;
}

mm_status mm_h5_ranges_of(const mm_sink *sink, uint32_t collection, uint32_t file, mm_h5_range ***out, size_t *count,
                          mm_error *err)
{
    size_t used = 0;
    mm_h5_range **list = calloc(sink->range_count + 1, sizeof(mm_h5_range *));
    if (list == NULL)
        return no_memory(err);
    for (size_t i = 0; i < sink->range_count; i++) {
        mm_h5_range *range = sink->ranges[i];
        if (range->collection == collection && range->file == file && range->rows > 0)
            list[used++] = range;
    }
    qsort(list, used, sizeof(mm_h5_range *), by_start);
    *out = list;
    *count = used;
    return MM_OK;
}

mm_status mm_h5_moves(mm_h5_range *const *ranges, size_t count, mm_h5_move **out, size_t *move_count, uint64_t *rows,
                      mm_error *err)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += ranges[i]->rows;
    /* each move ends a gap or a range */
    mm_h5_move *moves = calloc(2 * count + 1, sizeof(*moves));
    if (moves == NULL)
        return no_memory(err);
    size_t used = 0, next = 0; /* next: the first range behind the gap that is being filled */
    uint64_t gap = 0;          /* its first slot that is still empty */
    for (size_t i = 0; i < count; i++) {
        uint64_t end = ranges[i]->start + ranges[i]->rows;
        for (uint64_t from = ranges[i]->start > sum ? ranges[i]->start : sum; from < end;) {
            for (; next < count && ranges[next]->start == gap; next++)
                gap = ranges[next]->start + ranges[next]->rows;
            /* as many slots are empty before `sum` as rows stand behind it */
            uint64_t gap_end = next < count && ranges[next]->start < sum ? ranges[next]->start : sum;
            uint64_t piece = end - from < gap_end - gap ? end - from : gap_end - gap;
            moves[used++] = (mm_h5_move){from, gap, piece};
            from += piece;
            gap += piece;
        }
    }
    *out = moves;
    *move_count = used;
    *rows = sum;
    return MM_OK;
}
