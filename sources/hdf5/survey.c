/* The datasets of a file in words. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "sources/hdf5/dataset.h"
#include "sources/hdf5/look.h"

#define DEPTH_MAX 8
#define LINES_MAX 1000

typedef struct survey {
    hid_t file;
    const char *path;
    mm_buffer *text;
    char prefix[1024]; /* of the group, with a slash behind it */
    unsigned depth, lines;
    bool stopped;
} survey;

static void print_storage(const mm_hdf5_shape *shape, mm_buffer *text)
{
    static const char *const names[] = {"compact", "contiguous", "chunks", "virtual"};
    mm_buffer_printf(text, ", %s", shape->external ? "in other files"
                                   : shape->layout >= 0 && shape->layout <= 3 ? names[shape->layout] : "?");
    if (shape->layout == H5D_CHUNKED && shape->rank >= 1 && shape->rank <= 2)
        mm_buffer_printf(text, " of %" PRIu64 " rows", (uint64_t)shape->chunk[0]);
    if (shape->filters[0] != '\0')
        mm_buffer_printf(text, ", %s", shape->filters);
    if (shape->missing[0] != '\0')
        mm_buffer_printf(text, " (filter %s is not known here)", shape->missing);
}

static void print_dataset(survey *s, hid_t dataset, const char *name)
{
    mm_hdf5_shape shape;
    char element[40];
    mm_buffer_printf(s->text, "dataset: %s%s", s->prefix, name);
    if (mm_hdf5_shape_of(dataset, s->path, name, &shape, NULL) != MM_OK) {
        mm_buffer_printf(s->text, " (cannot be described)\n");
        return;
    }
    if (shape.element.kind == MM_HDF5_OTHER)
        mm_buffer_printf(s->text, " %s", shape.class_name);
    else
        mm_buffer_printf(s->text, " %s", mm_hdf5_element_text(&shape.element, element));
    if (shape.rank == 1 || shape.rank == 2)
        mm_buffer_printf(s->text, ", %" PRIu64 " rows", (uint64_t)shape.dims[0]);
    else
        mm_buffer_printf(s->text, ", %d dimensions", shape.rank);
    if (shape.rank == 2)
        mm_buffer_printf(s->text, " of %" PRIu64, (uint64_t)shape.dims[1]);
    print_storage(&shape, s->text);
    mm_buffer_printf(s->text, "\n");
}

static herr_t print_link(hid_t group, const char *name, const H5L_info_t *info, void *context);

static void print_group(survey *s, hid_t group, const char *name)
{
    size_t length = strlen(s->prefix);
    hsize_t at = 0;
    if (s->depth == DEPTH_MAX || length + strlen(name) + 2 > sizeof(s->prefix)) {
        mm_buffer_printf(s->text, "group: %s%s (not looked into)\n", s->prefix, name);
        return;
    }
    snprintf(s->prefix + length, sizeof(s->prefix) - length, "%s/", name);
    s->depth++;
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &at, print_link, s) < 0)
        mm_buffer_printf(s->text, "group: %s (cannot be read)\n", s->prefix);
    s->depth--;
    s->prefix[length] = '\0';
}

static herr_t print_link(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    survey *s = context;
    if (++s->lines > LINES_MAX) {
        if (!s->stopped)
            mm_buffer_printf(s->text, "and more\n");
        s->stopped = true;
        return 1;
    }
    if (info->type != H5L_TYPE_HARD) {
        mm_buffer_printf(s->text, "link: %s%s%s\n", s->prefix, name,
                         info->type == H5L_TYPE_EXTERNAL ? " (to another file, not followed)" : "");
        return 0;
    }
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    H5I_type_t type = object >= 0 ? H5Iget_type(object) : H5I_BADID;
    if (type == H5I_DATASET)
        print_dataset(s, object, name);
    else if (type == H5I_GROUP)
        print_group(s, object, name);
    else
        mm_buffer_printf(s->text, "object: %s%s%s\n", s->prefix, name, object < 0 ? " (cannot be opened)" : "");
    if (object >= 0)
        (void)H5Oclose(object);
    (void)H5Eclear2(H5E_DEFAULT);
    return 0;
}

mm_status mm_hdf5_describe_file(const char *path, char *text, size_t size, mm_error *err)
{
    mm_buffer out = MM_BUFFER_INIT;
    survey s = {.path = path, .text = &out, .prefix = "/"};
    hsize_t at = 0;
    mm_status status = mm_hdf5_file_open(path, &s.file, err);
    if (status != MM_OK)
        return status;
    if (H5Literate(s.file, H5_INDEX_NAME, H5_ITER_INC, &at, print_link, &s) < 0)
        status = mm_hdf5_failed(err, MM_DATA, "%s: its root group cannot be read", path);
    (void)H5Fclose(s.file);
    if (status == MM_OK && out.failed)
        status = mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", path);
    if (status == MM_OK)
        snprintf(text, size, "%s", out.data != NULL ? out.data : "");
    mm_buffer_free(&out);
    return status;
}
