/* The pages of a column chunk, one at a time: header, checksum, decompression, and where levels and values stand.
 * parquet-format, README.md "Data Pages", parquet.thrift PageHeader. Knows no field and no row. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "formats/parquet_read_internal.h"
#include "formats/parquet_thrift_read.h"

/* What is read from an input at once, unless a page is larger; while pages are passed over, only their headers. */
#define READ_LOCAL ((size_t)256 << 10)
#define READ_REMOTE ((size_t)4 << 20)
#define PASS_LOCAL ((size_t)4 << 10)
#define PASS_REMOTE ((size_t)64 << 10)
#define HEAD_USUAL 512

/* Fields that only a reader asks for. */
enum {
    DICTIONARY_VALUES = 1,
    DICTIONARY_ENCODING = 2,
    V2_VALUES = 1,
    V2_ROWS = 3,
    V2_ENCODING = 4,
    V2_DEFINITION_SIZE = 5,
    V2_REPETITION_SIZE = 6,
    V2_COMPRESSED = 7
};

typedef struct page_head {
    int32_t kind, uncompressed, stored, crc, values, rows, encoding, definition, repetition;
    int32_t definition_size, repetition_size;
    bool has_crc, compressed, described;
} page_head;

static mm_status bad(const mm_parquet_pages *pages, uint64_t at, mm_error *err, const char *what)
{
    return mm_parquet_bad(pages->input, at, err, "column '%s': %s", pages->leaf->name, what);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

/* Room for `size` bytes; `keep` of the present ones stay. */
static mm_status reserve(mm_parquet_pages *pages, mm_parquet_block *block, size_t size, size_t keep, mm_error *err)
{
    if (size <= block->capacity)
        return MM_OK;
    if (size > MM_PARQUET_MEMORY_MAX || *pages->memory - block->capacity > MM_PARQUET_MEMORY_MAX - size)
        return mm_parquet_bad(pages->input, pages->at, err, "column '%s': the pages of all columns together take more "
                              "than %" PRIu64 " MiB", pages->leaf->name, MM_PARQUET_MEMORY_MAX >> 20);
    uint8_t *data = malloc(size);
    if (data == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory for a page of %zu bytes", pages->input->name, size);
    if (keep > 0)
        memcpy(data, block->data, keep);
    free(block->data);
    *pages->memory += size - block->capacity;
    *block = (mm_parquet_block){data, size};
    return MM_OK;
}

static void release(mm_parquet_pages *pages, mm_parquet_block *block)
{
    free(block->data);
    *pages->memory -= block->capacity;
    *block = (mm_parquet_block){0};
}

void mm_parquet_pages_free(mm_parquet_pages *pages)
{
    if (pages->memory == NULL)
        return;
    release(pages, &pages->window);
    release(pages, &pages->body);
    release(pages, &pages->dictionary_body);
    release(pages, &pages->starts);
    mm_parquet_values_free(&pages->values);
}

/* Bytes [at, at + size) of the file in the window, which lie in the chunk; valid until the next call. What the window
 * has of them already is not read again. */
static mm_status fetch(mm_parquet_pages *pages, uint64_t at, size_t size, const uint8_t **out, mm_error *err)
{
    uint64_t window_end = pages->window_at + pages->window_size;
    if (at < pages->window_at || at + size > window_end) {
        size_t usual = pages->passing ? (pages->input->remote ? PASS_REMOTE : PASS_LOCAL)
                                      : (pages->input->remote ? READ_REMOTE : READ_LOCAL);
        uint64_t rest = pages->end - at;
        size_t want = size > usual ? size : usual, keep = 0;
        if (want > rest)
            want = (size_t)rest;
        if (at >= pages->window_at && at < window_end) {
            keep = (size_t)(window_end - at);
            memmove(pages->window.data, pages->window.data + (at - pages->window_at), keep);
        }
        pages->window_size = 0; /* in case of failure */
        mm_status status = reserve(pages, &pages->window, want, keep, err);
        if (status == MM_OK)
            status = mm_input_read(pages->input, at + keep, pages->window.data + keep, want - keep, err);
        if (status != MM_OK)
            return status;
        pages->window_at = at;
        pages->window_size = want;
    }
    *out = pages->window.data + (at - pages->window_at);
    return MM_OK;
}

void mm_parquet_pages_open(mm_parquet_pages *pages, const mm_parquet_chunk *chunk)
{
    pages->codec = chunk->codec;
    pages->at = chunk->begin;
    pages->end = chunk->end;
    pages->values_left = chunk->values;
    pages->window_at = chunk->begin;
    pages->window_size = 0;
    pages->passing = false;
    pages->dictionary.there = false;
}

/* --- headers ------------------------------------------------------------------------------------------------------ */

static void read_data_head(mm_thrift_reader *t, page_head *head)
{
    head->described = true;
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        if (field.id == MM_PARQUET_DATA_VALUES)
            head->values = mm_thrift_read_i32(t, &field);
        else if (field.id == MM_PARQUET_DATA_ENCODING)
            head->encoding = mm_thrift_read_i32(t, &field);
        else if (field.id == MM_PARQUET_DATA_DEFINITION)
            head->definition = mm_thrift_read_i32(t, &field);
        else if (field.id == MM_PARQUET_DATA_REPETITION)
            head->repetition = mm_thrift_read_i32(t, &field);
        else
            mm_thrift_read_skip(t, &field);
    }
}

static void read_dictionary_head(mm_thrift_reader *t, page_head *head)
{
    head->described = true;
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        if (field.id == DICTIONARY_VALUES)
            head->values = mm_thrift_read_i32(t, &field);
        else if (field.id == DICTIONARY_ENCODING)
            head->encoding = mm_thrift_read_i32(t, &field);
        else
            mm_thrift_read_skip(t, &field);
    }
}

static void read_v2_head(mm_thrift_reader *t, page_head *head)
{
    head->described = true;
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        if (field.id == V2_VALUES)
            head->values = mm_thrift_read_i32(t, &field);
        else if (field.id == V2_ROWS)
            head->rows = mm_thrift_read_i32(t, &field);
        else if (field.id == V2_ENCODING)
            head->encoding = mm_thrift_read_i32(t, &field);
        else if (field.id == V2_DEFINITION_SIZE)
            head->definition_size = mm_thrift_read_i32(t, &field);
        else if (field.id == V2_REPETITION_SIZE)
            head->repetition_size = mm_thrift_read_i32(t, &field);
        else if (field.id == V2_COMPRESSED)
            head->compressed = mm_thrift_read_bool(t, &field);
        else
            mm_thrift_read_skip(t, &field);
    }
}

static void read_head(mm_thrift_reader *t, page_head *head)
{
    *head = (page_head){.kind = -1, .uncompressed = -1, .stored = -1, .values = -1, .rows = -1, .encoding = -1,
                        .definition = MM_PARQUET_RLE, .repetition = MM_PARQUET_RLE, .definition_size = -1,
                        .repetition_size = -1, .compressed = true};
    for (mm_thrift_field field = {0}; mm_thrift_read_next(t, &field);) {
        if (field.id == MM_PARQUET_PAGE_TYPE)
            head->kind = mm_thrift_read_i32(t, &field);
        else if (field.id == MM_PARQUET_PAGE_UNCOMPRESSED)
            head->uncompressed = mm_thrift_read_i32(t, &field);
        else if (field.id == MM_PARQUET_PAGE_COMPRESSED)
            head->stored = mm_thrift_read_i32(t, &field);
        else if (field.id == MM_PARQUET_PAGE_CRC) {
            head->crc = mm_thrift_read_i32(t, &field);
            head->has_crc = true;
        } else if (field.id == MM_PARQUET_PAGE_DATA && head->kind == MM_PARQUET_DATA_PAGE &&
                   mm_thrift_read_struct(t, &field))
            read_data_head(t, head);
        else if (field.id == MM_PARQUET_PAGE_DICTIONARY && head->kind == MM_PARQUET_DICTIONARY_PAGE &&
                 mm_thrift_read_struct(t, &field))
            read_dictionary_head(t, head);
        else if (field.id == MM_PARQUET_PAGE_DATA_V2 && head->kind == MM_PARQUET_DATA_PAGE_V2 &&
                 mm_thrift_read_struct(t, &field))
            read_v2_head(t, head);
        else
            mm_thrift_read_skip(t, &field);
    }
}

static const char *check_head(const mm_parquet_pages *pages, const page_head *head)
{
    if (head->uncompressed < 0 || head->stored < 0)
        return "a page without its sizes";
    if ((uint64_t)head->stored > pages->end - pages->at)
        return "a page that goes beyond its column chunk";
    if (head->kind != MM_PARQUET_DATA_PAGE && head->kind != MM_PARQUET_DATA_PAGE_V2 &&
        head->kind != MM_PARQUET_DICTIONARY_PAGE)
        return NULL; /* an index page, or one that does not exist yet: passed over */
    if ((uint64_t)head->uncompressed > MM_PARQUET_PAGE_MAX)
        return "a page of more than 256 MiB (not supported)";
    if (!head->described || head->values < 0 || head->encoding < 0)
        return "a page without its number of values or encoding";
    if (head->kind != MM_PARQUET_DICTIONARY_PAGE && (uint64_t)head->values > pages->values_left)
        return "a page with more values than its column chunk has";
    if (head->kind != MM_PARQUET_DATA_PAGE_V2)
        return NULL;
    if (head->rows < 0 || head->rows > head->values || head->definition_size < 0 || head->repetition_size < 0)
        return "a page without its number of rows or sizes of levels";
    int64_t levels = (int64_t)head->definition_size + head->repetition_size;
    return levels > head->stored || levels > head->uncompressed ? "levels that go beyond their page" : NULL;
}

/* The header at pages->at, which then is the byte behind it. How long a header is, is only known when it was read. */
static mm_status next_head(mm_parquet_pages *pages, page_head *head, mm_error *err)
{
    uint64_t rest = pages->end - pages->at;
    for (size_t size = HEAD_USUAL;; size *= 4) {
        const uint8_t *bytes;
        if (size > rest)
            size = (size_t)rest;
        mm_status status = fetch(pages, pages->at, size, &bytes, err);
        if (status != MM_OK)
            return status;
        mm_thrift_reader t = mm_thrift_read_over(bytes, size);
        read_head(&t, head);
        if (t.wrong != NULL && t.cut && size < rest && size < MM_PARQUET_HEAD_MAX)
            continue;
        pages->page_at = pages->at;
        if (t.wrong != NULL)
            return mm_parquet_bad(pages->input, pages->at + (uint64_t)(t.at - t.begin), err,
                                  "column '%s': page header: %s", pages->leaf->name, t.wrong);
        pages->at += (uint64_t)(t.at - t.begin);
        const char *wrong = check_head(pages, head);
        return wrong != NULL ? bad(pages, pages->page_at, err, wrong) : MM_OK;
    }
}

/* --- bodies ------------------------------------------------------------------------------------------------------- */

/* The stored bytes of a page, checked. */
static mm_status stored_body(mm_parquet_pages *pages, uint64_t at, size_t size, bool has_crc, uint32_t crc,
                             const uint8_t **out, mm_error *err)
{
    mm_status status = fetch(pages, at, size, out, err);
    if (status == MM_OK && has_crc && crc32(0, *out, (uInt)size) != crc)
        return bad(pages, at, err, "the page's checksum (CRC-32) is not that of its bytes: the file is damaged");
    return status;
}

static mm_status decompress(mm_parquet_pages *pages, mm_parquet_block *block, uint64_t at, const uint8_t *in,
                            size_t size, size_t out_size, mm_error *err)
{
    mm_status status = reserve(pages, block, out_size > 0 ? out_size : 1, 0, err); /* data is never NULL then */
    if (status == MM_OK && out_size > 0 && !mm_parquet_decompress(pages->codec, in, size, block->data, out_size))
        return bad(pages, at, err, "the page cannot be decompressed to the size that its header says");
    return status;
}

static mm_status same_size(const mm_parquet_pages *pages, uint64_t at, uint64_t stored, uint64_t size, mm_error *err)
{
    return stored == size ? MM_OK : bad(pages, at, err, "a page that is not compressed and has two sizes");
}

/* Where the values of a dictionary of byte arrays begin. Each has 4 bytes of length in front, so that a number for
 * each takes no more than the page itself. */
static mm_status index_dictionary(mm_parquet_pages *pages, uint64_t at, size_t size, mm_error *err)
{
    mm_parquet_dictionary *d = &pages->dictionary;
    if (d->count > size / 4)
        return bad(pages, at, err, "a dictionary with more values than bytes for them");
    mm_status status = reserve(pages, &pages->starts, d->count * sizeof(uint32_t), 0, err);
    if (status != MM_OK)
        return status;
    d->starts = (uint32_t *)(void *)pages->starts.data;
    size_t offset = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        uint32_t length;
        if (size - offset < sizeof(length))
            return bad(pages, at, err, "a dictionary whose values end too early");
        memcpy(&length, d->bytes + offset, sizeof(length));
        offset += sizeof(length);
        if (length > size - offset)
            return bad(pages, at, err, "a dictionary whose values end too early");
        d->starts[i] = (uint32_t)offset;
        offset += length;
    }
    return MM_OK;
}

static mm_status load_dictionary(mm_parquet_pages *pages, const page_head *head, mm_error *err)
{
    const uint8_t *stored;
    size_t size = (size_t)head->uncompressed;
    uint64_t at = pages->at;
    if (pages->dictionary.there)
        return bad(pages, pages->page_at, err, "a second dictionary in a column chunk");
    if (head->encoding != MM_PARQUET_PLAIN && head->encoding != MM_PARQUET_PLAIN_DICTIONARY)
        return bad(pages, pages->page_at, err, "a dictionary in an encoding that it cannot have");
    mm_status status = stored_body(pages, at, (size_t)head->stored, head->has_crc, (uint32_t)head->crc, &stored, err);
    if (status == MM_OK && pages->codec == MM_PARQUET_UNCOMPRESSED) {
        status = same_size(pages, at, (uint64_t)head->stored, size, err);
        if (status == MM_OK)
            status = reserve(pages, &pages->dictionary_body, size, 0, err);
        if (status == MM_OK && size > 0)
            memcpy(pages->dictionary_body.data, stored, size);
    } else if (status == MM_OK) {
        status = decompress(pages, &pages->dictionary_body, at, stored, (size_t)head->stored, size, err);
    }
    if (status != MM_OK)
        return status;
    const mm_parquet_leaf *leaf = pages->leaf;
    size_t width = leaf->type == MM_PARQUET_FIXED_LEN_BYTE_ARRAY                           ? (size_t)leaf->type_length
                   : leaf->type == MM_PARQUET_INT32 || leaf->type == MM_PARQUET_FLOAT      ? 4
                   : leaf->type == MM_PARQUET_INT64 || leaf->type == MM_PARQUET_DOUBLE     ? 8
                                                                                           : 0;
    pages->dictionary = (mm_parquet_dictionary){.bytes = pages->dictionary_body.data, .count = (uint32_t)head->values};
    if (leaf->type == MM_PARQUET_BYTE_ARRAY)
        status = index_dictionary(pages, at, size, err);
    else if (width == 0)
        return bad(pages, pages->page_at, err, "a dictionary of booleans");
    else if (pages->dictionary.count > size / width)
        return bad(pages, at, err, "a dictionary with more values than bytes for them");
    pages->dictionary.there = status == MM_OK;
    pages->at += (uint64_t)head->stored;
    return status;
}

mm_status mm_parquet_pages_head(mm_parquet_pages *pages, mm_error *err)
{
    page_head head = {0};
    for (;;) {
        if (pages->values_left == 0)
            return MM_END;
        if (pages->at == pages->end)
            return bad(pages, pages->at, err, "the column chunk ends before its last value");
        mm_status status = next_head(pages, &head, err);
        if (status != MM_OK)
            return status;
        if (head.kind == MM_PARQUET_DATA_PAGE || head.kind == MM_PARQUET_DATA_PAGE_V2)
            break;
        if (head.kind == MM_PARQUET_DICTIONARY_PAGE)
            status = load_dictionary(pages, &head, err);
        else
            pages->at += (uint64_t)head.stored;
        if (status != MM_OK)
            return status;
    }
    pages->version2 = head.kind == MM_PARQUET_DATA_PAGE_V2;
    pages->stored_at = pages->at;
    pages->stored = (uint32_t)head.stored;
    pages->uncompressed = (uint32_t)head.uncompressed;
    pages->has_crc = head.has_crc;
    pages->crc = (uint32_t)head.crc;
    pages->page_values = (uint32_t)head.values;
    pages->page_rows = pages->version2 ? (uint32_t)head.rows : 0;
    pages->encoding = head.encoding;
    pages->definition_encoding = head.definition;
    pages->repetition_encoding = head.repetition;
    pages->definition_size = pages->version2 ? (uint32_t)head.definition_size : 0;
    pages->repetition_size = pages->version2 ? (uint32_t)head.repetition_size : 0;
    pages->compressed = pages->codec != MM_PARQUET_UNCOMPRESSED && (!pages->version2 || head.compressed);
    return MM_OK;
}

static void behind_page(mm_parquet_pages *pages, bool passing)
{
    pages->at += pages->stored;
    pages->values_left -= pages->page_values;
    pages->passing = passing;
}

void mm_parquet_pages_pass(mm_parquet_pages *pages)
{
    behind_page(pages, true);
}

static unsigned bits_of(uint8_t level)
{
    return level == 0 ? 0 : level == 1 ? 1 : 2; /* lists of single values have at most 3 */
}

/* Version 1: levels stand before the values, each kind with its size in front. */
static mm_status levels_v1(mm_parquet_pages *pages, const uint8_t **at, const uint8_t *end, uint8_t max,
                           int32_t encoding, mm_parquet_hybrid *out, mm_error *err)
{
    uint32_t size;
    if (max == 0) {
        *out = mm_parquet_hybrid_over(*at, 0, 0);
        return MM_OK;
    }
    if (encoding != MM_PARQUET_RLE)
        return bad(pages, pages->page_at, err, "levels in the deprecated encoding BIT_PACKED (not supported)");
    if ((size_t)(end - *at) < sizeof(size))
        return bad(pages, pages->stored_at, err, "levels that go beyond their page");
    memcpy(&size, *at, sizeof(size));
    *at += sizeof(size);
    if (size > (size_t)(end - *at))
        return bad(pages, pages->stored_at, err, "levels that go beyond their page");
    *out = mm_parquet_hybrid_over(*at, size, bits_of(max));
    *at += size;
    return MM_OK;
}

static mm_status load_v1(mm_parquet_pages *pages, const uint8_t *stored, const uint8_t **values, size_t *size,
                         mm_error *err)
{
    const uint8_t *at = stored;
    mm_status status;
    if (pages->compressed) {
        status = decompress(pages, &pages->body, pages->stored_at, stored, pages->stored, pages->uncompressed, err);
        at = pages->body.data;
    } else {
        status = same_size(pages, pages->stored_at, pages->stored, pages->uncompressed, err);
    }
    if (status != MM_OK)
        return status;
    const uint8_t *end = at + pages->uncompressed;
    const mm_parquet_leaf *leaf = pages->leaf;
    status = levels_v1(pages, &at, end, leaf->max_repetition, pages->repetition_encoding, &pages->repetition, err);
    if (status == MM_OK)
        status = levels_v1(pages, &at, end, leaf->max_definition, pages->definition_encoding, &pages->definition, err);
    *values = at;
    *size = status == MM_OK ? (size_t)(end - at) : 0;
    return status;
}

/* Version 2: levels are not compressed, and their sizes are in the header. */
static mm_status load_v2(mm_parquet_pages *pages, const uint8_t *stored, const uint8_t **values, size_t *size,
                         mm_error *err)
{
    const mm_parquet_leaf *leaf = pages->leaf;
    size_t levels = (size_t)pages->repetition_size + pages->definition_size;
    pages->repetition = mm_parquet_hybrid_over(stored, pages->repetition_size, bits_of(leaf->max_repetition));
    pages->definition =
        mm_parquet_hybrid_over(stored + pages->repetition_size, pages->definition_size, bits_of(leaf->max_definition));
    *values = stored + levels;
    *size = pages->uncompressed - levels;
    if (!pages->compressed)
        return same_size(pages, pages->stored_at, pages->stored, pages->uncompressed, err);
    mm_status status = decompress(pages, &pages->body, pages->stored_at, stored + levels, pages->stored - levels, *size,
                                  err);
    *values = pages->body.data;
    return status;
}

mm_status mm_parquet_pages_load(mm_parquet_pages *pages, mm_error *err)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *stored, *values;
    size_t size;
    mm_status status = stored_body(pages, pages->stored_at, pages->stored, pages->has_crc, pages->crc, &stored, err);
    if (status != MM_OK)
        return status;
    status = pages->version2 ? load_v2(pages, stored, &values, &size, err)
                             : load_v1(pages, stored, &values, &size, err);
    if (status != MM_OK)
        return status;
    const mm_parquet_leaf *leaf = pages->leaf;
    const char *wrong = mm_parquet_values_open(&pages->values, pages->encoding, leaf->type, leaf->type_length,
                                               size > 0 ? values : nothing, size, &pages->dictionary);
    if (wrong != NULL)
        return bad(pages, pages->stored_at, err, wrong);
    behind_page(pages, false);
    return MM_OK;
}
