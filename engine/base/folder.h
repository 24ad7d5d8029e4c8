/* Folders on the local disk: made and synced so that a power loss keeps them, removed with what is in them. */
#ifndef MM_BASE_FOLDER_H
#define MM_BASE_FOLDER_H

#include <stdbool.h>

#include "base/error.h"

/* fsync: the names in it. MM_IO. */
mm_status mm_folder_sync(const char *path, mm_error *err) MM_MUST_USE;
/* The folder and its parents, 0700, each made durable. One that is there already is fine. MM_AUTH: may not be written;
 * MM_TARGET: something else stands there. */
mm_status mm_folder_make(const char *path, mm_error *err) MM_MUST_USE;
/* Removes a folder with all that is in it, at most 8 levels; follows no symbolic link. One that is not there is fine. */
mm_status mm_folder_remove(const char *path, mm_error *err) MM_MUST_USE;
/* Removes the folders in `path` whose names are `prefix` and a number below `number` (and anything behind that). */
mm_status mm_folder_remove_below(const char *path, const char *prefix, unsigned long number, mm_error *err) MM_MUST_USE;

/* name as a file name: letters, digits, '_', '-' and inner '.' stay, other bytes become %XX. malloc'd; NULL: out of
 * memory. */
char *mm_folder_quote(const char *name);

#define MM_FOLDER_ID 96
/* "inode <n> born <seconds>.<ns>": which folder it is, whatever its name. MM_NOT_FOUND: none there; MM_TARGET: it is
 * no folder. */
mm_status mm_folder_id(const char *path, char out[MM_FOLDER_ID], mm_error *err) MM_MUST_USE;
/* A folder of this identity stands there. */
bool mm_folder_is(const char *path, const char *id);

/* beside becomes final and final beside, in one step where the file system can do that; else the old folder is away
 * for a moment under the third name, where a repetition finds it. */
mm_status mm_folder_exchange(const char *beside, const char *final, const char *aside, mm_error *err) MM_MUST_USE;

#endif
