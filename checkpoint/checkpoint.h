/* The contract of a savepoint store. One store holds one job: its configuration, its runs, the plan
 * of the current run (collections, tasks) and everything that must survive a crash. The engine's
 * committer owns the one writable store of a process; readers (`status`) open it read-only.
 *
 * The store knows no driver: specs, fingerprints and state values are opaque to it. Every function
 * returns class STORE when the store cannot commit, and MM_FENCED never by itself: a fenced
 * operation is told per operation by mm_op.fenced. */
#ifndef MM_CHECKPOINT_H
#define MM_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "model/batch.h"

typedef struct mm_store mm_store;
struct mm_state_record;

typedef enum mm_store_mode {
    MM_STORE_READ,  /* read-only, no lock; MM_NOT_FOUND when there is none */
    MM_STORE_WRITE, /* exclusive (flock on a sibling file): MM_BUSY at once when another process has it */
    MM_STORE_CREATE /* as WRITE, creating the store if missing */
} mm_store_mode;

typedef struct mm_store_args {
    const char *dir; /* the state folder */
    const char *job; /* name */
    mm_store_mode mode;
    bool sync; /* false: synchronous=OFF, for the benchmark of what durability costs */
    const char *vfs; /* SQLite VFS name for the power-loss tests; NULL: default */
} mm_store_args;

typedef enum mm_run_state {
    MM_RUN_NONE, MM_RUN_PLANNED, MM_RUN_RUNNING, MM_RUN_INTERRUPTED, MM_RUN_FAILED,
    MM_RUN_CANCELLED, MM_RUN_DONE
} mm_run_state;
const char *mm_run_state_name(mm_run_state state); /* "planned", … */

typedef enum mm_verdict_state {
    MM_VERDICT_NONE, MM_VERDICT_UNVERIFIED, MM_VERDICT_EQUAL, MM_VERDICT_DIFFERENT
} mm_verdict_state;
const char *mm_verdict_state_name(mm_verdict_state state);

#define MM_COUNT_UNKNOWN UINT64_MAX
typedef struct mm_verdict {
    mm_verdict_state state;
    uint64_t source_rows, target_rows, mismatches; /* MM_COUNT_UNKNOWN: not known */
} mm_verdict;

/* The job as such. Strings live in the arena given to job_read. */
typedef struct mm_job_record {
    const char *name;
    char tag[17];            /* 16 hex digits, random, made with the store */
    const char *config_path; /* absolute path of the job file */
    const char *config_text; /* unexpanded: no secret is in it */
    const char *overrides;   /* lines of key=value from --set, may be empty */
} mm_job_record;

typedef struct mm_run_record {
    uint32_t run; /* 1, 2, … */
    mm_run_state state;
    int64_t started_ms, finished_ms; /* wall clock; 0: not yet */
    const char *error;       /* NULL: none */
    const char *phase;       /* plan, before, copy, after, verify, finish, done */
    int exit_code;
    uint64_t rows_total;     /* MM_COUNT_UNKNOWN when an extent is an estimate; grows and settles with a live source */
    uint64_t bytes_total;
    uint64_t rows_done, bytes_done, rows_rejected, rows_thinned, rows_resent;
    uint64_t tasks_total, tasks_done; /* copy tasks */
    uint64_t verify_total, verify_done;
    uint64_t tasks_running;  /* claimed and not done, of the current phase */
    uint64_t active_ms;      /* time spent copying, over all processes */
    uint64_t duplicates;     /* rows that share a primary key with an earlier row */
    uint64_t rejects_size;   /* durable length of the dead-letter file */
    mm_verdict verdict;
    const char *config_fingerprint;
} mm_run_record;

/* A collection of the plan. Opaque text but for the fence. */
typedef struct mm_plan_collection {
    uint32_t id; /* 0, 1, … */
    const char *source_name, *target_name;
    const char *mapping;            /* JSON: schemas, partitions, rules, frozen */
    const char *source_fingerprint;
    const char *target_fingerprint; /* NULL until the BEFORE steps are done */
    uint64_t fence;        /* epoch in force, or being moved to */
    bool fence_intended;   /* a move to `fence` was intended and its end is not recorded */
    bool sealed;           /* the last alias is dropped */
    bool skipped;          /* if_exists: skip */
} mm_plan_collection;

typedef enum mm_task_kind {
    MM_TASK_COPY = 1,
    MM_TASK_CHANGE, /* as COPY, but every row goes by Upsert: it may replace one that is there */
    MM_TASK_LOAD,
    MM_TASK_VERIFY
} mm_task_kind;

typedef struct mm_task {
    uint64_t id;
    mm_task_kind kind;
    uint32_t collection, partition;
    uint64_t rows, bytes;     /* of the extent, as planned */
    const void *spec;         /* of the extent; in the arena given to claim */
    size_t spec_size;
    uint64_t epoch;           /* raised by each claim */
    uint64_t copy_of;         /* VERIFY: the copy task's id */
    mm_cursor cursor;
    uint64_t reserved;        /* rows in [cursor.row, reserved) are in doubt when a claim finds them */
    uint64_t rows_done, rejected, thinned, mismatched, bytes_done, checksum;
    const void *thin; /* ascending row ordinals to leave out, as encoded by the planner; NULL: none */
    size_t thin_size;
} mm_task;

/* Operations that one transaction applies. */
typedef enum mm_op_kind {
    MM_OP_RESERVE,   /* task, epoch, row: the new horizon, never lower than before */
    MM_OP_ADVANCE,   /* task, epoch, cursor (NULL: unchanged; going back: MM_BUG), deltas, done;
                      * reserved = max(reserved, row, cursor) */
    MM_OP_RELEASE,   /* task, epoch: gives a claimed task back (interrupted, cancelled) */
    MM_OP_DOUBT,     /* task, from row .. to row: recorded until the run ends */
    MM_OP_FENCE,     /* collection, row = epoch (never lower than before: MM_BUG), flag = intended;
                      * takes a SEAL back */
    MM_OP_SEAL,      /* collection: no alias is left */
    MM_OP_SKIP,      /* collection: if_exists: skip; its tasks count as done */
    MM_OP_TARGET,    /* collection, text = target fingerprint */
    MM_OP_STEP,      /* collection, key = step name, text = intent or detail, flag = done */
    MM_OP_STATE,     /* key, text (NULL: remove): what a sink recorded */
    MM_OP_COUNTED,   /* collection, rows: that its target has, with a verdict; flag: of `equal`, so that they are all the
                      * job's; else what is above the job's account is of others */
    MM_OP_SWEPT,     /* collection, row, rows: its recorded keys up to the one of number `row` are gone from the target,
                      * `rows` of them; done: its sweep is over */
    MM_OP_PHASE,     /* text; flag: no more rows will come: rows_total, where it is known, becomes what was seen */
    MM_OP_RUN        /* state, text = error, exit_code, verdict, finished (wall ms; 0: not) */
} mm_op_kind;

typedef struct mm_op {
    mm_op_kind kind;
    /* An op with an epoch is fenced unless the task is claimed with that epoch: also after RELEASE and
     * after ADVANCE with done. epoch 0: not fenced. */
    uint64_t task, epoch;
    uint32_t collection;
    uint64_t row, to_row;
    const mm_cursor *cursor;
    /* ADVANCE: deltas since the last ADVANCE of this task; added to the task and (verify tasks apart)
     * to the run. rows: written to the target, without rejected and thinned ones */
    uint64_t rows, rejected, thinned, mismatched, bytes, checksum, resent;
    uint64_t rejects_size; /* ADVANCE: durable length of the dead-letter file; 0: unchanged */
    bool done, flag;
    const char *key, *text;
    mm_run_state state;
    int exit_code;
    int64_t finished_ms;
    const mm_verdict *verdict; /* RUN: NULL leaves it */
    uint64_t active_ms;        /* PHASE, RUN: added */
    bool fenced;               /* out: the epoch did not match, nothing was changed by this op */
} mm_op;

typedef struct mm_step_record { const char *name, *text; bool done; } mm_step_record;
typedef struct mm_doubt { uint64_t task, from, to; } mm_doubt;

/* A collection in which a repair looks for rows that the source no longer has. */
typedef struct mm_sweep {
    uint32_t collection;
    bool found;    /* their keys are recorded */
    uint64_t rows;   /* the most that the collection can hold of this job: those of the last verdict `equal` (before one:
                      * all written, replaced ones included) and of changes since, less what sweeps removed */
    uint64_t others; /* rows above that at the last verdict */
} mm_sweep;
/* A key to be removed: text as it is, an Int64 in 8 bytes. */
typedef struct mm_extra {
    uint64_t id;
    const void *key;
    size_t size;
} mm_extra;

typedef struct mm_store_driver {
    uint32_t abi;
    const char *name;

    mm_status (*open)(const mm_store_args *args, mm_store **out, mm_error *err);
    void (*close)(mm_store *store);
    /* Removes the job's store whole. The store must be open for writing; it is closed. */
    mm_status (*destroy)(mm_store *store, mm_error *err);

    /* MM_NOT_FOUND: the store is new. */
    mm_status (*job_read)(mm_store *store, mm_arena *arena, mm_job_record *out, mm_error *err);
    /* Between plan_begin and plan_end it is part of that transaction. */
    mm_status (*job_write)(mm_store *store, const mm_job_record *job, mm_error *err);
    /* The newest run (run 0: none yet), or all of them, newest first. */
    mm_status (*run_read)(mm_store *store, mm_arena *arena, mm_run_record *out, mm_error *err);
    mm_status (*runs)(mm_store *store, mm_arena *arena, mm_run_record **out, size_t *count,
                      mm_error *err);

    /* The plan of run `run`, all in one transaction: the former run's tasks, steps, doubts and states
     * go, its run record stays. plan_task fills task->id. plan_thin sets the thinning of a task of
     * this plan. Streams. plan_end(commit false) undoes everything. */
    mm_status (*plan_begin)(mm_store *store, const mm_run_record *run, mm_error *err);
    mm_status (*plan_collection)(mm_store *store, const mm_plan_collection *collection, mm_error *err);
    mm_status (*plan_task)(mm_store *store, mm_task *task, mm_error *err);
    mm_status (*plan_thin)(mm_store *store, uint64_t task, const void *thin, size_t size, mm_error *err);
    mm_status (*plan_totals)(mm_store *store, const mm_run_record *run, mm_error *err);
    mm_status (*plan_end)(mm_store *store, bool commit, mm_error *err);
    /* More tasks for the plan in force, in one transaction with the phase: plan_task, plan_totals and plan_end follow,
     * as after plan_begin. Verify tasks of before go. */
    mm_status (*plan_more)(mm_store *store, const char *phase, mm_error *err);

    mm_status (*collections)(mm_store *store, mm_arena *arena, mm_plan_collection **out,
                             size_t *count, mm_error *err);

    /* Claims up to max tasks of a kind that are not done, claimed ones of former owners first, then
     * in plan order, sets owner and raises epoch; for a task that is in doubt also records the doubt
     * [cursor.row, reserved), all in one transaction. *count 0: none is left. Tasks claimed by this
     * open store and not released are not claimed again. */
    mm_status (*claim)(mm_store *store, mm_task_kind kind, size_t max, mm_arena *arena, mm_task *out,
                       size_t *count, mm_error *err);
    /* Any task of the plan, without claiming it. */
    mm_status (*task_read)(mm_store *store, uint64_t id, mm_arena *arena, mm_task *out, mm_error *err);
    /* Calls fn for each task of kind COPY or CHANGE in plan order (spec valid for the call). */
    mm_status (*tasks)(mm_store *store, mm_status (*fn)(void *context, const mm_task *task, mm_error *err),
                       void *context, mm_error *err);

    /* Applies all operations in one transaction, durable when it returns MM_OK. A COMMIT whose outcome
     * is not known is read back before it answers. */
    mm_status (*apply)(mm_store *store, mm_op *ops, size_t count, mm_error *err);

    /* One verify task per task of kind COPY or CHANGE that wrote rows, replacing earlier ones; verdict back to none.
     * Where doubt_only is set: only tasks with a doubt. */
    mm_status (*verify_plan)(mm_store *store, bool doubt_only, mm_error *err);
    /* resume --repair, all in one transaction: sets back copy tasks whose verify task found differences, everything from
     * row 0 in doubt (*count: how many); asks for a sweep of the `sweep_count` collections in `sweep`; the phase becomes
     * "copy". Where there is nothing of both, nothing is changed. */
    mm_status (*repair_plan)(mm_store *store, const uint32_t *sweep, size_t sweep_count, size_t *count, mm_error *err);

    /* Sweeps that are asked for and not over, by collection. */
    mm_status (*sweeps)(mm_store *store, mm_arena *arena, mm_sweep **out, size_t *count, mm_error *err);
    /* The keys of a collection that are to be removed, in one transaction: begin forgets former ones, add adds, end makes
     * them durable together with the word that they are found (commit false: undoes everything). Nothing else may be
     * written in between. */
    mm_status (*sweep_begin)(mm_store *store, uint32_t collection, mm_error *err);
    mm_status (*sweep_add)(mm_store *store, uint32_t collection, const void *key, size_t size, mm_error *err);
    mm_status (*sweep_end)(mm_store *store, uint32_t collection, bool commit, mm_error *err);
    /* The first `most` of them that are left, in the arena; *count 0: none. MM_OP_SWEPT takes them off. */
    mm_status (*sweep_keys)(mm_store *store, uint32_t collection, size_t most, mm_arena *arena, mm_extra **out,
                            size_t *count, mm_error *err);

    mm_status (*steps)(mm_store *store, uint32_t collection, mm_arena *arena, mm_step_record **out,
                       size_t *count, mm_error *err);
    mm_status (*doubts)(mm_store *store, mm_arena *arena, mm_doubt **out, size_t *count, mm_error *err);
    /* Every recorded key and value of the sink, ordered by key. */
    mm_status (*states)(mm_store *store, mm_arena *arena, struct mm_state_record **out, size_t *count,
                        mm_error *err);
    /* Sums over copy tasks of one collection and partition (partition UINT32_MAX: all): rows that must
     * be in the target. */
    mm_status (*expected)(mm_store *store, uint32_t collection, uint32_t partition, uint64_t *rows,
                          mm_error *err);
    /* Rows that verify tasks have compared, of one collection and partition (UINT32_MAX: all). */
    mm_status (*verified)(mm_store *store, uint32_t collection, uint32_t partition, uint64_t *rows, mm_error *err);
    /* Rows that tasks of kind CHANGE have written in this run, of one collection (UINT32_MAX: of all). */
    mm_status (*changed)(mm_store *store, uint32_t collection, uint64_t *rows, mm_error *err);
    /* Mismatches that verify tasks of this run have found, summed. */
    mm_status (*mismatches)(mm_store *store, uint64_t *count, mm_error *err);
} mm_store_driver;

typedef struct mm_state_record { const char *key, *value; } mm_state_record;

extern const mm_store_driver mm_store_sqlite;

/* Names of the jobs that have a store in dir, sorted, in the arena. */
mm_status mm_store_list(const char *dir, mm_arena *arena, const char ***names, size_t *count,
                        mm_error *err);

/* Process id of the process that has the job's store open for writing; 0: none has; -1: one has, which
 * is not known. Only looks: an open at the same moment succeeds. The id is for messages and signals,
 * never an identity. */
long mm_store_holder(const char *dir, const char *job);

#endif
