/* Counting and reading back for verification, from the whole files. They have no index by key: the rows of a task are
 * found by where they were written (the runs of its ranges) and where `seal` moved them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "sinks/hdf5/internal.h"

/* Source rows of a task next to each other, and the row of the file where the first of them stands. By task and first
 * source row. */
struct mm_h5_place {
    uint64_t task, first, rows, at;
    uint32_t collection, file;
};
typedef struct mm_h5_place place;

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for reading back");
}

/* --- files --- */

/* Opens a file that is the one that was made whole: as large, and with that head. */
static mm_status open_whole(const mm_h5_collection *c, uint32_t number, int *out, mm_error *err)
{
    const mm_h5_file *file = &c->files[number];
    struct stat st;
    uint64_t hash = 0;
    char *path = mm_h5_path(c, file, MM_H5_WHOLE);
    if (path == NULL)
        return no_memory(err);
    mm_status status = MM_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        status = mm_error_errno(err, fd < 0 && errno == ENOENT ? MM_MISMATCH : MM_IO, "%s", path);
    else if (!file->is_whole)
        status = mm_error_set(err, MM_BUG, "%s was not recorded", path);
    else if ((uint64_t)st.st_size != file->layout.size)
        status = mm_error_set(err, MM_MISMATCH, "%s has %jd bytes where %" PRIu64 " were written", path,
                              (intmax_t)st.st_size, file->layout.size);
    if (status == MM_OK)
        status = mm_h5_layout_hash(fd, &file->layout, path, &hash, err);
    if (status == MM_OK && hash != file->head_hash)
        status = mm_error_set(err, MM_MISMATCH, "%s: what stands before its rows is not what was written", path);
    free(path);
    if (status == MM_OK)
        *out = fd;
    else if (fd >= 0)
        close(fd);
    return status;
}

mm_status mm_h5_count(mm_sink *sink, uint32_t collection, const char *partition, uint64_t *rows, mm_error *err)
{
    uint64_t sum = 0;
    const mm_h5_collection *c = &sink->collections[collection];
    for (uint32_t i = 0; i < c->file_count; i++) {
        int fd;
        if (partition && strcmp(partition, c->files[i].partition) != 0)
            continue;
        mm_status status = open_whole(c, i, &fd, err);
        if (status != MM_OK)
            return status;
        close(fd);
        sum += c->files[i].layout.rows;
    }
    *rows = sum;
    return MM_OK;
}

/* The lane's open file: mostly the next batch is in it, too. */
static mm_status open_reading(mm_lane *lane, uint32_t collection, uint32_t file, mm_error *err)
{
    mm_h5_reading *r = mm_h5_lane_reading(lane);
    int fd;
    if (r->fd >= 0 && r->collection == collection && r->file == file)
        return MM_OK;
    mm_status status = open_whole(&mm_h5_lane_sink(lane)->collections[collection], file, &fd, err);
    if (status != MM_OK)
        return status;
    if (r->fd >= 0)
        close(r->fd);
    *r = (mm_h5_reading){collection, file, fd};
    return MM_OK;
}

/* --- where the rows are --- */

static int compare_places(const void *a, const void *b)
{
    const place *left = a, *right = b;
    if (left->task != right->task)
        return left->task < right->task ? -1 : 1;
    return left->first < right->first ? -1 : left->first > right->first;
}

typedef struct places {
    place *items;
    size_t count, capacity;
} places;

static mm_status add_place(places *list, place item, mm_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        place *items = reallocarray(list->items, capacity, sizeof(*items));
        if (items == NULL)
            return no_memory(err);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return MM_OK;
}

typedef struct moves {
    mm_h5_move *items;
    size_t count, at; /* at: the first that may concern what comes next, slots going upwards */
    uint64_t rows;    /* slots before this one stay */
} moves;

/* One run from `slot` on: what stays, and what was moved, piece by piece. */
static mm_status add_run(places *list, place item, uint64_t slot, moves *m, mm_error *err)
{
    mm_status status = MM_OK;
    for (uint64_t left = item.rows; status == MM_OK && left > 0;) {
        item.rows = left;
        item.at = slot;
        if (slot < m->rows) {
            item.rows = left < m->rows - slot ? left : m->rows - slot;
        } else {
            while (m->at < m->count && m->items[m->at].from + m->items[m->at].rows <= slot)
                m->at++;
            if (m->at == m->count || m->items[m->at].from > slot)
                return mm_error_set(err, MM_BUG, "slot %" PRIu64 " was moved nowhere", slot);
            uint64_t within = slot - m->items[m->at].from, rest = m->items[m->at].rows - within;
            item.rows = left < rest ? left : rest;
            item.at = m->items[m->at].to + within;
        }
        status = add_place(list, item, err);
        item.first += item.rows;
        slot += item.rows;
        left -= item.rows;
    }
    return status;
}

static mm_status add_file(const mm_sink *sink, uint32_t collection, uint32_t file, places *list, mm_error *err)
{
    mm_h5_range **ranges = NULL;
    size_t count = 0;
    moves m = {NULL, 0, 0, 0};
    mm_status status = mm_h5_ranges_of(sink, collection, file, &ranges, &count, err);
    if (status == MM_OK)
        status = mm_h5_moves(ranges, count, &m.items, &m.count, &m.rows, err);
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        uint64_t slot = ranges[i]->start;
        for (size_t j = 0; status == MM_OK && j < ranges[i]->run_count; j++) {
            const mm_h5_run *run = &ranges[i]->runs[j];
            place item = {ranges[i]->task, run->first, run->rows, 0, collection, file};
            status = add_run(list, item, slot, &m, err);
            slot += run->rows;
        }
    }
    free(m.items);
    free(ranges);
    return status;
}

/* Under the lock. */
static mm_status make_places(mm_sink *sink, mm_error *err)
{
    places list = {NULL, 0, 0};
    mm_status status = MM_OK;
    if (sink->places)
        return MM_OK;
    for (uint32_t i = 0; i < sink->collection_count; i++)
        for (uint32_t j = 0; status == MM_OK && j < sink->collections[i].file_count; j++)
            status = add_file(sink, i, j, &list, err);
    if (status != MM_OK) {
        free(list.items);
        return status;
    }
    if (list.count > 0)
        qsort(list.items, list.count, sizeof(place), compare_places);
    sink->places = list.items;
    sink->place_count = list.count;
    return MM_OK;
}

/* The first place of the task that ends after source row `row`. */
static size_t find_place(const mm_sink *sink, uint64_t task, uint64_t row)
{
    size_t low = 0, high = sink->place_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const place *p = &sink->places[middle];
        if (p->task < task || (p->task == task && p->first + p->rows <= row))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* --- reading --- */

/* Rows of a place, as the next ones of `out`, which has room for `room` in all. */
static mm_status read_piece(mm_lane *lane, const place *p, uint64_t at, uint64_t rows, size_t room, mm_batch *out,
                            mm_error *err)
{
    const mm_h5_collection *c = &mm_h5_lane_sink(lane)->collections[p->collection];
    const mm_h5_layout *layout = &c->files[p->file].layout;
    const char *name = c->files[p->file].name;
    mm_status status = open_reading(lane, p->collection, p->file, err);
    if (status != MM_OK)
        return status;
    const mm_h5_reading *r = mm_h5_lane_reading(lane);
    if (rows > room - out->rows)
        return mm_error_set(err, MM_MISMATCH, "%s holds rows of task %" PRIu64 " twice", name, p->task);
    if (at + rows > layout->rows)
        return mm_error_set(err, MM_BUG, "%s has %" PRIu64 " rows, and row %" PRIu64 " was written", name, layout->rows,
                            at + rows - 1);
    status = mm_h5_get(r->fd, out->columns[c->vector_column].values + out->rows * c->width, rows * c->width,
                       layout->vectors_at + at * c->width, name, err);
    if (status == MM_OK)
        status = mm_h5_get(r->fd, out->columns[c->key_column].values + out->rows * MM_H5_KEY_WIDTH,
                           rows * MM_H5_KEY_WIDTH, layout->keys_at + at * MM_H5_KEY_WIDTH, name, err);
    if (status == MM_OK)
        out->rows += rows;
    return status;
}

/* Source rows [from, to) of a task. */
static mm_status read_rows(mm_lane *lane, uint64_t task, uint64_t from, uint64_t to, size_t room, mm_batch *out,
                           mm_error *err)
{
    const mm_sink *sink = mm_h5_lane_sink(lane);
    mm_status status = MM_OK;
    for (size_t i = find_place(sink, task, from); status == MM_OK && i < sink->place_count; i++) {
        const place *p = &sink->places[i];
        if (p->task != task || p->first >= to)
            break;
        uint64_t start = p->first > from ? p->first : from;
        uint64_t end = p->first + p->rows < to ? p->first + p->rows : to;
        status = read_piece(lane, p, p->at + (start - p->first), end - start, room, out, err);
    }
    return status;
}

mm_status mm_h5_read_back(mm_lane *lane, const mm_write *what, const mm_batch *like, mm_batch *out, mm_error *err)
{
    mm_sink *sink = mm_h5_lane_sink(lane);
    pthread_mutex_lock(&sink->lock);
    mm_status status = make_places(sink, err); /* nothing is written any more: they stay */
    pthread_mutex_unlock(&sink->lock);
    if (status == MM_OK)
        status = mm_batch_begin(out, sink->collections[what->collection].plan->schema, like->rows, err);
    if (status == MM_OK && like->ordinals == NULL)
        status = read_rows(lane, what->task, like->first_row, like->first_row + like->rows, like->rows, out, err);
    for (size_t i = 0; status == MM_OK && like->ordinals && i < like->rows;) {
        size_t end = i + 1;
        while (end < like->rows && like->ordinals[end] == like->ordinals[end - 1] + 1)
            end++;
        uint64_t from = like->first_row + like->ordinals[i];
        status = read_rows(lane, what->task, from, from + (end - i), like->rows, out, err);
        i = end;
    }
    if (status == MM_OK)
        out->first_row = like->first_row;
    return status;
}
