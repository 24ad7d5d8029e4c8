/* Small things without a home of their own: checked arithmetic and string helpers. */
#ifndef MM_BASE_UTIL_H
#define MM_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MM_COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline bool mm_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool mm_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* The printf-formatted string, malloc'd; NULL when out of memory. */
char *mm_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The candidate that begins with word (of 3 bytes or more), else the nearest by edit distance when it is near enough to
 * be a slip of the keyboard, else NULL. Candidates: count names. */
const char *mm_nearest(const char *word, const char *const *names, size_t count);

/* Growing byte buffer. data is malloc'd, size bytes used and a NUL behind them (data is NULL while empty). After a failed append (out of memory)
 * `failed` stays set and further appends do nothing, so that one check at the end suffices. */
typedef struct mm_buffer {
    char *data;
    size_t size, capacity;
    bool failed;
} mm_buffer;
#define MM_BUFFER_INIT {NULL, 0, 0, false}
void mm_buffer_append(mm_buffer *buffer, const void *bytes, size_t size);
void mm_buffer_printf(mm_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Room for `size` more bytes, counted as used, for the caller to fill; NULL after a failure. */
void *mm_buffer_room(mm_buffer *buffer, size_t size);
void mm_buffer_free(mm_buffer *buffer);

#endif
