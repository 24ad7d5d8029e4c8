/* Arena: one growing piece of memory for many allocations that die together (a batch, a parsed
 * file). Allocation is a pointer bump; nothing is freed alone. Not thread-safe. */
#ifndef MM_BASE_ARENA_H
#define MM_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct mm_arena_block mm_arena_block;
typedef struct mm_arena_adopted mm_arena_adopted;

typedef struct mm_arena {
    mm_arena_block *head; /* newest block */
    size_t reserved;      /* bytes held from the system */
    mm_arena_adopted *adopted, *spare; /* since the last reset; before it */
} mm_arena;

#define MM_ARENA_INIT {NULL, 0, NULL, NULL}

/* size bytes aligned to 64 (Arrow's alignment); NULL when out of memory. size 0 gives a valid
 * pointer. */
void *mm_arena_alloc(mm_arena *arena, size_t size);
/* count × size with overflow check. */
void *mm_arena_array(mm_arena *arena, size_t count, size_t size);
char *mm_arena_strdup(mm_arena *arena, const char *text);
/* Takes over `size` bytes from malloc, which live from then on as long as all allocations do: for what has grown
 * elsewhere and need not be copied. False: out of memory, they are still the caller's. */
bool mm_arena_adopt(mm_arena *arena, void *memory, size_t size) __attribute__((warn_unused_result));
/* After a reset: what was adopted before it, the first first, back to the caller; NULL: none is left. What nobody
 * takes is freed when something else was adopted and the next reset comes. */
void *mm_arena_reclaim(mm_arena *arena, size_t *size) __attribute__((warn_unused_result));
/* Forgets every allocation but keeps the memory, as one block, for reuse. */
void mm_arena_reset(mm_arena *arena);
/* Gives everything back to the system. */
void mm_arena_free(mm_arena *arena);

#endif
