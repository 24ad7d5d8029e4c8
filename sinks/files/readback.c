/* Counting and reading back for verification. Files have no keys: the rows of a task are found by where
 * they were written (the runs of the units), and are read from the files, never from memory. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sinks/files/internal.h"

/* One run and where it stands. Sorted by task and first source row. */
struct mm_files_place {
    uint64_t task, first, rows;
    const mm_files_unit *unit;
    uint64_t at; /* row in the unit */
};
typedef struct mm_files_place place;

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
        mm_status status = mm_files_unit_count(sink, unit, &found, err);
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

/* The reader of the unit, which the lane keeps: mostly the next batch goes on in it. */
static mm_status reader_for(mm_lane *lane, const mm_files_unit *unit, mm_files_reading **out, mm_error *err)
{
    mm_files_reading **kept = mm_files_lane_reading(lane);
    if (mm_files_reading_unit(*kept) != unit) {
        mm_files_reading_close(*kept);
        *kept = NULL;
        mm_status status = mm_files_reading_open(mm_files_lane_sink(lane), unit, kept, err);
        if (status != MM_OK)
            return status;
    }
    *out = *kept;
    return MM_OK;
}

static mm_status gather_piece(mm_lane *lane, const piece *p, mm_files_gather *gather, mm_batch *scratch, mm_error *err)
{
    mm_files_reading *reading;
    mm_status status = reader_for(lane, p->unit, &reading, err);
    for (size_t done = 0; status == MM_OK && done < p->rows;) {
        mm_batch_reset(scratch);
        status = mm_files_reading_next(reading, p->at + done, p->rows - done, scratch, err);
        if (status == MM_OK)
            status = mm_files_gather_add(gather, scratch, 0, scratch->rows, err);
        done += scratch->rows;
    }
    return status;
}

static void *keep(mm_arena *arena, const void *bytes, size_t size)
{
    void *copy = mm_arena_alloc(arena, size);
    if (copy && size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

/* The gathered columns, as the batch's own. */
static mm_status keep_columns(const mm_batch *gathered, mm_batch *out, mm_error *err)
{
    size_t rows = gathered->rows;
    for (size_t i = 0; i < gathered->column_count; i++) {
        const mm_column *from = &gathered->columns[i];
        mm_column *to = &out->columns[i];
        size_t width = mm_type_width(from->field->type, from->field->dim);
        size_t size = width > 0 ? rows * width : rows > 0 ? (size_t)from->offsets[rows] : 0;
        to->values = keep(&out->arena, from->values, size);
        if (width == 0 && rows > 0)
            memcpy(to->offsets, from->offsets, (rows + 1) * sizeof(*to->offsets));
        if (from->validity)
            to->validity = keep(&out->arena, from->validity, (rows + 7) / 8);
        if (to->values == NULL || (from->validity && to->validity == NULL))
            return mm_error_set(err, MM_NO_MEMORY, "out of memory for reading back");
    }
    out->rows = rows;
    return MM_OK;
}

/* Rows that stand in several places, or in several parts of a file. */
static mm_status read_pieces(mm_lane *lane, const mm_schema *schema, const pieces *list, mm_batch *out, mm_error *err)
{
    mm_files_gather *gather = NULL;
    mm_batch scratch = {.arena = MM_ARENA_INIT};
    mm_status status = mm_files_gather_new(schema, &gather, err);
    for (size_t i = 0; status == MM_OK && i < list->count; i++)
        status = gather_piece(lane, &list->items[i], gather, &scratch, err);
    if (status == MM_OK) {
        mm_batch_reset(out);
        status = mm_batch_begin(out, schema, list->rows, err);
    }
    if (status == MM_OK)
        status = keep_columns(mm_files_gather_batch(gather), out, err);
    mm_files_gather_free(gather);
    mm_batch_free(&scratch);
    return status;
}

/* Most batches stand in one place and are read as they are. */
static mm_status read_rows(mm_lane *lane, const mm_schema *schema, const pieces *list, mm_batch *out, mm_error *err)
{
    mm_files_reading *reading;
    if (list->count != 1)
        return read_pieces(lane, schema, list, out, err);
    const piece *p = &list->items[0];
    mm_status status = reader_for(lane, p->unit, &reading, err);
    if (status == MM_OK)
        status = mm_files_reading_next(reading, p->at, p->rows, out, err);
    return status != MM_OK || out->rows == p->rows ? status : read_pieces(lane, schema, list, out, err);
}

mm_status mm_files_read_back(mm_lane *lane, const mm_write *what, const mm_batch *like, mm_batch *out,
                             mm_error *err)
{
    mm_sink *sink = mm_files_lane_sink(lane);
    const mm_files_collection *c = &sink->collections[what->collection];
    pieces list = {NULL, 0, 0, 0};
    mm_status status = find_batch(sink, what->task, like, &list, err);
    if (status == MM_OK)
        status = read_rows(lane, c->plan->schema, &list, out, err);
    if (status == MM_OK) {
        out->schema = c->plan->schema; /* the reader's may be gone before the batch */
        for (size_t i = 0; i < out->column_count; i++)
            out->columns[i].field = &c->plan->schema->fields[i];
        out->first_row = like->first_row;
    }
    free(list.items);
    return status;
}
