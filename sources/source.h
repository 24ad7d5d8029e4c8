/* The contract of a source driver. A driver is one static const mm_source_driver; the registry
 * checks it at start. Drivers know neither sinks nor savepoints nor retries: they return a status
 * whose class decides. One mm_source may be used by several threads, each with readers of its own. */
#ifndef MM_SOURCES_SOURCE_H
#define MM_SOURCES_SOURCE_H

#include "base/util.h"
#include "config/options.h"
#include "formats/staged.h"
#include "model/batch.h"

#define MM_SOURCE_ABI 1

enum {
    MM_SOURCE_SEEK = 1 << 0,     /* read_open can start at any row number, without a mark */
    MM_SOURCE_KEYS = 1 << 1,     /* MM_READ_KEYS is cheap: reads the primary keys only */
    MM_SOURCE_MUTABLE = 1 << 2,  /* the source can change while it is read */
    /* It may: rows of an extent may be gone when it is read again (no others come, and their order stays), since they
     * were deleted, or changed and so moved to where plan_changes finds them. The primary key tells a row; the option
     * table has `catch_up`, how many passes over the changes are made at most. See docs/savepoints.md. */
    MM_SOURCE_LIVE = 1 << 3,
    /* Holds one primary key on several rows in its ordinary life, and plans them from old to new: `duplicates` is `last`
     * unless the job says otherwise. */
    MM_SOURCE_NEWEST_LAST = 1 << 4
};

typedef struct mm_source mm_source;
typedef struct mm_reader mm_reader;

/* A part of a collection that can be read on its own and re-read identically. Its boundaries are
 * stored in the plan and never recomputed. spec: the driver's own description, opaque, at most
 * MM_EXTENT_SPEC_MAX bytes; borrowed by the callee only for the call. */
#define MM_EXTENT_SPEC_MAX 65536
typedef struct mm_extent {
    uint32_t collection; /* index in the source's catalog */
    uint32_t partition;  /* index in that collection's partitions; 0 when it has none */
    uint64_t rows;       /* exact; or the most that it has, rows_bound; an estimate where the collection says neither */
    uint64_t bytes;      /* estimate of what it takes in columns */
    bool upsert;         /* LIVE: read again it may give rows a second time, under other numbers: all go by Upsert */
    const void *spec;
    size_t spec_size;
} mm_extent;

/* Receives the extents of a plan one by one; a status other than MM_OK ends the planning. */
typedef mm_status (*mm_extent_fn)(void *context, const mm_extent *extent, mm_error *err);

/* Calls `each` for the extents of a collection that were planned so far. */
typedef mm_status (*mm_extent_walk)(void *context, mm_extent_fn each, void *each_context, mm_error *err);

#define MM_FINGERPRINT_MAX 512

typedef enum mm_read_mode {
    MM_READ_ALL, /* every field */
    MM_READ_KEYS /* only the primary key's column is filled: batch has that one column, and a
                  * schema of that one field */
} mm_read_mode;

typedef struct mm_source_driver {
    uint32_t abi; /* MM_SOURCE_ABI */
    const char *name;
    const char *summary; /* one line for `mmresume drivers` */
    uint32_t capabilities;
    const mm_option *options;
    size_t option_count;

    /* Opens what the options name. On success *out is the caller's, freed by close. */
    mm_status (*open)(const mm_options *options, mm_source **out, mm_error *err);
    void (*close)(mm_source *source);

    /* Fills an empty catalog (the caller frees it). Schemas say where metric and index come from. */
    mm_status (*describe)(mm_source *source, mm_catalog *out, mm_error *err);

    /* What describe found out from rows that may be others another time (the types of a sample), as text; recall gives it
     * to the source that a later process opens for the same plan, before describe. Both may be NULL: nothing. */
    mm_status (*memo)(mm_source *source, mm_buffer *text, mm_error *err);
    mm_status (*recall)(mm_source *source, const char *memo, mm_error *err);

    /* What of a collection does not arrive, or not as it is, known since describe: lines of text; "" for nothing. Lives as
     * long as the source. May be NULL. */
    const char *(*notes)(mm_source *source, uint32_t collection);

    /* Text by which a change of this collection is noticed between run and resume and before the
     * verdict, at most MM_FINGERPRINT_MAX - 1 bytes; readable, since a mismatch shows both values.
     */
    mm_status (*fingerprint)(mm_source *source, uint32_t collection, char out[MM_FINGERPRINT_MAX],
                             mm_error *err);

    /* Emits the extents of one collection in their natural order. Streams: holds no list of them. */
    mm_status (*plan)(mm_source *source, uint32_t collection, mm_extent_fn emit, void *context,
                      mm_error *err);

    /* LIVE only, both. Emits extents of what was written since the former ones were planned; none where nothing was.
     * MM_END: this cannot be told for this collection. */
    mm_status (*plan_changes)(mm_source *source, uint32_t collection, mm_extent_walk former, void *former_context,
                              mm_extent_fn emit, void *context, mm_error *err);
    /* Rows that the former extents have now. */
    mm_status (*count)(mm_source *source, uint32_t collection, mm_extent_walk former, void *former_context,
                       uint64_t *rows, mm_error *err);

    /* Starts to read an extent after cursor->row rows (cursor NULL: at its start). Reading from a
     * cursor yields the same rows in the same order, always (LIVE: less those that left). */
    mm_status (*read_open)(mm_source *source, const mm_extent *extent, const mm_cursor *cursor,
                           mm_read_mode mode, mm_reader **out, mm_error *err);
    /* The next batch: at least one row, at most max_rows, about max_bytes of column values (a
     * single larger row is still returned). Calls mm_batch_begin on `batch` (reset by the caller),
     * fills columns, rows, first_row and end. MM_END after the extent's last row. */
    mm_status (*next)(mm_reader *reader, size_t max_rows, size_t max_bytes, mm_batch *batch,
                      mm_error *err);
    void (*read_close)(mm_reader *reader);

    /* The files of an extent, when it is the rows of whole files in the catalog's schema. MM_END: it is not. out's
     * strings go into the arena. May be NULL. */
    mm_status (*staged)(mm_source *source, const mm_extent *extent, mm_arena *arena, mm_staged *out, mm_error *err);

    /* Prints what `location` holds as lines of "key: value" into text (`mmresume inspect`), or
     * MM_NOT_FOUND when it is not of this driver's kind. May be NULL. */
    mm_status (*inspect)(const char *location, mm_buffer *text, mm_error *err);
} mm_source_driver;

/* The registry: all drivers, checked (MM_BUG names the driver and what is wrong with its table). */
const mm_source_driver *const *mm_source_registry(size_t *count);
const mm_source_driver *mm_source_find(const char *name); /* NULL: none */
mm_status mm_source_registry_check(mm_error *err);
/* The check of one driver's table: ABI, name, required members, capabilities, options. */
mm_status mm_source_driver_check(const mm_source_driver *driver, mm_error *err);

#endif
