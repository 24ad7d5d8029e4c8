/* Units into extents. What a manifest says of a unit is proven here, before its rows are planned: size, rows, and the
 * checksum of all bytes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sources/tables/plan.h"

#define READ_BYTES ((size_t)4 << 20)

static mm_status check_sum(const mm_table_file *file, const mm_input *input, mm_error *err)
{
    mm_status status = MM_OK;
    XXH3_state_t *state = XXH3_createState();
    uint8_t *bytes = malloc(READ_BYTES);
    if (state == NULL || bytes == NULL || XXH3_64bits_reset(state) == XXH_ERROR)
        status = mm_error_set(err, MM_NO_MEMORY, "%s: out of memory for a checksum", file->location);
    for (uint64_t at = 0; status == MM_OK && at < input->size;) {
        size_t size = input->size - at < READ_BYTES ? (size_t)(input->size - at) : READ_BYTES;
        status = mm_input_read(input, at, bytes, size, err);
        if (status == MM_OK)
            XXH3_64bits_update(state, bytes, size);
        at += size;
    }
    if (status == MM_OK && XXH3_64bits_digest(state) != file->checksum)
        status = mm_error_set(err, MM_DATA, "%s: its checksum is %016" PRIx64 "; the manifest says %016" PRIx64,
                              file->location, (uint64_t)XXH3_64bits_digest(state), file->checksum);
    free(bytes);
    XXH3_freeState(state);
    return status;
}

static mm_status check_unit(const mm_source *source, const mm_table_unit *unit, mm_table_open *open, mm_error *err)
{
    uint64_t rows = 0;
    mm_status status = MM_OK;
    /* files are opened in the manifest's order */
    for (size_t i = 0; status == MM_OK && source->checksums && i < open->count; i++)
        status = check_sum(&unit->files[i], open->inputs[i], err);
    if (status == MM_OK)
        status = unit->format->read_count(open->reader, &rows, err);
    if (status == MM_OK && rows != unit->rows)
        status = mm_error_set(err, MM_DATA, "%s: %" PRIu64 " rows; the manifest says %" PRIu64, unit->files[0].location,
                              rows, unit->rows);
    return status;
}

typedef struct emitter {
    mm_extent extent;
    mm_table_extent spec;
    mm_extent_fn emit;
    void *context;
} emitter;

static mm_status emit_part(void *context, const mm_format_part *part, mm_error *err)
{
    emitter *e = context;
    char spec[MM_TABLE_SPEC];
    e->spec.part = *part;
    e->extent.rows = part->rows;
    e->extent.bytes = part->bytes;
    e->extent.spec = spec;
    e->extent.spec_size = mm_tables_spec_print(&e->spec, spec);
    return e->emit(e->context, &e->extent, err);
}

mm_status mm_tables_plan(mm_source *source, uint32_t number, mm_extent_fn emit, void *context, mm_error *err)
{
    const mm_table_collection *c = &source->collections[number];
    mm_status status = MM_OK;
    for (size_t u = 0; status == MM_OK && u < c->unit_count; u++) {
        const mm_table_unit *unit = &c->units[u];
        mm_table_open open;
        emitter e = {{.collection = number, .partition = unit->partition}, {.unit = u}, emit, context};
        status = mm_tables_unit_open(source, unit, NULL, c->in_files, &open, err);
        if (status != MM_OK)
            break;
        if (c->manifest)
            status = check_unit(source, unit, &open, err);
        /* a dump's files are adopted whole */
        if (status == MM_OK)
            status = unit->format->read_parts(open.reader, source->format != NULL ? source->extent_bytes : UINT64_MAX,
                                              emit_part, &e, err);
        mm_tables_unit_close(unit, &open);
    }
    return status;
}

mm_status mm_tables_staged(mm_source *source, const mm_extent *extent, mm_arena *arena, mm_staged *out, mm_error *err)
{
    mm_table_extent spec;
    const mm_table_collection *c = &source->collections[extent->collection];
    mm_status status = mm_tables_spec_parse(c, extent, &spec, err);
    if (status != MM_OK)
        return status;
    const mm_table_unit *unit = &c->units[spec.unit];
    if (!c->manifest || spec.part.first != 0 || spec.part.rows != unit->rows)
        return MM_END;
    mm_staged_file *files = mm_arena_array(arena, unit->file_count, sizeof(*files));
    if (files == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a list of files");
    for (size_t i = 0; i < unit->file_count; i++) {
        const mm_table_file *file = &unit->files[i];
        files[i] = (mm_staged_file){.location = mm_arena_strdup(arena, file->location), .bytes = file->bytes,
                                    .checksum = file->checksum};
        files[i].field = file->field != NULL ? mm_arena_strdup(arena, file->field) : NULL;
        if (files[i].location == NULL || (file->field != NULL && files[i].field == NULL))
            return mm_error_set(err, MM_NO_MEMORY, "out of memory for a list of files");
    }
    *out = (mm_staged){unit->format, unit->rows, files, unit->file_count};
    return MM_OK;
}
