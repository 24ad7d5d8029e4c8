/* Formatting of mm_error; knows nothing of what went wrong. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

mm_status mm_error_set(mm_error *err, mm_status status, const char *format, ...)
{
    if (err == NULL)
        return status;
    /* into a copy: the arguments may point into err->text */
    char text[MM_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    err->status = status;
    err->retry_after_ms = 0;
    memcpy(err->text, text, sizeof(text));
    return status;
}

mm_status mm_error_errno(mm_error *err, mm_status status, const char *format, ...)
{
    int saved = errno;
    char text[MM_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (status == MM_IO && (saved == ENOSPC || saved == EDQUOT))
        status = MM_DISK_FULL;
    else if (status == MM_IO && (saved == EACCES || saved == EPERM || saved == EROFS))
        status = MM_AUTH; /* what may not be used is the operator's business, not a fault of the disk */
    return mm_error_set(err, status, "%s: %s", text, strerror(saved));
}

mm_status mm_error_context(mm_error *err, const char *format, ...)
{
    if (err == NULL)
        return MM_BUG;
    char text[MM_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    int used = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof(text))
        snprintf(text + used, sizeof(text) - (size_t)used, ": %s", err->text);
    memcpy(err->text, text, sizeof(text));
    return err->status;
}

void mm_error_clear(mm_error *err)
{
    err->status = MM_OK;
    err->retry_after_ms = 0;
    err->text[0] = '\0';
}
