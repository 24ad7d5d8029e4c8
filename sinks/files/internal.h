/* Inside of the target `files`. Layout (docs/formats.md):
 *
 *   <path>/<collection>/manifest.json                       published last, by rename
 *   <path>/<collection>/<partition>/<NNNNN>/<field>.npy     one folder a unit, one file a field
 *   <path>/<collection>/<partition>/<NNNNN>.parquet         or one file a unit, as the format has it
 *
 * While a collection is being written its files are called <field>.npy.part-<tag>-<run> (one file a unit:
 * .<NNNNN>/rows.parquet.part-<tag>-<run>), by which the job knows its own; they get their names in the step
 * `seal`, when all tasks are done and committed, so that at no moment a file stands there that the savepoint
 * store does not vouch for in full.
 *
 * A unit is written by one lane at a time. Its record in the store, key unit/<c>/<p>/<n> (plan numbers
 * of collection and partition, unit number), says how many rows are vouched for, of which task they are, how many
 * bytes of each file hold them, the format's state to go on from there and, once no row can come any more, the
 * checksums. The record with 0 rows is committed before the folder is made: there is no folder without a record.
 * Records with rows are committed by the engine together with the tasks' cursors (flush), so a crash leaves each
 * file with at least the recorded bytes, and settle cuts off the rest.
 *
 * In an object store (path: s3://…) the same part files lie in a local spool. What is sealed and committed the
 * attendant carries to <prefix>/<collection>/<partition>/<NNNNN>-<tag>-<run>…, names that no other run has, and
 * records the objects' etags; the local file goes then. The manifest is put last, so that nobody sees what it does not
 * name. */
#ifndef MM_SINKS_FILES_INTERNAL_H
#define MM_SINKS_FILES_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <xxhash.h>

#include "base/folder.h"
#include "formats/format.h"
#include "formats/manifest.h"
#include "sinks/files/units.h"
#include "storage/storage.h"

/* Rows of one task that stand next to each other in the source and in the unit. */
typedef struct mm_files_run {
    uint64_t task, first, rows; /* first: ordinal of the first source row in the task's extent */
} mm_files_run;

typedef enum mm_files_unit_state {
    MM_FILES_OPEN, /* rows may be added */
    MM_FILES_FULL, /* no more rows; the files are finished, not yet recorded */
    MM_FILES_SEALED
} mm_files_unit_state;

typedef struct mm_files_file {
    int fd;             /* -1: not open */
    uint64_t size;
    XXH3_state_t *hash; /* of what was put so far; NULL: not followed */
    uint64_t checksum;  /* of the whole file, valid when the unit is finished */
    char etag[96];      /* remote: of the object that it was carried to; empty: not carried */
    uint64_t started;   /* bytes whose writeback was started */
} mm_files_file;

typedef struct mm_files_unit {
    uint32_t collection, partition, number;
    mm_files_unit_state state;
    uint64_t rows;
    uint64_t flushed_rows; /* on the disk; more are in doubt */
    const mm_format_driver *format;
    mm_format_writer *writer; /* NULL: not open, or finished */
    char *format_state; /* recorded by a former process; NULL: the unit is new */
    mm_files_file *files;
    size_t file_count;
    struct mm_files_gather *gather; /* rows that wait for others; belongs to the lane that holds the unit */
    bool finished; /* ends and checksums of the files are there for these rows */
    mm_files_run *runs;
    size_t run_count, run_capacity;
    size_t group_count; /* runs that do not just go on in the task of the one before */
    bool idle;   /* left open by a former process: a lane may take it */
    bool committed; /* sealed, and its record is in the store: it may be carried and told */
    bool released;  /* its files are somebody else's now (units.h) */
    bool told;      /* by mm_files_units_take */
    bool dropped;   /* ended without rows: files and record are gone */
    bool fresh;  /* its folder entries are not yet synced */
    bool failed; /* what is on disk or in `runs` is not known: only settle helps */
} mm_files_unit;

typedef struct mm_files_partition {
    const char *name; /* MM_DEFAULT_PARTITION where the plan has none */
    char *folder;     /* safe file name */
    uint32_t next;    /* number to try next; 0: the folder was not looked at yet */
} mm_files_partition;

/* One collection. root is final or, when overwriting, beside it until the swap. */
typedef struct mm_files_collection {
    const mm_sink_collection *plan;
    char **names; /* of a unit's files, without the extension: safe file names of the fields, or "rows" */
    size_t file_count; /* of a unit */
    uint64_t rows_max; /* of a unit; UINT64_MAX: its size decides */
    char *final, *beside, *root; /* final: of the URL too */
    char *prefix; /* remote: the key of the collection's place, without the last slash; root is its spool then */
    char *replaced; /* remote: JSON list of the paths that the replaced manifest named; NULL: none recorded */
    char id[96]; /* of the folder that root is; empty before the step `prepare` */
    char old[96]; /* of the folder (remote: the manifest) that is to be replaced; empty: none */
    bool appends; /* to what stood there before */
    mm_files_partition *partitions;
    size_t partition_count; /* at least 1 */
} mm_files_collection;

/* Where an upload had come to: its record upload/<c>/<p>/<n>/<file>. */
typedef struct mm_files_upload {
    char *key, *state;
} mm_files_upload;

struct mm_sink {
    char *path, *prefix; /* without the last slash; prefix: the key of it */
    const mm_format_driver *format;
    bool for_import;
    uint64_t file_size;
    size_t group_bytes; /* that a lane gathers before they become a piece of a file; 0: nothing is gathered */
    char suffix[48]; /* ".part-<tag>-<run>" */
    char unique[48]; /* remote: "-<tag>-<run>", after the number of every unit; else "" */
    const mm_options *options;
    mm_storage *storage; /* of path */
    bool remote; /* path is in an object store: units are written in the spool and carried by attend */
    char *spool; /* remote: <folder>/<run> */
    mm_files_upload *uploads; /* remote: what former processes recorded of uploads; of the attendant */
    size_t upload_count, upload_capacity;
    size_t carried; /* units before this one are carried */
    _Atomic uint64_t files_known, files_carried; /* for the progress line: of committed units; of these */
    mm_sink_host host;
    mm_files_collection *collections;
    size_t collection_count;
    pthread_mutex_t lock; /* of the list of units, their `idle` and `committed`, and the partitions' next */
    mm_files_unit **units;
    size_t unit_count, unit_capacity;
    struct mm_files_place *places; /* readback.c: where each task's rows are; made when first needed */
    size_t place_count;
    uint64_t place_rows; /* rows of all units when places were made */
};

/* --- paths.c: names, folders --- */

/* mm_folder_quote, and not the name of a manifest. malloc'd; NULL: out of memory. */
char *mm_files_quote(const char *name);
typedef enum mm_files_found {
    MM_FILES_ABSENT, MM_FILES_EMPTY, MM_FILES_MANIFEST, MM_FILES_OTHER
} mm_files_found;
/* What is at a collection's path. */
mm_status mm_files_look(const char *path, mm_files_found *out, mm_error *err);
/* Whole file into text. */
mm_status mm_files_read_text(const char *path, struct mm_buffer *text, mm_error *err);

/* --- unit.c: the files of one unit --- */

mm_files_unit *mm_files_unit_new(const mm_sink *sink, uint32_t collection);
void mm_files_unit_free(mm_files_unit *unit);
/* Makes folder and files. MM_TARGET with *taken: the number is taken already. */
mm_status mm_files_unit_create(mm_sink *sink, mm_files_unit *unit, bool *taken, mm_error *err);
/* Opens files and writer, where they are not; to go on, or to sync. */
mm_status mm_files_unit_open(mm_sink *sink, mm_files_unit *unit, mm_error *err);
/* The files only: the writer stays. */
void mm_files_unit_close(mm_files_unit *unit);
/* Appends rows [from, from + count) of a batch; they fit in. */
mm_status mm_files_unit_append(mm_sink *sink, mm_files_unit *unit, const mm_batch *batch, size_t from, size_t count,
                               mm_error *err);
/* Bytes of its largest file. */
uint64_t mm_files_unit_size(const mm_files_unit *unit);
/* Ends the files after the rows that are there now, and makes their checksums. No row can be added afterwards. */
mm_status mm_files_unit_finish(mm_sink *sink, mm_files_unit *unit, mm_error *err);
/* Data, and on the first call the folders, to the disk. */
mm_status mm_files_unit_sync(mm_sink *sink, mm_files_unit *unit, mm_error *err);
/* Ends a unit that no lane holds and whose rows are committed, and records it as sealed; idempotent. */
mm_status mm_files_unit_seal(mm_sink *sink, mm_files_unit *unit, mm_error *err);
mm_status mm_files_unit_record(mm_sink *sink, const mm_files_unit *unit, mm_error *err);
/* Its seal is in the store. */
void mm_files_unit_set_committed(mm_sink *sink, mm_files_unit *unit);

/* --- unit_disk.c: where the files of a unit lie --- */

/* The folder of its part files; a file of it, by its part name or by its name; that relative to the collection's
 * root. malloc'd, NULL: out of memory. */
char *mm_files_unit_folder(const mm_sink *sink, const mm_files_unit *unit);
char *mm_files_unit_path(const mm_sink *sink, const mm_files_unit *unit, size_t file, bool part);
char *mm_files_unit_name(const mm_sink *sink, const mm_files_unit *unit, size_t file);
/* Remote: the key of the object that a file becomes. */
char *mm_files_unit_key(const mm_sink *sink, const mm_files_unit *unit, size_t file);
/* Where it can be read now: a local path, or the URL of the object that it was carried to. */
char *mm_files_unit_location(const mm_sink *sink, const mm_files_unit *unit, size_t file);
/* Opens a file by its part name or, when that is gone and `any`, its own. MM_NOT_FOUND. */
mm_status mm_files_unit_open_file(const mm_sink *sink, const mm_files_unit *unit, size_t file, int flags, bool any,
                                  int *out, mm_error *err);
mm_status mm_files_unit_make_folder(mm_sink *sink, mm_files_unit *unit, bool *taken, mm_error *err);
mm_status mm_files_unit_sync_folders(const mm_sink *sink, const mm_files_unit *unit, mm_error *err);
/* The part file of a file that was carried, which may be gone already, and the folder with the last of them. */
mm_status mm_files_unit_remove_local(const mm_sink *sink, const mm_files_unit *unit, size_t file, mm_error *err);
/* Cuts the files back to the recorded sizes; a unit without rows goes (*gone). */
mm_status mm_files_unit_settle(mm_sink *sink, mm_files_unit *unit, bool *gone, mm_error *err);
/* Part names to final names; idempotent. */
mm_status mm_files_unit_rename(mm_sink *sink, mm_files_unit *unit, mm_error *err);

/* --- gather.c: rows on their way to becoming a row group --- */

typedef struct mm_files_gather mm_files_gather;
mm_status mm_files_gather_new(const mm_schema *schema, mm_files_gather **out, mm_error *err);
void mm_files_gather_free(mm_files_gather *gather);
/* Copies rows [from, from + count). After a failure the gather is good for free only. */
mm_status mm_files_gather_add(mm_files_gather *gather, const mm_batch *batch, size_t from, size_t count, mm_error *err);
/* What is gathered; good until the next call. */
const mm_batch *mm_files_gather_batch(const mm_files_gather *gather);
size_t mm_files_gather_bytes(const mm_files_gather *gather); /* NULL: 0 */
void mm_files_gather_empty(mm_files_gather *gather);
/* Bytes that rows take in columns. */
size_t mm_files_rows_bytes(const mm_batch *batch, size_t from, size_t count);

/* --- reading.c: the files of one unit, read by their format --- */

typedef struct mm_files_reading mm_files_reading;
/* MM_MISMATCH: files are gone or not whole. The unit outlives it. */
mm_status mm_files_reading_open(const mm_sink *sink, const mm_files_unit *unit, mm_files_reading **out, mm_error *err);
void mm_files_reading_close(mm_files_reading *reading);
const mm_files_unit *mm_files_reading_unit(const mm_files_reading *reading); /* NULL for NULL */
/* Rows from `row` on, at least one and at most max_rows, as a batch of the reader's schema. MM_MISMATCH: there is no
 * such row. */
mm_status mm_files_reading_next(mm_files_reading *reading, uint64_t row, size_t max_rows, mm_batch *out, mm_error *err);
mm_status mm_files_unit_count(const mm_sink *sink, const mm_files_unit *unit, uint64_t *rows, mm_error *err);

/* --- remote.c: a place in an object store --- */

/* The etag of the collection's manifest. MM_NOT_FOUND: it has none. */
mm_status mm_files_remote_id(mm_sink *sink, const mm_files_collection *c, char out[96], mm_error *err);
/* The step `prepare`: if_exists, and a clean spool. */
mm_status mm_files_prepare_remote(mm_sink *sink, mm_files_collection *c, const char *replaces, mm_error *err);
/* The collection's spool is not needed any more. */
mm_status mm_files_spool_done(mm_sink *sink, const mm_files_collection *c, mm_error *err);

/* --- carry.c: sealed units on their way to the object store --- */

mm_status mm_files_attend(mm_sink *sink, bool closing, uint64_t *wait_ms, mm_error *err);
void mm_files_activity(mm_sink *sink, char out[MM_ACTIVITY_MAX]);
/* What a former process recorded of an upload; kept until the file is carried. MM_END: the key is not one of these. */
mm_status mm_files_recall_upload(mm_sink *sink, const char *key, const char *value, mm_error *err);
void mm_files_forget_uploads(mm_sink *sink);

/* --- record.c: units as text in the savepoint store --- */

mm_status mm_files_record(const mm_files_unit *unit, char **key, char **value, mm_error *err);
/* MM_END: the key is not one of a unit. */
mm_status mm_files_record_parse(mm_sink *sink, const char *key, const char *value, mm_files_unit **out,
                                mm_error *err);
mm_status mm_files_runs_add(mm_files_unit *unit, uint64_t task, const mm_batch *batch, size_t from,
                            size_t count, mm_error *err);

/* --- lane.c --- */

mm_status mm_files_lane_open(mm_sink *sink, uint32_t number, mm_lane **out, mm_error *err);
mm_status mm_files_write(mm_lane *lane, const mm_write *what, const mm_batch *batch, size_t *acknowledged,
                         mm_error *err);
mm_status mm_files_flush(mm_lane *lane, mm_changes *changes, mm_error *err);
void mm_files_lane_close(mm_lane *lane);
mm_sink *mm_files_lane_sink(mm_lane *lane);
/* A new unit, held by the lane. */
mm_status mm_files_lane_begin(mm_lane *lane, uint32_t collection, uint32_t partition, mm_files_unit **out, mm_error *err);
mm_files_reading **mm_files_lane_reading(mm_lane *lane); /* the lane's, for reading back */
/* Adds a unit to the sink's list, which owns it then. */
mm_status mm_files_add_unit(mm_sink *sink, mm_files_unit *unit, mm_error *err);

/* --- steps.c, manifest.c, readback.c --- */

#define MM_FILES_STEPS 3
extern const mm_step mm_files_steps[MM_FILES_STEPS];
/* Puts manifest.json: what an older manifest there says, and the units. */
mm_status mm_files_publish(mm_sink *sink, uint32_t collection, mm_error *err);
/* The collection's manifest where it stands now. MM_NOT_FOUND; MM_TARGET: not a manifest. */
mm_status mm_files_manifest_text(const mm_sink *sink, const mm_files_collection *c, struct mm_buffer *text, mm_error *err);
mm_status mm_files_manifest_read(const mm_sink *sink, const mm_files_collection *c, mm_manifest *out, mm_error *err);
/* A manifest of `earlier` and this run's units. */
mm_status mm_files_manifest_make(mm_sink *sink, uint32_t collection, const mm_manifest *earlier, mm_manifest *out,
                                 mm_error *err);
/* MM_TARGET: the manifest in the root does not have the plan's schema; names the difference. */
mm_status mm_files_check_manifest(mm_sink *sink, uint32_t collection, mm_error *err);
mm_status mm_files_count(mm_sink *sink, uint32_t collection, const char *partition, uint64_t *rows,
                         mm_error *err);
mm_status mm_files_read_back(mm_lane *lane, const mm_write *what, const mm_batch *like, mm_batch *out,
                             mm_error *err);
mm_status mm_files_inspect(const char *location, struct mm_buffer *text, mm_error *err);

#endif
