/* What libhdf5 has a say in: where the rows of a file of so many rows stand, and whether a whole file is one that it
 * reads. Rows themselves never go through the library. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "formats/hdf5.h"
#include "sinks/hdf5/internal.h"

#define VECTORS "embeddings"
#define KEYS "ids"
#define HEAD_MAX ((uint64_t)1 << 20) /* bytes: the library's are 2048 */

static void close_file(hid_t file)
{
    if (file >= 0)
        (void)H5Fclose(file);
}

/* File systems without locks do, too. */
static hid_t open_access(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_file_locking(access, true, true) < 0) {
        (void)H5Pclose(access);
        return H5I_INVALID_HID;
    }
    return access;
}

/* --- making --- */

/* Contiguous, all of it allocated when it is made, and nothing written into it: pages of a sparse file. */
static hid_t placed_early(void)
{
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (list >= 0 && (H5Pset_layout(list, H5D_CONTIGUOUS) < 0 || H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY) < 0 ||
                      H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) < 0 || H5Pset_obj_track_times(list, false) < 0)) {
        (void)H5Pclose(list);
        return H5I_INVALID_HID;
    }
    return list;
}

static mm_status create_dataset(hid_t file, const char *name, const mm_field *field, uint64_t rows, uint64_t *at,
                                mm_error *err)
{
    hid_t type = H5I_INVALID_HID, space = H5I_INVALID_HID, list = H5I_INVALID_HID, set = H5I_INVALID_HID;
    bool close = false;
    uint64_t elements;
    mm_status status = mm_hdf5_type_of_field(field, &type, &close, &elements, err);
    if (status != MM_OK)
        return status;
    hsize_t dims[2] = {rows, elements};
    space = H5Screate_simple(field->primary ? 1 : 2, dims, NULL);
    list = placed_early();
    if (space >= 0 && list >= 0)
        set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    if (set < 0) {
        status = mm_hdf5_failed(err, MM_IO, "making dataset %s of %" PRIu64 " rows", name, rows);
        goto out;
    }
    haddr_t offset = H5Dget_offset(set);
    if (rows > 0 && offset == HADDR_UNDEF)
        status = mm_hdf5_failed(err, MM_BUG, "dataset %s has no place", name);
    *at = rows > 0 ? (uint64_t)offset : 0;
out:
    if (set >= 0)
        (void)H5Dclose(set);
    if (list >= 0)
        (void)H5Pclose(list);
    if (space >= 0)
        (void)H5Sclose(space);
    if (close)
        (void)H5Tclose(type);
    return status;
}

static mm_status create(const char *path, const mm_h5_collection *c, uint64_t rows, mm_h5_layout *out, mm_error *err)
{
    hid_t access = open_access();
    hid_t file = access < 0 ? access : H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    mm_status status = file < 0 ? mm_hdf5_failed(err, MM_IO, "making %s", path) : MM_OK;
    if (access >= 0)
        (void)H5Pclose(access);
    if (status == MM_OK)
        status = create_dataset(file, VECTORS, c->vector, rows, &out->vectors_at, err);
    if (status == MM_OK)
        status = create_dataset(file, KEYS, c->key, rows, &out->keys_at, err);
    if (status != MM_OK) {
        close_file(file);
        return status;
    }
    if (H5Fclose(file) < 0)
        return mm_hdf5_failed(err, MM_IO, "closing %s", path);
    out->rows = rows;
    return MM_OK;
}

mm_status mm_h5_layout_create(const char *path, const mm_h5_collection *c, uint64_t rows, mm_h5_layout *out,
                              mm_error *err)
{
    mm_h5_layout made = {0};
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600); /* the library would let others read it */
    if (fd < 0)
        return mm_error_errno(err, MM_IO, "%s", path);
    close(fd);
    mm_status status = mm_hdf5_enter(err);
    if (status != MM_OK)
        return status;
    status = create(path, c, rows, &made, err);
    mm_hdf5_leave();
    if (status != MM_OK)
        return status;
    struct stat st; /* closing cuts off what the library had set aside for itself */
    if (stat(path, &st) != 0)
        return mm_error_errno(err, MM_IO, "%s", path);
    made.size = (uint64_t)st.st_size;
    /* what no row may be written over must be in front of them */
    uint64_t keys_at = made.vectors_at + rows * c->width;
    if (rows > 0 && (made.keys_at != keys_at || made.size != keys_at + rows * MM_H5_KEY_WIDTH))
        return mm_error_set(err, MM_BUG, "%s: libhdf5 places rows otherwise: embeddings at %" PRIu64 ", ids at %" PRIu64
                            ", end at %" PRIu64, path, made.vectors_at, made.keys_at, made.size);
    *out = made;
    return MM_OK;
}

/* --- looking --- */

/* Its rows and where they are; type, rank and row width must be as they were made. */
static mm_status look(hid_t file, const char *path, const char *name, const mm_field *field, uint64_t *rows,
                      uint64_t *at, mm_error *err)
{
    hid_t type = H5I_INVALID_HID, found = H5I_INVALID_HID, space = H5I_INVALID_HID;
    bool close = false;
    uint64_t elements;
    hsize_t dims[H5S_MAX_RANK] = {0};
    mm_status status = mm_hdf5_type_of_field(field, &type, &close, &elements, err);
    if (status != MM_OK)
        return status;
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    if (set >= 0) {
        found = H5Dget_type(set);
        space = H5Dget_space(set);
    }
    if (found < 0 || space < 0) {
        status = mm_hdf5_failed(err, MM_BUG, "%s: dataset %s", path, name);
        goto out;
    }
    int rank = H5Sget_simple_extent_ndims(space), wanted = field->primary ? 1 : 2;
    if (rank != wanted || H5Sget_simple_extent_dims(space, dims, NULL) < 0 ||
        (wanted == 2 && dims[1] != elements) || H5Tequal(type, found) <= 0) {
        status = mm_error_set(err, MM_BUG, "%s: dataset %s has another type or shape", path,
                              name);
        goto out;
    }
    haddr_t offset = H5Dget_offset(set);
    if (dims[0] > 0 && offset == HADDR_UNDEF) {
        status = mm_error_set(err, MM_BUG, "%s: dataset %s is not contiguous", path, name);
        goto out;
    }
    *rows = dims[0];
    *at = dims[0] > 0 ? (uint64_t)offset : 0;
out:
    if (space >= 0)
        (void)H5Sclose(space);
    if (found >= 0)
        (void)H5Tclose(found);
    if (set >= 0)
        (void)H5Dclose(set);
    if (close)
        (void)H5Tclose(type);
    return status;
}

static mm_status check(hid_t file, const char *path, const mm_h5_collection *c, const mm_h5_layout *wanted,
                       mm_error *err)
{
    mm_h5_layout found = {0};
    uint64_t keys = 0;
    mm_status status = look(file, path, VECTORS, c->vector, &found.rows, &found.vectors_at, err);
    if (status == MM_OK)
        status = look(file, path, KEYS, c->key, &keys, &found.keys_at, err);
    if (status == MM_OK && (found.rows != wanted->rows || keys != wanted->rows ||
                            found.vectors_at != wanted->vectors_at || found.keys_at != wanted->keys_at))
        status = mm_error_set(err, MM_BUG, "%s: %" PRIu64 " embeddings at %" PRIu64 ", %" PRIu64 " ids at %" PRIu64,
                              path, found.rows, found.vectors_at, keys, found.keys_at);
    return status;
}

mm_status mm_h5_layout_check(const char *path, const mm_h5_collection *c, const mm_h5_layout *wanted, mm_error *err)
{
    mm_status status = mm_hdf5_enter(err);
    if (status != MM_OK)
        return status;
    hid_t access = open_access();
    hid_t file = access < 0 ? access : H5Fopen(path, H5F_ACC_RDONLY, access);
    status = file < 0 ? mm_hdf5_failed(err, MM_BUG, "%s", path) : check(file, path, c, wanted, err);
    if (access >= 0)
        (void)H5Pclose(access);
    close_file(file);
    mm_hdf5_leave();
    return status;
}

mm_status mm_h5_layout_hash(int fd, const mm_h5_layout *layout, const char *name, uint64_t *out, mm_error *err)
{
    uint64_t size = layout->rows > 0 ? layout->vectors_at : layout->size;
    uint8_t *head = size <= HEAD_MAX ? malloc((size_t)size) : NULL;
    if (head == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for the head of %s", name);
    mm_status status = mm_h5_get(fd, head, (size_t)size, 0, name, err);
    if (status == MM_OK)
        *out = XXH3_64bits(head, (size_t)size);
    free(head);
    return status;
}
