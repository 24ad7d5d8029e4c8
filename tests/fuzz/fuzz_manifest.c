/* Fuzzes manifests: whatever the text, an error that says something, or a manifest that is printed and parsed again
 * to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "formats/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const mm_manifest *first)
{
    mm_manifest again = MM_MANIFEST_INIT;
    mm_buffer text = MM_BUFFER_INIT;
    if (mm_manifest_print(first, &text, NULL) != MM_OK || mm_manifest_parse(text.data, text.size, &again, NULL) != MM_OK)
        abort();
    if (again.rows != first->rows || again.file_count != first->file_count ||
        again.schema.field_count != first->schema.field_count || again.partition_count != first->partition_count)
        abort();
    mm_buffer_free(&text);
    mm_manifest_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mm_manifest manifest = MM_MANIFEST_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_status status = mm_manifest_parse((const char *)data, size, &manifest, &err);
    if (status == MM_OK)
        check_again(&manifest);
    else if (err.text[0] == '\0')
        abort();
    mm_manifest_free(&manifest);
    return 0;
}
