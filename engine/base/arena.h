/* Arena: one growing piece of memory for many allocations that die together (a batch, a parsed
 * file). Allocation is a pointer bump; nothing is freed alone. Not thread-safe. */
#ifndef MM_BASE_ARENA_H
#define MM_BASE_ARENA_H

#include <stddef.h>

typedef struct mm_arena_block mm_arena_block;

typedef struct mm_arena {
    mm_arena_block *head; /* newest block */
    size_t reserved;      /* bytes held from the system */
} mm_arena;

#define MM_ARENA_INIT {NULL, 0}

/* size bytes aligned to 64 (Arrow's alignment); NULL when out of memory. size 0 gives a valid
 * pointer. */
void *mm_arena_alloc(mm_arena *arena, size_t size);
/* count × size with overflow check. */
void *mm_arena_array(mm_arena *arena, size_t count, size_t size);
char *mm_arena_strdup(mm_arena *arena, const char *text);
/* Forgets every allocation but keeps the memory, as one block, for reuse. */
void mm_arena_reset(mm_arena *arena);
/* Gives everything back to the system. */
void mm_arena_free(mm_arena *arena);

#endif
