/* One file or object to read from, by offsets: local (mapped where possible) or in a storage. What parsers of
 * file formats get; they know no paths and no network. */
#ifndef MM_STORAGE_INPUT_H
#define MM_STORAGE_INPUT_H

#include "storage/storage.h"

#define MM_INPUT_IDENTITY 200

typedef struct mm_input mm_input;
struct mm_input {
    char *name;      /* path or URL; for messages */
    uint64_t size;
    const uint8_t *map; /* all bytes, when they are mapped; else NULL */
    bool remote;        /* each read is a request: not for a few bytes (see ahead.h) */
    const mm_input *under; /* what it reads from, when it only reads ahead (ahead.h); else NULL */
    char identity[MM_INPUT_IDENTITY];
    /* Exactly `size` bytes from `offset`, which lie within the input (MM_BUG otherwise). Any thread. */
    mm_status (*read)(const mm_input *input, uint64_t offset, void *out, size_t size, mm_error *err);
    mm_status (*fingerprint)(const mm_input *input, mm_buffer *out, mm_error *err);
    void (*close)(mm_input *input);
    void *context;
};

/* location: local path or URL. On success *out is the caller's, freed by mm_input_close. Remote inputs read
 * with the etag found here: MM_CHANGED, with both, when the object is another one by then. */
mm_status mm_input_open(const char *location, const mm_options *options, mm_input **out, mm_error *err) MM_MUST_USE;
/* What has the name `name` (relative) in the folder of `input`, with the same credentials. `input` must outlive it. */
mm_status mm_input_open_beside(const mm_input *input, const char *name, mm_input **out, mm_error *err) MM_MUST_USE;
/* Bytes in memory, borrowed: for tests and fuzzing. */
mm_status mm_input_memory(const char *name, const void *bytes, size_t size, mm_input **out, mm_error *err) MM_MUST_USE;
mm_status mm_input_read(const mm_input *input, uint64_t offset, void *out, size_t size, mm_error *err) MM_MUST_USE;
void mm_input_close(mm_input *input);
/* Text by which a change of the content is noticed (etag and size), as it was opened. */
const char *mm_input_identity(const mm_input *input);
/* Appends such a text as it is now, which says the same of a copy that kept its time: size, time of modification and
 * a hash of the first MM_INPUT_HEAD bytes of a local file; size and etag of an object. At most MM_INPUT_IDENTITY - 1
 * bytes. MM_CHANGED: another file or object has the name by now; a local one that was deleted can still be read. */
#define MM_INPUT_HEAD 65536
mm_status mm_input_fingerprint(const mm_input *input, mm_buffer *out, mm_error *err) MM_MUST_USE;

#endif
