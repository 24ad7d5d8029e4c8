/* The sweep of a repair: rows that this job wrote and that the source no longer has are removed from the target. See
 * docs/savepoints.md, "Rows too many". */
#ifndef MM_RUN_SWEEP_H
#define MM_RUN_SWEEP_H

#include "run/session.h"

/* Whether rows of this collection can be removed: it is the job's own (not appended to), its source is one that loses rows
 * while it is read, keys of both can be compared and listed, and a fence keeps late requests away. */
bool mm_sweep_can(const mm_session *session, uint32_t collection);
/* *pending: a repair asked for a sweep that is not over. */
mm_status mm_sweep_pending(mm_session *session, bool *pending, mm_error *err);
/* Finds and removes, in every collection for which it is asked. What cannot be told for certain is left, with a warning
 * that says why: the verification that follows finds it again. The target must be readable. */
mm_status mm_sweep_run(mm_session *session, mm_error *err);

#endif
