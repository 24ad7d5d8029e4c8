/* What the FAISS source asks of an index file besides its bytes: opening it so that small reads are cheap wherever it
 * lies, and messages that name file and byte. */
#ifndef MM_SOURCES_FAISS_FILE_H
#define MM_SOURCES_FAISS_FILE_H

#include "storage/input.h"

/* Opens a local file or an object. Small reads of an object come from windows that are read ahead; the walk over
 * thousands of lists is a few requests. As mm_input_open. */
mm_status mm_faiss_open(const char *location, const mm_options *options, mm_input **out, mm_error *err) MM_MUST_USE;
/* The same for a name in the folder of another such file, which must outlive it. */
mm_status mm_faiss_open_beside(const mm_input *file, const char *name, mm_input **out, mm_error *err) MM_MUST_USE;

/* Reads exactly `size` bytes at `offset`. MM_DATA when the file is not that long, else as mm_input_read. */
mm_status mm_faiss_read(const mm_input *file, uint64_t offset, void *out, size_t size, mm_error *err) MM_MUST_USE;

/* Sets MM_DATA with "<file>: byte <offset>: <text>". */
mm_status mm_faiss_bad(const mm_input *file, uint64_t offset, mm_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
