/* The power-loss VFS (powerloss_vfs.h). Two folders: `live` is what the running process sees,
 * `durable` what is on the disk for certain; `pending` are the changes between them. Each file
 * likewise has live bytes, durable bytes, and the writes between. */
#include "support/powerloss_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

#define SECTOR 512
#define FILES_MAX 64
#define SHM_REGIONS 64

typedef struct pl_bytes {
    uint8_t *data;
    uint64_t size, capacity;
} pl_bytes;

/* A write that no sync has covered; size 0: a truncation to offset. */
typedef struct pl_write {
    struct pl_write *next;
    uint64_t offset, size;
    uint8_t data[];
} pl_write;

typedef struct pl_file {
    char *name;
    pl_bytes live, durable;
    pl_write *first, **last;
    void *shm[SHM_REGIONS];
    bool fresh; /* its creation was not yet followed by a sync of the folder */
} pl_file;

typedef struct pl_change {
    bool removes;
    pl_file *file;
} pl_change;

struct mm_powerloss {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    pl_file *files[FILES_MAX * 64]; /* all that ever were */
    size_t file_count;
    pl_file *live[FILES_MAX], *durable[FILES_MAX];
    pl_change pending[4096];
    size_t pending_count;
    uint64_t random, events, cut_at, fail_at;
    int fail_code;
    bool fail_forever, dead, failed;
};

typedef struct pl_handle {
    sqlite3_file base;
    mm_powerloss *pl;
    pl_file *file;
    bool temporary;
} pl_handle;

static void give_up(const char *what)
{
    fprintf(stderr, "powerloss VFS: %s\n", what);
    abort();
}

static void *must(void *pointer)
{
    if (pointer == NULL)
        give_up("out of memory");
    return pointer;
}

/* ---- bytes ---- */

static void bytes_resize(pl_bytes *bytes, uint64_t size)
{
    if (size > bytes->capacity) {
        bytes->capacity = size * 2;
        bytes->data = must(realloc(bytes->data, bytes->capacity));
    }
    if (size > bytes->size)
        memset(bytes->data + bytes->size, 0, size - bytes->size);
    bytes->size = size;
}

static void bytes_write(pl_bytes *bytes, const void *data, uint64_t size, uint64_t offset)
{
    if (offset + size > bytes->size)
        bytes_resize(bytes, offset + size);
    memcpy(bytes->data + offset, data, size);
}

/* ---- the folder ---- */

static pl_file **slot(pl_file **folder, const char *name)
{
    pl_file **empty = NULL;
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (folder[i] && strcmp(folder[i]->name, name) == 0)
            return &folder[i];
        if (folder[i] == NULL && empty == NULL)
            empty = &folder[i];
    }
    if (empty == NULL)
        give_up("too many files");
    return empty;
}

static pl_file *file_new(mm_powerloss *pl, const char *name)
{
    if (pl->file_count == MM_COUNT(pl->files))
        give_up("too many files");
    pl_file *file = must(calloc(1, sizeof *file));
    file->name = must(strdup(name));
    file->last = &file->first;
    pl->files[pl->file_count++] = file;
    return file;
}

/* A file that stands on the real disk and was not seen yet is taken over as durable. */
static pl_file *find(mm_powerloss *pl, const char *name)
{
    pl_file **at = slot(pl->live, name);
    if (*at)
        return *at;
    for (size_t i = 0; i < pl->file_count; i++)
        if (strcmp(pl->files[i]->name, name) == 0)
            return NULL; /* it was, and was removed */
    FILE *real = fopen(name, "rb");
    if (real == NULL)
        return NULL;
    pl_file *file = file_new(pl, name);
    uint8_t part[4096];
    size_t got;
    while ((got = fread(part, 1, sizeof part, real)) > 0) {
        bytes_write(&file->live, part, got, file->live.size);
        bytes_write(&file->durable, part, got, file->durable.size);
    }
    fclose(real);
    *at = file;
    *slot(pl->durable, name) = file;
    return file;
}

static void folder_apply(pl_file **folder, const pl_change *change)
{
    *slot(folder, change->file->name) = change->removes ? NULL : change->file;
}

static void folder_change(mm_powerloss *pl, pl_file *file, bool removes)
{
    if (pl->pending_count == MM_COUNT(pl->pending))
        give_up("too many changes of the folder");
    pl->pending[pl->pending_count] = (pl_change){removes, file};
    folder_apply(pl->live, &pl->pending[pl->pending_count++]);
}

static void folder_sync(mm_powerloss *pl)
{
    for (size_t i = 0; i < pl->pending_count; i++)
        folder_apply(pl->durable, &pl->pending[i]);
    pl->pending_count = 0;
}

/* ---- pending writes of a file ---- */

static void file_pend(pl_file *file, const void *data, uint64_t size, uint64_t offset)
{
    pl_write *write = must(malloc(sizeof *write + size));
    *write = (pl_write){NULL, offset, size};
    if (size > 0)
        memcpy(write->data, data, size);
    *file->last = write;
    file->last = &write->next;
}

static void file_apply(pl_bytes *bytes, const pl_write *write)
{
    if (write->size > 0)
        bytes_write(bytes, write->data, write->size, write->offset);
    else
        bytes_resize(bytes, write->offset);
}

static void file_forget(pl_file *file)
{
    while (file->first) {
        pl_write *next = file->first->next;
        free(file->first);
        file->first = next;
    }
    file->last = &file->first;
}

static void file_sync(pl_file *file)
{
    for (const pl_write *write = file->first; write; write = write->next)
        file_apply(&file->durable, write);
    file_forget(file);
}

/* ---- events ---- */

/* True when the event is to fail with *code. */
static bool event(mm_powerloss *pl, int *code)
{
    pl->events++;
    if (pl->events == pl->cut_at)
        pl->dead = true;
    if (pl->dead) {
        *code = SQLITE_IOERR;
        return true;
    }
    if (pl->fail_at > 0 &&
        (pl->events == pl->fail_at || (pl->fail_forever && pl->events > pl->fail_at))) {
        pl->failed = true;
        *code = pl->fail_code;
        return true;
    }
    return false;
}

/* ---- methods of a file ---- */

static pl_handle *handle_of(sqlite3_file *base)
{
    return (pl_handle *)(void *)base;
}

static int pl_close(sqlite3_file *base)
{
    pl_handle *handle = handle_of(base);
    if (handle->temporary)
        file_forget(handle->file);
    return SQLITE_OK;
}

static int pl_read(sqlite3_file *base, void *out, int size, sqlite3_int64 offset)
{
    const pl_handle *handle = handle_of(base);
    const pl_bytes *live = &handle->file->live;
    if (handle->pl->dead)
        return SQLITE_IOERR_READ;
    uint64_t have = (uint64_t)offset < live->size ? live->size - (uint64_t)offset : 0;
    if (have > (uint64_t)size)
        have = (uint64_t)size;
    if (have > 0)
        memcpy(out, live->data + offset, have);
    memset((uint8_t *)out + have, 0, (size_t)size - have);
    return have == (uint64_t)size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int pl_write_bytes(sqlite3_file *base, const void *data, int size, sqlite3_int64 offset)
{
    pl_handle *handle = handle_of(base);
    uint64_t length = (uint64_t)size;
    int code = SQLITE_OK;
    if (!handle->temporary) {
        bool was_dead = handle->pl->dead;
        if (event(handle->pl, &code)) {
            length /= 2; /* a full disk takes the first half */
            if (handle->pl->dead)
                length = was_dead ? 0 : (uint64_t)size; /* under way when the power fails */
        }
        if (length > 0)
            file_pend(handle->file, data, length, (uint64_t)offset);
    }
    if (length > 0)
        bytes_write(&handle->file->live, data, length, (uint64_t)offset);
    return code;
}

static int pl_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    pl_handle *handle = handle_of(base);
    int code;
    if (!handle->temporary) {
        if (event(handle->pl, &code))
            return code;
        file_pend(handle->file, NULL, 0, (uint64_t)size);
    }
    bytes_resize(&handle->file->live, (uint64_t)size);
    return SQLITE_OK;
}

/* As SQLite's unix VFS: the first sync of a new journal or log syncs its folder too. */
static int pl_sync(sqlite3_file *base, int flags)
{
    (void)flags;
    pl_handle *handle = handle_of(base);
    int code;
    if (handle->temporary)
        return SQLITE_OK;
    if (event(handle->pl, &code))
        return code == SQLITE_FULL ? SQLITE_IOERR_FSYNC : code;
    file_sync(handle->file);
    if (handle->file->fresh)
        folder_sync(handle->pl);
    handle->file->fresh = false;
    return SQLITE_OK;
}

static int pl_size(sqlite3_file *base, sqlite3_int64 *size)
{
    *size = (sqlite3_int64)handle_of(base)->file->live.size;
    return SQLITE_OK;
}

static int pl_lock(sqlite3_file *base, int level)
{
    (void)level;
    return handle_of(base)->pl->dead ? SQLITE_IOERR_LOCK : SQLITE_OK;
}

static int pl_check_reserved(sqlite3_file *base, int *out)
{
    (void)base;
    *out = 0;
    return SQLITE_OK;
}

static int pl_control(sqlite3_file *base, int operation, void *argument)
{
    (void)base;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int pl_sector_size(sqlite3_file *base)
{
    (void)base;
    return 4096;
}

static int pl_characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as the unix VFS says */
}

static int pl_shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out)
{
    pl_handle *handle = handle_of(base);
    if (region >= SHM_REGIONS)
        give_up("too much shared memory");
    void **at = &handle->file->shm[region];
    if (*at == NULL && extend)
        *at = must(calloc(1, (size_t)size));
    *out = *at;
    return SQLITE_OK;
}

static int pl_shm_lock(sqlite3_file *base, int offset, int count, int flags)
{
    (void)offset;
    (void)count;
    (void)flags;
    return handle_of(base)->pl->dead ? SQLITE_IOERR_SHMLOCK : SQLITE_OK;
}

static void pl_shm_barrier(sqlite3_file *base)
{
    (void)base;
}

static int pl_shm_unmap(sqlite3_file *base, int removes)
{
    (void)removes; /* the only connection is gone */
    pl_handle *handle = handle_of(base);
    for (size_t i = 0; i < SHM_REGIONS; i++) {
        free(handle->file->shm[i]);
        handle->file->shm[i] = NULL;
    }
    return SQLITE_OK;
}

static const sqlite3_io_methods pl_methods = {
    .iVersion = 2,
    .xClose = pl_close,
    .xRead = pl_read,
    .xWrite = pl_write_bytes,
    .xTruncate = pl_truncate,
    .xSync = pl_sync,
    .xFileSize = pl_size,
    .xLock = pl_lock,
    .xUnlock = pl_lock,
    .xCheckReservedLock = pl_check_reserved,
    .xFileControl = pl_control,
    .xSectorSize = pl_sector_size,
    .xDeviceCharacteristics = pl_characteristics,
    .xShmMap = pl_shm_map,
    .xShmLock = pl_shm_lock,
    .xShmBarrier = pl_shm_barrier,
    .xShmUnmap = pl_shm_unmap,
};

/* ---- methods of the VFS ---- */

static int pl_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out)
{
    mm_powerloss *pl = vfs->pAppData;
    pl_handle *handle = handle_of(base);
    int code;
    memset(handle, 0, sizeof *handle);
    handle->pl = pl;
    if (pl->dead)
        return SQLITE_CANTOPEN;
    if (name == NULL) {
        handle->temporary = true;
        handle->file = file_new(pl, "");
    } else {
        handle->file = find(pl, name);
        if (handle->file == NULL && !(flags & SQLITE_OPEN_CREATE))
            return SQLITE_CANTOPEN;
        if (handle->file == NULL && event(pl, &code))
            return SQLITE_CANTOPEN;
        if (handle->file == NULL) {
            handle->file = file_new(pl, name);
            handle->file->fresh = true;
            folder_change(pl, handle->file, false);
        }
    }
    handle->base.pMethods = &pl_methods;
    if (out)
        *out = flags;
    return SQLITE_OK;
}

static int pl_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    mm_powerloss *pl = vfs->pAppData;
    pl_file *file = find(pl, name);
    int code;
    if (file == NULL)
        return SQLITE_IOERR_DELETE_NOENT;
    if (event(pl, &code))
        return SQLITE_IOERR_DELETE;
    folder_change(pl, file, true);
    if (sync_folder)
        folder_sync(pl);
    return SQLITE_OK;
}

static int pl_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    (void)flags;
    *out = find(vfs->pAppData, name) != NULL;
    return SQLITE_OK;
}

static int pl_full_path(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    (void)vfs;
    return snprintf(out, (size_t)size, "%s", name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int pl_randomness(sqlite3_vfs *vfs, int size, char *out)
{
    mm_powerloss *pl = vfs->pAppData;
    for (int i = 0; i < size; i++)
        out[i] = (char)mm_random_next(&pl->random);
    return size;
}

static int pl_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

static int pl_time(sqlite3_vfs *vfs, double *out)
{
    mm_powerloss *pl = vfs->pAppData;
    return pl->real->xCurrentTime(pl->real, out);
}

static int pl_last_error(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    (void)size;
    (void)out;
    return 0;
}

mm_powerloss *mm_powerloss_new(const char *name, uint64_t seed)
{
    mm_powerloss *pl = must(calloc(1, sizeof *pl));
    pl->random = seed;
    pl->real = must(sqlite3_vfs_find(NULL));
    pl->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = sizeof(pl_handle),
        .mxPathname = 1024,
        .zName = name,
        .pAppData = pl,
        .xOpen = pl_open,
        .xDelete = pl_delete,
        .xAccess = pl_access,
        .xFullPathname = pl_full_path,
        .xRandomness = pl_randomness,
        .xSleep = pl_sleep,
        .xCurrentTime = pl_time,
        .xGetLastError = pl_last_error,
    };
    if (sqlite3_vfs_register(&pl->vfs, 0) != SQLITE_OK)
        give_up("cannot register");
    return pl;
}

void mm_powerloss_free(mm_powerloss *pl)
{
    sqlite3_vfs_unregister(&pl->vfs);
    for (size_t i = 0; i < pl->file_count; i++) {
        pl_file *file = pl->files[i];
        file_forget(file);
        for (size_t region = 0; region < SHM_REGIONS; region++)
            free(file->shm[region]);
        free(file->live.data);
        free(file->durable.data);
        free(file->name);
        free(file);
    }
    free(pl);
}

uint64_t mm_powerloss_events(const mm_powerloss *pl)
{
    return pl->events;
}

void mm_powerloss_cut_at(mm_powerloss *pl, uint64_t number)
{
    pl->cut_at = number;
}

void mm_powerloss_fail_at(mm_powerloss *pl, uint64_t number, int code, bool forever)
{
    pl->fail_at = number;
    pl->fail_code = code;
    pl->fail_forever = forever;
    pl->failed = false;
}

void mm_powerloss_mend(mm_powerloss *pl)
{
    pl->fail_at = 0;
}

bool mm_powerloss_fired(const mm_powerloss *pl)
{
    return pl->dead || pl->failed;
}

/* ---- after the cut ---- */

/* Chance in 4 that something unsynced survived: nothing, half, all but a few, everything. */
static bool survives(mm_powerloss *pl, uint64_t chance)
{
    return mm_random_next(&pl->random) % 4 < chance;
}

/* The durable bytes and those sectors of the pending writes that made it. */
static void file_tear(mm_powerloss *pl, pl_file *file)
{
    static const uint64_t chances[] = {0, 2, 3, 4};
    uint64_t chance = chances[mm_random_next(&pl->random) % MM_COUNT(chances)];
    for (const pl_write *write = file->first; write; write = write->next) {
        if (write->size == 0 && survives(pl, chance))
            bytes_resize(&file->durable, write->offset);
        uint64_t end = write->offset + write->size;
        for (uint64_t at = write->offset; at < end;) {
            uint64_t next = (at / SECTOR + 1) * SECTOR;
            if (next > end)
                next = end;
            if (survives(pl, chance))
                bytes_write(&file->durable, write->data + (at - write->offset), next - at, at);
            at = next;
        }
    }
    file_forget(file);
}

static void file_store(const pl_file *file)
{
    FILE *real = must(fopen(file->name, "wb"));
    if (file->durable.size > 0 &&
        fwrite(file->durable.data, 1, file->durable.size, real) != file->durable.size)
        give_up("cannot write a file");
    if (fclose(real) != 0)
        give_up("cannot write a file");
}

void mm_powerloss_materialise(mm_powerloss *pl)
{
    pl->dead = true;
    size_t kept = mm_random_next(&pl->random) % (pl->pending_count + 1);
    for (size_t i = 0; i < kept; i++)
        folder_apply(pl->durable, &pl->pending[i]);
    for (size_t i = 0; i < pl->file_count; i++) {
        char shm[1100];
        if (pl->files[i]->name[0] == '\0')
            continue;
        snprintf(shm, sizeof shm, "%s-shm", pl->files[i]->name);
        (void)unlink(shm);
        (void)unlink(pl->files[i]->name);
    }
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (pl->durable[i] == NULL)
            continue;
        file_tear(pl, pl->durable[i]);
        file_store(pl->durable[i]);
    }
}
