/* The inverted lists of an IVF index: where each list's codes and ids stand. Lists are walked one by
 * one through a small buffer; no table of them is held, however many there are. */
#ifndef MM_SOURCES_FAISS_LISTS_H
#define MM_SOURCES_FAISS_LISTS_H

#include "base/arena.h"
#include "sources/faiss/stream.h"

typedef enum mm_faiss_lists_kind {
    MM_FAISS_LISTS_ABSENT, /* il00: not stored with the index */
    MM_FAISS_LISTS_FULL,   /* ilar, full: a size for every list */
    MM_FAISS_LISTS_SPARSE, /* ilar, sprs: (list, size) of those that are not empty */
    MM_FAISS_LISTS_DISK,   /* ilod: in a file of their own */
    MM_FAISS_LISTS_LEGACY, /* IvFl, IvFL, IvSQ, IvPQ: vectors of ids, later vectors of codes */
    MM_FAISS_LISTS_BLOCKS  /* ilbl: interleaved codes; can be skipped, not read */
} mm_faiss_lists_kind;

typedef struct mm_faiss_lists {
    mm_faiss_lists_kind kind;
    uint64_t at;        /* offset of the lists' fourcc */
    uint64_t nlist;     /* number of lists */
    uint64_t code_size; /* bytes a row */
    uint64_t table;     /* offset of the first entry of the table of sizes; legacy: of the first
                         * vector of ids */
    uint64_t entries;   /* entries in that table */
    uint64_t data;      /* offset of the first list; legacy: of the first vector of codes */
    uint64_t rows;      /* in all lists together */
    uint32_t unit;      /* legacy: bytes that the count of a vector of codes counts (1 or 4) */
    char *side_name;    /* DISK: the file's name as its writer knew it; in the arena */
    uint64_t side_size; /* DISK: bytes that its writer gave it */
} mm_faiss_lists;

/* Offsets of one list's codes (rows × code_size bytes) and ids (rows × i64). */
typedef struct mm_faiss_list {
    uint64_t number, rows, codes, ids;
} mm_faiss_list;

/* Reads lists from their fourcc on, checks every list against the file's size, sums up the rows and
 * leaves the stream behind them. Lists in a file of their own are checked by mm_faiss_lists_check.
 * code_size: what the index says; UINT64_MAX: any. */
mm_status mm_faiss_lists_read(mm_faiss_stream *stream, mm_arena *arena, uint64_t nlist,
                              uint64_t code_size, mm_faiss_lists *lists, mm_error *err) MM_MUST_USE;
/* The two halves of lists in the legacy layout: first the ids, and further on in the file the codes. */
mm_status mm_faiss_lists_legacy_ids(mm_faiss_stream *stream, uint64_t nlist, mm_faiss_lists *lists,
                                    mm_error *err) MM_MUST_USE;
mm_status mm_faiss_lists_legacy_codes(mm_faiss_stream *stream, uint64_t code_size, uint32_t unit,
                                      mm_faiss_lists *lists, mm_error *err) MM_MUST_USE;
/* Checks all lists in the file of their own. */
mm_status mm_faiss_lists_check(const mm_faiss_lists *lists, const mm_input *file,
                               const mm_input *side, mm_error *err) MM_MUST_USE;

typedef struct mm_faiss_list_cursor {
    const mm_faiss_lists *lists;
    const mm_input *side; /* DISK: the file with the lists; NULL: not checked against it */
    uint64_t entry;      /* next entry of the table */
    uint64_t last;       /* number of the list given last, UINT64_MAX: none */
    mm_faiss_stream table, codes;
    uint64_t data; /* offset of the next list */
} mm_faiss_list_cursor;

/* Walks the lists that are not empty, in the table's order. The cursor is some 32 KiB: keep it off
 * small stacks. */
void mm_faiss_lists_begin(mm_faiss_list_cursor *cursor, const mm_faiss_lists *lists,
                          const mm_input *file, const mm_input *side);
/* MM_END after the last one. */
mm_status mm_faiss_lists_next(mm_faiss_list_cursor *cursor, mm_faiss_list *list,
                              mm_error *err) MM_MUST_USE;

#endif
