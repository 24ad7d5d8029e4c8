/* The shared files of AWS tools (~/.aws/credentials, ~/.aws/config): profiles and their settings. */
#ifndef MM_STORAGE_CREDENTIALS_FILES_H
#define MM_STORAGE_CREDENTIALS_FILES_H

#include "storage/storage_internal.h"

/* An environment variable that is set and not empty; NULL otherwise, and for a NULL name. */
const char *mm_environment(const char *name);

/* The two files and the profile that counts. */
typedef struct mm_shared_files {
    char *credentials_path, *credentials, *config_path, *config; /* texts NULL: not there */
    const char *profile; /* of the options or the environment, else "default" */
} mm_shared_files;

/* *files is {0}. MM_CONFIG: a file that is there cannot be read, or the one that the options name is not there. */
mm_status mm_shared_files_read(const mm_storage_place *place, mm_shared_files *files, mm_error *err) MM_MUST_USE;
void mm_shared_files_free(mm_shared_files *files);

/* A profile's setting, malloc'd: the credentials file before the config file. found (may be NULL): set true when
 * either has the profile. */
char *mm_shared_files_setting(const mm_shared_files *files, const char *profile, const char *key, bool *found);

/* Value of `key` in [section] of a file's text (a profile x other than default is "profile x" in the config file):
 * malloc'd; NULL: not there, or no memory. *found: whether the section is there. */
char *mm_credentials_ini(const char *text, const char *section, const char *key, bool *found);

#endif
