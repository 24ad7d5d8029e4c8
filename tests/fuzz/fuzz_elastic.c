/* Any bytes as a mapping of Elasticsearch and an answer of _search. The first byte chooses; then the mapping up to a
 * line end, and the answer, or the answer alone with fields of every type. Refused with words or read; what is read is
 * the same in batches of one row and of many, and covers as many documents where only the keys are asked for. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sources/elastic/documents.h"

static const char every[] =
    "{\"i\":{\"mappings\":{\"properties\":{\"n\":{\"type\":\"long\"},\"b\":{\"type\":\"byte\"},\"f\":{\"type\":\"float\"},"
    "\"d\":{\"type\":\"double\"},\"t\":{\"type\":\"text\"},\"o\":{\"type\":\"boolean\"},\"w\":{\"type\":\"date\"},"
    "\"x\":{\"type\":\"date_nanos\",\"format\":\"yyyy-MM-dd HH:mm:ss.SSS||epoch_second\"},\"g\":{\"type\":\"geo_point\"},"
    "\"j\":{\"properties\":{\"a\":{\"type\":\"keyword\"}}},\"v\":{\"type\":\"dense_vector\",\"dims\":3},"
    "\"y\":{\"type\":\"dense_vector\",\"element_type\":\"byte\",\"dims\":3},\"z\":{\"type\":\"knn_vector\",\"dimension\":16,"
    "\"data_type\":\"binary\"},\"h\":{\"type\":\"dense_vector\",\"element_type\":\"bfloat16\",\"dims\":2},"
    "\"s\":{\"type\":\"sparse_vector\"},\"c\":{\"type\":\"constant_keyword\",\"value\":\"k\"},"
    "\"p\":{\"type\":\"nested\",\"properties\":{\"k\":{\"type\":\"long\"},\"t\":{\"type\":\"keyword\"}}}}}}}";

typedef struct sum {
    uint64_t documents, covered, rejected, checksum;
} sum;

/* MM_OK: read to the end. */
static mm_status read_all(const mm_elastic_fields *fields, const char *text, size_t size, bool keys, size_t rows_max,
                          sum *out, mm_error *err)
{
    mm_elastic_page *page = NULL;
    mm_elastic_envelope envelope;
    mm_elastic_rows rows;
    mm_batch batch;
    memset(&batch, 0, sizeof(batch));
    *out = (sum){0};
    mm_status status = mm_elastic_page_new(fields, keys, false, &page, err);
    if (status == MM_OK)
        status = mm_elastic_page_begin(page, "answer", text, size, UINT64_MAX, &envelope, err);
    while (status == MM_OK && (status = mm_elastic_page_next(page, rows_max, 1 << 16, &batch, &rows, err)) == MM_OK) {
        if (rows.documents == 0 || batch.rows + batch.rejected != rows.covered || batch.rejected != batch.reject_count ||
            (rows_max == 1 && rows.documents != 1))
            abort();
        for (size_t i = 0; i < batch.reject_count; i++)
            if (batch.rejects[i].row >= rows.covered || batch.rejects[i].reason[0] == '\0')
                abort();
        for (size_t i = 0; batch.ordinals != NULL && i < batch.rows; i++)
            if (batch.ordinals[i] >= rows.covered || (i > 0 && batch.ordinals[i] <= batch.ordinals[i - 1]))
                abort();
        mm_batch_hash(&batch);
        out->documents += rows.documents;
        out->covered += rows.covered;
        out->rejected += batch.rejected;
        out->checksum += batch.checksum;
        mm_batch_reset(&batch);
    }
    mm_batch_free(&batch);
    mm_elastic_page_free(page);
    if (status != MM_END && (err->text[0] == '\0' || status == MM_BUG))
        abort();
    return status == MM_END ? MM_OK : status;
}

static void read_answer(const mm_elastic_fields *fields, const char *text, size_t size)
{
    mm_error err = MM_ERROR_INIT;
    sum one, many, keys;
    mm_status a = read_all(fields, text, size, false, 1, &one, &err);
    mm_status b = read_all(fields, text, size, false, SIZE_MAX, &many, &err);
    if (a != b || (a == MM_OK && memcmp(&one, &many, sizeof(one)) != 0))
        abort();
    if (a == MM_OK && read_all(fields, text, size, true, 7, &keys, &err) == MM_OK &&
        (keys.documents != one.documents || keys.covered != one.covered))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const nulls[] = {"auto", "nullable", "default", "reject"};
    static const char *const keys[] = {"_id", "_id_hash", "n", "_id"};
    static const char *const types[] = {"t Array(VarChar, 3)", "f Int64"};
    if (size == 0)
        return 0;
    uint8_t how = *data++;
    char *text = malloc(size);
    if (text == NULL)
        return 0;
    memcpy(text, data, --size);
    text[size] = '\0';
    char *line = how & 1 ? memchr(text, '\n', size) : NULL;
    const char *mapping = how & 1 ? text : every, *answer = line != NULL ? line + 1 : text;
    size_t answer_size = line != NULL ? size - (size_t)(answer - text) : how & 1 ? 0 : size;
    if (line != NULL)
        *line = '\0';
    mm_elastic_choice choice = {.primary_key = keys[how >> 1 & 3], .nulls = nulls[how >> 3 & 3],
                                .explode = how & 32 ? "p" : NULL, .with_index = how & 64, .with_routing = how & 64,
                                .types = types, .type_count = how & 128 ? MM_COUNT(types) : 0};
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_elastic_fields *fields = NULL;
    mm_status status = mm_elastic_fields_build(&arena, "i", &choice, &mapping, 1, answer_size > 0 ? answer : NULL,
                                               answer_size, &fields, &err);
    if (status != MM_OK && (err.text[0] == '\0' || status == MM_BUG))
        abort();
    if (status == MM_OK) {
        mm_buffer source = MM_BUFFER_INIT;
        mm_elastic_fields_source(fields, how & 2, how & 4, &source);
        mm_buffer_free(&source);
        read_answer(fields, answer_size > 0 ? answer : "", answer_size);
    }
    mm_arena_free(&arena);
    free(text);
    return 0;
}
