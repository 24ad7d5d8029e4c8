/* System time and randomness. */
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

uint64_t mm_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t mm_clock_ms(void)
{
    return mm_clock_ns() / 1000000u;
}

int64_t mm_clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void mm_clock_format(int64_t wall_ms, char out[MM_CLOCK_TEXT])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL || strftime(out, MM_CLOCK_TEXT, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        memcpy(out, "0000-00-00T00:00:00Z", MM_CLOCK_TEXT);
}

void mm_random_bytes(void *out, size_t size)
{
    unsigned char *at = out;
    while (size > 0) {
        ssize_t got = getrandom(at, size > 256 ? 256 : size, 0);
        if (got <= 0)
            abort();
        at += got;
        size -= (size_t)got;
    }
}
