/* The job file beside each file of a collection: MilvusDM's H2M, by which MilvusDM and mmresume load it into a Milvus.
 * Facts: the keys of pymilvusdm 2.0. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/json_text.h"
#include "base/util.h"
#include "sinks/hdf5/internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a job file");
}

/* Of the job's `index`, else of the source, else what MilvusDM takes. */
static const char *metric_of(const mm_h5_collection *c)
{
    for (size_t i = 0; i < c->plan->index_count; i++)
        if (strcmp(c->plan->indexes[i].field, c->vector->name) == 0 && c->plan->indexes[i].metric_type)
            return c->plan->indexes[i].metric_type;
    if (c->vector->metric_type)
        return c->vector->metric_type;
    return c->vector->type == MM_TYPE_BINARY_VECTOR ? "HAMMING" : "L2";
}

/* JSON strings are YAML strings. */
static void print_text(mm_buffer *out, const char *before, const char *text)
{
    mm_buffer_printf(out, "%s", before);
    mm_json_text(out, text);
    mm_buffer_printf(out, "\n");
}

/* Several partitions go into one collection one after another: `skip` would take the first alone. MilvusDM wants the
 * key data_dir to be there, and empty. */
static mm_status print(const mm_h5_collection *c, const mm_h5_file *file, mm_buffer *out, mm_error *err)
{
    char *path = mm_h5_path(c, file, MM_H5_WHOLE);
    if (path == NULL)
        return no_memory(err);
    bool whole = strcmp(file->partition, MM_DEFAULT_PARTITION) == 0;
    mm_buffer_printf(out, "# Loads this file into a Milvus: mmresume run, or milvusdm --yaml. Set dest_host and "
                          "dest_port.\nH2M:\n  milvus_version: 2.x\n");
    print_text(out, "  data_path:\n    - ", path);
    mm_buffer_printf(out, "  data_dir:\n  dest_host: 127.0.0.1\n  dest_port: 19530\n  mode: %s\n",
                     c->file_count > 1 ? "append" : "skip");
    print_text(out, "  dest_collection_name: ", c->plan->name);
    print_text(out, "  dest_partition_name: ", whole ? "" : file->partition);
    mm_buffer_printf(out, "  collection_parameter:\n    dimension: %u\n    index_file_size: 1024\n",
                     (unsigned)c->vector->dim);
    print_text(out, "    metric_type: ", metric_of(c));
    free(path);
    return out->failed ? no_memory(err) : MM_OK;
}

static mm_status write_part(const char *path, const mm_buffer *text, mm_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return mm_error_errno(err, MM_IO, "%s", path);
    mm_status status = mm_h5_put(fd, text->data, text->size, 0, path, err);
    if (status == MM_OK && fsync(fd) != 0)
        status = mm_error_errno(err, MM_IO, "syncing %s", path);
    close(fd);
    return status;
}

static mm_status write_one(const mm_h5_collection *c, const mm_h5_file *file, mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT;
    char *path = mm_format("%s/%s.yaml", c->jobs, file->name);
    char *part = mm_format("%s/%s.yaml.part", c->jobs, file->name);
    mm_status status = path && part ? print(c, file, &text, err) : no_memory(err);
    if (status == MM_OK)
        status = write_part(part, &text, err);
    MM_FAILPOINT("hdf5.jobs.written");
    if (status == MM_OK && rename(part, path) != 0)
        status = mm_error_errno(err, MM_IO, "renaming %s", part);
    mm_buffer_free(&text);
    free(part);
    free(path);
    return status;
}

mm_status mm_h5_jobs_write(const mm_h5_collection *c, mm_error *err)
{
    /* those of the collection that was overwritten, which may have had other partitions */
    mm_status status = c->old[0] ? mm_folder_remove(c->jobs, err) : MM_OK;
    if (status == MM_OK)
        status = mm_folder_make(c->jobs, err);
    for (size_t i = 0; status == MM_OK && i < c->file_count; i++)
        status = write_one(c, &c->files[i], err);
    return status == MM_OK ? mm_folder_sync(c->jobs, err) : status;
}
