/* The plan: what will move, cut into tasks, written to the store in one transaction. */
#ifndef MM_RUN_PLAN_H
#define MM_RUN_PLAN_H

#include "run/session.h"

/* Plans run `session->run.run + 1`: collections with their fingerprints and mappings, tasks, thinned
 * duplicates, totals. The source must be open. On success session->run is the new run. */
mm_status mm_plan_make(mm_session *session, mm_error *err);
/* Reads the plan of an unfinished run back and checks that source, mapping and configuration are
 * still those it was made for. */
mm_status mm_plan_recall(mm_session *session, mm_error *err);

/* Fences as the store has them now: a pipeline before this one moved them. */
mm_status mm_plan_recall_fences(mm_session *session, mm_error *err);

/* The extents of collection `at` that come from its source number `source` and were planned so far, as a mm_extent_walk
 * wants them. */
typedef struct mm_plan_walk {
    mm_session *session;
    uint32_t at;
    size_t source;
} mm_plan_walk;
mm_status mm_plan_former(void *context, mm_extent_fn each, void *each_context, mm_error *err);

/* Adds what changed in a live source since it was planned, as tasks of kind CHANGE, in one transaction with the phase.
 * *tasks 0: nothing changed, and nothing was written. */
mm_status mm_plan_changes(mm_session *session, const char *phase, uint64_t *tasks, mm_error *err);
/* Rows that it would add. *blind: of a collection nothing can be told. */
mm_status mm_plan_count_changes(mm_session *session, uint64_t *rows, bool *blind, mm_error *err);

#endif
