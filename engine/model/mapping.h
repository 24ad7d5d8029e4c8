/* Field mapping: from a source's schema to a target's, decided once in the plan and frozen there;
 * applied to every batch. Renaming costs nothing; retyping rewrites a column. */
#ifndef MM_MODEL_MAPPING_H
#define MM_MODEL_MAPPING_H

#include "model/batch.h"

/* One line of `fields:` in a job file. type MM_TYPE_NONE: as in the source. */
typedef struct mm_field_rule {
    const char *from, *to;
    mm_type type;
    bool primary;
    uint32_t max_length;
} mm_field_rule;

typedef struct mm_mapping {
    mm_schema *target; /* what arrives */
    int *source_index; /* per target field: its column in the source's schema */
} mm_mapping;

/* Builds the mapping. No rules: every field under its own name. Rules: exactly the named fields, in
 * that order. Refuses (MM_CONFIG) an unknown field with the nearest name, a retyping that is not
 * supported, no primary key or two. The result lives in the arena. */
mm_status mm_mapping_build(mm_arena *arena, const mm_schema *source, const mm_field_rule *rules,
                           size_t rule_count, const char *target_name, mm_mapping **out,
                           mm_error *err);

/* Turns a source batch into a target batch in place. keep_nonfinite: NaN and infinity are kept
 * (files), else the row is a reject. Rejected rows leave the columns; they are described in
 * *rejects (in the batch's arena). Those that the source rejected stay where they are. */
mm_status mm_mapping_apply(const mm_mapping *mapping, mm_batch *batch, bool keep_nonfinite,
                           mm_reject **rejects, size_t *reject_count, mm_error *err);

#endif
