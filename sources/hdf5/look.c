/* Which datasets of a file are meant, and what the file says of them; blocks of rows. */
#include "sources/hdf5/look.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "sources/hdf5/chunks.h"

#define LINKS_MAX 10000 /* of a group, that are looked at */

/* --- the file --------------------------------------------------------------------------------------------------- */

mm_status mm_hdf5_file_open(const char *path, hid_t *out, mm_error *err)
{
    hid_t file = H5I_INVALID_HID, access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0)
        return mm_hdf5_failed(err, MM_NO_MEMORY, "%s", path);
    /* where a file system knows no locks there are none; where a writer holds one it is an error */
    if (H5Pset_file_locking(access, true, true) >= 0)
        file = H5Fopen(path, H5F_ACC_RDONLY, access);
    mm_status status = file >= 0 ? MM_OK : mm_hdf5_failed(err, MM_DATA, "%s: the HDF5 library does not open it", path);
    (void)H5Pclose(access);
    if (status == MM_OK)
        *out = file;
    return status;
}

/* --- which datasets --------------------------------------------------------------------------------------------- */

typedef struct candidates {
    hid_t file;
    const char *path;
    unsigned links, found;
    char name[MM_HDF5_NAME];
    mm_buffer names; /* of all, for messages */
} candidates;

/* Whether an object of the root can be vectors, by its shape alone. */
static bool can_be_vectors(hid_t file, const char *path, const char *name)
{
    mm_hdf5_shape shape;
    hid_t object = H5Oopen(file, name, H5P_DEFAULT);
    bool can = object >= 0 && H5Iget_type(object) == H5I_DATASET &&
               mm_hdf5_shape_of(object, path, name, &shape, NULL) == MM_OK &&
               (shape.rank == 2 || (shape.rank == 1 && shape.element.kind == MM_HDF5_BYTES));
    if (object >= 0)
        (void)H5Oclose(object);
    (void)H5Eclear2(H5E_DEFAULT);
    return can;
}

static herr_t add_candidate(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    candidates *all = context;
    (void)group;
    if (++all->links > LINKS_MAX)
        return 1;
    if (info->type != H5L_TYPE_HARD || strlen(name) >= MM_HDF5_NAME || strcmp(name, "ids") == 0 ||
        !can_be_vectors(all->file, all->path, name))
        return 0;
    if (all->found++ == 0)
        snprintf(all->name, sizeof(all->name), "%s", name);
    if (all->found <= 10)
        mm_buffer_printf(&all->names, "%s%s", all->found > 1 ? ", " : "", name);
    return 0;
}

static bool has(hid_t file, const char *name)
{
    bool there = H5Lexists(file, name, H5P_DEFAULT) > 0;
    (void)H5Eclear2(H5E_DEFAULT);
    return there;
}

static mm_status only_candidate(hid_t file, const char *path, char out[MM_HDF5_NAME], mm_error *err)
{
    candidates all = {.file = file, .path = path, .names = MM_BUFFER_INIT};
    hsize_t at = 0;
    herr_t done = H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, &at, add_candidate, &all);
    mm_status status = MM_OK;
    if (done < 0)
        status = mm_hdf5_failed(err, MM_DATA, "%s: its list of datasets cannot be read", path);
    else if (done > 0)
        status = mm_error_set(err, MM_CONFIG, "%s: more than %d objects; source.vectors names the dataset", path,
                              LINKS_MAX);
    else if (all.found == 0)
        status = mm_error_set(err, MM_CONFIG, "%s: no dataset of two dimensions is in its root; source.vectors names "
                                              "one in a group; `mmresume inspect` lists them", path);
    else if (all.found > 1)
        status = mm_error_set(err, MM_CONFIG, "%s: %u datasets may be the vectors (%s%s); source.vectors names the one",
                              path, all.found, all.names.data != NULL ? all.names.data : "",
                              all.found > 10 ? ", …" : "");
    else
        snprintf(out, MM_HDF5_NAME, "%s", all.name);
    mm_buffer_free(&all.names);
    return status;
}

static mm_status choose_vectors(hid_t file, const char *path, const char *given, char out[MM_HDF5_NAME], mm_error *err)
{
    if (given[0] != '\0')
        snprintf(out, MM_HDF5_NAME, "%s", given);
    else if (has(file, "embeddings"))
        snprintf(out, MM_HDF5_NAME, "embeddings");
    else if (has(file, "train"))
        snprintf(out, MM_HDF5_NAME, "train");
    else
        return only_candidate(file, path, out, err);
    /* sets of different sizes, one behind the other: no rows of one width */
    if (strcmp(out, "train") == 0 && has(file, "size_train"))
        return mm_error_set(err, MM_DATA,
                            "%s: a collection of sets (datasets train and size_train, for the Jaccard distance of sets "
                            "of different sizes); Milvus has no such field",
                            path);
    return MM_OK;
}

/* --- attributes ------------------------------------------------------------------------------------------------- */

/* The root's attribute `distance`, a text of fixed or variable length. One that cannot be read says nothing: the
 * vectors do not depend on it. */
static void read_distance(hid_t file, char out[32])
{
    hid_t attribute = H5Aexists(file, "distance") > 0 ? H5Aopen(file, "distance", H5P_DEFAULT) : H5I_INVALID_HID;
    hid_t type = attribute >= 0 ? H5Aget_type(attribute) : H5I_INVALID_HID;
    hid_t space = attribute >= 0 ? H5Aget_space(attribute) : H5I_INVALID_HID;
    char *text = NULL;
    out[0] = '\0';
    if (type >= 0 && space >= 0 && H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1) {
        if (H5Tis_variable_str(type) > 0) {
            if (H5Aread(attribute, type, &text) >= 0 && text != NULL) {
                snprintf(out, 32, "%s", text);
                (void)H5free_memory(text);
            }
        } else if (H5Tget_size(type) < 32 && H5Aread(attribute, type, out) < 0) {
            out[0] = '\0';
        }
    }
    out[31] = '\0';
    if (space >= 0)
        (void)H5Sclose(space);
    if (type >= 0)
        (void)H5Tclose(type);
    if (attribute >= 0)
        (void)H5Aclose(attribute);
    (void)H5Eclear2(H5E_DEFAULT);
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static mm_status open_ids(mm_hdf5_open *open, const char *path, const char *given, mm_error *err)
{
    if (given[0] == '\0' && !has(open->file, "ids"))
        return MM_OK;
    mm_status status = mm_hdf5_dataset_open(open->file, path, given[0] != '\0' ? given : "ids", &open->ids,
                                            &open->layout.ids, err);
    open->has_ids = open->layout.has_ids = status == MM_OK;
    return status;
}

mm_status mm_hdf5_look(mm_hdf5_open *open, const char *path, const char *vectors, const char *ids, mm_error *err)
{
    char name[MM_HDF5_NAME] = "";
    *open = (mm_hdf5_open){.file = H5I_INVALID_HID, .vectors = H5I_INVALID_HID, .ids = H5I_INVALID_HID};
    mm_status status = mm_hdf5_file_open(path, &open->file, err);
    if (status != MM_OK)
        return status;
    open->is_open = true;
    hid_t root = H5Gopen2(open->file, "/", H5P_DEFAULT);
    if (root < 0)
        return mm_hdf5_failed(err, MM_DATA, "%s: its root group cannot be read", path);
    (void)H5Gclose(root);
    status = choose_vectors(open->file, path, vectors, name, err);
    if (status == MM_OK)
        status = mm_hdf5_dataset_open(open->file, path, name, &open->vectors, &open->layout.vectors, err);
    if (status == MM_OK)
        status = open_ids(open, path, ids, err);
    if (status == MM_OK)
        read_distance(open->file, open->layout.distance);
    return status;
}

mm_status mm_hdf5_check(const mm_hdf5_open *open, const char *path, mm_error *err)
{
    mm_status status = mm_hdf5_check_chunks(open->vectors, path, open->layout.vectors.name, err);
    if (status == MM_OK && open->has_ids)
        status = mm_hdf5_check_chunks(open->ids, path, open->layout.ids.name, err);
    return status;
}

void mm_hdf5_close(mm_hdf5_open *open)
{
    if (!open->is_open)
        return;
    mm_hdf5_unpacker_close(open->unpackers[0]);
    mm_hdf5_unpacker_close(open->unpackers[1]);
    if (open->ids >= 0)
        (void)H5Dclose(open->ids);
    if (open->vectors >= 0)
        (void)H5Dclose(open->vectors);
    (void)H5Fclose(open->file);
    (void)H5Eclear2(H5E_DEFAULT);
    *open = (mm_hdf5_open){.is_open = false};
}

/* --- blocks ----------------------------------------------------------------------------------------------------- */

/* In the dataset's own type: the library unpacks, and converts nothing. */
static bool read_rows(hid_t dataset, const mm_hdf5_array *array, uint64_t first, uint64_t rows, void *out)
{
    hsize_t start[2] = {first, 0}, count[2] = {rows, array->columns};
    hid_t type = H5Dget_type(dataset), all = H5Dget_space(dataset);
    int rank = all >= 0 ? H5Sget_simple_extent_ndims(all) : 0;
    hid_t memory = rank == 1 || rank == 2 ? H5Screate_simple(rank, count, NULL) : H5I_INVALID_HID;
    bool ok = type >= 0 && memory >= 0 && H5Sselect_hyperslab(all, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
              H5Dread(dataset, type, memory, all, H5P_DEFAULT, out) >= 0;
    if (memory >= 0)
        (void)H5Sclose(memory);
    if (all >= 0)
        (void)H5Sclose(all);
    if (type >= 0)
        (void)H5Tclose(type);
    return ok;
}

mm_status mm_hdf5_read_block(mm_hdf5_open *open, bool ids, uint64_t first, uint64_t rows, void *out,
                             mm_error *err)
{
    const mm_hdf5_array *array = ids ? &open->layout.ids : &open->layout.vectors;
    if (!open->is_open || (ids && !open->has_ids) || first > array->rows || rows > array->rows - first)
        return mm_error_set(err, MM_BUG, "rows %" PRIu64 " to %" PRIu64 " of a dataset of %" PRIu64, first,
                            first + rows, array->rows);
    if (!open->prepared[ids]) { /* memory is taken when something is read */
        mm_status status = mm_hdf5_unpacker_open(ids ? open->ids : open->vectors, array, &open->unpackers[ids], err);
        if (status != MM_OK)
            return status;
        open->prepared[ids] = true;
    }
    if (open->unpackers[ids] != NULL)
        return mm_hdf5_unpack_rows(open->unpackers[ids], first, rows, out, err);
    if (read_rows(ids ? open->ids : open->vectors, array, first, rows, out))
        return MM_OK;
    return mm_hdf5_failed(err, MM_DATA, "dataset %s, rows %" PRIu64 " to %" PRIu64, array->name, first, first + rows);
}
