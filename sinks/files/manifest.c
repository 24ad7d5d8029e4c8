/* manifest.json: what a complete collection of the target `files` holds. Read for append and inspect,
 * written as the last act. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "sinks/files/internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a manifest");
}

/* --- reading --- */

static mm_status read_manifest(const char *root, cJSON **out, mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT;
    char *path = mm_format("%s/manifest.json", root);
    if (path == NULL)
        return no_memory(err);
    mm_status status = mm_files_read_text(path, &text, err);
    if (status == MM_OK) {
        cJSON *manifest = cJSON_ParseWithLength(text.data, text.size);
        if (cJSON_IsObject(manifest) && cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(manifest, "files"))) {
            *out = manifest;
        } else {
            cJSON_Delete(manifest);
            status = mm_error_set(err, MM_TARGET, "%s is not a manifest of this program", path);
        }
    }
    mm_buffer_free(&text);
    free(path);
    return status;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static uint64_t number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble < 9e15
               ? (uint64_t)item->valuedouble
               : 0;
}

static mm_status check_field(const mm_field *field, const cJSON *fields, mm_error *err)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, fields)
    {
        if (strcmp(text_of(item, "name"), field->name) != 0)
            continue;
        uint64_t dim = mm_type_is_vector(field->type) ? field->dim : 0;
        if (strcmp(text_of(item, "type"), mm_type_name(field->type)) != 0 || number_of(item, "dim") != dim)
            return mm_error_set(err, MM_TARGET,
                                "field %s is %s(%" PRIu64 ") there and %s(%" PRIu64 ") in this job", field->name,
                                text_of(item, "type"), number_of(item, "dim"), mm_type_name(field->type), dim);
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "primary")) != field->primary)
            return mm_error_set(err, MM_TARGET, "field %s is the primary key in only one of the two",
                                field->name);
        if (number_of(item, "max_length") != field->max_length)
            return mm_error_set(err, MM_TARGET, "field %s has max_length %" PRIu64 " there and %u in this job",
                                field->name, number_of(item, "max_length"), field->max_length);
        return MM_OK;
    }
    return mm_error_set(err, MM_TARGET, "field %s is not there", field->name);
}

mm_status mm_files_check_manifest(mm_sink *sink, uint32_t number, mm_error *err)
{
    const mm_files_collection *c = &sink->collections[number];
    const mm_schema *schema = c->plan->schema;
    cJSON *manifest;
    mm_status status = read_manifest(c->root, &manifest, err);
    if (status != MM_OK)
        return status;
    const cJSON *fields = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(manifest, "schema"), "fields");
    for (size_t i = 0; status == MM_OK && i < schema->field_count; i++)
        status = check_field(&schema->fields[i], fields, err);
    if (status == MM_OK && (size_t)cJSON_GetArraySize(fields) != schema->field_count)
        status = mm_error_set(err, MM_TARGET, "%d fields there and %zu in this job", cJSON_GetArraySize(fields),
                              schema->field_count);
    if (status != MM_OK)
        mm_error_context(err, "append to %s", c->root);
    cJSON_Delete(manifest);
    return status;
}

/* --- writing --- */

static void print_string(mm_buffer *out, const char *text)
{
    cJSON *item = cJSON_CreateString(text);
    char *printed = item ? cJSON_PrintUnformatted(item) : NULL;
    if (printed)
        mm_buffer_append(out, printed, strlen(printed));
    else
        out->failed = true;
    cJSON_free(printed);
    cJSON_Delete(item);
}

static void print_schema(mm_buffer *out, const mm_schema *schema)
{
    mm_buffer_printf(out, " \"schema\": {\"fields\": [");
    for (size_t i = 0; i < schema->field_count; i++) {
        const mm_field *field = &schema->fields[i];
        mm_buffer_printf(out, "%s\n  {\"name\": ", i ? "," : "");
        print_string(out, field->name);
        mm_buffer_printf(out, ", \"type\": \"%s\", \"dim\": ", mm_type_name(field->type));
        if (mm_type_is_vector(field->type))
            mm_buffer_printf(out, "%" PRIu32, field->dim);
        else
            mm_buffer_printf(out, "null");
        mm_buffer_printf(out, ", \"primary\": %s", field->primary ? "true" : "false");
        if (field->max_length > 0)
            mm_buffer_printf(out, ", \"max_length\": %" PRIu32, field->max_length);
        mm_buffer_printf(out, "}");
    }
    mm_buffer_printf(out, "\n ]},\n");
}

/* The entries of a manifest, one line each. */
typedef struct listing {
    mm_buffer lines;
    uint64_t rows; /* counted by the files of the first field */
} listing;

static void add_line(listing *list, const char *partition, const char *path, uint64_t rows, uint64_t bytes,
                     const char *checksum)
{
    mm_buffer_printf(&list->lines, "%s\n  {\"partition\": ", list->lines.size ? "," : "");
    print_string(&list->lines, partition);
    mm_buffer_printf(&list->lines, ", \"path\": ");
    print_string(&list->lines, path);
    mm_buffer_printf(&list->lines, ", \"rows\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"checksum\": ", rows, bytes);
    print_string(&list->lines, checksum);
    mm_buffer_printf(&list->lines, "}");
}

static void add_unit(const mm_sink *sink, const mm_files_unit *unit, listing *list)
{
    const mm_files_collection *c = &sink->collections[unit->collection];
    const mm_files_partition *partition = &c->partitions[unit->partition];
    for (size_t i = 0; i < unit->file_count; i++) {
        char checksum[17];
        snprintf(checksum, sizeof(checksum), "%016" PRIx64, unit->files[i].checksum);
        char *path = mm_files_unit_name(sink, unit, i);
        if (path == NULL)
            list->lines.failed = true;
        else
            add_line(list, partition->name, path, unit->rows, unit->files[i].size, checksum);
        free(path);
    }
    list->rows += unit->rows;
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The folders of this job's units in this collection, sorted: "<partition>/<NNNNN>". */
static mm_status own_folders(const mm_sink *sink, uint32_t number, char ***out, size_t *count, mm_error *err)
{
    const mm_files_collection *c = &sink->collections[number];
    size_t used = 0;
    char **folders = calloc(sink->unit_count + 1, sizeof(*folders));
    if (folders == NULL)
        return no_memory(err);
    for (size_t i = 0; i < sink->unit_count; i++) {
        const mm_files_unit *unit = sink->units[i];
        if (unit->collection != number)
            continue;
        folders[used] = mm_format("%s/%05" PRIu32, c->partitions[unit->partition].folder, unit->number);
        if (folders[used++] == NULL) {
            while (used > 0)
                free(folders[--used]);
            free(folders);
            return no_memory(err);
        }
    }
    qsort(folders, used, sizeof(*folders), compare_text);
    *out = folders;
    *count = used;
    return MM_OK;
}

/* Entries that were there before this run: all but those of its own units (a repeated publish). */
static mm_status add_earlier(const mm_sink *sink, uint32_t number, listing *list, mm_error *err)
{
    const mm_files_collection *c = &sink->collections[number];
    cJSON *manifest;
    mm_error absent = MM_ERROR_INIT;
    mm_status status = read_manifest(c->root, &manifest, &absent);
    if (status == MM_NOT_FOUND)
        return MM_OK;
    if (status != MM_OK)
        return mm_error_set(err, status, "%s", absent.text);
    char **own = NULL;
    size_t own_count = 0;
    status = own_folders(sink, number, &own, &own_count, err);
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(manifest, "files"))
    {
        if (status != MM_OK)
            break;
        const char *path = text_of(entry, "path"), *slash = strrchr(path, '/');
        char *folder = slash ? strndup(path, (size_t)(slash - path)) : NULL;
        if (folder == NULL) {
            status = slash ? no_memory(err)
                           : mm_error_set(err, MM_TARGET, "%s/manifest.json: not a path: %.80s", c->root, path);
            break;
        }
        if (bsearch(&folder, own, own_count, sizeof(*own), compare_text) == NULL) {
            add_line(list, text_of(entry, "partition"), path, number_of(entry, "rows"),
                     number_of(entry, "bytes"), text_of(entry, "checksum"));
            size_t length = strlen(c->names[0]);
            if (strncmp(slash + 1, c->names[0], length) == 0 && strcmp(slash + 1 + length, ".npy") == 0)
                list->rows += number_of(entry, "rows");
        }
        free(folder);
    }
    for (size_t i = 0; i < own_count; i++)
        free(own[i]);
    free(own);
    cJSON_Delete(manifest);
    return status;
}

static int compare_units(const void *a, const void *b)
{
    const mm_files_unit *left = *(mm_files_unit *const *)a, *right = *(mm_files_unit *const *)b;
    if (left->partition != right->partition)
        return left->partition < right->partition ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

static mm_status add_own(mm_sink *sink, uint32_t number, listing *list, mm_error *err)
{
    if (sink->unit_count == 0)
        return MM_OK;
    qsort(sink->units, sink->unit_count, sizeof(*sink->units), compare_units);
    for (size_t i = 0; i < sink->unit_count; i++) {
        const mm_files_unit *unit = sink->units[i];
        if (unit->collection != number || unit->rows == 0)
            continue;
        if (unit->state != MM_FILES_SEALED)
            return mm_error_set(err, MM_BUG, "unit %05" PRIu32 " is not sealed", unit->number);
        add_unit(sink, unit, list);
    }
    return MM_OK;
}

static mm_status write_file(const char *path, const mm_buffer *text, mm_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return mm_error_errno(err, MM_IO, "%s", path);
    mm_status status = MM_OK;
    for (size_t at = 0; status == MM_OK && at < text->size;) {
        ssize_t done = write(fd, text->data + at, text->size - at);
        if (done >= 0)
            at += (size_t)done;
        else if (errno != EINTR)
            status = mm_error_errno(err, MM_IO, "writing %s", path);
    }
    if (status == MM_OK && fsync(fd) != 0)
        status = mm_error_errno(err, MM_IO, "syncing %s", path);
    close(fd);
    return status;
}

static mm_status put_manifest(const mm_sink *sink, const mm_files_collection *c, const mm_buffer *text,
                              mm_error *err)
{
    mm_status status;
    char *path = mm_format("%s/manifest.json", c->root);
    char *part = mm_format("%s/manifest.json%s", c->root, sink->suffix);
    if (path == NULL || part == NULL) {
        status = no_memory(err);
        goto out;
    }
    status = write_file(part, text, err);
    MM_FAILPOINT("files.publish.written");
    if (status == MM_OK && rename(part, path) != 0)
        status = mm_error_errno(err, MM_IO, "renaming %s", part);
    MM_FAILPOINT("files.publish.renamed");
    if (status == MM_OK)
        status = mm_files_sync_folder(c->root, err);
out:
    free(part);
    free(path);
    return status;
}

mm_status mm_files_publish(mm_sink *sink, uint32_t number, mm_error *err)
{
    const mm_files_collection *c = &sink->collections[number];
    listing list = {MM_BUFFER_INIT, 0};
    mm_buffer text = MM_BUFFER_INIT;
    /* two jobs that append here at once take turns, so that neither loses the other's entries */
    int lock = open(c->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mm_status status = MM_OK;
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        status = mm_error_errno(err, MM_IO, "locking %s", c->root);
    if (status == MM_OK)
        status = add_earlier(sink, number, &list, err);
    if (status == MM_OK)
        status = add_own(sink, number, &list, err);
    if (status != MM_OK)
        goto out;
    mm_buffer_printf(&text, "{\n \"version\": 1,\n \"format\": \"npy\",\n \"collection\": ");
    print_string(&text, c->plan->name);
    mm_buffer_printf(&text, ",\n");
    print_schema(&text, c->plan->schema);
    mm_buffer_printf(&text, " \"rows\": %" PRIu64 ",\n \"checksum\": \"xxh3-64\",\n \"files\": [", list.rows);
    mm_buffer_append(&text, list.lines.data ? list.lines.data : "", list.lines.size);
    mm_buffer_printf(&text, "\n ]\n}\n");
    status = list.lines.failed || text.failed ? no_memory(err) : put_manifest(sink, c, &text, err);
out:
    if (lock >= 0)
        close(lock);
    mm_buffer_free(&text);
    mm_buffer_free(&list.lines);
    return status;
}

/* --- inspect --- */

mm_status mm_files_inspect(const char *location, mm_buffer *text, mm_error *err)
{
    cJSON *manifest;
    mm_status status = read_manifest(location, &manifest, err);
    if (status != MM_OK)
        return mm_error_set(err, MM_NOT_FOUND, "%s is not a folder with a manifest.json", location);
    const cJSON *item, *schema = cJSON_GetObjectItemCaseSensitive(manifest, "schema");
    mm_buffer_printf(text, "format: npy\ncollection: %s\nrows: %" PRIu64 "\n", text_of(manifest, "collection"),
                     number_of(manifest, "rows"));
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(schema, "fields"))
    {
        mm_buffer_printf(text, "field: %s %s", text_of(item, "name"), text_of(item, "type"));
        if (number_of(item, "dim") > 0)
            mm_buffer_printf(text, "(%" PRIu64 ")", number_of(item, "dim"));
        mm_buffer_printf(text, "%s\n",
                         cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "primary")) ? " primary" : "");
    }
    mm_buffer_printf(text, "files: %d\n",
                     cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(manifest, "files")));
    cJSON_Delete(manifest);
    return text->failed ? no_memory(err) : MM_OK;
}
