/* Counting and reading back for verification. Files have no keys: the rows of a task are found by where
 * they were written (the runs of the units), and are read from the files, never from memory. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "sinks/files/internal.h"

/* One run and where it stands. Sorted by task and first source row. */
struct mm_files_place {
    uint64_t task, first, rows;
    const mm_files_unit *unit;
    uint64_t at; /* row in the unit */
};
typedef struct mm_files_place place;

static mm_status count_file(const mm_sink *sink, const mm_files_unit *unit, size_t field, uint64_t *rows,
                            mm_error *err)
{
    const mm_npy_column *column = &sink->collections[unit->collection].columns[field];
    int fd = -1;
    mm_error gone = MM_ERROR_INIT;
    mm_status status = mm_files_unit_open_file(sink, unit, field, O_RDONLY, true, &fd, &gone);
    if (status == MM_NOT_FOUND) {
        *rows = 0;
        return MM_OK;
    }
    if (status != MM_OK)
        return mm_error_set(err, status, "%s", gone.text);
    struct stat st;
    char header[MM_NPY_HEADER];
    size_t need;
    mm_npy_info info;
    if (fstat(fd, &st) != 0)
        status = mm_error_errno(err, MM_IO, "%s.npy", sink->collections[unit->collection].names[field]);
    else if (pread(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
             mm_npy_parse(header, sizeof(header), &info, &need, NULL) != MM_OK)
        *rows = 0;
    else
        *rows = ((uint64_t)st.st_size - MM_NPY_HEADER) / column->width;
    /* the header of a sealed file is part of what a reader sees */
    if (status == MM_OK && *rows > 0 && unit->state == MM_FILES_SEALED &&
        (info.shape[0] != *rows || info.bytes + info.offset != (uint64_t)st.st_size))
        *rows = 0;
    close(fd);
    return status;
}

static mm_status count_unit(mm_sink *sink, const mm_files_unit *unit, uint64_t *rows, mm_error *err)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < unit->file_count; i++) {
        uint64_t found;
        mm_status status = count_file(sink, unit, i, &found, err);
        if (status != MM_OK)
            return status;
        if (found < least)
            least = found;
    }
    *rows = least;
    return MM_OK;
}

mm_status mm_files_count(mm_sink *sink, uint32_t collection, const char *partition, uint64_t *rows,
                         mm_error *err)
{
    uint64_t sum = 0;
    const mm_files_collection *c = &sink->collections[collection];
    for (size_t i = 0; i < sink->unit_count; i++) {
        const mm_files_unit *unit = sink->units[i];
        if (unit->collection != collection || unit->rows == 0)
            continue;
        if (partition && strcmp(partition, c->partitions[unit->partition].name) != 0)
            continue;
        uint64_t found;
        mm_status status = count_unit(sink, unit, &found, err);
        if (status != MM_OK)
            return status;
        sum += found;
    }
    *rows = sum;
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

/* Under the sink's lock. */
static mm_status make_places(mm_sink *sink, mm_error *err)
{
    size_t count = 0;
    uint64_t rows = 0;
    for (size_t i = 0; i < sink->unit_count; i++) {
        count += sink->units[i]->run_count;
        rows += sink->units[i]->rows;
    }
    if (sink->places && sink->place_rows == rows)
        return MM_OK;
    place *places = calloc(count + 1, sizeof(*places));
    if (places == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for the places of %zu runs", count);
    size_t used = 0;
    for (size_t i = 0; i < sink->unit_count; i++) {
        const mm_files_unit *unit = sink->units[i];
        uint64_t at = 0;
        for (size_t j = 0; j < unit->run_count; j++) {
            const mm_files_run *run = &unit->runs[j];
            places[used++] = (place){run->task, run->first, run->rows, unit, at};
            at += run->rows;
        }
    }
    qsort(places, used, sizeof(*places), compare_places);
    free(sink->places);
    sink->places = places;
    sink->place_count = used;
    sink->place_rows = rows;
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

typedef struct piece {
    const mm_files_unit *unit;
    uint64_t at;
    size_t rows;
} piece;

typedef struct pieces {
    piece *items;
    size_t count, capacity, rows;
} pieces;

static mm_status add_piece(pieces *list, const mm_files_unit *unit, uint64_t at, uint64_t rows, mm_error *err)
{
    piece *last = list->count ? &list->items[list->count - 1] : NULL;
    list->rows += (size_t)rows;
    if (last && last->unit == unit && last->at + last->rows == at) {
        last->rows += (size_t)rows;
        return MM_OK;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        piece *items = reallocarray(list->items, capacity, sizeof(*items));
        if (items == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory for reading back");
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = (piece){unit, at, (size_t)rows};
    return MM_OK;
}

/* What was written of source rows [from, to) of a task. */
static mm_status find_rows(const mm_sink *sink, uint64_t task, uint64_t from, uint64_t to, pieces *list,
                           mm_error *err)
{
    for (size_t i = find_place(sink, task, from); i < sink->place_count; i++) {
        const place *p = &sink->places[i];
        if (p->task != task || p->first >= to)
            break;
        uint64_t start = p->first > from ? p->first : from;
        uint64_t end = p->first + p->rows < to ? p->first + p->rows : to;
        if (start >= end)
            continue;
        mm_status status = add_piece(list, p->unit, p->at + (start - p->first), end - start, err);
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

static mm_status find_batch(mm_sink *sink, uint64_t task, const mm_batch *like, pieces *list, mm_error *err)
{
    pthread_mutex_lock(&sink->lock);
    mm_status status = make_places(sink, err);
    if (status == MM_OK && like->ordinals == NULL)
        status = find_rows(sink, task, like->first_row, like->first_row + like->rows, list, err);
    for (size_t i = 0; status == MM_OK && like->ordinals && i < like->rows;) {
        size_t end = i + 1;
        while (end < like->rows && like->ordinals[end] == like->ordinals[end - 1] + 1)
            end++;
        uint64_t from = like->first_row + like->ordinals[i];
        status = find_rows(sink, task, from, from + (end - i), list, err);
        i = end;
    }
    pthread_mutex_unlock(&sink->lock);
    return status;
}

/* --- reading --- */

/* The file under its name or, before the step `seal`, its part name. A file that is gone is a difference. */
static mm_status open_for_reading(const mm_sink *sink, const mm_files_unit *unit, size_t field, int *out,
                                  mm_error *err)
{
    int fd = -1;
    for (int part = 0; part < 2 && fd < 0; part++) {
        char *path = mm_files_unit_path(sink, unit, field, part == 1);
        if (path == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory for reading back");
        fd = open(path, O_RDONLY | O_CLOEXEC);
        mm_status status = errno == ENOENT ? MM_MISMATCH : MM_IO;
        if (fd < 0 && (part == 1 || status == MM_IO)) {
            mm_error_errno(err, status, "%s", path);
            free(path);
            return status;
        }
        free(path);
    }
    *out = fd;
    return MM_OK;
}

/* *got: bytes there; fewer than size where the file is shorter. */
static mm_status read_all(int fd, void *out, size_t size, uint64_t offset, size_t *got, mm_error *err)
{
    size_t at = 0;
    while (at < size) {
        ssize_t done = pread(fd, (char *)out + at, size - at, (off_t)(offset + at));
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return mm_error_errno(err, MM_IO, "reading back");
        if (done == 0)
            break;
        at += (size_t)done;
    }
    *got = at;
    return MM_OK;
}

/* Text columns: the padding goes, values are appended to `values`. */
static mm_status read_text(int fd, const mm_npy_column *npy, const piece *p, mm_column *column, size_t row,
                           mm_buffer *values, mm_error *err)
{
    char *value = malloc(npy->width);
    if (value == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for reading back");
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < p->rows; i++) {
        size_t got = 0;
        status = read_all(fd, value, npy->width, MM_NPY_HEADER + (p->at + i) * npy->width, &got, err);
        if (status == MM_OK && got < npy->width)
            status = mm_error_set(err, MM_MISMATCH, "%s.npy is shorter than its rows", column->field->name);
        size_t length = got;
        while (length > 0 && value[length - 1] == '\0')
            length--;
        mm_buffer_append(values, value, length);
        column->offsets[row + i + 1] = values->size;
    }
    free(value);
    return status;
}

static mm_status read_piece(const mm_sink *sink, const mm_files_collection *c, const piece *p, size_t field,
                            mm_column *column, size_t row, mm_buffer *values, mm_error *err)
{
    const mm_npy_column *npy = &c->columns[field];
    int fd = -1;
    mm_status status = open_for_reading(sink, p->unit, field, &fd, err);
    if (status != MM_OK)
        return status;
    if (npy->text) {
        status = read_text(fd, npy, p, column, row, values, err);
    } else {
        size_t want = p->rows * npy->width, got = 0;
        status = read_all(fd, column->values + row * npy->width, want, MM_NPY_HEADER + p->at * npy->width, &got,
                          err);
        if (status == MM_OK && got < want)
            status = mm_error_set(err, MM_MISMATCH, "%s/%05" PRIu32 "/%s.npy is shorter than its rows",
                                  c->partitions[p->unit->partition].folder, p->unit->number, c->names[field]);
    }
    close(fd);
    return status;
}

static mm_status read_column(const mm_sink *sink, const mm_files_collection *c, const pieces *list, size_t field,
                             mm_batch *out, mm_error *err)
{
    mm_column *column = &out->columns[field];
    mm_buffer values = MM_BUFFER_INIT;
    mm_status status = MM_OK;
    size_t row = 0;
    for (size_t i = 0; status == MM_OK && i < list->count; i++) {
        status = read_piece(sink, c, &list->items[i], field, column, row, &values, err);
        row += list->items[i].rows;
    }
    if (status == MM_OK && c->columns[field].text) {
        column->values = mm_arena_alloc(&out->arena, values.size);
        if (column->values == NULL || values.failed)
            status = mm_error_set(err, MM_NO_MEMORY, "out of memory for reading back");
        else if (values.size > 0)
            memcpy(column->values, values.data, values.size);
    }
    mm_buffer_free(&values);
    return status;
}

mm_status mm_files_read_back(mm_lane *lane, const mm_write *what, const mm_batch *like, mm_batch *out,
                             mm_error *err)
{
    mm_sink *sink = mm_files_lane_sink(lane);
    const mm_files_collection *c = &sink->collections[what->collection];
    pieces list = {NULL, 0, 0, 0};
    mm_status status = find_batch(sink, what->task, like, &list, err);
    if (status == MM_OK)
        status = mm_batch_begin(out, c->plan->schema, list.rows, err);
    for (size_t i = 0; status == MM_OK && i < c->plan->schema->field_count; i++)
        status = read_column(sink, c, &list, i, out, err);
    if (status == MM_OK) {
        out->rows = list.rows;
        out->first_row = like->first_row;
    }
    free(list.items);
    return status;
}
