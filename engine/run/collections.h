/* The job's collections resolved against what the source holds. */
#ifndef MM_RUN_COLLECTIONS_H
#define MM_RUN_COLLECTIONS_H

#include "run/session.h"

/* Fills session->collections from the job and the catalog: mappings, partitions, modes. */
mm_status mm_collections_resolve(mm_session *session, mm_error *err);

/* The extent that a task of this collection is, as the source knows it. Borrows from the task. */
mm_extent mm_collections_extent(const mm_run_collection *collection, const mm_task *task);
/* The name of the source's collection that a partition of the job's collection comes from. */
const char *mm_collections_source_name(const mm_session *session, const mm_run_collection *collection,
                                       uint32_t partition);
/* The fingerprints of all sources of a collection: of one as the source gives it, of several "name: …; name: …".
 * Into the arena. */
mm_status mm_collections_fingerprint(mm_session *session, const mm_run_collection *collection, mm_arena *arena,
                                     const char **out, mm_error *err);
/* Emits the extents of all sources, numbered as the collection numbers partitions. */
mm_status mm_collections_plan(mm_session *session, const mm_run_collection *collection, mm_extent_fn emit,
                              void *context, mm_error *err);

#endif
