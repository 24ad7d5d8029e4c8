/* From a plan in the store to the verdict: the phases of a run. */
#ifndef MM_RUN_EXECUTE_H
#define MM_RUN_EXECUTE_H

#include "run/session.h"

/* Runs what the plan still has open: steps before, copy, steps after, verification, finishing steps.
 * Source and sink are open. resumed: the sink recalls and settles first. repaired: rows were set back,
 * so the steps after the copy run again. Records the end of the run, whatever it is. */
mm_status mm_execute(mm_session *session, bool resumed, bool repaired, mm_error *err);
/* The verification alone, of a run that is done. */
mm_status mm_execute_verify(mm_session *session, mm_verify_mode mode, mm_error *err);

/* Records how the run ended, by the class of status. Never fails: what cannot be recorded is logged. */
void mm_execute_record_end(mm_session *session, mm_status status, const mm_error *err);
/* Drops the fences of a run that is given up, as far as the target can be reached. */
void mm_execute_drop_fences(mm_session *session);

#endif
