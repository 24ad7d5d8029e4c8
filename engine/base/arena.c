/* Arena of growing blocks. */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 64
#define BLOCK_MIN 4096

struct mm_arena_block {
    mm_arena_block *next;
    size_t size, used; /* of data */
    _Alignas(ALIGN) unsigned char data[];
};

struct mm_arena_adopted {
    mm_arena_adopted *next;
    void *memory;
    size_t size;
};

static mm_arena_block *grow(mm_arena *arena, size_t size)
{
    size_t want = arena->head ? arena->head->size : BLOCK_MIN;
    if (want > (1u << 20))
        want = 1u << 20; /* beyond this, growth follows the need */
    if (size > want)
        want = size;
    if (want > SIZE_MAX - sizeof(mm_arena_block) - ALIGN)
        return NULL;
    size_t total = (sizeof(mm_arena_block) + want + ALIGN - 1) / ALIGN * ALIGN;
    mm_arena_block *block = aligned_alloc(ALIGN, total);
    if (block == NULL)
        return NULL;
    block->next = arena->head;
    block->size = total - sizeof(mm_arena_block);
    block->used = 0;
    arena->head = block;
    arena->reserved += total;
    return block;
}

void *mm_arena_alloc(mm_arena *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGN)
        return NULL;
    size_t rounded = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (rounded == 0)
        rounded = ALIGN;
    mm_arena_block *block = arena->head;
    if (block == NULL || block->size - block->used < rounded) {
        block = grow(arena, rounded);
        if (block == NULL)
            return NULL;
    }
    void *out = block->data + block->used;
    block->used += rounded;
    return out;
}

void *mm_arena_array(mm_arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return mm_arena_alloc(arena, total);
}

char *mm_arena_strdup(mm_arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mm_arena_alloc(arena, size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

/* --- adopted memory ------------------------------------------------------------------------------------------ */

bool mm_arena_adopt(mm_arena *arena, void *memory, size_t size)
{
    mm_arena_adopted *entry = malloc(sizeof(*entry));
    if (entry == NULL)
        return false;
    *entry = (mm_arena_adopted){arena->adopted, memory, size};
    arena->adopted = entry;
    arena->reserved += size;
    return true;
}

static void *pop(mm_arena *arena, mm_arena_adopted **list, size_t *size)
{
    mm_arena_adopted *entry = *list;
    if (entry == NULL)
        return NULL;
    void *memory = entry->memory;
    *list = entry->next;
    *size = entry->size;
    arena->reserved -= entry->size;
    free(entry);
    return memory;
}

void *mm_arena_reclaim(mm_arena *arena, size_t *size)
{
    return pop(arena, &arena->spare, size);
}

static void free_list(mm_arena *arena, mm_arena_adopted **list)
{
    size_t size;
    while (*list != NULL)
        free(pop(arena, list, &size));
}

/* The first that was adopted becomes the first again. */
static void keep_adopted(mm_arena *arena)
{
    if (arena->adopted != NULL)
        free_list(arena, &arena->spare);
    while (arena->adopted != NULL) {
        mm_arena_adopted *entry = arena->adopted;
        arena->adopted = entry->next;
        entry->next = arena->spare;
        arena->spare = entry;
    }
}

/* --- the end ------------------------------------------------------------------------------------------------- */

static void free_blocks(mm_arena *arena)
{
    mm_arena_block *block = arena->head;
    while (block) {
        mm_arena_block *next = block->next;
        arena->reserved -= block->size + sizeof(*block);
        free(block);
        block = next;
    }
    arena->head = NULL;
}

void mm_arena_free(mm_arena *arena)
{
    free_blocks(arena);
    free_list(arena, &arena->adopted);
    free_list(arena, &arena->spare);
}

void mm_arena_reset(mm_arena *arena)
{
    keep_adopted(arena);
    if (arena->head == NULL)
        return;
    if (arena->head->next != NULL) {
        /* One block for what took several: the next round of the same allocations needs no other, so
         * that a recycled batch costs the system nothing. */
        size_t total = 0;
        for (mm_arena_block *block = arena->head; block; block = block->next)
            total += block->size;
        free_blocks(arena);
        if (grow(arena, total) == NULL)
            return; /* empty, and as good as new */
    }
    arena->head->used = 0;
}
