/* What every savepoint store has in common: names of states, and the list of the jobs in a state
 * folder. Knows no schema. */
#include "checkpoint/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "checkpoint/lock.h"
#include "checkpoint/sqlite_internal.h"

const char *mm_run_state_name(mm_run_state state)
{
    static const char *const names[] = {"none",   "planned",   "running", "interrupted",
                                        "failed", "cancelled", "done"};
    return (size_t)state < MM_COUNT(names) ? names[state] : "unknown";
}

const char *mm_verdict_state_name(mm_verdict_state state)
{
    static const char *const names[] = {"none", "unverified", "equal", "different"};
    return (size_t)state < MM_COUNT(names) ? names[state] : "unknown";
}

long mm_store_holder(const char *dir, const char *job)
{
    char *path = mm_format("%s/%s.lock", dir, job);
    if (path == NULL)
        return -1; /* not known: better "held" than "free" */
    long pid = mm_lock_holder(path);
    free(path);
    return pid;
}

/* Application id of a SQLite file: big-endian at byte 68 of its header (sqlite.org/fileformat2.html,
 * 1.3). It is written when the store is made, before write-ahead logging begins. */
static bool mm_store_is_one(int folder, const char *name)
{
    unsigned char head[72];
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return false;
    ssize_t got = pread(file, head, sizeof head, 0);
    close(file);
    if (got != (ssize_t)sizeof head || memcmp(head, "SQLite format 3", 16) != 0)
        return false;
    uint32_t id = (uint32_t)head[68] << 24 | (uint32_t)head[69] << 16 | (uint32_t)head[70] << 8 |
                  (uint32_t)head[71];
    return id == MM_STORE_APPLICATION_ID;
}

static int mm_store_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

typedef struct mm_names {
    char **items; /* malloc'd, and each of them */
    size_t count, capacity;
} mm_names;

static bool mm_names_add(mm_names *names, const char *text, size_t length)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? names->capacity * 2 : 16;
        char **items = reallocarray(names->items, capacity, sizeof *items);
        if (items == NULL)
            return false;
        names->items = items;
        names->capacity = capacity;
    }
    char *copy = strndup(text, length);
    if (copy == NULL)
        return false;
    names->items[names->count++] = copy;
    return true;
}

static void mm_names_free(mm_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static mm_status mm_store_scan(const char *dir, mm_names *names, mm_error *err)
{
    DIR *folder = opendir(dir);
    if (folder == NULL && errno == ENOENT)
        return MM_OK;
    if (folder == NULL)
        return mm_error_errno(err, MM_IO, "state folder %s", dir);

    mm_status status = MM_OK;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL)
            break;
        size_t length = strlen(entry->d_name);
        if (entry->d_name[0] == '.' || length <= 3 ||
            strcmp(entry->d_name + length - 3, ".db") != 0 ||
            !mm_store_is_one(dirfd(folder), entry->d_name))
            continue;
        if (!mm_names_add(names, entry->d_name, length - 3)) {
            status = mm_error_set(err, MM_NO_MEMORY, "state folder %s: out of memory", dir);
            goto out;
        }
    }
    if (errno != 0)
        status = mm_error_errno(err, MM_IO, "state folder %s", dir);
out:
    closedir(folder);
    return status;
}

mm_status mm_store_list(const char *dir, mm_arena *arena, const char ***names, size_t *count,
                        mm_error *err)
{
    mm_names found = {NULL, 0, 0};
    const char **list = NULL;
    mm_status status = mm_store_scan(dir, &found, err);
    if (status != MM_OK)
        goto out;
    if (found.count > 1)
        qsort(found.items, found.count, sizeof *found.items, mm_store_compare);
    list = mm_arena_array(arena, found.count, sizeof *list);
    for (size_t i = 0; list && i < found.count; i++) {
        list[i] = mm_arena_strdup(arena, found.items[i]);
        if (list[i] == NULL)
            list = NULL;
    }
    if (list == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "state folder %s: out of memory", dir);
        goto out;
    }
    *names = list;
    *count = found.count;
out:
    mm_names_free(&found);
    return status;
}
