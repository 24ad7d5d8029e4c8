/* Time, and the randomness that backoff needs. The core of engine/run never calls these. */
#ifndef MM_BASE_CLOCK_H
#define MM_BASE_CLOCK_H

#include <stdint.h>
#include <stddef.h>

/* Monotonic milliseconds / nanoseconds since an arbitrary start. */
uint64_t mm_clock_ms(void);
uint64_t mm_clock_ns(void);
/* Wall clock: milliseconds since 1970-01-01T00:00:00Z. */
int64_t mm_clock_wall_ms(void);
/* "2026-11-21T01:02:03Z" (20 characters and NUL). */
#define MM_CLOCK_TEXT 21
void mm_clock_format(int64_t wall_ms, char out[MM_CLOCK_TEXT]);
/* Random bytes from the system; aborts if it has none. */
void mm_random_bytes(void *out, size_t size);

/* splitmix64: a small seeded generator, for jitter and sampling. */
static inline uint64_t mm_random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

#endif
