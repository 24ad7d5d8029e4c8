/* The superblock, and the sizes that the library found. */
#include "sources/hdf5/front.h"

#include <inttypes.h>
#include <string.h>

#include "base/util.h"

#define SIGNATURE "\x89HDF\r\n\x1a\n"
#define SIGNATURE_SIZE 8
#define SUPERBLOCK 64 /* bytes of it that are looked at */

/* --- the superblock --------------------------------------------------------------------------------------------- */

/* The signature stands at 0, 512, 1024, 2048 and so on, behind a block of the user's. */
static mm_status find_signature(const mm_input *input, uint64_t *at, mm_error *err)
{
    uint8_t bytes[SIGNATURE_SIZE];
    for (*at = 0; input->size >= SIGNATURE_SIZE && *at <= input->size - SIGNATURE_SIZE;
         *at = *at == 0 ? 512 : 2 * *at) {
        mm_status status = mm_input_read(input, *at, bytes, sizeof(bytes), err);
        if (status != MM_OK)
            return status;
        if (memcmp(bytes, SIGNATURE, sizeof(bytes)) == 0)
            return MM_OK;
        if (*at > INT64_MAX / 2)
            break;
    }
    return mm_error_set(err, MM_NOT_FOUND, "%s: not an HDF5 file: its signature is not there", input->name);
}

/* Where the addresses stand in a superblock of this version: that of the base; SIZE_MAX: an unknown version. */
static size_t addresses_at(uint8_t version)
{
    return version == 0 ? 24 : version == 1 ? 28 : version <= 3 ? 12 : SIZE_MAX;
}

static uint64_t load(const uint8_t *from)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

mm_status mm_hdf5_front_check(const mm_input *input, mm_error *err)
{
    uint8_t bytes[SUPERBLOCK] = {0};
    uint64_t at;
    mm_status status = find_signature(input, &at, err);
    if (status != MM_OK)
        return status;
    if (input->size - at < SUPERBLOCK)
        return mm_error_set(err, MM_DATA, "%s: byte %" PRIu64 ": the file ends in its superblock", input->name,
                            input->size);
    status = mm_input_read(input, at, bytes, sizeof(bytes), err);
    if (status != MM_OK)
        return status;
    uint8_t version = bytes[SIGNATURE_SIZE];
    size_t addresses = addresses_at(version);
    if (addresses == SIZE_MAX)
        return mm_error_set(err, MM_DATA, "%s: byte %" PRIu64 ": a superblock of version %u; 0 to 3 are known",
                            input->name, at + SIGNATURE_SIZE, version);
    /* its four bytes, of which the library looks at the first; bits: open for writing, consistent, SWMR */
    uint32_t flags = version < 2 ? (uint32_t)load(bytes + 20) : bytes[11];
    if (flags > 7)
        return mm_error_set(err, MM_DATA, "%s: byte %" PRIu64 ": flags 0x%" PRIx32
                            " of the superblock; 0 to 7 are known", input->name, at + (version < 2 ? 20 : 11), flags);
    uint8_t address_size = bytes[version < 2 ? 13 : 9];
    /* Other sizes are possible and nowhere to be seen: the library knows. So does it of a base that is not here. */
    if (address_size != 8 || load(bytes + addresses) != at)
        return MM_OK;
    /* base, free space or extension, end of file: counted from the beginning of all bytes */
    uint64_t end = load(bytes + addresses + 16);
    if (end <= input->size)
        return MM_OK;
    return mm_error_set(err, MM_DATA,
                        "%s: byte %" PRIu64 ": the file ends here, by its superblock it has %" PRIu64
                        " bytes: it was cut, or its writer did not close it",
                        input->name, input->size, end);
}

/* --- what the library says -------------------------------------------------------------------------------------- */

static mm_status check_array(mm_hdf5_array *array, const char *file, uint64_t size, uint64_t chunk_memory,
                             mm_error *err)
{
    uint64_t width, bytes, end;
    array->name[sizeof(array->name) - 1] = '\0';
    const char *name = array->name;
    if (array->rows > INT64_MAX || array->columns == 0 || array->element.size == 0 ||
        !mm_mul_u64(array->columns, array->element.size, &width) || width > MM_HDF5_ROW_MAX)
        return mm_error_set(err, MM_DATA,
                            "%s: dataset %s: rows of %" PRIu64 " × %" PRIu32 " bytes; 1 to %" PRIu64 " are wanted",
                            file, name, array->columns, array->element.size, MM_HDF5_ROW_MAX);
    if (!mm_mul_u64(array->rows, width, &bytes))
        return mm_error_set(err, MM_DATA, "%s: dataset %s: %" PRIu64 " rows of %" PRIu64 " bytes are too many", file,
                            name, array->rows, width);
    if (array->offset != MM_HDF5_NOWHERE && (!mm_add_u64(array->offset, bytes, &end) || end > size))
        return mm_error_set(err, MM_DATA,
                            "%s: byte %" PRIu64 ": the file ends here; the %" PRIu64 " bytes of dataset %s begin at "
                            "byte %" PRIu64,
                            file, size, bytes, name, array->offset);
    if (array->chunk_bytes > chunk_memory)
        return mm_error_set(err, MM_CONFIG,
                            "%s: dataset %s: the chunks of %" PRIu64 " rows take %" PRIu64
                            " bytes of memory, and source.chunk_memory is %" PRIu64,
                            file, name, array->chunk_rows, array->chunk_bytes, chunk_memory);
    return MM_OK;
}

mm_status mm_hdf5_layout_check(mm_hdf5_layout *layout, const char *file, uint64_t size, uint64_t chunk_memory,
                               mm_error *err)
{
    layout->distance[sizeof(layout->distance) - 1] = '\0';
    mm_status status = check_array(&layout->vectors, file, size, chunk_memory, err);
    if (status != MM_OK || !layout->has_ids)
        return status;
    status = check_array(&layout->ids, file, size, chunk_memory, err);
    if (status == MM_OK && layout->ids.columns != 1)
        status = mm_error_set(err, MM_DATA, "%s: dataset %s: %" PRIu64 " values a row; ids are one", file,
                              layout->ids.name, layout->ids.columns);
    if (status == MM_OK && layout->ids.rows != layout->vectors.rows)
        status = mm_error_set(err, MM_DATA, "%s: %" PRIu64 " vectors in %s, and %" PRIu64 " ids in %s", file,
                              layout->vectors.rows, layout->vectors.name, layout->ids.rows, layout->ids.name);
    return status;
}
