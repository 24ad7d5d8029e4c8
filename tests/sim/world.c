/* Store-independent parts of the simulated world: target, checks, randomness. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"

uint64_t sim_below(sim_world *world, uint64_t bound)
{
    return mm_random_next(&world->random) % bound;
}

bool sim_fault(sim_world *world, uint32_t percent)
{
    return world->faults && sim_below(world, 100) < percent;
}

void sim_violation(sim_world *world, const char *what, const char *format, ...)
{
    if (world->violation)
        return;
    world->violation = what;
    va_list args;
    va_start(args, format);
    vsnprintf(world->detail, sizeof(world->detail), format, args);
    va_end(args);
}

void sim_world_make(sim_world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->random = seed;
    world->now = 1000;
    world->faults = true;
    uint64_t kind = sim_below(world, 10);
    world->rewinding = kind < 3;
    world->fenced = !world->rewinding && kind < 9; /* kind 9: aliases refused, upserts only */
    world->collections = 1 + (uint32_t)sim_below(world, SIM_COLLECTIONS);
    world->tasks = 1 + (uint32_t)sim_below(world, SIM_TASKS);
    for (uint32_t i = 0; i < world->tasks; i++) {
        sim_task *task = &world->task[i];
        task->collection = (uint32_t)sim_below(world, world->collections);
        task->rows = sim_below(world, 8) == 0 ? 0 : 1 + sim_below(world, SIM_ROWS - 1);
        bool rejects = sim_below(world, 4) == 0;
        for (uint64_t row = 0; row < task->rows; row++)
            task->rejected[row] = rejects && sim_below(world, 3) == 0;
    }
}

bool sim_target_apply(sim_world *world, const sim_request *request)
{
    sim_task *task = &world->task[request->task];
    if (request->fence > 0 && !world->fence[task->collection].alias[request->fence])
        return false;
    for (uint64_t row = request->from; row < request->to; row++) {
        if (task->rejected[row] || !(request->only >> (row - request->from) & 1))
            continue;
        if (request->upsert)
            task->copies[row] = 1;
        else
            task->copies[row]++;
    }
    return true;
}

void sim_target_later(sim_world *world, const sim_request *request)
{
    for (size_t i = 0; i < SIM_REQUESTS; i++)
        if (!world->request[i].live) {
            world->request[i] = *request;
            world->request[i].live = true;
            return;
        }
}

void sim_target_run(sim_world *world, uint64_t until)
{
    for (size_t i = 0; i < SIM_REQUESTS; i++) {
        sim_request *request = &world->request[i];
        if (!request->live || request->at > until)
            continue;
        request->live = false;
        (void)sim_target_apply(world, request); /* a refusal has nobody to hear it */
    }
}

void sim_target_move(sim_world *world, uint32_t collection, uint64_t to)
{
    if (!MM_SEEDED("upsert_before_drop"))
        memset(world->fence[collection].alias, 0, sizeof(world->fence[collection].alias));
    if (to < SIM_EPOCHS)
        world->fence[collection].alias[to] = true;
}

void sim_target_drop(sim_world *world, uint32_t collection)
{
    memset(world->fence[collection].alias, 0, sizeof(world->fence[collection].alias));
}

void sim_check_equal(sim_world *world, const char *when)
{
    for (uint32_t i = 0; i < world->tasks; i++) {
        const sim_task *task = &world->task[i];
        if (world->rewinding) {
            if (task->appended != task->rows)
                sim_violation(world, when, "task %u holds %llu of %llu rows", i,
                              (unsigned long long)task->appended, (unsigned long long)task->rows);
            continue;
        }
        for (uint64_t row = 0; row < task->rows; row++) {
            unsigned expected = task->rejected[row] ? 0 : 1;
            if (task->copies[row] != expected)
                sim_violation(world, when, "task %u row %llu stands %u times, expected %u", i,
                              (unsigned long long)row, task->copies[row], expected);
        }
    }
}
