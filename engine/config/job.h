/* The job file: parsed, checked, with defaults filled in. Knows the shape of a job (docs: job file)
 * and the option tables that it is given, no driver. */
#ifndef MM_CONFIG_JOB_H
#define MM_CONFIG_JOB_H

#include "base/arena.h"
#include "base/util.h"
#include "config/options.h"
#include "model/mapping.h"

/* One driver as the parser sees it. */
typedef struct mm_job_driver {
    const char *name;
    const mm_option *options;
    size_t option_count;
} mm_job_driver;

typedef struct mm_job_tables {
    const mm_job_driver *sources, *targets;
    size_t source_count, target_count;
} mm_job_tables;

typedef enum mm_verify_mode { MM_VERIFY_NONE, MM_VERIFY_COUNT, MM_VERIFY_SAMPLE, MM_VERIFY_FULL } mm_verify_mode;
typedef enum mm_duplicates { MM_DUP_DEFAULT, MM_DUP_REFUSE, MM_DUP_FIRST, MM_DUP_LAST, MM_DUP_KEEP } mm_duplicates;

typedef struct mm_job_index {
    const char *field, *index_type, *metric_type;
    const char *params; /* JSON object text or NULL */
} mm_job_index;

typedef struct mm_job_collection {
    const char *from; /* NULL: the source's only collection */
    const char *to;   /* NULL: same name */
    const char *if_exists; /* fail, append, skip, overwrite */
    const mm_field_rule *fields;
    size_t field_count;
    const char *index_mode; /* auto, source, none, explicit */
    const mm_job_index *indexes; /* explicit: by target field */
    size_t index_count;
    bool load;
    const char *partition; /* everything into this one; NULL: as in the source */
    const char *const *partition_from, *const *partition_to; /* map */
    size_t partition_count;
    int line; /* in the job file, for messages */
} mm_job_collection;

typedef struct mm_job {
    mm_arena arena;
    const char *name;
    const char *path;     /* absolute path of the file */
    const char *text;     /* of the file, unexpanded; a secret that is written out in it is replaced by
                           * "***", which reads as "see the same key of the file at path" */
    const char *overrides; /* lines of key=value, as given by --set */
    const char *source_driver, *target_driver;
    mm_options *source; /* the driver's table */
    mm_options *target; /* the driver's table and the common one (transfer, on_conflict, at_least_once) */
    const mm_job_collection *collections; /* count 0: all of the source */
    size_t collection_count;
    uint32_t dumpers, loaders;
    uint64_t memory;       /* bytes */
    uint64_t rejects;      /* rows; UINT64_MAX: no limit */
    uint64_t rate_rows, rate_bytes; /* per second; 0: no limit */
    uint64_t patience_ms;
    mm_verify_mode verify;
    uint64_t sample;       /* rows per task */
    mm_duplicates duplicates;
    char fingerprint[33];  /* hex hash of `decides` */
    const char *const *warnings; /* what a file of another tool says that has no meaning here: "line:column: …" */
    size_t warning_count;
    const char *decides;   /* the keys that decide which rows arrive and how: lines of "key: value" */
} mm_job;

/* The file is a job of this program's own form, or one of another tool that is translated into it (config/foreign.h).
 * Parses text as the file `path` (made absolute by the caller; names the job when it has no `job:`,
 * and is the base of relative paths). overrides: lines of key=value ("limits.loaders=2"), refused for
 * secrets. Errors name path:line:column and the nearest known key. Environment is expanded. */
mm_status mm_job_parse(const char *text, const char *path, const char *overrides,
                       const mm_job_tables *tables, mm_job **out, mm_error *err);
mm_status mm_job_load(const char *path, const char *overrides, const mm_job_tables *tables,
                      mm_job **out, mm_error *err);
void mm_job_free(mm_job *job);
/* Logs job->warnings; for the command that reads the file first. */
void mm_job_warn(const mm_job *job);

/* Only the name of the job in a file: nothing else is checked. */
#define MM_JOB_NAME_MAX 64
mm_status mm_job_peek_name(const char *path, char out[MM_JOB_NAME_MAX + 1], mm_error *err);
/* Writes into out the first keys whose values differ between two jobs ("source.path: \"/a\" and
 * \"/b\""), as much as fits; empty when the fingerprints are equal. */
void mm_job_difference(const mm_job *before, const mm_job *now, char *out, size_t size);

/* The job as YAML with all defaults; secrets as "***". */
mm_status mm_job_show(const mm_job *job, const mm_job_tables *tables, mm_buffer *out, mm_error *err);
/* JSON schema (2020-12) of job files, for editors. */
mm_status mm_job_schema(const mm_job_tables *tables, mm_buffer *out, mm_error *err);
/* A legal job name: 1 to 64 of A-Z a-z 0-9 . _ - and not beginning with a dot. */
bool mm_job_name_valid(const char *name);

#endif
