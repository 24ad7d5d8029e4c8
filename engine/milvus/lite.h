/* An embedded Milvus Lite: a child process that serves one data folder on a loopback port. It dies with
 * this process, also when that is killed. Knows nothing of what is stored in it. */
#ifndef MM_MILVUS_LITE_H
#define MM_MILVUS_LITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct mm_milvus_lite mm_milvus_lite;

typedef struct mm_milvus_lite_args {
    const char *folder; /* the data folder, made when missing: ./demo.db */
    const char *python; /* interpreter that has milvus_lite; NULL: `milvus-lite` from PATH */
    uint64_t timeout_ms; /* for becoming ready; 0: 60 s */
    bool (*stopping)(void *context); /* may be NULL; true: end the wait with MM_INTERRUPTED */
    void *context;
} mm_milvus_lite_args;

/* Starts the server and waits until it accepts connections. A folder that another server holds (one
 * whose parent was killed a moment ago) is waited for up to the timeout.
 * MM_CONFIG: there is no milvus-lite; MM_BUSY: the folder stays held; MM_UNAVAILABLE: it does not
 * become ready, with the end of what it printed. */
mm_status mm_milvus_lite_start(const mm_milvus_lite_args *args, mm_milvus_lite **out, mm_error *err) MM_MUST_USE;
/* "http://127.0.0.1:port" */
const char *mm_milvus_lite_endpoint(const mm_milvus_lite *lite);
/* Ends the server: SIGINT, and after 10 s SIGKILL. */
void mm_milvus_lite_stop(mm_milvus_lite *lite);

#endif
