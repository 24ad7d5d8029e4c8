/* Inverted lists. Layouts as FAISS writes them (write_InvertedLists, OnDiskInvertedLists) and, for
 * the legacy ones, as it still reads them. */
#include "sources/faiss/lists.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sources/faiss/fourcc.h"

#define ID_BYTES 8
#define SIDE_NAME_MAX 4096
/* One entry of the table of lists on disk: size, capacity, offset. */
#define DISK_ENTRY 24

void mm_faiss_lists_begin(mm_faiss_list_cursor *cursor, const mm_faiss_lists *lists,
                          const mm_input *file, const mm_input *side)
{
    cursor->lists = lists;
    cursor->side = side;
    cursor->entry = 0;
    cursor->last = UINT64_MAX;
    cursor->data = lists->data;
    mm_faiss_stream_begin(&cursor->table, file, lists->table);
    mm_faiss_stream_begin(&cursor->codes, file, lists->data);
}

/* Places a list whose codes and ids follow each other in the index file. */
static mm_status place_in_line(mm_faiss_list_cursor *cursor, mm_faiss_list *list, mm_error *err)
{
    const mm_input *file = cursor->table.file;
    uint64_t codes, ids, end;
    if (!mm_mul_u64(list->rows, cursor->lists->code_size, &codes) ||
        !mm_mul_u64(list->rows, ID_BYTES, &ids) || !mm_add_u64(codes, ids, &end) ||
        !mm_add_u64(cursor->data, end, &end) || end > file->size)
        return mm_faiss_bad(file, cursor->table.at - ID_BYTES, err,
                            "list %" PRIu64 " of %" PRIu64
                            " rows at byte %" PRIu64 " goes beyond the file's %" PRIu64 " bytes",
                            list->number, list->rows, cursor->data, file->size);
    list->codes = cursor->data;
    list->ids = cursor->data + codes;
    cursor->data = end;
    return MM_OK;
}

static mm_status next_sparse(mm_faiss_list_cursor *cursor, mm_faiss_list *list, mm_error *err)
{
    uint64_t at = cursor->table.at;
    mm_status status = mm_faiss_get_u64(&cursor->table, &list->number, "number of a list", err);
    if (status == MM_OK)
        status = mm_faiss_get_u64(&cursor->table, &list->rows, "size of a list", err);
    if (status != MM_OK)
        return status;
    if (list->number >= cursor->lists->nlist ||
        (cursor->last != UINT64_MAX && list->number <= cursor->last))
        return mm_faiss_bad(cursor->table.file, at, err,
                            "list %" PRIu64 " is out of order or not one of %" PRIu64,
                            list->number, cursor->lists->nlist);
    cursor->last = list->number;
    return place_in_line(cursor, list, err);
}

/* Codes of a list stand at its offset, ids behind the codes' whole capacity. */
static mm_status next_on_disk(mm_faiss_list_cursor *cursor, mm_faiss_list *list, mm_error *err)
{
    const mm_input *file = cursor->table.file;
    uint64_t at = cursor->table.at, entry[3];
    mm_status status = mm_faiss_get(&cursor->table, entry, sizeof(entry), "table of lists", err);
    if (status != MM_OK)
        return status;
    uint64_t capacity = entry[1], offset = entry[2], codes, ids, end;
    list->number = cursor->entry;
    list->rows = entry[0];
    if (list->rows == 0)
        return MM_OK;
    if (list->rows > capacity)
        return mm_faiss_bad(file, at, err,
                            "list %" PRIu64 " has %" PRIu64 " rows and room for %" PRIu64,
                            list->number, list->rows, capacity);
    if (!mm_mul_u64(capacity, cursor->lists->code_size, &codes) ||
        !mm_add_u64(offset, codes, &codes) || !mm_mul_u64(list->rows, ID_BYTES, &ids) ||
        !mm_add_u64(codes, ids, &end) || (cursor->side != NULL && end > cursor->side->size))
        return mm_faiss_bad(file, at, err,
                            "list %" PRIu64 " (offset %" PRIu64 ", capacity %" PRIu64
                            ") goes beyond the %" PRIu64 " bytes of %s",
                            list->number, offset, capacity,
                            cursor->side != NULL ? cursor->side->size : cursor->lists->side_size,
                            cursor->side != NULL ? cursor->side->name : "its file");
    list->codes = offset;
    list->ids = codes;
    return MM_OK;
}

static mm_status next_legacy(mm_faiss_list_cursor *cursor, mm_faiss_list *list, mm_error *err)
{
    const mm_faiss_lists *lists = cursor->lists;
    uint64_t at = cursor->codes.at, count, bytes, want;
    list->number = cursor->entry;
    mm_status status = mm_faiss_get_vector(&cursor->table, ID_BYTES, &list->rows, &list->ids,
                                           "ids of a list", err);
    if (status == MM_OK)
        status = mm_faiss_get_vector(&cursor->codes, lists->unit, &count, &list->codes,
                                     "codes of a list", err);
    if (status != MM_OK)
        return status;
    if (!mm_mul_u64(count, lists->unit, &bytes) ||
        !mm_mul_u64(list->rows, lists->code_size, &want) || bytes != want)
        return mm_faiss_bad(cursor->codes.file, at, err,
                            "list %" PRIu64 ": %" PRIu64 " × %u bytes of codes for %" PRIu64
                            " ids of %" PRIu64 " bytes each",
                            list->number, count, lists->unit, list->rows, lists->code_size);
    cursor->data = cursor->codes.at;
    return MM_OK;
}

mm_status mm_faiss_lists_next(mm_faiss_list_cursor *cursor, mm_faiss_list *list, mm_error *err)
{
    const mm_faiss_lists *lists = cursor->lists;
    for (; cursor->entry < lists->entries; cursor->entry++) {
        mm_faiss_list found = {0, 0, 0, 0};
        mm_status status = MM_BUG;
        switch (lists->kind) {
        case MM_FAISS_LISTS_FULL:
            found.number = cursor->entry;
            status = mm_faiss_get_u64(&cursor->table, &found.rows, "size of a list", err);
            if (status == MM_OK)
                status = place_in_line(cursor, &found, err);
            break;
        case MM_FAISS_LISTS_SPARSE:
            status = next_sparse(cursor, &found, err);
            break;
        case MM_FAISS_LISTS_DISK:
            status = next_on_disk(cursor, &found, err);
            break;
        case MM_FAISS_LISTS_LEGACY:
            status = next_legacy(cursor, &found, err);
            break;
        case MM_FAISS_LISTS_ABSENT:
        case MM_FAISS_LISTS_BLOCKS:
            status = mm_error_set(err, MM_BUG, "inverted lists of this kind cannot be walked");
            break;
        }
        if (status != MM_OK)
            return status;
        if (found.rows > 0) {
            cursor->entry++;
            *list = found;
            return MM_OK;
        }
    }
    return MM_END;
}

/* Walks all lists once: checks them, counts their rows, and gives the offset behind them. */
static mm_status walk_all(mm_faiss_lists *lists, const mm_input *file, const mm_input *side,
                          uint64_t *end, mm_error *err)
{
    mm_faiss_list_cursor *cursor = malloc(sizeof(*cursor));
    if (cursor == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", file->name);
    mm_faiss_list list;
    uint64_t rows = 0;
    mm_status status;
    mm_faiss_lists_begin(cursor, lists, file, side);
    while ((status = mm_faiss_lists_next(cursor, &list, err)) == MM_OK) {
        if (!mm_add_u64(rows, list.rows, &rows) || rows > INT64_MAX) {
            status = mm_faiss_bad(file, cursor->table.at, err, "more rows than 64 bits can count");
            break;
        }
    }
    if (status == MM_END) {
        lists->rows = rows;
        *end = cursor->data;
        status = MM_OK;
    }
    free(cursor);
    return status;
}

static mm_status read_array(mm_faiss_stream *stream, mm_faiss_lists *lists, mm_error *err)
{
    uint32_t form;
    uint64_t at = stream->at, count, item = ID_BYTES;
    mm_status status = mm_faiss_get(stream, &form, sizeof(form), "form of the list sizes", err);
    if (status != MM_OK)
        return status;
    if (form != MM_FOURCC("full") && form != MM_FOURCC("sprs"))
        return mm_faiss_bad(stream->file, at, err, "'%s' is no known form of list sizes",
                            mm_faiss_fourcc_text(form).text);
    at = stream->at;
    status = mm_faiss_get_vector(stream, item, &count, &lists->table, "list sizes", err);
    if (status != MM_OK)
        return status;
    lists->data = stream->at;
    if (form == MM_FOURCC("full")) {
        lists->kind = MM_FAISS_LISTS_FULL;
        lists->entries = count;
        if (count != lists->nlist)
            return mm_faiss_bad(stream->file, at, err,
                                "%" PRIu64 " list sizes for %" PRIu64 " lists", count,
                                lists->nlist);
    } else {
        lists->kind = MM_FAISS_LISTS_SPARSE;
        lists->entries = count / 2;
        if (count % 2 != 0 || count / 2 > lists->nlist)
            return mm_faiss_bad(stream->file, at, err,
                                "%" PRIu64 " words for the (list, size) pairs of %" PRIu64
                                " lists",
                                count, lists->nlist);
    }
    return walk_all(lists, stream->file, NULL, &stream->at, err);
}

static mm_status read_on_disk(mm_faiss_stream *stream, mm_arena *arena, mm_faiss_lists *lists,
                              mm_error *err)
{
    uint64_t at = stream->at, length, name_at, ignored;
    lists->kind = MM_FAISS_LISTS_DISK;
    mm_status status = mm_faiss_get_vector(stream, DISK_ENTRY, &lists->entries, &lists->table,
                                           "table of lists", err);
    if (status == MM_OK && lists->entries != lists->nlist)
        status = mm_faiss_bad(stream->file, at, err,
                              "%" PRIu64 " entries in the table of %" PRIu64 " lists",
                              lists->entries, lists->nlist);
    if (status == MM_OK)
        status = mm_faiss_get_vector(stream, 16, NULL, NULL, "free slots", err);
    if (status == MM_OK)
        status = mm_faiss_get_vector(stream, 1, &length, &name_at, "name of the list file", err);
    if (status != MM_OK)
        return status;
    if (length == 0 || length > SIDE_NAME_MAX)
        return mm_faiss_bad(stream->file, name_at, err, "a file name of %" PRIu64 " bytes", length);
    lists->side_name = mm_arena_alloc(arena, (size_t)length + 1);
    if (lists->side_name == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", stream->file->name);
    status = mm_faiss_read(stream->file, name_at, lists->side_name, (size_t)length, err);
    if (status != MM_OK)
        return status;
    lists->side_name[length] = '\0';
    if (strlen(lists->side_name) != length)
        return mm_faiss_bad(stream->file, name_at, err, "a file name with a NUL in it");
    status = mm_faiss_get_u64(stream, &lists->side_size, "size of the list file", err);
    return status == MM_OK ? walk_all(lists, stream->file, NULL, &ignored, err) : status;
}

/* FastScan's interleaved blocks: u64 codes per block and block size, then for each list a vector of
 * ids and one of codes. */
static mm_status skip_blocks(mm_faiss_stream *stream, mm_faiss_lists *lists, mm_error *err)
{
    lists->kind = MM_FAISS_LISTS_BLOCKS;
    mm_status status = mm_faiss_skip(stream, 2, 8, "block sizes", err);
    for (uint64_t i = 0; status == MM_OK && i < lists->nlist; i++) {
        uint64_t rows = 0;
        status = mm_faiss_get_vector(stream, ID_BYTES, &rows, NULL, "ids of a list", err);
        if (status == MM_OK)
            status = mm_faiss_get_vector(stream, 1, NULL, NULL, "blocks of a list", err);
        if (status == MM_OK && !mm_add_u64(lists->rows, rows, &lists->rows))
            status = mm_faiss_bad(stream->file, stream->at, err, "too many rows in the lists");
    }
    return status;
}

mm_status mm_faiss_lists_read(mm_faiss_stream *stream, mm_arena *arena, uint64_t nlist,
                              uint64_t code_size, mm_faiss_lists *lists, mm_error *err)
{
    uint32_t fourcc;
    *lists = (mm_faiss_lists){.kind = MM_FAISS_LISTS_ABSENT, .at = stream->at, .nlist = nlist};
    mm_status status = mm_faiss_get(stream, &fourcc, 4, "type of the inverted lists", err);
    if (status != MM_OK || fourcc == MM_FOURCC("il00"))
        return status;
    if (fourcc != MM_FOURCC("ilar") && fourcc != MM_FOURCC("ilod") && fourcc != MM_FOURCC("ilbl"))
        return mm_faiss_unsupported(stream->file, lists->at, fourcc, "inverted lists", err);
    uint64_t sizes[2];
    status = mm_faiss_get(stream, sizes, sizeof(sizes), "number of lists and code size", err);
    if (status != MM_OK)
        return status;
    lists->code_size = sizes[1];
    if (sizes[0] != nlist)
        return mm_faiss_bad(stream->file, lists->at + 4, err,
                            "%" PRIu64 " inverted lists in an index of %" PRIu64, sizes[0], nlist);
    if (fourcc == MM_FOURCC("ilbl"))
        return skip_blocks(stream, lists, err);
    if (sizes[1] == 0 || (code_size != UINT64_MAX && sizes[1] != code_size))
        return mm_faiss_bad(stream->file, lists->at + 12, err,
                            "inverted lists with codes of %" PRIu64
                            " bytes in an index with codes of %" PRIu64,
                            sizes[1], code_size);
    return fourcc == MM_FOURCC("ilar") ? read_array(stream, lists, err)
                                       : read_on_disk(stream, arena, lists, err);
}

mm_status mm_faiss_lists_legacy_ids(mm_faiss_stream *stream, uint64_t nlist, mm_faiss_lists *lists,
                                    mm_error *err)
{
    *lists = (mm_faiss_lists){.kind = MM_FAISS_LISTS_LEGACY,
                              .at = stream->at,
                              .nlist = nlist,
                              .table = stream->at,
                              .entries = nlist};
    mm_status status = MM_OK;
    for (uint64_t i = 0; status == MM_OK && i < nlist; i++)
        status = mm_faiss_get_vector(stream, ID_BYTES, NULL, NULL, "ids of a list", err);
    return status;
}

mm_status mm_faiss_lists_legacy_codes(mm_faiss_stream *stream, uint64_t code_size, uint32_t unit,
                                      mm_faiss_lists *lists, mm_error *err)
{
    lists->code_size = code_size;
    lists->unit = unit;
    lists->data = stream->at;
    return walk_all(lists, stream->file, NULL, &stream->at, err);
}

mm_status mm_faiss_lists_check(const mm_faiss_lists *lists, const mm_input *file,
                               const mm_input *side, mm_error *err)
{
    mm_faiss_lists copy = *lists;
    uint64_t ignored;
    return walk_all(&copy, file, side, &ignored, err);
}
