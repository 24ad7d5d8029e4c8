/* What this program parses of HDF5 files by itself: the superblock; sizes that the library took from a file; packed
 * chunks; values. The first byte chooses. The library itself is not fuzzed: it runs in a process of its own. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sources/hdf5/filters.h"
#include "sources/hdf5/values.h"

static void front(const uint8_t *data, size_t size)
{
    mm_input *input;
    mm_error err = MM_ERROR_INIT;
    if (mm_input_memory("file", data, size, &input, &err) != MM_OK)
        abort();
    mm_status status = mm_hdf5_front_check(input, &err);
    if (status != MM_OK && status != MM_DATA && status != MM_NOT_FOUND)
        abort();
    mm_input_close(input);
}

static uint64_t take(const uint8_t **data, size_t *size)
{
    uint64_t value = 0;
    size_t count = *size < sizeof(value) ? *size : sizeof(value);
    memcpy(&value, *data, count);
    *data += count;
    *size -= count;
    return value;
}

static mm_hdf5_array take_array(const uint8_t **data, size_t *size)
{
    uint64_t form = take(data, size);
    mm_hdf5_array array = {.element = {.kind = (mm_hdf5_kind)(1 + form % 5), .big_endian = (form >> 8 & 1) != 0}};
    array.element.size = array.element.kind == MM_HDF5_BYTES   ? (uint32_t)(form >> 16 & 0xff) + 1
                         : array.element.kind == MM_HDF5_BOOL  ? 1
                         : array.element.kind == MM_HDF5_FLOAT ? 2u << (form >> 16) % 3
                                                               : 1u << (form >> 16) % 4;
    memset(array.name, 'a', sizeof(array.name)); /* without an end */
    array.rows = take(data, size) >> (form >> 24 & 63);
    array.columns = take(data, size) >> (form >> 32 & 63);
    array.offset = take(data, size);
    array.chunk_bytes = take(data, size);
    return array;
}

/* Sizes that were found good have to be so for bytes in memory. */
static void values(const uint8_t *data, size_t size)
{
    mm_error err = MM_ERROR_INIT;
    mm_field field = {.name = "v"};
    mm_hdf5_layout layout = {.vectors = take_array(&data, &size)};
    uint64_t most = take(&data, &size);
    mm_type wanted = (mm_type)(most % 8 == 0 ? MM_TYPE_NONE : 99 + most % 8);
    if (mm_hdf5_layout_check(&layout, "file", size, most, &err) != MM_OK ||
        mm_hdf5_vector_field(&layout.vectors, "file", "hamming", wanted, &field, &err) != MM_OK)
        return;
    size_t width = (size_t)mm_hdf5_width(&layout.vectors), rows = size / width;
    size_t out_width = mm_type_width(field.type, field.dim);
    uint8_t *out = malloc(rows * out_width + 1);
    if (out == NULL || out_width == 0 || rows > layout.vectors.rows) {
        free(out);
        return;
    }
    if (mm_hdf5_convert(&layout.vectors, field.type, "file", 0, rows, data, out, &err) != MM_OK && err.text[0] == '\0')
        abort();
    free(out);
}

static void chunk(const uint8_t *data, size_t size)
{
    static const H5Z_filter_t known[] = {H5Z_FILTER_DEFLATE, H5Z_FILTER_SHUFFLE, H5Z_FILTER_FLETCHER32,
                                         MM_HDF5_FILTER_LZF};
    mm_hdf5_pipeline pipeline = {.item = 1};
    const uint8_t *got = NULL;
    uint64_t form = take(&data, &size);
    pipeline.count = (int)(form % (MM_HDF5_FILTERS_MAX + 1));
    for (int i = 0; i < pipeline.count; i++)
        pipeline.filters[i] = known[form >> (8 + 3 * i) & 3];
    pipeline.item = (form >> 40) % 17 + 1;
    pipeline.chunk_bytes = form >> 48 & 0xfff;
    size_t room = pipeline.chunk_bytes + 64 > size ? pipeline.chunk_bytes + 64 : size;
    uint8_t *rooms[2] = {malloc(room), malloc(room)};
    if (rooms[0] == NULL || rooms[1] == NULL)
        abort();
    memcpy(rooms[0], data, size);
    if (mm_hdf5_unpack(&pipeline, (uint32_t)(form >> 32 & 0xff), rooms, room, size, &got) == NULL && got != rooms[0] &&
        got != rooms[1])
        abort();
    free(rooms[0]);
    free(rooms[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        front(data + 1, size - 1);
        break;
    case 1:
        values(data + 1, size - 1);
        break;
    default:
        chunk(data + 1, size - 1);
    }
    return 0;
}
