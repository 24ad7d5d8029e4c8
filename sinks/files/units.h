/* The units of a `files` sink, for who imports them (or lists them elsewhere): what is sealed, and where it lies.
 * Nothing is told here that a crash could take back: a unit is told when its record is committed, its files have
 * their final names, and, where the place is an object store, it is carried there. */
#ifndef MM_SINKS_FILES_UNITS_H
#define MM_SINKS_FILES_UNITS_H

#include "sinks/sink.h"
#include "storage/storage.h"

/* As the driver's open, for a target that has the files imported: they are written as Milvus's bulk import wants them
 * where that differs from the general form. */
mm_status mm_files_open_for_import(const mm_sink_args *args, mm_sink **out, mm_error *err) MM_MUST_USE;

typedef struct mm_files_sealed {
    uint32_t collection, partition, number; /* as in the key of its record: unit/<c>/<p>/<n> */
    uint64_t rows;
    uint64_t bytes; /* of all its files */
    const char *const *keys; /* where its files lie: absolute local paths, or keys in the bucket; by field where the
                              * format has a file a field. Borrowed for the call */
    size_t key_count;
} mm_files_sealed;

typedef mm_status (*mm_files_sealed_fn)(void *context, const mm_files_sealed *unit, mm_error *err);

/* Who embeds the sink calls its driver's functions as the engine does: the step `prepare`, settle, lanes, and attend,
 * which carries units to an object store (its MM_END: all are). */

/* Calls fn once for each sealed unit that this sink has not told yet (after open: for all of them). Any thread, also
 * while lanes write. A status other than MM_OK of fn ends it and is returned; that unit is told again. */
mm_status mm_files_units_take(mm_sink *files, mm_files_sealed_fn fn, void *context, mm_error *err) MM_MUST_USE;
/* All lanes are closed and everything is committed: seals what is still open, so that the next _take tells it. A
 * unit without rows goes. Idempotent. */
mm_status mm_files_units_seal(mm_sink *files, mm_error *err) MM_MUST_USE;
/* From now on the unit's files are the caller's, to move and remove: recorded, so that a later process does not look for
 * them. Called before the first of them is touched. Idempotent. */
mm_status mm_files_units_release(mm_sink *files, uint32_t collection, uint32_t partition, uint32_t number,
                                 mm_error *err) MM_MUST_USE;
/* As the driver's adopts and adopt, for who imports: the files become units of this sink by a link, where local disks
 * allow it, else by a copy; `staged` keeps its own. Not for object stores: their files are read and written. */
bool mm_files_adopts(const mm_sink *files, uint32_t collection, const mm_staged *staged);
mm_status mm_files_adopt(mm_lane *lane, const mm_write *what, const mm_staged *staged, mm_error *err) MM_MUST_USE;
/* The storage in which the keys are; the sink's. */
mm_storage *mm_files_storage(mm_sink *files);

#endif
