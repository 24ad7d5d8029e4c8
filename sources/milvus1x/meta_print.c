/* Metadata as a meta.json: its bytes are those of Go's encoding/json, with the keys of our own behind the others. */
#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"
#include "sources/milvus1x/meta_json.h"

/* --- text ------------------------------------------------------------------------------------------------------- */

static const char *short_escape(char c)
{
    return c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
}

/* Go escapes what would mean something in HTML or JavaScript, too: encoding/json, HTMLEscape. */
static bool put_text(mm_buffer *out, const char *text)
{
    size_t size = strlen(text);
    if (mm_utf8_prefix(text, size) < size)
        return false;
    mm_buffer_append(out, "\"", 1);
    for (const char *at = text; *at; at++) {
        const char *escape = short_escape(*at);
        if (escape)
            mm_buffer_append(out, escape, 2);
        else if ((unsigned char)*at < 0x20 || strchr("<>&", *at))
            mm_buffer_printf(out, "\\u%04x", (unsigned)*at);
        else if (strncmp(at, "\u2028", 3) == 0 || strncmp(at, "\u2029", 3) == 0) {
            mm_buffer_printf(out, "\\u202%x", (unsigned char)at[2] & 0xf);
            at += 2;
        } else
            mm_buffer_append(out, at, 1);
    }
    mm_buffer_append(out, "\"", 1);
    return true;
}

static void put_number(mm_buffer *out, const char *key, int64_t value)
{
    if (value != 0)
        mm_buffer_printf(out, ",\"%s\":%" PRId64, key, value);
}

/* --- the file --------------------------------------------------------------------------------------------------- */

static mm_status count_rows(const mm_milvus1x_meta *meta, const mm_milvus1x_partition *partition, int64_t *rows,
                            mm_error *err)
{
    *rows = 0;
    for (size_t i = 0; i < partition->segment_count; i++)
        if (__builtin_add_overflow(*rows, partition->segments[i].row_count, rows))
            return mm_error_set(err, MM_DATA, "%s: the row counts of `%.80s` add up to more than 64 bits", meta->name,
                                partition->table_id);
    return MM_OK;
}

static bool put_segment(mm_buffer *out, const mm_milvus1x_collection *c, const mm_milvus1x_partition *partition,
                        const mm_milvus1x_segment *segment)
{
    mm_buffer_printf(out, "{\"collection\":");
    bool text = put_text(out, partition->table_id);
    mm_buffer_printf(out, ",\"segment\":");
    text = put_text(out, segment->segment_id) && text;
    mm_buffer_printf(out, ",\"dim\":%" PRIu32 ",\"rows\":%" PRId64 ",\"fileSize\":%" PRId64, c->dimension,
                     segment->row_count, segment->file_size);
    put_number(out, "created", segment->created);
    put_number(out, "updated", segment->updated);
    put_number(out, "fileType", segment->file_type == MM_MILVUS1X_RAW ? 0 : segment->file_type);
    mm_buffer_printf(out, "}");
    return text;
}

/* What only this program reads: of a partition where it belongs, of a collection what it was. */
static bool put_more(mm_buffer *out, const mm_milvus1x_collection *c, const mm_milvus1x_partition *partition)
{
    bool text = true;
    if (partition != c->partitions) {
        mm_buffer_printf(out, ",\"owner\":");
        text = put_text(out, c->name);
        mm_buffer_printf(out, ",\"partition\":");
        return put_text(out, partition->tag) && text;
    }
    put_number(out, "created", c->created);
    put_number(out, "flag", c->flag);
    put_number(out, "indexFileSize", c->index_file_size);
    put_number(out, "engine", c->engine_type);
    if (c->index_params[0]) {
        mm_buffer_printf(out, ",\"indexParams\":");
        text = put_text(out, c->index_params);
    }
    return text;
}

/* One collection in the sense of milvus-migration: a partition, the default one with the collection's name. */
static mm_status put_partition(mm_buffer *out, const mm_milvus1x_meta *meta, const mm_milvus1x_collection *c,
                               const mm_milvus1x_partition *partition, mm_error *err)
{
    int64_t rows;
    mm_status status = count_rows(meta, partition, &rows, err);
    if (status != MM_OK)
        return status;
    mm_buffer_printf(out, "{\"collection\":");
    bool text = put_text(out, partition->table_id);
    mm_buffer_printf(out, ",\"metric\":%" PRId64 ",\"rows\":%" PRId64 ",\"dim\":%" PRIu32 ",\"segments\":[",
                     c->metric_type, rows, c->dimension);
    for (size_t i = 0; i < partition->segment_count; i++) {
        mm_buffer_append(out, ",", i > 0);
        text = put_segment(out, c, partition, &partition->segments[i]) && text;
    }
    mm_buffer_printf(out, "]");
    text = put_more(out, c, partition) && text;
    mm_buffer_printf(out, "}");
    return text ? MM_OK : mm_error_set(err, MM_DATA, "%s: a name or tag of collection `%.80s` is not UTF-8", meta->name,
                                       c->name);
}

/* Those with segments, or those without. */
static mm_status put_list(mm_buffer *out, const mm_milvus1x_meta *meta, bool with_segments, mm_error *err)
{
    mm_status status = MM_OK;
    bool first = true;
    for (size_t i = 0; status == MM_OK && i < meta->collection_count; i++) {
        const mm_milvus1x_collection *c = &meta->collections[i];
        for (size_t j = 0; status == MM_OK && j < c->partition_count; j++) {
            if ((c->partitions[j].segment_count > 0) != with_segments)
                continue;
            mm_buffer_append(out, ",", !first);
            first = false;
            status = put_partition(out, meta, c, &c->partitions[j], err);
        }
    }
    return status;
}

static mm_status count_all(const mm_milvus1x_meta *meta, int64_t *rows, mm_error *err)
{
    *rows = 0;
    for (size_t i = 0; i < meta->collection_count; i++) {
        const mm_milvus1x_collection *c = &meta->collections[i];
        for (size_t j = 0; j < c->partition_count; j++) {
            int64_t some;
            mm_status status = count_rows(meta, &c->partitions[j], &some, err);
            if (status != MM_OK)
                return status;
            if (__builtin_add_overflow(*rows, some, rows))
                return mm_error_set(err, MM_DATA, "%s: the row counts add up to more than 64 bits", meta->name);
        }
    }
    return MM_OK;
}

static bool any_empty(const mm_milvus1x_meta *meta)
{
    for (size_t i = 0; i < meta->collection_count; i++)
        for (size_t j = 0; j < meta->collections[i].partition_count; j++)
            if (meta->collections[i].partitions[j].segment_count == 0)
                return true;
    return false;
}

mm_status mm_milvus1x_meta_json_print(const mm_milvus1x_meta *meta, mm_buffer *out, mm_error *err)
{
    int64_t rows;
    mm_status status = count_all(meta, &rows, err);
    if (status != MM_OK)
        return status;
    mm_buffer_printf(out, "{\"collections\":[");
    status = put_list(out, meta, true, err);
    mm_buffer_printf(out, "],\"rows\":%" PRId64, rows);
    if (status == MM_OK && any_empty(meta)) {
        mm_buffer_printf(out, ",\"empty\":[");
        status = put_list(out, meta, false, err);
        mm_buffer_printf(out, "]");
    }
    mm_buffer_printf(out, "}");
    return status == MM_OK && out->failed ? mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", meta->name) : status;
}
