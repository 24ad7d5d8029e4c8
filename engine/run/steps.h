/* Steps: one-shot actions of the sink on a collection, recorded before and after. */
#ifndef MM_RUN_STEPS_H
#define MM_RUN_STEPS_H

#include "run/session.h"

/* Runs the steps of a phase on every collection that is not skipped. Steps that are done stay done,
 * unless again is set (a later verification, a repair) and they are not of the kind that runs once. A started one is repeated with the intent it was started
 * with. Refusals are tried again for limits.patience. */
mm_status mm_steps_run(mm_session *session, mm_step_phase phase, bool again, mm_error *err);
/* Gives the details of all done steps back to a freshly opened sink, then lets it settle. */
mm_status mm_steps_recall(mm_session *session, mm_error *err);

/* Calls fn until it succeeds, fails for good, a stop is asked for, or limits.patience is over. */
typedef mm_status (*mm_steps_fn)(void *context, mm_error *err);
mm_status mm_steps_retry(mm_session *session, mm_steps_fn fn, void *context, mm_error *err);

#endif
