/* The job file's own option tables: what belongs to no driver. One place for parser, docs and schema.
 * Public to the command line, which prints them. */
#ifndef MM_CONFIG_TABLES_H
#define MM_CONFIG_TABLES_H

#include "config/options.h"

typedef struct mm_job_section {
    const char *name;  /* "limits": as messages and docs call it */
    const char *where; /* place in a job file: "collections[].fields[]" */
    const char *help;
    const mm_option *table;
    size_t count;
} mm_job_section;

typedef enum mm_job_section_id {
    MM_SECTION_JOB,
    MM_SECTION_SOURCE, /* only `driver`: the rest is the driver's table */
    MM_SECTION_TARGET, /* `driver`, and what all targets share */
    MM_SECTION_COLLECTION,
    MM_SECTION_FIELD,
    MM_SECTION_INDEX,
    MM_SECTION_LIMITS,
    MM_SECTION_VERIFY,
    MM_SECTION_COUNT
} mm_job_section_id;

extern const mm_job_section mm_job_sections[MM_SECTION_COUNT];

#endif
