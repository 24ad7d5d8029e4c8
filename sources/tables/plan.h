/* Extents of a collection that is found and described. */
#ifndef MM_SOURCES_TABLES_PLAN_H
#define MM_SOURCES_TABLES_PLAN_H

#include "sources/tables/internal.h"

/* As mm_source_driver.plan and .staged. */
mm_status mm_tables_plan(mm_source *source, uint32_t number, mm_extent_fn emit, void *context, mm_error *err);
mm_status mm_tables_staged(mm_source *source, const mm_extent *extent, mm_arena *arena, mm_staged *out, mm_error *err);

#endif
