/* What Parquet's writer and reader share: the numbers of parquet.thrift (apache/parquet-format 2.10) and of
 * Thrift's compact protocol, and the functions of the table mm_format_parquet (parquet.c). */
#ifndef MM_FORMATS_PARQUET_INTERNAL_H
#define MM_FORMATS_PARQUET_INTERNAL_H

#include "formats/format.h"

#define MM_PARQUET_MAGIC "PAR1"
enum { MM_PARQUET_MAGIC_SIZE = 4, MM_PARQUET_TAIL = 8 /* length of the footer (u32), magic */ };

/* Types of struct fields and list elements in Thrift's compact protocol. A bool field's value is its type; as a
 * list element a bool is a byte of its own (1: true, 0 or 2: false). */
typedef enum mm_thrift_type {
    MM_THRIFT_STOP = 0,
    MM_THRIFT_TRUE = 1,
    MM_THRIFT_FALSE = 2,
    MM_THRIFT_I8 = 3,
    MM_THRIFT_I16 = 4,
    MM_THRIFT_I32 = 5,
    MM_THRIFT_I64 = 6,
    MM_THRIFT_DOUBLE = 7,
    MM_THRIFT_BINARY = 8,
    MM_THRIFT_LIST = 9,
    MM_THRIFT_SET = 10,
    MM_THRIFT_MAP = 11,
    MM_THRIFT_STRUCT = 12
} mm_thrift_type;

/* enum Type */
typedef enum mm_parquet_type {
    MM_PARQUET_BOOLEAN = 0,
    MM_PARQUET_INT32 = 1,
    MM_PARQUET_INT64 = 2,
    MM_PARQUET_INT96 = 3,
    MM_PARQUET_FLOAT = 4,
    MM_PARQUET_DOUBLE = 5,
    MM_PARQUET_BYTE_ARRAY = 6,
    MM_PARQUET_FIXED_LEN_BYTE_ARRAY = 7
} mm_parquet_type;

/* enum FieldRepetitionType */
typedef enum mm_parquet_repetition {
    MM_PARQUET_REQUIRED = 0,
    MM_PARQUET_OPTIONAL = 1,
    MM_PARQUET_REPEATED = 2
} mm_parquet_repetition;

/* enum ConvertedType, those that the logical types below have; NONE is ours for "not set". */
typedef enum mm_parquet_converted {
    MM_PARQUET_CONVERTED_NONE = -1,
    MM_PARQUET_UTF8 = 0,
    MM_PARQUET_MAP = 1,
    MM_PARQUET_MAP_KEY_VALUE = 2,
    MM_PARQUET_LIST = 3,
    MM_PARQUET_ENUM = 4,
    MM_PARQUET_DECIMAL = 5,
    MM_PARQUET_DATE = 6,
    MM_PARQUET_TIME_MILLIS = 7,
    MM_PARQUET_TIME_MICROS = 8,
    MM_PARQUET_TIMESTAMP_MILLIS = 9,
    MM_PARQUET_TIMESTAMP_MICROS = 10,
    MM_PARQUET_UINT_8 = 11,
    MM_PARQUET_UINT_16 = 12,
    MM_PARQUET_UINT_32 = 13,
    MM_PARQUET_UINT_64 = 14,
    MM_PARQUET_INT_8 = 15,
    MM_PARQUET_INT_16 = 16,
    MM_PARQUET_INT_32 = 17,
    MM_PARQUET_INT_64 = 18,
    MM_PARQUET_JSON = 19,
    MM_PARQUET_BSON = 20,
    MM_PARQUET_INTERVAL = 21
} mm_parquet_converted;

/* union LogicalType: the number of the member that is set; NONE is ours. */
typedef enum mm_parquet_logical {
    MM_PARQUET_LOGICAL_NONE = 0,
    MM_PARQUET_LOGICAL_STRING = 1,
    MM_PARQUET_LOGICAL_MAP = 2,
    MM_PARQUET_LOGICAL_LIST = 3,
    MM_PARQUET_LOGICAL_ENUM = 4,
    MM_PARQUET_LOGICAL_DECIMAL = 5,
    MM_PARQUET_LOGICAL_DATE = 6,
    MM_PARQUET_LOGICAL_TIME = 7,
    MM_PARQUET_LOGICAL_TIMESTAMP = 8,
    MM_PARQUET_LOGICAL_INTEGER = 10, /* IntType: 1 bitWidth (i8), 2 isSigned (bool) */
    MM_PARQUET_LOGICAL_UNKNOWN = 11,
    MM_PARQUET_LOGICAL_JSON = 12,
    MM_PARQUET_LOGICAL_BSON = 13,
    MM_PARQUET_LOGICAL_UUID = 14,
    MM_PARQUET_LOGICAL_FLOAT16 = 15
} mm_parquet_logical;

/* enum Encoding */
typedef enum mm_parquet_encoding {
    MM_PARQUET_PLAIN = 0,
    MM_PARQUET_PLAIN_DICTIONARY = 2,
    MM_PARQUET_RLE = 3,
    MM_PARQUET_BIT_PACKED = 4,
    MM_PARQUET_DELTA_BINARY_PACKED = 5,
    MM_PARQUET_DELTA_LENGTH_BYTE_ARRAY = 6,
    MM_PARQUET_DELTA_BYTE_ARRAY = 7,
    MM_PARQUET_RLE_DICTIONARY = 8,
    MM_PARQUET_BYTE_STREAM_SPLIT = 9
} mm_parquet_encoding;

/* enum CompressionCodec */
typedef enum mm_parquet_codec {
    MM_PARQUET_UNCOMPRESSED = 0,
    MM_PARQUET_SNAPPY = 1,
    MM_PARQUET_GZIP = 2,
    MM_PARQUET_LZO = 3,
    MM_PARQUET_BROTLI = 4,
    MM_PARQUET_LZ4 = 5,
    MM_PARQUET_ZSTD = 6,
    MM_PARQUET_LZ4_RAW = 7
} mm_parquet_codec;

/* enum PageType */
typedef enum mm_parquet_page {
    MM_PARQUET_DATA_PAGE = 0,
    MM_PARQUET_INDEX_PAGE = 1,
    MM_PARQUET_DICTIONARY_PAGE = 2,
    MM_PARQUET_DATA_PAGE_V2 = 3
} mm_parquet_page;

/* Numbers of struct fields in parquet.thrift. */
enum {
    /* FileMetaData */
    MM_PARQUET_FILE_VERSION = 1,
    MM_PARQUET_FILE_SCHEMA = 2,
    MM_PARQUET_FILE_NUM_ROWS = 3,
    MM_PARQUET_FILE_ROW_GROUPS = 4,
    MM_PARQUET_FILE_KEY_VALUES = 5,
    MM_PARQUET_FILE_CREATED_BY = 6,
    MM_PARQUET_FILE_COLUMN_ORDERS = 7,
    /* SchemaElement */
    MM_PARQUET_ELEMENT_TYPE = 1,
    MM_PARQUET_ELEMENT_TYPE_LENGTH = 2,
    MM_PARQUET_ELEMENT_REPETITION = 3,
    MM_PARQUET_ELEMENT_NAME = 4,
    MM_PARQUET_ELEMENT_CHILDREN = 5,
    MM_PARQUET_ELEMENT_CONVERTED = 6,
    MM_PARQUET_ELEMENT_LOGICAL = 10,
    /* RowGroup */
    MM_PARQUET_GROUP_COLUMNS = 1,
    MM_PARQUET_GROUP_BYTES = 2,
    MM_PARQUET_GROUP_ROWS = 3,
    MM_PARQUET_GROUP_OFFSET = 5,
    MM_PARQUET_GROUP_COMPRESSED = 6,
    MM_PARQUET_GROUP_ORDINAL = 7,
    /* ColumnChunk */
    MM_PARQUET_CHUNK_FILE_OFFSET = 2,
    MM_PARQUET_CHUNK_META = 3,
    /* ColumnMetaData */
    MM_PARQUET_META_TYPE = 1,
    MM_PARQUET_META_ENCODINGS = 2,
    MM_PARQUET_META_PATH = 3,
    MM_PARQUET_META_CODEC = 4,
    MM_PARQUET_META_VALUES = 5,
    MM_PARQUET_META_UNCOMPRESSED = 6,
    MM_PARQUET_META_COMPRESSED = 7,
    MM_PARQUET_META_DATA_OFFSET = 9,
    MM_PARQUET_META_DICTIONARY_OFFSET = 11,
    MM_PARQUET_META_STATISTICS = 12,
    /* Statistics */
    MM_PARQUET_STATS_NULLS = 3,
    MM_PARQUET_STATS_MAX = 5,
    MM_PARQUET_STATS_MIN = 6,
    MM_PARQUET_STATS_MAX_EXACT = 7,
    MM_PARQUET_STATS_MIN_EXACT = 8,
    /* PageHeader */
    MM_PARQUET_PAGE_TYPE = 1,
    MM_PARQUET_PAGE_UNCOMPRESSED = 2,
    MM_PARQUET_PAGE_COMPRESSED = 3,
    MM_PARQUET_PAGE_CRC = 4,
    MM_PARQUET_PAGE_DATA = 5,
    MM_PARQUET_PAGE_DICTIONARY = 7,
    MM_PARQUET_PAGE_DATA_V2 = 8,
    /* DataPageHeader */
    MM_PARQUET_DATA_VALUES = 1,
    MM_PARQUET_DATA_ENCODING = 2,
    MM_PARQUET_DATA_DEFINITION = 3,
    MM_PARQUET_DATA_REPETITION = 4
};

/* --- the table's functions: see format.h ------------------------------------------------------------------------ */

mm_status mm_parquet_check(const mm_schema *schema, bool for_import, mm_error *err);
uint64_t mm_parquet_rows_max(const mm_schema *schema, uint64_t file_size);
mm_status mm_parquet_write_open(const mm_format_write_args *args, mm_format_writer **out, mm_error *err);
mm_status mm_parquet_write_begin(mm_format_writer *writer, const mm_format_out *out, mm_error *err);
mm_status mm_parquet_write_rows(mm_format_writer *writer, const mm_batch *batch, size_t from, size_t count,
                                const mm_format_out *out, mm_error *err);
mm_status mm_parquet_write_state(const mm_format_writer *writer, mm_buffer *text, mm_error *err);
mm_status mm_parquet_write_end(mm_format_writer *writer, const mm_format_out *out, mm_error *err);
void mm_parquet_write_close(mm_format_writer *writer);

mm_status mm_parquet_read_open(const mm_format_read_args *args, mm_format_reader **out, mm_error *err);
const mm_schema *mm_parquet_read_schema(const mm_format_reader *reader);
mm_status mm_parquet_read_count(mm_format_reader *reader, uint64_t *rows, mm_error *err);
mm_status mm_parquet_read_parts(mm_format_reader *reader, uint64_t bytes, mm_format_part_fn emit, void *context,
                                mm_error *err);
mm_status mm_parquet_read_seek(mm_format_reader *reader, const mm_format_part *part, uint64_t row, mm_error *err);
mm_status mm_parquet_read_next(mm_format_reader *reader, size_t max_rows, size_t max_bytes, mm_batch *batch,
                               mm_error *err);
void mm_parquet_read_close(mm_format_reader *reader);

#endif
