/* Fuzzes what S3 answers (errors, listings, parts) and the shared credential files: whatever the bytes, texts that
 * fit, or an error with its reason. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/credentials_files.h"
#include "storage/s3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(mm_status status, const mm_error *err)
{
    if (status != MM_OK && err->text[0] == '\0')
        abort();
}

static void read_answers(const mm_http_reply *reply)
{
    mm_s3_failure failure;
    mm_list_page page = {0};
    mm_part_list parts = {0};
    unsigned next = 0;
    char *element = NULL;
    mm_error err = MM_ERROR_INIT;
    mm_s3_read_failure(reply, &failure);
    if (memchr(failure.code, '\0', sizeof(failure.code)) == NULL ||
        memchr(failure.message, '\0', sizeof(failure.message)) == NULL)
        abort();
    check(mm_s3_read_list(reply, &page, &err), &err);
    check(mm_s3_read_parts(reply, &parts, &next, &err), &err);
    for (size_t i = 0; i < parts.count; i++)
        if (parts.items[i].number == 0 || parts.items[i].number > 10000 || strlen(parts.items[i].tag) >= MM_PART_TAG)
            abort();
    check(mm_s3_read_element(reply, "ETag", &element, &err), &err);
    free(element);
    free(parts.items);
    mm_list_page_free(&page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool found;
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    mm_buffer_append(&reply.body, data, size);
    read_answers(&reply);
    char *copy = strndup(size > 0 ? (const char *)data : "", size);
    char *value = copy ? mm_credentials_ini(copy, "profile a", "key", &found) : NULL;
    if (value && (value[0] == '\0' || !found))
        abort();
    free(value);
    free(copy);
    mm_http_reply_free(&reply);
    return 0;
}
