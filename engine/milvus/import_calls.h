/* Bulk import over gRPC, as servers up to 2.3 have it: one call, one file group (one Parquet or JSON file, or one
 * .npy a field), one task. Also what imported rows need to become visible. Later servers have jobs over REST
 * (import_rest.h), whose state is told in the same words.
 *
 * Source: milvus-proto; the states and what a task of 2.3.5 says of itself were observed on that server. */
#ifndef MM_MILVUS_IMPORT_CALLS_H
#define MM_MILVUS_IMPORT_CALLS_H

#include "milvus/client.h"

#define MM_IMPORT_ID 64 /* a job's id as text, its NUL included */

typedef enum mm_import_phase {
    MM_IMPORT_PENDING, /* accepted, not begun */
    MM_IMPORT_RUNNING,
    MM_IMPORT_DONE,     /* the rows are there, though a loaded collection may not show them yet */
    MM_IMPORT_FAILED,   /* nothing more will come of it; what it wrote before is not certain */
    MM_IMPORT_FORGOTTEN /* the server does not know such a job (any more) */
} mm_import_phase;

typedef struct mm_import_job {
    char id[MM_IMPORT_ID];
    mm_import_phase phase;
    bool cleaned;     /* FAILED: the server has taken away what it wrote, or will not */
    uint64_t rows;    /* imported so far */
    unsigned percent; /* 0 to 100 */
    char reason[512]; /* of a failure, one line; else "" */
} mm_import_job;

/* Asks for the import of one file group. collection: name or alias; partition NULL: the default one. id: of the
 * task that was accepted. Statuses as of a write: MM_UNKNOWN when it may have been accepted; MM_NOT_FOUND through a
 * dropped alias (2.3.5 tries for 52 s before it says so, hence a deadline comes first: MM_UNKNOWN). What is wrong
 * with the files is told by the task, not here. */
mm_status mm_milvus_import(mm_milvus *client, const char *collection, const char *partition, const char *const *files,
                           size_t count, char id[MM_IMPORT_ID], mm_error *err) MM_MUST_USE;

/* An id that the server does not know: MM_OK with MM_IMPORT_FORGOTTEN. */
mm_status mm_milvus_import_state(mm_milvus *client, const char *id, mm_import_job *out, mm_error *err) MM_MUST_USE;

/* The task that was asked to import exactly these files in this order; *found false: the server lists none. The
 * list of all collections is searched, since that of one forgets what was dropped. Tasks are listed from the moment
 * on at which the call was accepted, for a day (rootCoord.importTaskRetention). */
mm_status mm_milvus_import_find(mm_milvus *client, const char *const *files, size_t count, bool *found,
                                mm_import_job *out, mm_error *err) MM_MUST_USE;

/* Lets a loaded collection show what was imported since; then ask for the progress, 0 to 100. */
mm_status mm_milvus_refresh(mm_milvus *client, const char *collection, mm_error *err) MM_MUST_USE;
mm_status mm_milvus_refresh_progress(mm_milvus *client, const char *collection, int64_t *percent,
                                     mm_error *err) MM_MUST_USE;

#endif
