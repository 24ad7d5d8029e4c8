/* One file or object to read from, by offsets: local (mapped where possible) or in a storage. What parsers of
 * file formats get; they know no paths and no network. */
#ifndef MM_STORAGE_INPUT_H
#define MM_STORAGE_INPUT_H

#include "storage/storage.h"

typedef struct mm_input mm_input;
struct mm_input {
    char *name;      /* for messages */
    uint64_t size;
    const uint8_t *map; /* all bytes, when they are mapped; else NULL */
    /* Exactly `size` bytes from `offset`, which lie within the input (MM_BUG otherwise). Any thread. */
    mm_status (*read)(const mm_input *input, uint64_t offset, void *out, size_t size, mm_error *err);
    void (*close)(mm_input *input);
    void *context;
};

/* location: local path or URL. On success *out is the caller's, freed by mm_input_close. Remote inputs read
 * with the etag found here, so that a change is noticed. */
mm_status mm_input_open(const char *location, const mm_options *options, mm_input **out, mm_error *err) MM_MUST_USE;
/* Bytes in memory, borrowed: for tests and fuzzing. */
mm_status mm_input_memory(const char *name, const void *bytes, size_t size, mm_input **out, mm_error *err) MM_MUST_USE;
mm_status mm_input_read(const mm_input *input, uint64_t offset, void *out, size_t size, mm_error *err) MM_MUST_USE;
void mm_input_close(mm_input *input);
/* Text by which a change of the content is noticed (etag and size), at most 200 bytes. */
const char *mm_input_identity(const mm_input *input);

#endif
