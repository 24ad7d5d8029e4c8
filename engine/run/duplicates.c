/* The search for duplicate primary keys (duplicates.h). Rows are numbered over all extents in plan
 * order; a list of segments, kept in a stream too, leads from that number back to task and row. */
#include "run/duplicates.h"

#include <stdlib.h>
#include <xxhash.h>

#include "run/spill.h"

/* Splitting a stream whose keys found no room: 16 ways, by 4 more bits of the hash. */
#define MM_DUP_SPLIT_BITS 4
#define MM_DUP_SPLIT (1u << MM_DUP_SPLIT_BITS)
#define MM_DUP_AHEAD 8 /* records by which the table's slots are fetched before they are needed */

/* A segment: from this number on, the rows of this task from this row on. */
enum { MM_DUP_FIRST_NUMBER, MM_DUP_TASK, MM_DUP_FIRST_ROW, MM_DUP_SEGMENT_WORDS };

typedef struct mm_dup_example {
    uint64_t hash, number, earlier;
} mm_dup_example;

struct mm_duplicate_finder {
    mm_duplicates_args args;
    size_t words;      /* of a record: {hash, number} or {hash, its second half, number} */
    unsigned bits;     /* of the hash that choose the stream */
    mm_spill *records;
    mm_spill *segments; /* one stream */
    mm_spill *drops;    /* {number}, by windows of numbers; NULL: nothing is to be left out */
    uint64_t next;      /* number of the next row */
    uint64_t task, expected_row; /* where the segment under way goes on */
    bool begun;
    uint64_t window;    /* numbers in a window, a multiple of 64 */
    uint64_t *table;
    size_t table_slots; /* a power of two */
    uint64_t rows, duplicates;
    mm_dup_example examples[MM_DUPLICATES_EXAMPLES];
    size_t example_count;
};

/* ---- hashes ---- */

/* MurmurHash3's 64-bit finalizer: a bijection, so that equal hashes mean equal keys, and the key can
 * be had back. */
static inline uint64_t mm_dup_mix(uint64_t x)
{
    x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDull;
    x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53ull;
    return x ^ (x >> 33);
}

/* The factors are the inverses modulo 2^64. */
static uint64_t mm_dup_unmix(uint64_t x)
{
    x = (x ^ (x >> 33)) * 0x9CB4B2F8129337DBull;
    x = (x ^ (x >> 33)) * 0x4F74430C22A54005ull;
    return x ^ (x >> 33);
}

/* ---- opening and feeding ---- */

static unsigned mm_dup_floor_bits(size_t value)
{
    return value < 2 ? 0 : 63 - (unsigned)__builtin_clzll(value);
}

static unsigned mm_dup_stream_bits(size_t memory)
{
    unsigned bits = mm_dup_floor_bits(memory / 4096);
    return bits > 8 ? 8 : bits < 2 ? 2 : bits;
}

mm_status mm_duplicates_open(const mm_duplicates_args *args, mm_duplicate_finder **out,
                             mm_error *err)
{
    mm_duplicate_finder *finder = calloc(1, sizeof *finder);
    if (finder == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for the search for duplicates");
    finder->args = *args;
    if (finder->args.memory < MM_DUPLICATES_MEMORY_MIN)
        finder->args.memory = MM_DUPLICATES_MEMORY_MIN;
    size_t memory = finder->args.memory;
    finder->words = args->integer ? 2 : 3;
    finder->bits = mm_dup_stream_bits(memory / 2);
    mm_status status = mm_spill_open(args->dir, (size_t)1 << finder->bits, finder->words,
                                     memory / 2, &finder->records, err);
    if (status == MM_OK)
        status = mm_spill_open(args->dir, 1, MM_DUP_SEGMENT_WORDS, memory / 32, &finder->segments, err);
    if (status != MM_OK) {
        mm_duplicates_close(finder);
        return status;
    }
    *out = finder;
    return MM_OK;
}

void mm_duplicates_close(mm_duplicate_finder *finder)
{
    if (finder == NULL)
        return;
    mm_spill_close(finder->records);
    mm_spill_close(finder->segments);
    mm_spill_close(finder->drops);
    free(finder->table);
    free(finder);
}

static mm_status mm_dup_begin_segment(mm_duplicate_finder *finder, uint64_t task, uint64_t row,
                                      mm_error *err)
{
    if (finder->begun && finder->task == task && finder->expected_row == row)
        return MM_OK;
    const uint64_t segment[MM_DUP_SEGMENT_WORDS] = {finder->next, task, row};
    finder->begun = true;
    finder->task = task;
    return mm_spill_append(finder->segments, 0, segment, MM_DUP_SEGMENT_WORDS, err);
}

static bool mm_dup_present(const mm_column *column, size_t row)
{
    return column->validity == NULL || (column->validity[row / 8] >> (row % 8) & 1);
}

static uint64_t mm_dup_number(const mm_duplicate_finder *finder, const mm_batch *batch, size_t row)
{
    return finder->next + (batch->ordinals ? batch->ordinals[row] : row);
}

static mm_status mm_dup_add_integers(mm_duplicate_finder *finder, const mm_batch *batch,
                                     mm_error *err)
{
    const mm_column *column = &batch->columns[0];
    unsigned shift = 64 - finder->bits;
    mm_status status = MM_OK;
    for (size_t row = 0; status == MM_OK && row < batch->rows; row++) {
        uint64_t key;
        if (!mm_dup_present(column, row))
            continue;
        memcpy(&key, column->values + row * sizeof key, sizeof key);
        const uint64_t record[] = {mm_dup_mix(key), mm_dup_number(finder, batch, row)};
        status = mm_spill_append(finder->records, (size_t)(record[0] >> shift), record, 2, err);
        finder->rows++;
    }
    return status;
}

static mm_status mm_dup_add_texts(mm_duplicate_finder *finder, const mm_batch *batch, mm_error *err)
{
    const mm_column *column = &batch->columns[0];
    unsigned shift = 64 - finder->bits;
    mm_status status = MM_OK;
    for (size_t row = 0; status == MM_OK && row < batch->rows; row++) {
        if (!mm_dup_present(column, row))
            continue;
        uint64_t from = column->offsets[row], size = column->offsets[row + 1] - from;
        XXH128_hash_t hash = XXH3_128bits(size > 0 ? column->values + from : NULL, (size_t)size);
        const uint64_t record[] = {hash.high64, hash.low64, mm_dup_number(finder, batch, row)};
        status = mm_spill_append(finder->records, (size_t)(record[0] >> shift), record, 3, err);
        finder->rows++;
    }
    return status;
}

mm_status mm_duplicates_add(mm_duplicate_finder *finder, uint64_t task, const mm_batch *batch,
                            mm_error *err)
{
    if (batch->rows == 0)
        return MM_OK;
    const mm_column *column = &batch->columns[0];
    bool integer = column->offsets == NULL;
    if (integer != finder->args.integer || (integer && column->field->type != MM_TYPE_INT64))
        return mm_error_set(err, MM_BUG, "a primary key of type %s where %s was announced",
                            mm_type_name(column->field->type),
                            finder->args.integer ? "Int64" : "VarChar");
    mm_status status = mm_dup_begin_segment(finder, task, batch->first_row, err);
    if (status == MM_OK)
        status = integer ? mm_dup_add_integers(finder, batch, err)
                         : mm_dup_add_texts(finder, batch, err);
    /* The rows that the batch covers, those that are not in its columns included. */
    uint64_t covered = mm_dup_number(finder, batch, batch->rows - 1) + 1 - finder->next;
    if (batch->end.row > batch->first_row && batch->end.row - batch->first_row > covered)
        covered = batch->end.row - batch->first_row;
    finder->next += covered;
    finder->expected_row = batch->first_row + covered;
    return status;
}

/* ---- searching ---- */

/* Keeps those with the smallest numbers, in order. */
static void mm_dup_note(mm_duplicate_finder *finder, uint64_t hash, uint64_t number,
                        uint64_t earlier)
{
    size_t at = finder->example_count;
    if (at == MM_DUPLICATES_EXAMPLES) {
        if (finder->examples[at - 1].number < number)
            return;
        at--;
    } else {
        finder->example_count++;
    }
    for (; at > 0 && finder->examples[at - 1].number > number; at--)
        finder->examples[at] = finder->examples[at - 1];
    finder->examples[at] = (mm_dup_example){hash, number, earlier};
}

static mm_status mm_dup_found(mm_duplicate_finder *finder, uint64_t hash, uint64_t number,
                              uint64_t *held, mm_error *err)
{
    uint64_t drop = number;
    finder->duplicates++;
    mm_dup_note(finder, hash, number, *held - 1);
    if (finder->args.policy == MM_DUP_LAST) {
        drop = *held - 1;
        *held = number + 1;
    }
    if (finder->drops == NULL)
        return MM_OK;
    return mm_spill_append(finder->drops, (size_t)(drop / finder->window), &drop, 1, err);
}

/* One walk through one stream. */
typedef struct mm_dup_walk {
    mm_duplicate_finder *finder;
    uint64_t mask;
    size_t room;      /* different keys that the table still takes */
    unsigned shift;   /* of the bits by which keys without room are split */
    size_t memory;    /* for splitting */
    mm_spill *rest;   /* records of keys without room; NULL: none yet */
    mm_error *err;
} mm_dup_walk;

static mm_status mm_dup_defer(mm_dup_walk *walk, const uint64_t *record, size_t words)
{
    if (walk->rest == NULL) {
        mm_status status = mm_spill_open(walk->finder->args.dir, MM_DUP_SPLIT, words, walk->memory,
                                         &walk->rest, walk->err);
        if (status != MM_OK)
            return status;
    }
    return mm_spill_append(walk->rest, (size_t)(record[0] >> walk->shift) % MM_DUP_SPLIT, record,
                           words, walk->err);
}

/* Looks a record up; a slot is a record whose number is raised by 1, so that 0 means empty. A key
 * that finds no room is put off; so are all later rows of it, since a full table takes no new key. */
static inline mm_status mm_dup_look(mm_dup_walk *walk, const uint64_t *record, size_t words)
{
    uint64_t *table = walk->finder->table;
    for (uint64_t at = record[0] & walk->mask;; at = (at + 1) & walk->mask) {
        uint64_t *slot = table + at * words;
        if (slot[words - 1] == 0) {
            if (walk->room == 0)
                return mm_dup_defer(walk, record, words);
            walk->room--;
            slot[0] = record[0];
            if (words == 3)
                slot[1] = record[1];
            slot[words - 1] = record[words - 1] + 1;
            return MM_OK;
        }
        if (slot[0] == record[0] && (words == 2 || slot[1] == record[1]))
            return mm_dup_found(walk->finder, record[0], record[words - 1], &slot[words - 1],
                                walk->err);
    }
}

/* Written once, compiled for each size of record. */
static inline __attribute__((always_inline)) mm_status
mm_dup_look_all(mm_dup_walk *walk, const uint64_t *records, size_t count, const size_t words)
{
    const uint64_t *table = walk->finder->table;
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        if (i + MM_DUP_AHEAD < count)
            __builtin_prefetch(table + (records[(i + MM_DUP_AHEAD) * words] & walk->mask) * words,
                               1);
        status = mm_dup_look(walk, records + i * words, words);
    }
    return status;
}

static mm_status mm_dup_walk_stream(mm_dup_walk *walk, mm_spill *spill, size_t number)
{
    mm_spill_reader reader;
    const uint64_t *records = NULL;
    size_t count = 0;
    mm_status status = mm_spill_read_open(spill, number, &reader, walk->err);
    if (status != MM_OK)
        return status;
    for (;;) {
        status = mm_spill_read(&reader, &records, &count, walk->err);
        if (status != MM_OK || count == 0)
            break;
        status = walk->finder->words == 2 ? mm_dup_look_all(walk, records, count, 2)
                                          : mm_dup_look_all(walk, records, count, 3);
        if (status != MM_OK)
            break;
    }
    mm_spill_read_close(&reader);
    return status;
}

/* Sizes and empties the table for a stream of `count` records: at most half full if it can be, never
 * more than three quarters. */
static void mm_dup_clear_table(mm_dup_walk *walk, uint64_t count)
{
    mm_duplicate_finder *finder = walk->finder;
    size_t slots = 64;
    while (slots < finder->table_slots && slots < count * 2)
        slots *= 2;
    memset(finder->table, 0, slots * finder->words * sizeof *finder->table);
    walk->mask = slots - 1;
    walk->room = slots / 4 * 3;
}

/* `used`: bits of the hash by which this stream was chosen. Each level halves the memory for the next
 * and takes 4 bits; keys that are equal in all bits are one key, so that it ends. */
static mm_status mm_dup_search(mm_duplicate_finder *finder, mm_spill *spill, size_t number,
                               unsigned used, size_t memory, mm_error *err)
{
    mm_dup_walk walk = {.finder = finder, .memory = memory, .err = err,
                        .shift = 64 - used - MM_DUP_SPLIT_BITS};
    if (spill->streams[number].count < 2)
        return MM_OK;
    if (used + MM_DUP_SPLIT_BITS > 64)
        return mm_error_set(err, MM_BUG, "more different keys with one hash than fit the memory");
    mm_dup_clear_table(&walk, spill->streams[number].count);
    mm_status status = mm_dup_walk_stream(&walk, spill, number);
    for (size_t i = 0; status == MM_OK && walk.rest && i < MM_DUP_SPLIT; i++)
        status = mm_dup_search(finder, walk.rest, i, used + MM_DUP_SPLIT_BITS, memory / 2, err);
    mm_spill_close(walk.rest);
    return status;
}

static mm_status mm_dup_prepare(mm_duplicate_finder *finder, mm_error *err)
{
    size_t slot = finder->words * sizeof(uint64_t);
    finder->table_slots = (size_t)1 << mm_dup_floor_bits(finder->args.memory / 4 / slot);
    finder->table = malloc(finder->table_slots * slot);
    if (finder->table == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for the search for duplicates");
    if (finder->args.policy != MM_DUP_FIRST && finder->args.policy != MM_DUP_LAST)
        return MM_OK;
    /* A bitmap of one window takes no more than the table takes now, nor than all rows need. */
    finder->window = (uint64_t)(finder->args.memory / 4) / 8 * 64;
    if (finder->window > finder->next)
        finder->window = finder->next / 64 * 64 + 64;
    uint64_t windows = finder->next / finder->window + 1;
    return mm_spill_open(finder->args.dir, (size_t)windows, 1, finder->args.memory / 16,
                         &finder->drops, err);
}

/* ---- from numbers back to places ---- */

/* Walks through the segments: the one under way, and the one after it. */
typedef struct mm_dup_places {
    mm_spill_reader reader;
    const uint64_t *records;
    size_t left;
    uint64_t now[MM_DUP_SEGMENT_WORDS], after[MM_DUP_SEGMENT_WORDS];
    bool last; /* there is none after */
} mm_dup_places;

/* Shifts: now becomes the segment after it. */
static mm_status mm_dup_places_step(mm_dup_places *places, mm_error *err)
{
    memcpy(places->now, places->after, sizeof places->now);
    if (places->left == 0) {
        mm_status status = mm_spill_read(&places->reader, &places->records, &places->left, err);
        if (status != MM_OK)
            return status;
    }
    places->last = places->left == 0;
    if (!places->last) {
        memcpy(places->after, places->records, sizeof places->after);
        places->records += MM_DUP_SEGMENT_WORDS;
        places->left--;
    }
    return MM_OK;
}

static mm_status mm_dup_places_open(mm_duplicate_finder *finder, mm_dup_places *out, mm_error *err)
{
    memset(out, 0, sizeof *out);
    mm_status status = mm_spill_read_open(finder->segments, 0, &out->reader, err);
    if (status == MM_OK)
        status = mm_dup_places_step(out, err);
    return status == MM_OK ? mm_dup_places_step(out, err) : status;
}

/* Goes on to the segment of a number, which is not before the one under way. */
static mm_status mm_dup_places_seek(mm_dup_places *places, uint64_t number, mm_error *err)
{
    mm_status status = MM_OK;
    while (status == MM_OK && !places->last && places->after[MM_DUP_FIRST_NUMBER] <= number)
        status = mm_dup_places_step(places, err);
    return status;
}

static uint64_t mm_dup_places_row(const mm_dup_places *places, uint64_t number)
{
    return places->now[MM_DUP_FIRST_ROW] + (number - places->now[MM_DUP_FIRST_NUMBER]);
}

static bool mm_dup_places_holds(const mm_dup_places *places, uint64_t number)
{
    return number >= places->now[MM_DUP_FIRST_NUMBER] &&
           (places->last || number < places->after[MM_DUP_FIRST_NUMBER]);
}

/* One walk for all examples: there are few. */
static mm_status mm_dup_resolve(mm_duplicate_finder *finder, mm_duplicate *out, mm_error *err)
{
    mm_dup_places places;
    mm_status status = mm_dup_places_open(finder, &places, err);
    while (status == MM_OK) {
        for (size_t i = 0; i < finder->example_count; i++) {
            const mm_dup_example *example = &finder->examples[i];
            out[i].key = finder->args.integer ? (int64_t)mm_dup_unmix(example->hash) : 0;
            if (mm_dup_places_holds(&places, example->number)) {
                out[i].task = places.now[MM_DUP_TASK];
                out[i].row = mm_dup_places_row(&places, example->number);
            }
            if (mm_dup_places_holds(&places, example->earlier)) {
                out[i].earlier_task = places.now[MM_DUP_TASK];
                out[i].earlier_row = mm_dup_places_row(&places, example->earlier);
            }
        }
        if (places.last)
            break;
        status = mm_dup_places_step(&places, err);
    }
    mm_spill_read_close(&places.reader);
    return status;
}

mm_status mm_duplicates_finish(mm_duplicate_finder *finder, mm_duplicates_result *out,
                               mm_error *err)
{
    mm_duplicates_result result = {0};
    mm_status status = mm_dup_prepare(finder, err);
    for (size_t i = 0; status == MM_OK && i < finder->records->stream_count; i++)
        status = mm_dup_search(finder, finder->records, i, finder->bits, finder->args.memory / 16,
                               err);
    mm_spill_close(finder->records);
    finder->records = NULL;
    free(finder->table);
    finder->table = NULL;
    if (status == MM_OK && finder->example_count > 0)
        status = mm_dup_resolve(finder, result.examples, err);
    if (status != MM_OK)
        return status;
    result.rows = finder->rows;
    result.duplicates = finder->duplicates;
    result.example_count = finder->example_count;
    *out = result;
    return MM_OK;
}

/* ---- lists of rows to leave out ---- */

typedef struct mm_dup_thinning {
    mm_duplicate_finder *finder;
    mm_dup_places places;
    mm_thin_writer writer;
    uint64_t task, rows; /* of the list under way; rows 0: none */
    uint64_t *bitmap;
    mm_duplicates_fn fn;
    void *context;
    mm_error *err;
} mm_dup_thinning;

static mm_status mm_dup_emit(mm_dup_thinning *thin)
{
    if (thin->rows == 0)
        return MM_OK;
    mm_status status = mm_thin_end(&thin->writer, thin->err);
    if (status == MM_OK)
        status = thin->fn(thin->context, thin->task, thin->writer.blob.data,
                          thin->writer.blob.size, thin->rows, thin->err);
    mm_thin_reset(&thin->writer);
    thin->rows = 0;
    return status;
}

static mm_status mm_dup_leave_out(mm_dup_thinning *thin, uint64_t number)
{
    mm_status status = mm_dup_places_seek(&thin->places, number, thin->err);
    if (status == MM_OK && thin->places.now[MM_DUP_TASK] != thin->task)
        status = mm_dup_emit(thin);
    if (status != MM_OK)
        return status;
    thin->task = thin->places.now[MM_DUP_TASK];
    thin->rows++;
    mm_thin_add(&thin->writer, mm_dup_places_row(&thin->places, number));
    return MM_OK;
}

/* The numbers of a window, in no order, become bits. */
static mm_status mm_dup_fill_window(mm_dup_thinning *thin, size_t window)
{
    mm_duplicate_finder *finder = thin->finder;
    mm_spill_reader reader;
    const uint64_t *numbers = NULL;
    size_t count = 0;
    memset(thin->bitmap, 0, (size_t)(finder->window / 8));
    mm_status status = mm_spill_read_open(finder->drops, window, &reader, thin->err);
    if (status != MM_OK)
        return status;
    for (;;) {
        status = mm_spill_read(&reader, &numbers, &count, thin->err);
        if (status != MM_OK || count == 0)
            break;
        for (size_t i = 0; i < count; i++) {
            uint64_t bit = numbers[i] - window * finder->window;
            thin->bitmap[bit / 64] |= 1ull << (bit % 64);
        }
    }
    mm_spill_read_close(&reader);
    return status;
}

static mm_status mm_dup_thin_window(mm_dup_thinning *thin, size_t window)
{
    uint64_t first = window * thin->finder->window;
    mm_status status = mm_dup_fill_window(thin, window);
    for (uint64_t word = 0; status == MM_OK && word < thin->finder->window / 64; word++) {
        for (uint64_t bits = thin->bitmap[word]; status == MM_OK && bits != 0; bits &= bits - 1)
            status = mm_dup_leave_out(thin, first + word * 64 + (uint64_t)__builtin_ctzll(bits));
    }
    return status;
}

mm_status mm_duplicates_thin(mm_duplicate_finder *finder, mm_duplicates_fn fn, void *context,
                             mm_error *err)
{
    if (finder->drops == NULL || finder->duplicates == 0)
        return MM_OK;
    mm_dup_thinning thin = {.finder = finder, .fn = fn, .context = context, .err = err};
    mm_status status = mm_dup_places_open(finder, &thin.places, err);
    thin.bitmap = malloc((size_t)(finder->window / 8));
    if (status == MM_OK && thin.bitmap == NULL)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory for thinned rows");
    for (size_t i = 0; status == MM_OK && i < finder->drops->stream_count; i++)
        if (finder->drops->streams[i].count > 0)
            status = mm_dup_thin_window(&thin, i);
    if (status == MM_OK)
        status = mm_dup_emit(&thin);
    mm_spill_read_close(&thin.places.reader);
    mm_thin_free(&thin.writer);
    free(thin.bitmap);
    return status;
}
