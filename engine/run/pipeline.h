/* The pipeline: threads around the core. Dumpers read and map, lanes write, one committer commits,
 * one keeper moves the fence. One pipeline runs one phase: the copy, or the verification (in which
 * "write" means "compare with the target"). See docs/architecture.md. */
#ifndef MM_RUN_PIPELINE_H
#define MM_RUN_PIPELINE_H

#include "run/session.h"

/* What a lane does with a batch (which it may change: it is not used afterwards). As mm_sink_driver.write; in verification *mismatched counts the
 * rows that differ. */
typedef mm_status (*mm_pipeline_write)(mm_session *session, mm_lane *lane, const mm_write *what,
                                       mm_batch *batch, size_t *acknowledged,
                                       uint64_t *mismatched, mm_error *err);

typedef struct mm_pipeline_work {
    mm_task_kind kind; /* COPY, CHANGE (every write is an upsert) or VERIFY */
    mm_pipeline_write write;
} mm_pipeline_work;

/* Works until no task of the kind is left. MM_OK: all are done (and, for a copy, every fence is
 * sealed). */
mm_status mm_pipeline_run(mm_session *session, const mm_pipeline_work *work, mm_error *err);

#endif
