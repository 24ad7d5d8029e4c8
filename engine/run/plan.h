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

#endif
