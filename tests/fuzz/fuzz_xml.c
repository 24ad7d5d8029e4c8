/* Fuzzes the XML walker: whatever the bytes, an error or elements whose paths and texts fit, and the same again
 * from a copy that ends exactly with the document. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "storage/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mm_status note(void *context, const char *path, const char *text, mm_error *err)
{
    (void)err;
    if (strlen(path) == 0 || strlen(path) >= MM_XML_PATH)
        abort();
    mm_buffer_printf(context, "%s=%s;", path, text);
    return MM_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mm_buffer first = MM_BUFFER_INIT, second = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_status status = mm_xml_walk((const char *)data, size, note, &first, &err);
    char *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        return 0;
    if (size > 0)
        memcpy(copy, data, size);
    if (mm_xml_walk(copy, size, note, &second, NULL) != status || first.size != second.size)
        abort();
    if (status != MM_OK && (status != MM_DATA || err.text[0] == '\0'))
        abort();
    free(copy);
    mm_buffer_free(&first);
    mm_buffer_free(&second);
    return 0;
}
