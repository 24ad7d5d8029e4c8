/* Duplicate primary keys: found, counted and decided before the first row is sent. */
#ifndef MM_RUN_THINNING_H
#define MM_RUN_THINNING_H

#include "run/session.h"

/* Scans the keys of every collection whose source does not prove them unique, within a bounded share
 * of limits.memory, and according to `duplicates:` refuses (MM_DATA naming the first), stores which
 * rows to leave out, or only counts (keep). Inside the planning transaction; run->duplicates counts. */
mm_status mm_thinning_plan(mm_session *session, mm_run_record *run, mm_error *err);

/* What `duplicates:` means for this job, its default filled in. */
mm_duplicates mm_thinning_policy(const mm_session *session);

#endif
