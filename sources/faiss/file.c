/* Index files as inputs. Knows no FAISS format. */
#include "sources/faiss/file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "storage/ahead.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "FAISS files and batches are little-endian; values are read without conversion");

/* Takes the input, also when it fails. */
static mm_status read_ahead(mm_input *input, mm_input **out, mm_error *err)
{
    if (!input->remote) {
        *out = input;
        return MM_OK;
    }
    return mm_ahead_over(input, &MM_AHEAD_PARSER, out, err);
}

mm_status mm_faiss_open(const char *location, const mm_options *options, mm_input **out, mm_error *err)
{
    mm_input *input = NULL;
    mm_status status = mm_input_open(location, options, &input, err);
    return status == MM_OK ? read_ahead(input, out, err) : status;
}

mm_status mm_faiss_open_beside(const mm_input *file, const char *name, mm_input **out, mm_error *err)
{
    mm_input *input = NULL;
    mm_status status = mm_input_open_beside(file, name, &input, err);
    return status == MM_OK ? read_ahead(input, out, err) : status;
}

mm_status mm_faiss_read(const mm_input *file, uint64_t offset, void *out, size_t size, mm_error *err)
{
    uint64_t end;
    if (!mm_add_u64(offset, size, &end) || end > file->size)
        return mm_faiss_bad(file, offset, err, "%zu bytes are wanted, the file ends at byte %" PRIu64, size,
                            file->size);
    return mm_input_read(file, offset, out, size, err);
}

mm_status mm_faiss_bad(const mm_input *file, uint64_t offset, mm_error *err, const char *format, ...)
{
    char text[MM_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return mm_error_set(err, MM_DATA, "%s: byte %" PRIu64 ": %s", file->name, offset, text);
}
