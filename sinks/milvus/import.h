/* The importer: `transfer: import` of the target milvus. Lanes write units of files (the target `files`, used as a
 * staging writer); the attendant groups what is sealed into import jobs of the server and follows them. The design,
 * and why no row is lost or doubled, is docs/staging.md. */
#ifndef MM_SINKS_MILVUS_IMPORT_H
#define MM_SINKS_MILVUS_IMPORT_H

#include "milvus/import_calls.h"
#include "sinks/files/units.h"
#include "sinks/milvus/internal.h"

typedef enum mm_group_state {
    MM_GROUP_INTENT,  /* about to be sent, or sent with an outcome that nobody knows */
    MM_GROUP_MOVING,  /* its files are on their way to the paths of the next try */
    MM_GROUP_SENT,    /* the server has a job for it */
    MM_GROUP_UNCLEAR, /* its job failed or is forgotten: the keys in the target will tell (import_decide.c) */
    MM_GROUP_DONE
} mm_group_state;

/* Units of one collection and partition that are imported by one job. Its record in the store is
 * import/<collection>/<number>. */
typedef struct mm_import_group {
    uint32_t collection, partition, number;
    uint32_t tries; /* 1: the first */
    uint64_t epoch; /* of the alias that it was sent through; 0: none */
    uint64_t rows;
    mm_group_state state;
    uint32_t *units; /* numbers */
    size_t unit_count;
    char **keys;  /* where the files lie in the storage, unit by unit */
    char **paths; /* what the server was given for them; no other try has the same */
    size_t file_count;
    char job[MM_IMPORT_ID]; /* "": none yet. MOVING: the one that failed */
    char reason[256];       /* of the last failure */
    bool decided; /* MOVING: its keys have told what its jobs wrote: those that have ended are no news */
    /* of this process */
    bool asked; /* INTENT: the request may be on its way */
    unsigned percent;
    uint64_t sent_ms, due_ms, progress_ms; /* when to look at the job again; its last progress */
} mm_import_group;

/* A unit that waits for a group. */
typedef struct mm_import_unit {
    uint32_t collection, partition, number;
    uint64_t rows;
    char **keys;
    size_t key_count;
} mm_import_unit;

/* A unit that a group of a former process has. */
typedef struct mm_import_grouped {
    uint32_t collection, partition, number;
} mm_import_grouped;

/* The importer's own fence of a collection; its record is fence/<collection>. */
typedef struct mm_import_fence {
    uint64_t epoch;
    bool known; /* there is a record */
    bool open;  /* the alias of epoch stands */
    bool stale; /* must move before the next request */
} mm_import_fence;

typedef struct mm_importer mm_importer;

/* How one kind of server is asked. */
typedef struct mm_import_api {
    const char *name;
    bool fenced;      /* a job may be asked for by an alias */
    size_t units_max; /* units of one job */
    mm_status (*open)(mm_importer *importer, mm_error *err);
    void (*close)(mm_importer *importer);
    /* As mm_milvus_import. target: name or alias. */
    mm_status (*create)(mm_importer *importer, const mm_import_group *group, const char *target, char id[MM_IMPORT_ID],
                        mm_error *err);
    mm_status (*state)(mm_importer *importer, const mm_import_group *group, mm_import_job *out, mm_error *err);
    /* The job with exactly these paths. MM_NOT_READY: the server cannot tell yet. */
    mm_status (*find)(mm_importer *importer, const mm_import_group *group, bool *found, mm_import_job *out,
                      mm_error *err);
    /* The path of a key as this server wants it. malloc'd. */
    char *(*path)(const mm_importer *importer, const char *key);
} mm_import_api;

extern const mm_import_api mm_import_api_grpc, mm_import_api_rest, mm_import_api_zilliz;

struct mm_importer {
    mm_sink *sink;
    const mm_import_api *api;
    void *api_context;
    mm_milvus *client; /* the attendant's own connection */
    /* staging */
    mm_sink *files; /* NULL: nothing staged (any more) */
    mm_options *files_options;
    mm_sink_collection *collections; /* as `files` sees them */
    size_t collection_count;
    char *folder; /* everything of this run is below it */
    char format[16];
    char **staging_details; /* of the step staging, recalled; by collection, NULL where it is not done */
    bool removed; /* the staged files are gone, since all is imported and proven */
    const char *spool; /* mm_sink_args.folder */
    /* rules */
    size_t jobs_max;
    uint32_t tries_max;
    uint64_t timeout_ms;
    /* state: the attendant's, or of the one thread that runs steps */
    mm_import_fence *fences;
    uint32_t *next_number; /* of the next group, by collection */
    mm_import_group **groups;
    size_t group_count, group_capacity;
    mm_import_grouped *grouped; /* sorted; since then the writer tells no unit twice */
    size_t grouped_count;
    mm_import_unit *waiting;
    size_t waiting_count, waiting_capacity;
    bool checked; /* fences compared with the target */
    bool sealed, carried; /* all that was staged */
    bool ended; /* recorded as `imported`: every row was staged, every group is done or left to its keys. Set when no lane
                 * is open */
    /* for the progress line, read by another thread */
    _Atomic uint64_t files_known, files_done, running, percent_sum;
};

/* --- import_driver.c --- */

extern const mm_sink_driver mm_sink_milvus_import;
mm_status mm_importer_open(mm_sink *sink, const mm_sink_args *args, mm_error *err) MM_MUST_USE;
void mm_importer_close(mm_importer *importer);

/* --- import_staging.c: the staging writer, and where its files go --- */

mm_status mm_import_intend_staging(mm_sink *sink, uint32_t collection, char intent[MM_STEP_DETAIL], mm_error *err);
mm_status mm_import_step_staging(mm_sink *sink, uint32_t collection, const char *intent, char detail[MM_STEP_DETAIL],
                                 mm_error *err);
mm_status mm_import_recall_staging(mm_sink *sink, uint32_t collection, const char *detail, mm_error *err);
mm_status mm_import_recall_unstage(mm_sink *sink, uint32_t collection, const char *detail, mm_error *err);
/* After all recalls: the writer of a former process, unless it is recorded that its files are gone. */
mm_status mm_import_recall_files(mm_importer *importer, mm_error *err) MM_MUST_USE;
mm_status mm_import_step_unstage(mm_sink *sink, uint32_t collection, const char *intent, char detail[MM_STEP_DETAIL],
                                 mm_error *err);
/* Where a file goes for the next try of a group. malloc'd; NULL: no memory. */
char *mm_import_next_key(const char *key, uint32_t next_try);
/* Moves the group's files to the keys of its next try, which replace the old ones in the group; paths stay. May be
 * repeated after a crash. */
mm_status mm_import_move_files(mm_importer *importer, mm_import_group *group, mm_error *err) MM_MUST_USE;
/* A local path, or a key in a bucket, as the server sees it. malloc'd. */
char *mm_import_server_path(const mm_importer *importer, const char *key);

/* --- import_groups.c: groups, their records, the fence --- */

mm_status mm_import_settle(mm_sink *sink, bool (*next)(void *context, const char **key, const char **value),
                           void *context, mm_error *err);
/* Whether a group that was recorded by a former process has the unit. */
bool mm_import_is_grouped(const mm_importer *importer, uint32_t collection, uint32_t partition, uint32_t number);
/* Commits the group as it is. */
mm_status mm_import_record_group(mm_importer *importer, const mm_import_group *group, mm_error *err) MM_MUST_USE;
/* A group of the units that have waited longest; there is one that waits. Not recorded yet. */
mm_status mm_import_new_group(mm_importer *importer, mm_import_group **out, mm_error *err) MM_MUST_USE;
/* Gives the group the paths of its keys. */
mm_status mm_import_set_paths(mm_importer *importer, mm_import_group *group, mm_error *err) MM_MUST_USE;
void mm_import_group_free(mm_import_group *group);
/* Units that were sealed since. */
mm_status mm_import_take_units(mm_importer *importer, mm_error *err) MM_MUST_USE;

/* --- import_fence.c --- */

/* The store must not be older than the target. Once a process. */
mm_status mm_import_check_fences(mm_importer *importer, mm_error *err) MM_MUST_USE;
/* The name to ask for an import by, behind a fence that has moved since the last request of unknown outcome. */
mm_status mm_import_target(mm_importer *importer, uint32_t collection, char out[MM_MILVUS_NAME], mm_error *err) MM_MUST_USE;
mm_status mm_import_drop_fences(mm_importer *importer, mm_error *err) MM_MUST_USE;
mm_status mm_import_cancel(mm_sink *sink, mm_error *err);

/* --- import_attend.c --- */

mm_status mm_import_attend(mm_sink *sink, bool closing, uint64_t *wait_ms, mm_error *err);
void mm_import_activity(mm_sink *sink, char out[MM_ACTIVITY_MAX]);

/* What the reason of a failed job says. */
typedef enum mm_import_cause {
    MM_IMPORT_CAUSE_NOTHING, /* nothing was written: another try may do */
    MM_IMPORT_CAUSE_DATA,    /* lies in the files: another try cannot do */
    MM_IMPORT_CAUSE_UNKNOWN
} mm_import_cause;
mm_import_cause mm_import_judge(const char *reason);

/* --- import_decide.c --- */

mm_status mm_import_step_refresh(mm_sink *sink, uint32_t collection, const char *intent, char detail[MM_STEP_DETAIL],
                                 mm_error *err);
mm_status mm_import_step_decide(mm_sink *sink, uint32_t collection, const char *intent, char detail[MM_STEP_DETAIL],
                                mm_error *err);

#endif
