/* What the command line and the API can ask of the engine. Each call returns the status whose exit
 * code the process ends with (mm_status_exit); err describes it. */
#ifndef MM_RUN_RUN_H
#define MM_RUN_RUN_H

#include "config/job.h"

typedef struct mm_run_args {
    const char *state_dir;
    const char *job_file;   /* run, plan: the job file */
    const char *job_name;   /* resume, verify, status, cancel, reset */
    const char *job_path;   /* absolute path of the file that named the job; NULL: it was named itself */
    const char *overrides;  /* lines of key=value, "" for none */
    bool or_resume;         /* run: resume an unfinished run instead of refusing */
    bool repair;            /* resume: write again what a verification found wrong */
    bool full;              /* verify: --full */
    uint64_t stop_after_ms; /* 0: no limit */
    bool json;              /* status, plan */
    bool write;             /* plan: as a job file */
    bool quiet;             /* no progress */
} mm_run_args;

/* The registries as the job parser wants them. */
const mm_job_tables *mm_run_tables(void);

/* Runs to the verdict. MM_OK: done with the asked verification. */
mm_status mm_run_start(const mm_run_args *args, mm_error *err);
mm_status mm_run_resume(const mm_run_args *args, mm_error *err);
mm_status mm_run_verify(const mm_run_args *args, mm_error *err);
/* Text or JSON into out. */
mm_status mm_run_plan(const mm_run_args *args, mm_buffer *out, mm_error *err);
mm_status mm_run_status(const mm_run_args *args, mm_buffer *out, mm_error *err);
/* Whether a process works on the job, or without a name on any. */
mm_status mm_run_at_work(const mm_run_args *args, bool *out, mm_error *err);
/* Asks the running process to cancel and waits until it has, or cancels an unfinished run. */
mm_status mm_run_cancel(const mm_run_args *args, mm_error *err);
mm_status mm_run_reset(const mm_run_args *args, mm_error *err);

/* Signal handlers: first TERM or INT asks to stop, a second ends at once. */
void mm_run_install_signals(void);

#endif
