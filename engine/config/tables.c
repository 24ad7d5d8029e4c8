/* The job file's own option tables. Plain data. */
#include "config/tables.h"

#include "base/util.h"

static const mm_option job_table[] = {
    {.name = "version", .type = MM_OPT_INT, .default_value = "1", .choices = "1..1",
     .help = "version of the job file's form"},
    {.name = "job", .type = MM_OPT_STRING,
     .help = "name of the job: 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot; default: the file's name without its extension"},
    {.name = "source", .type = MM_OPT_SECTION, .required = true, .help = "where rows come from"},
    {.name = "target", .type = MM_OPT_SECTION, .required = true, .help = "where rows go"},
    {.name = "half", .type = MM_OPT_ENUM, .choices = "both|dump|load", .default_value = "both", .decides = true,
     .help = "with target.staging: only write the staged files (mmresume dump), or only load them (mmresume load)"},
    {.name = "collections", .type = MM_OPT_SECTION,
     .help = "what to move; default: all that the source has, under the same names"},
    {.name = "only", .type = MM_OPT_LIST,
     .help = "some of the collections, by their name in the source or target (mmresume run --col a,b); default: all"},
    {.name = "limits", .type = MM_OPT_SECTION, .help = "bounds of a run"},
    {.name = "verify", .type = MM_OPT_ENUM, .choices = "none|count|sample|full",
     .default_value = "count",
     .help = "how the end of a run proves that the target equals the source; {sample: 1000} samples that many rows per task"},
    {.name = "duplicates", .type = MM_OPT_ENUM, .choices = "refuse|first|last|keep", .decides = true,
     .help = "what happens to a primary key that stands on several rows; default: refuse for Milvus, keep for files, last where the source is milvus1x"},
};

static const mm_option source_table[] = {
    {.name = "driver", .type = MM_OPT_STRING, .required = true, .decides = true,
     .help = "kind of source"},
};

static const mm_option target_table[] = {
    {.name = "driver", .type = MM_OPT_STRING, .required = true, .decides = true,
     .help = "kind of target"},
    {.name = "transfer", .type = MM_OPT_ENUM, .choices = "insert|import", .default_value = "insert",
     .decides = true, .help = "send rows, or stage files and have the target import them"},
    {.name = "on_conflict", .type = MM_OPT_ENUM, .choices = "insert|upsert", .decides = true,
     .help = "how new rows are written; default: insert into a collection that this job created, upsert when appending"},
    {.name = "at_least_once", .type = MM_OPT_BOOL, .default_value = "false", .decides = true,
     .help = "accept that a crash may leave rows doubled, where the target cannot replay safely"},
    {.name = "elsewhere", .type = MM_OPT_ENUM, .choices = "refuse|delete", .default_value = "refuse",
     .help = "what the verification does with an older row of the same key in another partition, when appending: "
             "call it a difference, or delete it"},
};

static const mm_option collection_table[] = {
    {.name = "from", .type = MM_OPT_STRING,
     .help = "collection of the source; may be left out where the source has one"},
    {.name = "to", .type = MM_OPT_STRING, .help = "collection of the target; default: the same name"},
    {.name = "if_exists", .type = MM_OPT_ENUM, .choices = "fail|append|skip|overwrite",
     .default_value = "fail",
     .help = "what happens when the target has this collection already; overwrite replaces it once the new one is proven"},
    {.name = "fields", .type = MM_OPT_SECTION,
     .help = "exactly these fields, in this order; default: every field under its own name"},
    {.name = "index", .type = MM_OPT_SECTION, .default_value = "auto",
     .help = "auto (AUTOINDEX with the source's metric), source (as the source has it), none, or per target field {index_type, metric_type, params}"},
    {.name = "load", .type = MM_OPT_BOOL, .default_value = "true",
     .help = "load the collection at the end"},
    {.name = "partitions", .type = MM_OPT_SECTION,
     .help = "mapping from partition to partition; others keep their names"},
    {.name = "partition", .type = MM_OPT_STRING,
     .help = "one partition of the target that takes everything"},
};

static const mm_option field_table[] = {
    {.name = "from", .type = MM_OPT_STRING, .required = true, .help = "field of the source"},
    {.name = "to", .type = MM_OPT_STRING, .help = "field of the target; default: the same name"},
    {.name = "type", .type = MM_OPT_ENUM,
     .choices = "Bool|Int8|Int16|Int32|Int64|Float|Double|VarChar|Array|JSON|Geometry|Text|"
                "Timestamptz|BinaryVector|FloatVector|Float16Vector|BFloat16Vector|"
                "SparseFloatVector|Int8Vector",
     .help = "type in the target; default: as in the source"},
    {.name = "primary", .type = MM_OPT_BOOL, .default_value = "false",
     .help = "this field is the primary key"},
    {.name = "max_length", .type = MM_OPT_INT, .choices = "1..65535",
     .help = "bytes that a VarChar may take"},
};

static const mm_option index_table[] = {
    {.name = "index_type", .type = MM_OPT_STRING, .default_value = "AUTOINDEX",
     .help = "AUTOINDEX, HNSW, IVF_FLAT, … as the target names them"},
    {.name = "metric_type", .type = MM_OPT_STRING,
     .help = "L2, IP, COSINE, HAMMING, …; default: the source's"},
    {.name = "params", .type = MM_OPT_SECTION, .help = "parameters of the index, passed on as they are"},
};

static const mm_option limits_table[] = {
    {.name = "dumpers", .type = MM_OPT_INT, .default_value = "2", .choices = "1..256",
     .help = "threads that read the source"},
    {.name = "loaders", .type = MM_OPT_INT, .default_value = "4", .choices = "1..256",
     .help = "threads that write to the target"},
    {.name = "memory", .type = MM_OPT_SIZE, .default_value = "256MiB", .choices = "16MiB..",
     .help = "budget for rows on their way"},
    {.name = "rejects", .type = MM_OPT_COUNT, .default_value = "0",
     .help = "rows that the target's schema cannot hold, before the run fails; none: no limit"},
    {.name = "rate", .type = MM_OPT_RATE, .default_value = "none",
     .help = "the most that is sent: none, \"20000 rows/s\" or \"50 MiB/s\""},
    {.name = "patience", .type = MM_OPT_DURATION, .default_value = "30m",
     .help = "how long a target may say \"not now\" (quota, restart) before the run stops with exit 5"},
};

static const mm_option verify_table[] = {
    {.name = "sample", .type = MM_OPT_INT, .default_value = "1000", .choices = "1..1000000000",
     .help = "rows per task that are compared field by field"},
};

#define SECTION(id, title, place, text, table_)                                                    \
    [id] = {title, place, text, table_, MM_COUNT(table_)}

const mm_job_section mm_job_sections[MM_SECTION_COUNT] = {
    SECTION(MM_SECTION_JOB, "the job file", "", "the whole file", job_table),
    SECTION(MM_SECTION_SOURCE, "source", "source", "where rows come from", source_table),
    SECTION(MM_SECTION_TARGET, "target", "target", "where rows go; every target has these keys",
            target_table),
    SECTION(MM_SECTION_COLLECTION, "a collection", "collections[]", "one collection to move",
            collection_table),
    SECTION(MM_SECTION_FIELD, "a field", "collections[].fields[]", "one field to move", field_table),
    SECTION(MM_SECTION_INDEX, "an index", "collections[].index.<field>",
            "an explicit index on one field of the target", index_table),
    SECTION(MM_SECTION_LIMITS, "limits", "limits", "bounds of a run; may change between run and resume",
            limits_table),
    SECTION(MM_SECTION_VERIFY, "verify", "verify", "verification by sample with a size of its own",
            verify_table),
};
