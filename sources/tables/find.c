/* Which files source.path means: a file, a list of files, a folder or a key's prefix. */
#include <stdlib.h>
#include <string.h>

#include "sources/tables/internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a list of files");
}

void mm_table_objects_free(mm_table_objects *objects)
{
    free(objects->items);
    mm_arena_free(&objects->arena);
    *objects = (mm_table_objects){.arena = MM_ARENA_INIT};
}

static mm_status add_object(mm_table_objects *list, const char *location, size_t root, const mm_object *object,
                            mm_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? 2 * list->capacity : 64;
        mm_table_object *grown = reallocarray(list->items, capacity, sizeof(*grown));
        if (grown == NULL)
            return no_memory(err);
        list->items = grown;
        list->capacity = capacity;
    }
    const char *copy = mm_arena_strdup(&list->arena, location);
    if (copy == NULL)
        return no_memory(err);
    list->items[list->count++] = (mm_table_object){copy, root, *object};
    return MM_OK;
}

typedef struct listing {
    mm_table_objects *list;
    const mm_storage *storage;
    size_t root; /* bytes of the folder's location, with the slash */
} listing;

static mm_status add_listed(void *context, const char *key, const mm_object *object, mm_error *err)
{
    listing *all = context;
    const char *name = strrchr(key, '/');
    name = name != NULL ? name + 1 : key;
    if (name[0] == '\0' || name[0] == '.') /* a place holder for a folder; a hidden file */
        return MM_OK;
    char *location = mm_storage_url(all->storage, key);
    if (location == NULL)
        return no_memory(err);
    mm_status status = add_object(all->list, location, all->root, object, err);
    free(location);
    return status;
}

static mm_status list_folder(mm_table_objects *list, mm_storage *storage, const char *key, mm_error *err)
{
    size_t length = strlen(key);
    bool slash = length > 0 && key[length - 1] == '/';
    /* the empty key is the whole bucket */
    char *prefix = mm_format("%s%s", key, slash || length == 0 ? "" : "/");
    char *location = prefix != NULL ? mm_storage_url(storage, prefix) : NULL;
    mm_status status = MM_OK;
    if (location == NULL) {
        status = no_memory(err);
    } else {
        listing all = {list, storage, strlen(location)};
        status = mm_storage_list(storage, prefix, add_listed, &all, err);
    }
    free(location);
    free(prefix);
    return status;
}

/* A file there is a file; what is none may be a folder. */
static mm_status list_path(mm_source *source, const char *path, mm_table_objects *list, mm_error *err)
{
    mm_storage *storage;
    char *key;
    mm_object object;
    mm_error why = MM_ERROR_INIT;
    mm_status status = mm_storage_open(path, source->options, &storage, &key, err);
    if (status != MM_OK)
        return status;
    size_t before = list->count, length = strlen(key);
    bool folder = length == 0 || key[length - 1] == '/';
    status = folder ? MM_NOT_FOUND : mm_storage_stat(storage, key, &object, &why);
    if (status == MM_OK) {
        char *location = mm_storage_url(storage, key);
        status = location != NULL ? add_object(list, location, SIZE_MAX, &object, err) : no_memory(err);
        free(location);
    } else if (status == MM_NOT_FOUND || (status == MM_TARGET && mm_storage_local(storage))) {
        status = list_folder(list, storage, key, err);
        if (status == MM_OK && list->count == before)
            status = mm_error_set(err, MM_NOT_FOUND, "%s: no file is there%s", path,
                                  source->format == NULL ? "; `mmresume dump` writes them" : "");
    } else {
        *err = why;
    }
    free(key);
    mm_storage_close(storage);
    return status;
}

mm_status mm_tables_list(mm_source *source, mm_table_objects *out, mm_error *err)
{
    const char *const *paths;
    size_t count = mm_options_list(source->options, "path", &paths);
    mm_status status = MM_OK;
    *out = (mm_table_objects){.arena = MM_ARENA_INIT};
    for (size_t i = 0; status == MM_OK && i < count; i++)
        status = list_path(source, paths[i], out, err);
    if (status != MM_OK)
        mm_table_objects_free(out);
    return status;
}

/* A manifest counts in the folder that was asked for, or one below it. */
static bool is_manifest(const mm_table_object *object)
{
    if (object->root == SIZE_MAX)
        return false;
    const char *rest = object->location + object->root, *slash = strchr(rest, '/');
    return strcmp(slash != NULL ? slash + 1 : rest, MM_MANIFEST_NAME) == 0;
}

static int by_location(const void *a, const void *b)
{
    return strcmp(((const mm_table_object *)a)->location, ((const mm_table_object *)b)->location);
}

/* Folder by folder: the fields of a unit stand next to each other, whatever folders lie between their names. */
static int by_folder(const void *a, const void *b)
{
    const char *left = ((const mm_table_object *)a)->location, *right = ((const mm_table_object *)b)->location;
    const char *left_name = strrchr(left, '/'), *right_name = strrchr(right, '/');
    size_t left_size = left_name != NULL ? (size_t)(left_name - left) : 0,
           right_size = right_name != NULL ? (size_t)(right_name - right) : 0;
    int order = memcmp(left, right, left_size < right_size ? left_size : right_size);
    if (order != 0 || left_size != right_size)
        return order != 0 ? order : left_size < right_size ? -1 : 1;
    return strcmp(left, right);
}

mm_status mm_tables_find(mm_source *source, mm_error *err)
{
    mm_table_objects objects;
    size_t manifests = 0;
    if (source->found)
        return MM_OK;
    mm_status status = mm_tables_list(source, &objects, err);
    if (status != MM_OK)
        return status;
    for (size_t i = 0; i < objects.count; i++)
        manifests += is_manifest(&objects.items[i]);
    if (manifests > 0) /* names are looked up; the order is the manifests' */
        qsort(objects.items, objects.count, sizeof(*objects.items), by_location);
    else if (source->format != NULL && source->format->file_per_field && !source->shards)
        qsort(objects.items, objects.count, sizeof(*objects.items), by_folder);
    size_t count = manifests > 0 ? manifests : 1, at = 0;
    mm_table_collection *collections = mm_arena_array(&source->arena, count, sizeof(*collections));
    if (collections == NULL)
        status = no_memory(err);
    else
        memset(collections, 0, count * sizeof(*collections));
    if (status == MM_OK && manifests == 0 && source->format == NULL)
        status = mm_error_set(err, MM_NOT_FOUND, "%s: no %s is there; `mmresume dump` writes it last",
                              objects.items[0].location, MM_MANIFEST_NAME);
    if (status == MM_OK && manifests == 0)
        status = mm_tables_from_files(source, &objects, &collections[0], err);
    for (size_t i = 0; status == MM_OK && manifests > 0 && i < objects.count; i++)
        if (is_manifest(&objects.items[i]))
            status = mm_tables_from_manifest(source, &objects, &objects.items[i], &collections[at++], err);
    mm_table_objects_free(&objects);
    if (status != MM_OK)
        return status;
    source->collections = collections;
    source->count = count;
    source->found = true;
    return MM_OK;
}
