/* Strings: formatting, nearest name, growing buffer. */
#include "base/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *mm_format(const char *format, ...)
{
    char *out = NULL;
    va_list args;
    va_start(args, format);
    int size = vasprintf(&out, format, args);
    va_end(args);
    return size < 0 ? NULL : out;
}

/* Levenshtein distance with transpositions left out; words are short. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { MAX = 64 };
    size_t na = strlen(a), nb = strlen(b);
    if (na > MAX || nb > MAX)
        return MAX;
    size_t row[MAX + 1];
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t above = row[j];
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[nb];
}

const char *mm_nearest(const char *word, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t length = strlen(word), best_distance = length / 3 + 1;
    for (size_t i = 0; length >= 3 && i < count; i++)
        if (strncmp(names[i], word, length) == 0 && (best == NULL || strlen(names[i]) < strlen(best)))
            best = names[i];
    if (best)
        return best;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(word, names[i]);
        if (distance < best_distance || (distance == best_distance && best == NULL)) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best;
}

static bool reserve(mm_buffer *buffer, size_t more)
{
    if (buffer->failed)
        return false;
    size_t need;
    if (__builtin_add_overflow(buffer->size, more, &need) || need == SIZE_MAX) {
        buffer->failed = true;
        return false;
    }
    need++; /* for the terminating NUL */
    if (need <= buffer->capacity)
        return true;
    size_t capacity = buffer->capacity < 128 ? 256 : buffer->capacity;
    while (capacity < need)
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void mm_buffer_append(mm_buffer *buffer, const void *bytes, size_t size)
{
    if (!reserve(buffer, size))
        return;
    if (size > 0)
        memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void *mm_buffer_room(mm_buffer *buffer, size_t size)
{
    if (!reserve(buffer, size))
        return NULL;
    char *room = buffer->data + buffer->size;
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
    return room;
}

void mm_buffer_printf(mm_buffer *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0)
        buffer->failed = true;
    else if (reserve(buffer, (size_t)size)) {
        vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
}

void mm_buffer_free(mm_buffer *buffer)
{
    free(buffer->data);
    *buffer = (mm_buffer)MM_BUFFER_INIT;
}
