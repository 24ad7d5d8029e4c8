/* The lock of a job: one process writes a store at a time. An flock on a file of its own, so that
 * it dies with its holder whatever kills it. Knows no store and no SQLite. */
#ifndef MM_CHECKPOINT_LOCK_H
#define MM_CHECKPOINT_LOCK_H

#include "base/error.h"

/* Takes the lock file `path` (created 0600 when missing) without waiting. On success *fd holds the
 * lock until it is closed; it is not inherited by exec. MM_BUSY: another process holds it (the text
 * names its process id when the file tells it). MM_IO, MM_DISK_FULL: the file cannot be used. */
mm_status mm_lock_take(const char *path, int *fd, mm_error *err) MM_MUST_USE;

/* Process id of the holder; 0: nobody holds it; -1: held, by whom is not known. Only looks: taking the
 * lock at the same time succeeds. */
long mm_lock_holder(const char *path);

#endif
