/* Random access to the bytes of one file. The only place of the FAISS source that knows where the
 * bytes are kept: what stands above asks for ranges, so that ranges of object storage can be put
 * beneath it. Never mapped into memory: a file that is cut while it is read is an error, no signal. */
#ifndef MM_SOURCES_FAISS_FILE_H
#define MM_SOURCES_FAISS_FILE_H

#include "base/error.h"
#include "base/util.h"

/* Bytes at the start of a file that its fingerprint covers. */
#define MM_FAISS_HEAD 65536

/* An open file. Usable by several threads at once. */
typedef struct mm_faiss_file mm_faiss_file;
struct mm_faiss_file {
    char *name;    /* as a person knows it; begins every message about the file */
    uint64_t size; /* bytes, when it was opened */
    /* Reads exactly `size` bytes at `offset`. MM_DATA when the file ends before, MM_UNAVAILABLE
     * when it cannot be read. */
    mm_status (*read_at)(mm_faiss_file *file, uint64_t offset, void *out, size_t size,
                         mm_error *err);
    /* Size in bytes and modification time in nanoseconds since 1970, as they are now. MM_CHANGED when
     * another file has the name by now; one that was deleted can still be read. */
    mm_status (*stat)(mm_faiss_file *file, uint64_t *size, int64_t *mtime_ns, mm_error *err);
    void (*close)(mm_faiss_file *file);
};

/* Opens a regular file of the local file system. MM_NOT_FOUND, MM_CONFIG (no right, or no regular
 * file), MM_UNAVAILABLE. On success *out is the caller's, freed by its close. */
mm_status mm_faiss_file_open(const char *path, mm_faiss_file **out, mm_error *err) MM_MUST_USE;

/* Sets MM_DATA with "<file>: byte <offset>: <text>". */
mm_status mm_faiss_bad(const mm_faiss_file *file, uint64_t offset, mm_error *err,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Appends "size=… mtime=… head=…" as they are now; head is the XXH3 (64 bit) of the first
 * MM_FAISS_HEAD bytes. */
mm_status mm_faiss_file_fingerprint(mm_faiss_file *file, mm_buffer *out, mm_error *err) MM_MUST_USE;

#endif
