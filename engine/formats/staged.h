/* Files that hold the rows of an extent in a form that a target may take as they are (`mmresume load`). What a source
 * offers and a sink adopts; neither knows the other. */
#ifndef MM_FORMATS_STAGED_H
#define MM_FORMATS_STAGED_H

#include "formats/format.h"

typedef struct mm_staged_file {
    const char *field;    /* of a format with one file a field; else NULL */
    const char *location; /* absolute path or URL */
    uint64_t bytes;
    uint64_t checksum;    /* XXH3 of all bytes, as the manifest has it */
} mm_staged_file;

/* Strings live as long as the arena that was given to who filled it. */
typedef struct mm_staged {
    const mm_format_driver *format;
    uint64_t rows;
    const mm_staged_file *files;
    size_t file_count;
} mm_staged;

#endif
