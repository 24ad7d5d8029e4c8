/* Windows over an input. They never overlap but where two threads missed the same bytes at once; the lock is not held
 * while bytes are fetched. */
#include "storage/ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Windows begin at multiples of it, where no other window is in the way: neighbours may be asked for in any order. */
#define GRID 4096
#define WINDOWS_MAX 512

typedef struct window {
    uint64_t at, end;
    uint64_t used; /* count of the uses when it was last one */
    uint8_t *bytes;
    size_t capacity; /* of bytes */
} window;

typedef struct ahead {
    mm_input input;
    mm_input *owned; /* under, when it is closed with this; else NULL */
    mm_ahead how;
    pthread_mutex_t lock; /* guards what follows */
    uint64_t uses;
    size_t held; /* capacities of windows, and of those being fetched */
    size_t count;
    window windows[WINDOWS_MAX];
} ahead;

/* Memory of windows comes from the kernel and goes back to it: freed blocks of this size would stay with the allocator,
 * a thread's worth each, and limits of memory mean what the process has. NULL: there is none. */
static uint8_t *take_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

static void give_back(window w)
{
    if (w.bytes != NULL)
        munmap(w.bytes, w.capacity);
}

/* Copies what a window has from `offset` on; 0: none has that byte. */
static size_t copy_locked(ahead *a, uint64_t offset, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < a->count; i++) {
        window *w = &a->windows[i];
        if (offset < w->at || offset >= w->end)
            continue;
        size_t count = w->end - offset < size ? (size_t)(w->end - offset) : size;
        memcpy(out, w->bytes + (offset - w->at), count);
        w->used = ++a->uses;
        return count;
    }
    return 0;
}

/* Where the window begins and ends that is to hold `offset`, of which `size` bytes are wanted. */
static window place_locked(const ahead *a, uint64_t offset, size_t size)
{
    uint64_t begin = offset / GRID * GRID, end = a->input.size, want = a->how.first;
    for (size_t i = 0; i < a->count; i++) {
        const window *w = &a->windows[i];
        uint64_t length = w->end - w->at;
        if (w->end <= offset && w->end > begin)
            begin = w->end;
        if (w->end <= offset && offset - w->end < length && length * 2 > want)
            want = length * 2; /* the walk comes from there */
        if (w->at > offset && w->at < end)
            end = w->at;
    }
    for (size_t i = 0; i < MM_COUNT(a->how.ends); i++)
        if (a->how.ends[i] > offset && a->how.ends[i] < end)
            end = a->how.ends[i];
    if (want < offset - begin + size)
        want = offset - begin + size;
    if (want > a->how.most)
        want = a->how.most;
    if (end - begin > want)
        end = begin + want;
    return (window){.at = begin, .end = end};
}

/* Takes out the window that was not used for longest; its bytes are the caller's. */
static window take_oldest_locked(ahead *a)
{
    size_t oldest = 0;
    for (size_t i = 1; i < a->count; i++)
        if (a->windows[i].used < a->windows[oldest].used)
            oldest = i;
    window gone = a->windows[oldest];
    a->windows[oldest] = a->windows[--a->count];
    a->held -= gone.capacity;
    return gone;
}

/* Memory for a window within the limits: that of a dropped one where it fits. */
static void make_room_locked(ahead *a, window *w)
{
    w->bytes = NULL;
    w->capacity = (size_t)(w->end - w->at);
    while (a->count > 0 && (a->held + w->capacity > a->how.budget || a->count == WINDOWS_MAX)) {
        window gone = take_oldest_locked(a);
        if (w->bytes == NULL && gone.capacity >= w->capacity && gone.capacity / 2 <= w->capacity) {
            w->bytes = gone.bytes;
            w->capacity = gone.capacity;
        } else {
            give_back(gone);
        }
    }
    if (w->bytes == NULL)
        w->bytes = take_memory(w->capacity);
}

/* Fetches the window around `offset` and copies from it; *done: how much. With the lock held, but not while the bytes
 * are under way. */
static mm_status fetch_locked(ahead *a, uint64_t offset, uint8_t *out, size_t size, size_t *done, mm_error *err)
{
    window w = place_locked(a, offset, size);
    size_t length = (size_t)(w.end - w.at);
    make_room_locked(a, &w);
    if (w.bytes == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", a->input.name);
    a->held += w.capacity;
    pthread_mutex_unlock(&a->lock);
    mm_status status = mm_input_read(a->input.under, w.at, w.bytes, length, err);
    pthread_mutex_lock(&a->lock);
    if (status != MM_OK) {
        a->held -= w.capacity;
        give_back(w);
        return status;
    }
    *done = w.end - offset < size ? (size_t)(w.end - offset) : size;
    memcpy(out, w.bytes + (offset - w.at), *done);
    w.used = ++a->uses;
    if (a->count == WINDOWS_MAX) /* others came meanwhile */
        give_back(take_oldest_locked(a));
    a->windows[a->count++] = w;
    return MM_OK;
}

static mm_status ahead_read(const mm_input *input, uint64_t offset, void *out, size_t size, mm_error *err)
{
    ahead *a = input->context;
    mm_status status = MM_OK;
    pthread_mutex_lock(&a->lock);
    for (uint8_t *to = out; status == MM_OK && size > 0;) {
        size_t done = copy_locked(a, offset, to, size);
        if (done == 0 && size >= a->how.most)
            break;
        if (done == 0)
            status = fetch_locked(a, offset, to, size, &done, err);
        to += done;
        offset += done;
        size -= done;
        out = to;
    }
    pthread_mutex_unlock(&a->lock);
    return status == MM_OK && size > 0 ? mm_input_read(a->input.under, offset, out, size, err) : status;
}

static mm_status ahead_fingerprint(const mm_input *input, mm_buffer *out, mm_error *err)
{
    const ahead *a = input->context;
    return mm_input_fingerprint(a->input.under, out, err);
}

static void ahead_close(mm_input *input)
{
    ahead *a = input->context;
    for (size_t i = 0; i < a->count; i++)
        give_back(a->windows[i]);
    mm_input_close(a->owned);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

mm_status mm_ahead_open(const mm_input *under, const mm_ahead *how, mm_input **out, mm_error *err)
{
    ahead *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", under->name);
    a->input = *under; /* name, size, identity */
    a->input.under = under;
    a->input.map = NULL;
    a->input.read = ahead_read;
    a->input.fingerprint = ahead_fingerprint;
    a->input.close = ahead_close;
    a->input.context = a;
    a->how = *how;
    pthread_mutex_init(&a->lock, NULL);
    *out = &a->input;
    return MM_OK;
}

mm_status mm_ahead_over(mm_input *under, const mm_ahead *how, mm_input **out, mm_error *err)
{
    mm_input *input = NULL;
    mm_status status = mm_ahead_open(under, how, &input, err);
    if (status != MM_OK) {
        mm_input_close(under);
        return status;
    }
    ((ahead *)input->context)->owned = under;
    *out = input;
    return MM_OK;
}
