/* Whole files of a source as units of an import: linked into the staging folder, or copied where no link can be made,
 * so that the source's own files stay what and where they are. A unit is recorded before its files are there and once
 * more, sealed, by the flush; a crash in between leaves a unit without rows, which settle removes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "sinks/files/internal.h"

bool mm_files_adopts(const mm_sink *sink, uint32_t collection, const mm_staged *staged)
{
    const mm_schema *schema = sink->collections[collection].plan->schema;
    if (sink->remote || staged->format != sink->format || staged->file_count != sink->collections[collection].file_count ||
        staged->rows == 0)
        return false;
    for (size_t i = 0; i < staged->file_count; i++) {
        const mm_staged_file *file = &staged->files[i];
        bool named = !staged->format->file_per_field ||
                     (file->field != NULL && strcmp(file->field, schema->fields[i].name) == 0);
        if (!named || mm_storage_is_remote(file->location))
            return false;
    }
    return true;
}

/* In the place of the file that the unit was made with. */
static mm_status take_file(mm_sink *sink, mm_files_unit *unit, size_t number, const mm_staged_file *from, mm_error *err)
{
    struct stat st;
    mm_object object;
    char *path = mm_files_unit_path(sink, unit, number, true);
    mm_status status = MM_OK;
    if (path == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a unit of files");
    if (stat(from->location, &st) != 0)
        status = mm_error_errno(err, MM_CHANGED, "%s", from->location);
    else if ((uint64_t)st.st_size != from->bytes)
        status = mm_error_set(err, MM_CHANGED, "%s has %jd bytes; its manifest says %" PRIu64, from->location,
                              (intmax_t)st.st_size, from->bytes);
    else if (unlink(path) != 0)
        status = mm_error_errno(err, MM_IO, "removing %s", path);
    MM_FAILPOINT("files.adopt.unlinked");
    /* the flush opens it to sync it, for writing too */
    if (status == MM_OK && (access(from->location, W_OK) != 0 || link(from->location, path) != 0))
        status = mm_storage_upload(sink->storage, &(mm_upload){.path = from->location, .key = path}, &object, err);
    MM_FAILPOINT("files.adopt.linked");
    free(path);
    unit->files[number].size = from->bytes;
    unit->files[number].checksum = from->checksum;
    return status;
}

mm_status mm_files_adopt(mm_lane *lane, const mm_write *what, const mm_staged *staged, mm_error *err)
{
    mm_sink *sink = mm_files_lane_sink(lane);
    const mm_batch from_the_first = {.first_row = 0};
    mm_files_unit *unit = NULL;
    mm_status status = mm_files_lane_begin(lane, what->collection, what->partition, &unit, err);
    if (status != MM_OK)
        return status;
    mm_files_unit_close(unit);
    for (size_t i = 0; status == MM_OK && i < staged->file_count; i++)
        status = take_file(sink, unit, i, &staged->files[i], err);
    if (status == MM_OK)
        status = mm_files_runs_add(unit, what->task, &from_the_first, 0, staged->rows, err);
    unit->failed = status != MM_OK;
    unit->rows = staged->rows;
    unit->finished = true;
    unit->state = MM_FILES_FULL;
    return status;
}
