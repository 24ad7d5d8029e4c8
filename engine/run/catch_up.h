/* After the copy of a live source: passes over what was written to it in the meantime. See docs/savepoints.md. */
#ifndef MM_RUN_CATCH_UP_H
#define MM_RUN_CATCH_UP_H

#include "run/pipeline.h"
#include "run/session.h"

/* The phase in which it begins; in passes it is "catch-up:1", "catch-up:2", … */
#define MM_CATCH_UP_PHASE "catch-up"

bool mm_catch_up_wanted(const mm_session *session);
/* Goes on in the pass that the phase names, until one finds nothing or source.catch_up of them are made; then the phase
 * is "after". MM_CHANGED: something changed, and the target cannot replace rows. */
mm_status mm_catch_up_run(mm_session *session, mm_pipeline_write write, mm_error *err);

/* The source against what was read of it, before a verdict. *again: the counts of the copy say nothing of it any more,
 * since rows were replaced, or are gone: the rows that the verification reads are what the target must have. */
mm_status mm_catch_up_check(mm_session *session, bool *again, mm_error *err);

#endif
