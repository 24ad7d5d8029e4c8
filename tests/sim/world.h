/* The simulated world around the core: a store, a target and a source in memory. It survives the
 * crashes of the simulated process; only what a real one would keep is kept.
 *
 * The target is a multiset that does not deduplicate. It applies requests late (after the sender
 * died, after the replay, after the verdict), twice, or in part; resolves the epochs of the fence;
 * loses unacknowledged rows at a restart. */
#ifndef MM_SIM_WORLD_H
#define MM_SIM_WORLD_H

#include "run/core.h"

#define SIM_COLLECTIONS 2
#define SIM_TASKS 8
#define SIM_ROWS 48
#define SIM_REQUESTS 512
#define SIM_EPOCHS 256

typedef struct sim_task {
    uint32_t collection;
    uint64_t rows;
    bool rejected[SIM_ROWS];
    /* store */
    uint64_t cursor, reserved, epoch;
    bool done, claimed;
    /* target with a fence: copies of each row */
    uint8_t copies[SIM_ROWS];
    /* rewinding target: rows appended, and how many of them are durable */
    uint64_t appended, durable;
    uint32_t last_lane;
    /* doubt known to the checks: rows that may be sent as upserts */
    bool may_resend[SIM_ROWS];
} sim_task;

/* A request that the target may still execute. */
typedef struct sim_request {
    bool live;
    uint64_t at; /* when */
    uint32_t task;
    uint64_t from, to; /* rows */
    uint64_t only;     /* bit i: row from + i is applied (a part by shard) */
    uint64_t fence;
    bool upsert;
} sim_request;

typedef struct sim_world {
    uint64_t random;
    uint64_t now;
    bool faults; /* off: everything succeeds, so that every schedule ends */
    bool fenced, rewinding;
    uint32_t collections, tasks;
    sim_task task[SIM_TASKS];
    struct {
        uint64_t epoch;
        bool sealed;
        bool alias[SIM_EPOCHS];
    } fence[SIM_COLLECTIONS];
    sim_request request[SIM_REQUESTS];
    uint32_t crashes;
    const char *violation;
    char detail[200];
    bool trace;
} sim_world;

void sim_world_make(sim_world *world, uint64_t seed);
/* True with probability percent / 100, and only while faults are on. */
bool sim_fault(sim_world *world, uint32_t percent);
uint64_t sim_below(sim_world *world, uint64_t bound);

/* Remembers the first broken guarantee. */
void sim_violation(sim_world *world, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Executes rows of a request now. False: refused, the epoch is not in force. */
bool sim_target_apply(sim_world *world, const sim_request *request);
/* Remembers a request to be executed at request->at. */
void sim_target_later(sim_world *world, const sim_request *request);
/* Executes what is due. */
void sim_target_run(sim_world *world, uint64_t until);
void sim_target_move(sim_world *world, uint32_t collection, uint64_t to);
void sim_target_drop(sim_world *world, uint32_t collection);

/* Every row of the source is on the target exactly once, rejected ones not at all. */
void sim_check_equal(sim_world *world, const char *when);

/* One process from start to its end or crash. True: it ended with MM_OK. */
bool sim_process(sim_world *world);

#endif
