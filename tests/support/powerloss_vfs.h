/* A SQLite VFS in memory that knows what a power cut would leave: what was written but not synced is
 * kept apart, and at the cut each of its sectors is kept or lost by a seeded coin, as are pending
 * changes of the folder (in order). Also lets any one operation fail. For one connection at a time;
 * knows no store. */
#ifndef MM_TESTS_POWERLOSS_VFS_H
#define MM_TESTS_POWERLOSS_VFS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mm_powerloss mm_powerloss;

/* Registers a VFS `name`. A file that it has not seen yet is read from the real disk. */
mm_powerloss *mm_powerloss_new(const char *name, uint64_t seed);
void mm_powerloss_free(mm_powerloss *vfs);

/* Events are writes, truncations, syncs, deletions and creations of files, counted from 1. */
uint64_t mm_powerloss_events(const mm_powerloss *vfs);
/* The power fails in event number `event`: it and everything after it answers with an error. */
void mm_powerloss_cut_at(mm_powerloss *vfs, uint64_t event);
/* Event number `event` answers with this SQLite code; a write is done by half. forever: so do all
 * after it, until mm_powerloss_mend. */
void mm_powerloss_fail_at(mm_powerloss *vfs, uint64_t event, int code, bool forever);
void mm_powerloss_mend(mm_powerloss *vfs);
/* Whether the cut or the failure has come. */
bool mm_powerloss_fired(const mm_powerloss *vfs);
/* Writes what the disk would hold after a cut here into the real files of the same names. */
void mm_powerloss_materialise(mm_powerloss *vfs);

#endif
