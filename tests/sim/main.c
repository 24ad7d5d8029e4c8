/* mmresume-sim: drives the core of the engine through seeded schedules of crashes and faults and
 * names the seeds that break a guarantee. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define PROCESSES_MAX 200
#define FAULTY_PROCESSES 12

static bool run_seed(uint64_t seed, sim_world *world)
{
    sim_world_make(world, seed);
    bool ok = false;
    for (uint32_t i = 0; !ok && !world->violation && i < PROCESSES_MAX; i++) {
        world->faults = i < FAULTY_PROCESSES;
        ok = sim_process(world);
    }
    if (!ok && !world->violation)
        sim_violation(world, "the job never ends", "%u processes", world->crashes);
    if (!world->violation)
        sim_check_equal(world, "wrong at the verdict");
    if (!world->violation) {
        sim_target_run(world, UINT64_MAX); /* everything that was still held back */
        sim_check_equal(world, "wrong after the verdict");
    }
    return world->violation == NULL;
}

static int usage(void)
{
    fprintf(stderr, "usage: mmresume-sim --seeds A..B   (runs seeds A to B, both included)\n");
    return 2;
}

int main(int argc, char **argv)
{
    unsigned long long from, to, wrong = 0, crashes = 0;
    if (argc != 3 || strcmp(argv[1], "--seeds") != 0 || sscanf(argv[2], "%llu..%llu", &from, &to) != 2 || to < from)
        return usage();
    static sim_world world;
    for (unsigned long long seed = from; seed <= to; seed++) {
        if (!run_seed(seed, &world)) {
            wrong++;
            if (wrong <= 20)
                printf("seed %llu: %s: %s\n", seed, world.violation, world.detail);
        }
        crashes += world.crashes;
    }
    printf("%llu seeds, %llu ended processes, %llu wrong\n", to - from + 1, crashes, wrong);
    return wrong > 0 ? 1 : 0;
}
