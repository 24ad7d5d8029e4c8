/* Folders on the local disk: made and synced so that a power loss keeps them, removed with what is in them. */
#ifndef MM_BASE_FOLDER_H
#define MM_BASE_FOLDER_H

#include "base/error.h"

/* fsync: the names in it. MM_IO. */
mm_status mm_folder_sync(const char *path, mm_error *err) MM_MUST_USE;
/* The folder and its parents, 0700, each made durable. One that is there already is fine. MM_AUTH: may not be written;
 * MM_TARGET: something else stands there. */
mm_status mm_folder_make(const char *path, mm_error *err) MM_MUST_USE;
/* Removes a folder with all that is in it, at most 8 levels; follows no symbolic link. One that is not there is fine. */
mm_status mm_folder_remove(const char *path, mm_error *err) MM_MUST_USE;

#endif
