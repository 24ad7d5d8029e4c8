/* A file of rows in words. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "sources/tables/internal.h"

/* "FloatVector(768)", "Array(Int32)" */
static void print_type(mm_buffer *text, const mm_field *field)
{
    mm_buffer_printf(text, "%s", mm_type_name(field->type));
    if (field->type == MM_TYPE_ARRAY)
        mm_buffer_printf(text, "(%s)", mm_type_name(field->element_type));
    else if (field->dim > 0)
        mm_buffer_printf(text, "(%" PRIu32 ")", field->dim);
    else if (field->max_length > 0)
        mm_buffer_printf(text, "(%" PRIu32 ")", field->max_length);
    mm_buffer_printf(text, "%s\n", field->nullable ? " nullable" : "");
}

mm_status mm_tables_inspect(const mm_format_driver *format, const char *location, mm_buffer *text, mm_error *err)
{
    struct stat there;
    mm_input *input;
    mm_format_reader *reader = NULL;
    uint64_t rows = 0;
    const char *name = "vector";
    if (mm_format_of_file(location) != format || (stat(location, &there) == 0 && S_ISDIR(there.st_mode)))
        return mm_error_set(err, MM_NOT_FOUND, "%s: its name does not end in %s", location, format->extension);
    mm_status status = mm_input_open(location, NULL, &input, err);
    if (status != MM_OK)
        return status;
    const mm_input *inputs[] = {input};
    mm_format_read_args args = {.inputs = inputs, .names = &name, .count = 1};
    status = format->read_open(&args, &reader, err);
    if (status == MM_OK)
        status = format->read_count(reader, &rows, err);
    if (status == MM_OK) {
        const mm_schema *schema = format->read_schema(reader);
        mm_buffer_printf(text, "format: %s\nfile: %s\nsize: %" PRIu64 "\nrows: %" PRIu64 "\n", format->name, location,
                         input->size, rows);
        for (size_t i = 0; i < schema->field_count; i++) {
            mm_buffer_printf(text, "field: %s%s", format->file_per_field ? "" : schema->fields[i].name,
                             format->file_per_field ? "" : " ");
            print_type(text, &schema->fields[i]);
        }
        if (text->failed)
            status = mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", location);
    }
    if (reader != NULL)
        format->read_close(reader);
    mm_input_close(input);
    return status;
}
