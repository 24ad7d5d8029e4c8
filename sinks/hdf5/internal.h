/* Inside of the target `hdf5`. What is there in the end (docs/hdf5.md):
 *
 *   <path>/<tag>-<run>/<collection>/<partition|None>.h5        datasets embeddings and ids
 *   <path>/<tag>-<run>/yamls/<collection>/<partition|None>.yaml   MilvusDM's H2M job of that file
 *
 * Until then a collection is the hidden folder <path>/.mmresume-<tag>-<run>-<n>, and a partition two files in it:
 *
 *   <partition>.h5.part    `head` bytes that nobody wrote yet, then the rows of embeddings: slot i at head + i × width
 *   <partition>.ids.part   the keys: slot i at 8 × i
 *
 * A task's rows go to slots of its own (a range), so lanes write side by side without waiting for each other. A range's
 * record in the store says how many rows of which task are vouched for; slots beyond are rubbish that will be written
 * again. What the tasks left empty (rejected rows, dropped duplicates, an estimate that was too high) is filled with
 * the last rows in the step `seal`, which makes the file whole: libhdf5 writes an empty file for exactly these rows
 * (contiguous, allocated, not filled: sparse), whose first `head` bytes are all that is not rows; they are put in front
 * of the rows, the keys behind them, and it looks at the result. Only then a file is called .h5, and only the step
 * `publish` gives the folder its name.
 *
 * The library reads no file that could have been changed since: that its head is the one that was looked at is told by
 * a checksum in the store. */
#ifndef MM_SINKS_HDF5_INTERNAL_H
#define MM_SINKS_HDF5_INTERNAL_H

#include <pthread.h>

#include "base/folder.h"
#include "sinks/hdf5/hdf5.h"

#define MM_H5_KEY_WIDTH 8

/* Source rows of one task that stand next to each other. */
typedef struct mm_h5_run {
    uint64_t first, rows; /* first: ordinal in the task's extent */
} mm_h5_run;

/* Slots of a file that belong to a task: its rows, in their order, from `start` on. */
typedef struct mm_h5_range {
    uint32_t collection, file;
    uint64_t task;
    uint64_t start, capacity; /* slots */
    uint64_t rows;            /* written */
    uint64_t flushed_rows;    /* on the disk */
    uint64_t kicked_rows;     /* whose writeback was started */
    mm_h5_run *runs;
    size_t run_count, run_capacity;
    bool cut;    /* its capacity changed since it was recorded */
    bool idle;   /* left by a former process: a lane may take it */
    bool failed; /* what is on the disk is not known */
} mm_h5_range;

/* Rows that `seal` moves from beyond the end into slots that were left empty. */
typedef struct mm_h5_move {
    uint64_t from, to, rows;
} mm_h5_move;

/* Where the rows of the two datasets stand in a whole file. */
typedef struct mm_h5_layout {
    uint64_t rows, vectors_at, keys_at, size;
} mm_h5_layout;

/* One partition. */
typedef struct mm_h5_file {
    const char *partition; /* of the target; MM_DEFAULT_PARTITION where the plan has none */
    char *name;            /* without extension */
    uint64_t next;         /* the first slot that no range has */
    uint64_t filled;       /* recorded: the empty slots are filled, for so many rows; UINT64_MAX: not yet */
    bool is_whole;         /* recorded: the library found this layout in it, and a head with this XXH3-64 */
    mm_h5_layout layout;
    uint64_t head_hash;
} mm_h5_file;

typedef struct mm_h5_collection {
    const mm_sink_collection *plan;
    const mm_field *key, *vector;
    size_t key_column, vector_column;
    size_t width; /* bytes of a vector */
    char *place;  /* folder of collections */
    char *final, *jobs, *beside, *aside;
    char *root; /* where its files are now: beside or final; NULL: not known yet */
    char id[MM_FOLDER_ID];  /* of root */
    char old[MM_FOLDER_ID]; /* of the folder that is to be replaced; empty: none */
    uint64_t head;          /* bytes in front of the rows */
    mm_h5_file *files;
    size_t file_count;
    uint32_t *file_of; /* by the plan's partition number; several may go into one */
    size_t partition_count;
} mm_h5_collection;

struct mm_sink {
    char *path;
    mm_sink_host host;
    char prefix[48]; /* ".mmresume-<tag>-" */
    uint32_t run;
    mm_h5_collection *collections;
    size_t collection_count;
    pthread_mutex_t lock; /* of the ranges' list, `idle`, the files' `next`, and the places */
    mm_h5_range **ranges;
    size_t range_count, range_capacity, idle_count;
    struct mm_h5_place *places; /* readback.c; made when first needed */
    size_t place_count;
};

/* --- ranges.c: which slots are whose --- */

/* malloc'd path of <root>/<name of file><extension>. NULL: out of memory. */
char *mm_h5_path(const mm_h5_collection *c, const mm_h5_file *file, const char *extension);
#define MM_H5_WHOLE ".h5"
#define MM_H5_PART ".h5.part"
#define MM_H5_KEYS ".ids.part"
#define MM_H5_HEAD ".head.part"

/* A range that a former process left for this task, or *out NULL. It is the caller's lane's then. */
void mm_h5_range_take(mm_sink *sink, uint32_t collection, uint32_t file, uint64_t task, mm_h5_range **out);
/* A new range of `capacity` slots at the end of the file, owned by the sink. MM_TARGET: the file would be too large. */
mm_status mm_h5_range_new(mm_sink *sink, uint32_t collection, uint32_t file, uint64_t task, uint64_t capacity,
                          mm_h5_range **out, mm_error *err);
/* The slots that are left of a range become a range of their own. */
mm_status mm_h5_range_split(mm_sink *sink, mm_h5_range *range, mm_h5_range **out, mm_error *err);
/* Notes which source rows the next rows of the range are. */
mm_status mm_h5_range_note(mm_h5_range *range, const mm_batch *batch, size_t from, size_t count, mm_error *err);
void mm_h5_range_free(mm_h5_range *range);

/* malloc'd texts of its record. */
mm_status mm_h5_range_print(const mm_h5_range *range, char **key, char **value, mm_error *err);
/* Takes one record of a former process into the sink. MM_CHANGED: it does not belong to this plan. Other keys are
 * passed over. */
mm_status mm_h5_recall(mm_sink *sink, const char *key, const char *value, mm_error *err);

/* malloc'd texts of the record that a file is whole. */
mm_status mm_h5_whole_print(uint32_t collection, uint32_t number, const mm_h5_file *file, char **key, char **value,
                            mm_error *err);

/* Ranges of a file that hold rows, by their slots; malloc'd list. */
mm_status mm_h5_ranges_of(const mm_sink *sink, uint32_t collection, uint32_t file, mm_h5_range ***out, size_t *count,
                          mm_error *err);
/* What `seal` moves so that the rows of these ranges stand without a gap from slot 0 on; malloc'd list, by `from`. */
mm_status mm_h5_moves(mm_h5_range *const *ranges, size_t count, mm_h5_move **out, size_t *move_count, uint64_t *rows,
                      mm_error *err);

/* --- lane.c --- */

mm_status mm_h5_lane_open(mm_sink *sink, uint32_t number, mm_lane **out, mm_error *err);
mm_status mm_h5_write(mm_lane *lane, const mm_write *what, const mm_batch *batch, size_t *acknowledged, mm_error *err);
mm_status mm_h5_flush(mm_lane *lane, mm_changes *changes, mm_error *err);
void mm_h5_lane_close(mm_lane *lane);

/* What a lane has open for reading back. */
typedef struct mm_h5_reading {
    uint32_t collection, file;
    int fd; /* -1: nothing */
} mm_h5_reading;
mm_sink *mm_h5_lane_sink(mm_lane *lane);
mm_h5_reading *mm_h5_lane_reading(mm_lane *lane);

/* --- layout.c: what libhdf5 has a say in --- */

/* Makes a file of `rows` rows of which none is written: as large as the whole, and sparse. */
mm_status mm_h5_layout_create(const char *path, const mm_h5_collection *c, uint64_t rows, mm_h5_layout *out,
                              mm_error *err);
/* Has the library look at a file that was just made whole, and nobody else wrote. MM_BUG: it does not find the two
 * datasets with this layout. */
mm_status mm_h5_layout_check(const char *path, const mm_h5_collection *c, const mm_h5_layout *wanted, mm_error *err);
/* XXH3-64 of all that is not rows. */
mm_status mm_h5_layout_hash(int fd, const mm_h5_layout *layout, const char *name, uint64_t *out, mm_error *err);

/* --- seal.c, steps.c, jobfile.c, readback.c --- */

/* Makes one partition's file whole, under its name; idempotent. */
mm_status mm_h5_seal(mm_sink *sink, uint32_t collection, uint32_t file, mm_error *err);

#define MM_H5_STEPS 3
extern const mm_step mm_h5_steps[MM_H5_STEPS];

/* Writes the job files of a published collection; idempotent. */
mm_status mm_h5_jobs_write(const mm_h5_collection *c, mm_error *err);

mm_status mm_h5_count(mm_sink *sink, uint32_t collection, const char *partition, uint64_t *rows, mm_error *err);
mm_status mm_h5_read_back(mm_lane *lane, const mm_write *what, const mm_batch *like, mm_batch *out, mm_error *err);

/* --- transfer of bytes, in lane.c --- */

mm_status mm_h5_put(int fd, const void *bytes, size_t size, uint64_t at, const char *name, mm_error *err);
/* MM_MISMATCH: the file ends before. */
mm_status mm_h5_get(int fd, void *bytes, size_t size, uint64_t at, const char *name, mm_error *err);

#endif
