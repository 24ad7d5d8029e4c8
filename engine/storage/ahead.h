/* Reading ahead: an input over another one whose reads are dear. Small reads are served from windows that were read
 * in one piece; a window that goes on where another ended is twice as large, so that a walk that hops costs little for
 * each hop and one that goes straight on soon reads in large pieces. Large reads pass through. */
#ifndef MM_STORAGE_AHEAD_H
#define MM_STORAGE_AHEAD_H

#include "storage/input.h"

typedef struct mm_ahead {
    size_t first;  /* bytes of a window that follows no other; at least 8 KiB */
    size_t most;   /* bytes of the largest; a read of as many passes through */
    size_t budget; /* bytes of all windows together, at least `most`; the one that was not used for longest goes */
    /* Offsets that no window crosses: where what is wanted ends. 0: none. */
    uint64_t ends[2];
} mm_ahead;

/* What small reads of parsers want: 64 KiB to 1 MiB, 16 MiB together. */
#define MM_AHEAD_PARSER (mm_ahead){.first = 64u << 10, .most = 1u << 20, .budget = 16u << 20}

/* On success *out is the caller's; `under` must outlive it. Any thread may read; name, size, identity and fingerprint
 * are those of `under`. */
mm_status mm_ahead_open(const mm_input *under, const mm_ahead *how, mm_input **out, mm_error *err) MM_MUST_USE;
/* The same, closing `under` with it; on failure too. */
mm_status mm_ahead_over(mm_input *under, const mm_ahead *how, mm_input **out, mm_error *err) MM_MUST_USE;

#endif
