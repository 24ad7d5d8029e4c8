/* Any bytes as a meta.json: refused with words, or read, printed, and read again as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sources/milvus1x/meta_json.h"

static void check_again(const mm_milvus1x_meta *first)
{
    mm_milvus1x_meta again = MM_MILVUS1X_META_INIT;
    mm_buffer text = MM_BUFFER_INIT, second = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_status status = mm_milvus1x_meta_json_print(first, &text, &err);
    if (status == MM_OK) {
        if (mm_milvus1x_meta_json_parse("again", text.data, text.size, &again, &err) != MM_OK ||
            mm_milvus1x_meta_json_print(&again, &second, &err) != MM_OK || second.size != text.size ||
            memcmp(second.data, text.data, text.size) != 0)
            abort();
    } else if (status != MM_DATA) { /* row counts may add up to more than 64 bits */
        abort();
    }
    mm_buffer_free(&text);
    mm_buffer_free(&second);
    mm_milvus1x_meta_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mm_milvus1x_meta meta = MM_MILVUS1X_META_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_log_setup(MM_LOG_ERROR, MM_LOG_TEXT);
    mm_status status = mm_milvus1x_meta_json_parse("input", data, size, &meta, &err);
    if (status == MM_OK)
        check_again(&meta);
    else if (err.text[0] == '\0')
        abort();
    mm_milvus1x_meta_free(&meta);
    return 0;
}
