/* Fuzzes the .npy header reader: whatever the bytes, an error or a shape that fits its own sizes, and a
 * second reading of the same bytes agrees. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "formats/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const mm_npy_info *info, size_t size)
{
    uint64_t bytes = info->item;
    for (unsigned i = 0; i < info->dims; i++)
        if (__builtin_mul_overflow(bytes, info->shape[i], &bytes))
            bytes = 0; /* allowed only with a zero dimension: info->bytes is then 0 */
    if (info->dims > MM_NPY_DIMS || info->bytes != bytes || info->offset > size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mm_npy_info info, again;
    mm_error err = MM_ERROR_INIT;
    size_t need = 0;
    mm_status status = mm_npy_parse(data, size, &info, &need, &err);
    if (status == MM_END && (need <= size || need > MM_NPY_HEADER_MAX))
        abort();
    if (status != MM_OK)
        return 0;
    check(&info, size);
    /* what follows the header does not matter, and the header alone suffices */
    if (mm_npy_parse(data, (size_t)info.offset > 12 ? (size_t)info.offset : size, &again, &need, &err) != MM_OK)
        abort();
    if (again.bytes != info.bytes || again.kind != info.kind || again.item != info.item)
        abort();
    return 0;
}
