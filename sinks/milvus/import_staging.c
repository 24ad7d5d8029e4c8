/* The staging writer of an import: the target `files`, opened on a folder of this run's own,
 *
 *   <staging>/mmresume-<job tag>-<run>/<collection>/…
 *
 * and what becomes of its files: other names for another try, removal at the end. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/json_text.h"
#include "base/log.h"
#include "formats/format.h"
#include "sinks/files/files.h"
#include "sinks/milvus/import.h"

static mm_status remove_runs(mm_importer *importer, unsigned long first, unsigned long last, size_t *count, mm_error *err);

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for the importer");
}

/* --- which format ----------------------------------------------------------------------------------------- */

/* "v2.3.5" as 20305; an unknown version is taken for a late one. */
static unsigned version_number(const char *version)
{
    unsigned major, minor, patch;
    if (sscanf(version[0] == 'v' ? version + 1 : version, "%u.%u.%u", &major, &minor, &patch) != 3)
        return UINT_MAX;
    return major * 10000 + minor * 100 + patch;
}

/* NumPy has no texts but such as are all as long as the longest may be: 64 KiB a row, if need be. */
static bool has_texts(const mm_importer *importer)
{
    for (size_t i = 0; i < importer->collection_count; i++)
        for (size_t j = 0; j < importer->collections[i].schema->field_count; j++) {
            mm_type type = importer->collections[i].schema->fields[j].type;
            if (type == MM_TYPE_VARCHAR || type == MM_TYPE_JSON)
                return true;
        }
    return false;
}

static mm_status holds_all(const mm_importer *importer, const char *format, mm_error *err)
{
    const mm_format_driver *driver = mm_format_find(format);
    mm_status status = MM_OK;
    if (driver == NULL)
        return mm_error_set(err, MM_CONFIG, "target.format: %s is not a format of staged files", format);
    for (size_t i = 0; status == MM_OK && i < importer->collection_count; i++) {
        status = driver->check(importer->collections[i].schema, true, err);
        if (status != MM_OK)
            mm_error_context(err, "collection %s as %s", importer->collections[i].name, format);
    }
    return status;
}

/* auto: what the server reads fastest and has read longest, among what holds every field. 2.3.5 is the first of which
 * it is known that it reads Parquet. */
static mm_status choose_format(mm_importer *importer, mm_error *err)
{
    static const char *const columns[] = {"npy", "parquet", "json"}, *const modern[] = {"parquet", "json", "npy"};
    static const char *const oldest[] = {"json", "npy"};
    const char *asked = mm_options_str(importer->sink->options, "format");
    unsigned version = version_number(importer->sink->version);
    const char *const *order = version >= 20400 ? modern : columns;
    size_t count = MM_COUNT(columns);
    if (strcmp(asked, "auto") != 0) {
        snprintf(importer->format, sizeof(importer->format), "%s", asked);
        return holds_all(importer, asked, err);
    }
    if (version < 20400 && has_texts(importer)) {
        order = version >= 20305 ? modern : oldest;
        count = version >= 20305 ? MM_COUNT(modern) : MM_COUNT(oldest);
    }
    mm_status status = MM_OK;
    for (size_t i = 0; i < count; i++) {
        mm_error_clear(err);
        status = holds_all(importer, order[i], err);
        if (status == MM_OK) {
            snprintf(importer->format, sizeof(importer->format), "%s", order[i]);
            break;
        }
    }
    return status;
}

/* --- opening the writer ----------------------------------------------------------------------------------- */

enum { PAIRS_MAX = 32 };

/* Its options from ours: those of the same name, and what we decide. */
static mm_status make_options(mm_importer *importer, mm_error *err)
{
    const mm_options *own = importer->sink->options;
    char *pairs[PAIRS_MAX + 1] = {NULL};
    size_t count = 0;
    mm_status status = MM_OK;
    for (size_t i = 0; i < mm_sink_files.option_count && count < PAIRS_MAX; i++) {
        const char *name = mm_sink_files.options[i].name;
        if (strcmp(name, "path") == 0)
            pairs[count++] = mm_format("path=%s", importer->folder);
        else if (strcmp(name, "format") == 0)
            pairs[count++] = mm_format("format=%s", importer->format);
        else if (strcmp(name, "file_size") == 0)
            pairs[count++] = mm_format("file_size=%" PRIu64, mm_options_size(own, "file_size"));
        else if (strcmp(name, "storage_use_iam") == 0)
            pairs[count++] = mm_format("storage_use_iam=%s", mm_options_bool(own, name) ? "true" : "false");
        else if ((strcmp(name, "spool") == 0 || strncmp(name, "storage_", 8) == 0) && mm_options_str(own, name) != NULL)
            pairs[count++] = mm_format("%s=%s", name, mm_options_str(own, name));
        else
            continue;
        if (pairs[count - 1] == NULL) {
            status = no_memory(err);
            break;
        }
    }
    if (status == MM_OK)
        status = mm_options_make(mm_sink_files.options, mm_sink_files.option_count, (const char *const *)pairs,
                                 &importer->files_options, err);
    for (size_t i = 0; i < count; i++)
        free(pairs[i]);
    return status;
}

static mm_status open_files(mm_importer *importer, mm_error *err)
{
    const mm_sink *sink = importer->sink;
    if (importer->files != NULL)
        return MM_OK;
    mm_status status = make_options(importer, err);
    if (status != MM_OK)
        return status;
    mm_sink_args args = {.options = importer->files_options,
                         .job_tag = sink->tag,
                         .run = sink->run,
                         .host = sink->host,
                         .folder = importer->spool,
                         .collections = importer->collections,
                         .collection_count = importer->collection_count};
    status = mm_files_open_for_import(&args, &importer->files, err);
    return status == MM_OK ? MM_OK : mm_error_context(err, "target.staging");
}

/* A place where nothing can be written is told before the source is read, not after. */
static mm_status probe(const mm_importer *importer, mm_error *err)
{
    char *location = mm_format("%s/probe", importer->folder), *key = NULL;
    mm_storage *storage = NULL;
    static const char text[] = "mmresume: may be removed\n";
    mm_object object;
    mm_status status = location != NULL ? mm_storage_open(location, importer->sink->options, &storage, &key, err)
                                        : no_memory(err);
    if (status == MM_OK)
        status = mm_storage_put(storage, key, text, sizeof(text) - 1, false, err);
    MM_FAILPOINT("import.staging.probed");
    if (status == MM_OK)
        status = mm_storage_stat(storage, key, &object, err);
    if (status == MM_OK && object.size != sizeof(text) - 1)
        status = mm_error_set(err, MM_TARGET, "%s: %zu bytes were written, %" PRIu64 " are there", location,
                              sizeof(text) - 1, object.size);
    if (status == MM_OK)
        status = mm_storage_remove(storage, key, err);
    mm_storage_close(storage);
    free(key);
    free(location);
    return status == MM_OK ? MM_OK : mm_error_context(err, "target.staging");
}

/* --- the step --------------------------------------------------------------------------------------------- */

/* The one step of the writer that comes before the rows. */
static const mm_step *prepare_step(void)
{
    for (size_t i = 0; i < mm_sink_files.step_count; i++)
        if (mm_sink_files.steps[i].phase == MM_STEP_BEFORE)
            return &mm_sink_files.steps[i];
    return NULL;
}

mm_status mm_import_intend_staging(mm_sink *sink, uint32_t collection, char intent[MM_STEP_DETAIL], mm_error *err)
{
    mm_importer *importer = sink->importer;
    mm_status status = importer->files == NULL ? choose_format(importer, err) : MM_OK;
    if (status == MM_OK)
        status = open_files(importer, err);
    return status == MM_OK ? prepare_step()->intend(importer->files, collection, intent, err) : status;
}

/* {"format":…,"folder":…,"files":<what the writer remembers>} */
static mm_status print_detail(const mm_importer *importer, const char *files, char detail[MM_STEP_DETAIL], mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT;
    mm_buffer_printf(&text, "{\"format\":\"%s\",\"folder\":", importer->format);
    mm_json_text(&text, importer->folder);
    mm_buffer_printf(&text, ",\"files\":");
    mm_json_text(&text, files);
    mm_buffer_printf(&text, "}");
    mm_status status = MM_OK;
    if (text.failed)
        status = no_memory(err);
    else if (text.size >= MM_STEP_DETAIL)
        status = mm_error_set(err, MM_CONFIG, "target.staging: the path %.80s… is too long", importer->folder);
    else
        memcpy(detail, text.data, text.size + 1);
    mm_buffer_free(&text);
    return status;
}

mm_status mm_import_step_staging(mm_sink *sink, uint32_t collection, const char *intent, char detail[MM_STEP_DETAIL],
                                 mm_error *err)
{
    mm_importer *importer = sink->importer;
    char files[MM_STEP_DETAIL] = "";
    size_t left = 0;
    mm_status status = importer->files == NULL ? choose_format(importer, err) : MM_OK;
    if (status == MM_OK)
        status = probe(importer, err);
    if (status == MM_OK && sink->run > 1) /* what a cancelled run of this job left */
        status = remove_runs(importer, 1, sink->run - 1, &left, err);
    if (status == MM_OK)
        status = open_files(importer, err);
    if (status == MM_OK)
        status = prepare_step()->run(importer->files, collection, intent, files, err);
    return status == MM_OK ? print_detail(importer, files, detail, err) : status;
}

/* Kept until all steps are recalled: where the step `unstage` is done, the files are gone and nobody asks for them. */
mm_status mm_import_recall_staging(mm_sink *sink, uint32_t collection, const char *detail, mm_error *err)
{
    mm_importer *importer = sink->importer;
    free(importer->staging_details[collection]);
    importer->staging_details[collection] = strdup(detail);
    return importer->staging_details[collection] != NULL ? MM_OK : no_memory(err);
}

mm_status mm_import_recall_unstage(mm_sink *sink, uint32_t collection, const char *detail, mm_error *err)
{
    char count[24];
    (void)collection;
    (void)err;
    if (mm_milvus_detail(detail, "removed", count, sizeof(count)))
        sink->importer->removed = true;
    return MM_OK;
}

static mm_status recall(mm_importer *importer, uint32_t collection, const cJSON *detail, mm_error *err)
{
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(detail, "format");
    const cJSON *folder = cJSON_GetObjectItemCaseSensitive(detail, "folder");
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(detail, "files");
    if (!cJSON_IsString(format) || !cJSON_IsString(folder) || !cJSON_IsString(files))
        return mm_error_set(err, MM_CHANGED, "the record of the step staging is not one");
    if (strcmp(folder->valuestring, importer->folder) != 0)
        return mm_error_set(err, MM_CHANGED, "target.staging: the staged files of this run are in %s, not in %s",
                            folder->valuestring, importer->folder);
    snprintf(importer->format, sizeof(importer->format), "%s", format->valuestring);
    mm_status status = open_files(importer, err);
    return status == MM_OK ? prepare_step()->recall(importer->files, collection, files->valuestring, err) : status;
}

mm_status mm_import_recall_files(mm_importer *importer, mm_error *err)
{
    mm_status status = MM_OK;
    for (uint32_t i = 0; status == MM_OK && !importer->removed && i < importer->collection_count; i++) {
        if (importer->staging_details[i] == NULL)
            continue;
        cJSON *detail = cJSON_Parse(importer->staging_details[i]);
        status = recall(importer, i, detail, err);
        cJSON_Delete(detail);
    }
    return status;
}

/* --- as the server sees it ---------------------------------------------------------------------------------- */

char *mm_import_server_path(const mm_importer *importer, const char *key)
{
    const char *as = mm_options_str(importer->sink->options, "staging_as");
    const char *staging = mm_options_str(importer->sink->options, "staging");
    size_t n = strlen(staging);
    while (n > 1 && staging[n - 1] == '/')
        n--;
    if (as == NULL || as[0] == '\0' || mm_storage_is_remote(staging) || strncmp(key, staging, n) != 0 || key[n] != '/')
        return strdup(key);
    size_t m = strlen(as);
    while (m > 1 && as[m - 1] == '/')
        m--;
    return mm_format("%.*s%s", (int)m, as, key + n);
}

/* --- other names -------------------------------------------------------------------------------------------- */

/* Length of the folder without a last part "/.try<n>". */
static size_t without_try(const char *key, size_t folder, uint32_t n)
{
    char last[32];
    size_t length = (size_t)snprintf(last, sizeof(last), "/.try%" PRIu32, n);
    return folder > length && memcmp(key + folder - length, last, length) == 0 ? folder - length : folder;
}

/* <folder>/<file> becomes <folder>/.try<n>/<file>, <folder>/.try<n - 1>/<file> too; what is there already stays. A .npy
 * must keep its name, since that is the field's. No folder of a collection or partition begins with a dot
 * (mm_files_quote), so that none is taken for that of a try. */
char *mm_import_next_key(const char *key, uint32_t next_try)
{
    const char *slash = strrchr(key, '/');
    size_t folder = slash != NULL ? (size_t)(slash - key) : 0;
    folder = without_try(key, without_try(key, folder, next_try), next_try - 1);
    return mm_format("%.*s%s.try%" PRIu32 "/%s", (int)folder, key, slash != NULL ? "/" : "", next_try,
                     slash != NULL ? slash + 1 : key);
}

mm_status mm_import_move_files(mm_importer *importer, mm_import_group *group, mm_error *err)
{
    mm_storage *storage = mm_files_storage(importer->files);
    for (size_t i = 0; i < group->unit_count; i++) {
        mm_status status = mm_files_units_release(importer->files, group->collection, group->partition, group->units[i], err);
        if (status != MM_OK)
            return status;
    }
    for (size_t i = 0; i < group->file_count; i++) {
        char *next = mm_import_next_key(group->keys[i], group->tries + 1);
        if (next == NULL)
            return no_memory(err);
        mm_status status = mm_storage_move(storage, group->keys[i], next, err);
        MM_FAILPOINT("import.move.file");
        if (status != MM_OK) {
            free(next);
            return status;
        }
        free(group->keys[i]);
        group->keys[i] = next;
    }
    return MM_OK;
}

/* --- removal ------------------------------------------------------------------------------------------------ */

/* The run's number in the name of a run's folder of this job that stands at the end of `prefix` in `name`; 0: it is
 * none. */
static unsigned long run_of(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    char *end;
    if (strncmp(name, prefix, n) != 0 || name[n] < '0' || name[n] > '9')
        return 0;
    unsigned long run = strtoul(name + n, &end, 10);
    return *end == '\0' || *end == '/' ? run : 0;
}

typedef struct removal {
    mm_storage *storage;
    const char *prefix; /* of keys, up to the run's number */
    unsigned long first, last; /* runs */
    size_t count;
} removal;

static mm_status remove_object(void *context, const char *key, const mm_object *object, mm_error *err)
{
    removal *all = context;
    unsigned long run = run_of(key, all->prefix);
    (void)object;
    if (run < all->first || run > all->last)
        return MM_OK;
    mm_status status = mm_storage_remove(all->storage, key, err);
    all->count += status == MM_OK;
    return status;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st;
    (void)kind;
    (void)walk;
    MM_FAILPOINT("import.unstage.file");
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

/* Folders <prefix><run> of a local place. */
static mm_status remove_folders(removal *all, mm_error *err)
{
    char *parent = strdup(all->prefix);
    mm_status status = MM_OK;
    if (parent == NULL)
        return no_memory(err);
    char *name = strrchr(parent, '/');
    *name++ = '\0';
    DIR *folder = opendir(parent);
    if (folder == NULL && errno != ENOENT)
        status = mm_error_errno(err, MM_IO, "%s", parent);
    for (struct dirent *entry; status == MM_OK && folder != NULL && (entry = readdir(folder)) != NULL;) {
        unsigned long run = run_of(entry->d_name, name);
        if (run < all->first || run > all->last)
            continue;
        char *path = mm_format("%s/%s", parent, entry->d_name);
        if (path == NULL)
            status = no_memory(err);
        else if (nftw(path, remove_entry, 32, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
            status = mm_error_errno(err, MM_IO, "removing %s", path);
        free(path);
        all->count++;
    }
    if (folder != NULL)
        closedir(folder);
    free(parent);
    return status;
}

/* What runs [first, last] of this job staged. The folders' names have the job's tag, so nobody else's is touched. */
static mm_status remove_runs(mm_importer *importer, unsigned long first, unsigned long last, size_t *count, mm_error *err)
{
    removal all = {.first = first, .last = last};
    char *prefix = NULL, *location = strdup(importer->folder);
    if (location == NULL)
        return no_memory(err);
    *(strrchr(location, '-') + 1) = '\0';
    mm_status status = mm_storage_open(location, importer->sink->options, &all.storage, &prefix, err);
    all.prefix = prefix;
    if (status == MM_OK)
        status = mm_storage_local(all.storage) ? remove_folders(&all, err)
                                               : mm_storage_list(all.storage, prefix, remove_object, &all, err);
    mm_storage_close(all.storage);
    free(prefix);
    free(location);
    *count = all.count;
    return status;
}

/* For all collections at once: they are all proven when the first comes here. */
mm_status mm_import_step_unstage(mm_sink *sink, uint32_t collection, const char *intent, char detail[MM_STEP_DETAIL],
                                 mm_error *err)
{
    size_t count = 0;
    (void)collection;
    (void)intent;
    snprintf(detail, MM_STEP_DETAIL, "kept=1");
    if (mm_options_bool(sink->options, "keep_staged"))
        return MM_OK;
    MM_FAILPOINT("import.unstage.before");
    mm_status status = remove_runs(sink->importer, sink->run, sink->run, &count, err);
    MM_FAILPOINT("import.unstage.done");
    if (status == MM_OK)
        snprintf(detail, MM_STEP_DETAIL, "removed=%zu", count);
    return status;
}
