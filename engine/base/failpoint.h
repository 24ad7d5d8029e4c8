/* Failpoints: named places where a test build can die, fail or wait, so that every crash point can
 * be enumerated. Compiled to nothing without MM_TESTING.
 *
 * Environment of a test build:
 *   MM_FAILPOINT_LIST=FILE   append the name of every point that is hit (one write(2) a hit)
 *   MM_FAILPOINT=NAME:N:ACTION[,NAME:N:ACTION…]  act at the N-th hit (1-based) of NAME; actions:
 *                            kill (SIGKILL to the own process), error (the point reports failure),
 *                            sleep=MS
 * A point's name is module.place, e.g. "commit.before"; a test greps the sources for all of them. */
#ifndef MM_BASE_FAILPOINT_H
#define MM_BASE_FAILPOINT_H

#include <stdbool.h>

#ifdef MM_TESTING
/* True when the point was told to report a failure. */
bool mm_failpoint_hit(const char *name);
#define MM_FAILPOINT(name) ((void)mm_failpoint_hit(name))
#define MM_FAILPOINT_FAILS(name) mm_failpoint_hit(name)
#else
#define MM_FAILPOINT(name) ((void)0)
#define MM_FAILPOINT_FAILS(name) false
#endif

/* Seeded bugs: a build with -DMM_SEEDED_BUG=NAME behaves wrongly on purpose at the place that asks
 * for NAME; the suite must go red. Test builds only. */
#ifdef MM_SEEDED_BUG
bool mm_seeded_bug_is(const char *name);
#define MM_SEEDED(name) mm_seeded_bug_is(name)
#else
#define MM_SEEDED(name) false
#endif

#endif
