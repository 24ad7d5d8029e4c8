/* Job files of other tools: recognised by their keys and translated into the tree of a job, so that everything behind
 * it knows nothing of them (docs/job-files-of-other-tools.md). Nodes keep their places: messages, and the hiding of
 * secrets, work on the file as it was written. Internal to engine/config. */
#ifndef MM_CONFIG_FOREIGN_H
#define MM_CONFIG_FOREIGN_H

#include "config/job.h"
#include "config/reader.h"
#include "config/tree.h"

typedef enum mm_foreign_fate {
    MM_FOREIGN_SECTION, /* a mapping of further keys */
    MM_FOREIGN_TAKEN,   /* translated */
    MM_FOREIGN_QUIET,   /* not needed, and nothing is lost by that */
    MM_FOREIGN_SPENT    /* without a meaning here: warned of, with the reason */
} mm_foreign_fate;

/* One key of the other tool. */
typedef struct mm_foreign_key {
    const char *path; /* "dumper.worker.limit" */
    mm_foreign_fate fate;
    unsigned modes;   /* kinds of job in which it has a meaning: bits of the tool's own */
    bool secret;
    const char *why;  /* of SPENT, and of what has no meaning in other modes: the reason; NULL: the mode is it */
} mm_foreign_key;

typedef struct mm_foreign {
    mm_config_reader *reader;
    const mm_job_tables *tables; /* NULL: which drivers there are is not checked */
    mm_error *err;
    mm_node *file; /* the tree as it was read */
    const char *tool;
    const mm_foreign_key *keys;
    size_t key_count;
    bool any_case;         /* the tool takes its keys in any case */
    unsigned mode;         /* kind of this job; 0: not known yet */
    const char *mode_name; /* as messages call it */
    const char *about;     /* the collection that the job is about, for its name; NULL: several, or not said */
    /* The job that is made; empty sections are left out of it. */
    mm_node *job, *source, *target, *collections, *limits;
} mm_foreign;

/* Parses a text, and translates it when it is another tool's file. */
mm_status mm_job_tree(mm_config_reader *reader, const mm_job_tables *tables, const char *text, size_t size,
                      mm_node **root, mm_error *err) MM_MUST_USE;

/* The tools: each fills the job from f->file (foreign_migration.c, foreign_milvusdm.c). */
bool mm_foreign_is_migration(const mm_node *root);
mm_status mm_foreign_migration(mm_foreign *f) MM_MUST_USE;
bool mm_foreign_is_milvusdm(const mm_node *root);
mm_status mm_foreign_milvusdm(mm_foreign *f) MM_MUST_USE;
/* Sources of milvus-migration that have metadata of their own (foreign_sources.c). */
mm_status mm_foreign_milvus1x(mm_foreign *f) MM_MUST_USE;
mm_status mm_foreign_elasticsearch(mm_foreign *f) MM_MUST_USE;
mm_status mm_foreign_milvus2x(mm_foreign *f) MM_MUST_USE;
/* The keys below `prefix` ("source.remote") that say where objects lie, as storage_* of a section; and the URL of an
 * object or folder there (foreign_migration.c). */
mm_status mm_foreign_storage(mm_foreign *f, const char *prefix, mm_node *into) MM_MUST_USE;
mm_status mm_foreign_url(mm_foreign *f, const char *prefix, const char *key, const char **out) MM_MUST_USE;

/* --- what the tools share (foreign.c) ----------------------------------------------------------------------------- */

/* Every key of a mapping, and of the sections in it, is known: else MM_CONFIG with the nearest. Collects secrets, and
 * warns of what has no meaning. prefix: path of the mapping, "" for the file. */
mm_status mm_foreign_check(mm_foreign *f, const mm_node *map, const char *prefix) MM_MUST_USE;
/* The value at a path; NULL: not there, or empty. */
mm_node *mm_foreign_get(const mm_foreign *f, const char *path);
mm_node *mm_foreign_get_in(const mm_foreign *f, const mm_node *map, const char *key);
/* Where to point for a path: its value, else the nearest section above it. */
const mm_node *mm_foreign_place(const mm_foreign *f, const char *path);
/* A value with its place, to stand in the job. Dollar signs stay as they are, but for ${NAME}. NULL: out of memory. */
mm_node *mm_foreign_carry(mm_foreign *f, const mm_node *node);
/* Text for the job that is not to be expanded. */
const char *mm_foreign_literal(mm_arena *arena, const char *text);
/* What a scalar says, expanded; *out NULL: nothing. `need`: MM_CONFIG when nothing. */
mm_status mm_foreign_text(mm_foreign *f, const char *path, const char **out) MM_MUST_USE;
mm_status mm_foreign_need(mm_foreign *f, const char *path, const char **out) MM_MUST_USE;
mm_status mm_foreign_flag(mm_foreign *f, const char *path, bool *out) MM_MUST_USE;
/* The value at path becomes that of a key, when it is there. */
mm_status mm_foreign_move(mm_foreign *f, const char *path, mm_node *into, const char *key) MM_MUST_USE;
/* A literal text as the value of a key, standing where `at` does. */
mm_status mm_foreign_put(mm_foreign *f, mm_node *into, const char *key, const mm_node *at,
                         const char *text) MM_MUST_USE;
/* A number of threads, at most what a job takes. */
mm_status mm_foreign_threads(mm_foreign *f, const char *path, const char *key) MM_MUST_USE;
/* The driver of a section; refused, with the other tool's word for it, when this program has none. */
mm_status mm_foreign_driver(mm_foreign *f, const mm_node *at, bool source, const char *driver) MM_MUST_USE;
/* A new collection of the job. NULL: out of memory. */
mm_node *mm_foreign_collection(mm_foreign *f, const mm_node *at);
/* An index on one field with the metric of Milvus 1.x or FAISS that the text names. */
mm_status mm_foreign_index(mm_foreign *f, mm_node *collection, const char *field, const char *path) MM_MUST_USE;
/* A line for the user, with the node's place. */
mm_status mm_foreign_warn(mm_foreign *f, const mm_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4), warn_unused_result));
mm_status mm_foreign_no_memory(mm_foreign *f) MM_MUST_USE;

#endif
