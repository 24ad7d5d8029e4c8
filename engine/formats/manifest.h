/* manifest.json: what a folder (or a key's prefix) of files holds that the target `files` wrote. Everything that is
 * needed to make the collection again and to read the rows is in it (docs/formats.md). Knows text, no files. */
#ifndef MM_FORMATS_MANIFEST_H
#define MM_FORMATS_MANIFEST_H

#include "formats/format.h"

#define MM_MANIFEST_NAME "manifest.json"

typedef struct mm_manifest_file {
    const char *partition; /* MM_DEFAULT_PARTITION where there is none */
    const char *path;      /* relative to the manifest: no "..", not absolute */
    const char *field;     /* of a format with a file a field; else NULL. The files of a unit follow each other, one
                            * for each field of the schema in its order */
    uint64_t rows, bytes;
    uint64_t checksum; /* XXH3-64 of all bytes */
} mm_manifest_file;

/* Strings and lists live in the arena. */
typedef struct mm_manifest {
    mm_arena arena;
    const mm_format_driver *format;
    mm_schema schema; /* its name is the collection's */
    const char **partitions;
    size_t partition_count;
    uint64_t rows; /* of the collection */
    mm_manifest_file *files;
    size_t file_count;
} mm_manifest;
#define MM_MANIFEST_INIT {.arena = MM_ARENA_INIT}

/* Files of one unit. */
size_t mm_manifest_unit_files(const mm_manifest *manifest);
/* Strict: MM_DATA names what is wrong. *out (empty at first) is freed by the caller, also after a failure. */
mm_status mm_manifest_parse(const char *text, size_t size, mm_manifest *out, mm_error *err) MM_MUST_USE;
/* The text of a manifest; its rows are those of its files. MM_NO_MEMORY. */
mm_status mm_manifest_print(const mm_manifest *manifest, mm_buffer *out, mm_error *err) MM_MUST_USE;
void mm_manifest_free(mm_manifest *manifest);

#endif
