/* Verification: the proof that the target equals the source, by count, by sample, or in full. */
#ifndef MM_RUN_VERIFY_H
#define MM_RUN_VERIFY_H

#include "run/session.h"

/* Plans the verification (unless an unfinished one is resumed) and runs it. MM_OK: equal (or
 * unverified, with mode none); MM_MISMATCH names the differences; the verdict is recorded either
 * way. The target must be readable (AFTER steps done). */
mm_status mm_verify_run(mm_session *session, mm_verify_mode mode, mm_verdict *verdict, mm_error *err);

#endif
