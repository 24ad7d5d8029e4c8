/* Drives engine/storage for the tests: one operation a process, so that each can be killed.
 *
 *   storage_tool [-o name=value]… OPERATION LOCATION …
 *     stat LOCATION                  "size etag modified_ms"
 *     list LOCATION                  a line of JSON for each key: {"key", "size", "etag"}
 *     read LOCATION OFFSET SIZE [ETAG]   the bytes
 *     put LOCATION FILE [fresh]
 *     remove LOCATION
 *     move LOCATION LOCATION         within one bucket
 *     upload LOCATION FILE STATE [CONNECTIONS]   STATE: file that keeps the progress; "size etag modified_ms"
 *     abort LOCATION STATE
 *     parts LOCATION FILE SIZE       an upload in parts of that size, by the driver itself
 *     url LOCATION                   its URL and its https URL
 *
 * Exit: that of the status; stderr: "NAME: text". */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_text.h"
#include "base/log.h"
#include "storage/storage_internal.h"

#define OPTIONS_MAX 32

static const mm_option table[] = {MM_STORAGE_OPTIONS};

typedef struct {
    mm_storage *storage;
    char *key;
    int argc;
    char **argv; /* behind LOCATION */
    const mm_options *options;
} call;

static char *read_file(const char *path, size_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    char *bytes = malloc((size_t)st.st_size + 1);
    ssize_t got = bytes != NULL ? read(fd, bytes, (size_t)st.st_size) : -1;
    close(fd);
    if (got != st.st_size) {
        free(bytes);
        return NULL;
    }
    bytes[got] = '\0';
    *size = (size_t)got;
    return bytes;
}

static void print_object(const mm_object *object)
{
    printf("%" PRIu64 " %s %" PRId64 "\n", object->size, object->etag, object->modified_ms);
}

static mm_status op_stat(const call *c, mm_error *err)
{
    mm_object object;
    mm_status status = mm_storage_stat(c->storage, c->key, &object, err);
    if (status == MM_OK) {
        print_object(&object);
    }
    return status;
}

static mm_status print_key(void *context, const char *key, const mm_object *object, mm_error *err)
{
    mm_buffer line = MM_BUFFER_INIT;
    (void)context;
    (void)err;
    mm_buffer_printf(&line, "{\"key\":");
    mm_json_text(&line, key);
    mm_buffer_printf(&line, ",\"size\":%" PRIu64 ",\"etag\":", object->size);
    mm_json_text(&line, object->etag);
    mm_buffer_printf(&line, "}");
    puts(line.data);
    mm_buffer_free(&line);
    return MM_OK;
}

static mm_status op_list(const call *c, mm_error *err)
{
    return mm_storage_list(c->storage, c->key, print_key, NULL, err);
}

static mm_status op_read(const call *c, mm_error *err)
{
    size_t size = strtoull(c->argv[1], NULL, 10);
    char *bytes = malloc(size + 1);
    if (bytes == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    mm_status status = mm_storage_read(c->storage, c->key, c->argc > 2 ? c->argv[2] : NULL,
                                       strtoull(c->argv[0], NULL, 10), bytes, size, err);
    if (status == MM_OK && fwrite(bytes, 1, size, stdout) != size) {
        status = mm_error_errno(err, MM_IO, "stdout");
    }
    free(bytes);
    return status;
}

static mm_status op_put(const call *c, mm_error *err)
{
    size_t size = 0;
    char *bytes = read_file(c->argv[0], &size);
    if (bytes == NULL) {
        return mm_error_errno(err, MM_IO, "%s", c->argv[0]);
    }
    bool fresh = c->argc > 1 && strcmp(c->argv[1], "fresh") == 0;
    mm_status status = mm_storage_put(c->storage, c->key, bytes, size, fresh, err);
    free(bytes);
    return status;
}

static mm_status op_remove(const call *c, mm_error *err)
{
    return mm_storage_remove(c->storage, c->key, err);
}

static mm_status op_move(const call *c, mm_error *err)
{
    mm_storage *other = NULL;
    char *to = NULL;
    mm_status status = mm_storage_open(c->argv[0], c->options, &other, &to, err);
    if (status == MM_OK) {
        status = mm_storage_move(c->storage, c->key, to, err);
    }
    mm_storage_close(other);
    free(to);
    return status;
}

static mm_status keep_state(void *context, const char *state, mm_error *err)
{
    const char *path = context;
    char *fresh = mm_format("%s.new", path);
    FILE *file = fresh != NULL ? fopen(fresh, "we") : NULL;
    bool good = file != NULL && fputs(state, file) >= 0;
    good = (file == NULL || fclose(file) == 0) && good && rename(fresh, path) == 0;
    free(fresh);
    return good ? MM_OK : mm_error_errno(err, MM_IO, "%s", path);
}

static mm_status op_upload(const call *c, mm_error *err)
{
    size_t size;
    mm_object object;
    char *state = read_file(c->argv[1], &size);
    unsigned connections = c->argc > 2 ? (unsigned)strtoul(c->argv[2], NULL, 10) : 0;
    mm_upload upload = {.path = c->argv[0], .key = c->key, .state = state, .progress = keep_state,
                        .context = c->argv[1], .connections = connections};
    mm_status status = mm_storage_upload(c->storage, &upload, &object, err);
    if (status == MM_OK) {
        print_object(&object);
    }
    free(state);
    return status;
}

static mm_status op_abort(const call *c, mm_error *err)
{
    size_t size;
    char *state = read_file(c->argv[0], &size);
    mm_status status = state != NULL ? mm_storage_upload_abort(c->storage, c->key, state, err)
                                     : mm_error_errno(err, MM_IO, "%s", c->argv[0]);
    free(state);
    return status;
}

static mm_status op_parts(const call *c, mm_error *err)
{
    const mm_storage_driver *driver = c->storage->driver;
    uint64_t size = strtoull(c->argv[1], NULL, 10);
    struct stat st;
    mm_object object;
    char *id = NULL;
    int fd = open(c->argv[0], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return mm_error_errno(err, MM_IO, "%s", c->argv[0]);
    }
    size_t count = (size_t)(((uint64_t)st.st_size + size - 1) / size);
    mm_part *parts = calloc(count, sizeof(*parts));
    mm_status status = parts != NULL ? driver->upload_begin(c->storage->self, c->key, (uint64_t)st.st_size, &id, err)
                                     : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        uint64_t offset = i * size, left = (uint64_t)st.st_size - offset;
        parts[i] = (mm_part){.number = (unsigned)i + 1, .offset = offset, .size = left < size ? left : size};
        mm_http_body body = {.fd = fd, .offset = offset, .size = parts[i].size};
        status = driver->upload_part(c->storage->self, c->key, id, &parts[i], &body, err);
    }
    if (status == MM_OK) {
        status = driver->upload_complete(c->storage->self, c->key, id, parts, count, &object, err);
    }
    if (status == MM_OK) {
        print_object(&object);
    }
    free(parts);
    free(id);
    close(fd);
    return status;
}

static mm_status op_url(const call *c, mm_error *err)
{
    char *url = mm_storage_url(c->storage, c->key), *http = mm_storage_http_url(c->storage, c->key);
    mm_status status = url != NULL && http != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (status == MM_OK) {
        printf("%s\n%s\n", url, http);
    }
    free(url);
    free(http);
    return status;
}

static const struct {
    const char *name;
    int arguments; /* behind LOCATION, at least */
    mm_status (*run)(const call *c, mm_error *err);
} operations[] = {{"stat", 0, op_stat}, {"list", 0, op_list}, {"read", 2, op_read}, {"put", 1, op_put},
                  {"remove", 0, op_remove}, {"move", 1, op_move}, {"upload", 2, op_upload}, {"abort", 1, op_abort},
                  {"parts", 2, op_parts}, {"url", 0, op_url}};

static mm_status run(int argc, char **argv, const mm_options *options, mm_error *err)
{
    for (size_t i = 0; i < MM_COUNT(operations); i++) {
        if (argc < 2 || strcmp(argv[0], operations[i].name) != 0 || argc - 2 < operations[i].arguments) {
            continue;
        }
        call c = {.argc = argc - 2, .argv = argv + 2, .options = options};
        mm_status status = mm_storage_open(argv[1], options, &c.storage, &c.key, err);
        if (status == MM_OK) {
            status = operations[i].run(&c, err);
        }
        free(c.key);
        mm_storage_close(c.storage);
        return status;
    }
    return mm_error_set(err, MM_USAGE, "storage_tool [-o name=value]... OPERATION LOCATION ...");
}

int main(int argc, char **argv)
{
    const char *pairs[OPTIONS_MAX + 1] = {NULL};
    size_t count = 0;
    int at = 1;
    mm_options *options = NULL;
    mm_error err = MM_ERROR_INIT;
    for (; at + 1 < argc && strcmp(argv[at], "-o") == 0 && count < OPTIONS_MAX; at += 2) {
        pairs[count++] = argv[at + 1];
    }
    mm_log_setup(getenv("STORAGE_TOOL_DEBUG") != NULL ? MM_LOG_DEBUG : MM_LOG_INFO, MM_LOG_TEXT);
    mm_status status = mm_options_make(table, MM_COUNT(table), pairs, &options, &err);
    if (status == MM_OK) {
        status = run(argc - at, argv + at, options, &err);
    }
    mm_options_free(options);
    if (fflush(stdout) != 0 && status == MM_OK) {
        status = mm_error_errno(&err, MM_IO, "stdout");
    }
    if (status != MM_OK) {
        fprintf(stderr, "%s: %s\n", mm_status_name(status), err.text);
    }
    return mm_status_exit(status);
}
