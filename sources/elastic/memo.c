/* What a sample decided (arrays, missing values, dims), kept for the processes that go on with the same plan: by then the
 * sample may be another one, and the mapping may have more fields. Also whether documents are asked for whole: a server
 * that picks parts of them writes them anew, and then an object's text is another one. */
#include <string.h>

#include "sources/elastic/fields.h"
#include "sources/elastic/internal.h"

enum { WHOLE = '*', PARTS = '-' };

static void put_type(const mm_field *field, mm_buffer *out)
{
    mm_buffer_printf(out, "%s", mm_type_name(field->type));
    if (field->type == MM_TYPE_ARRAY)
        mm_buffer_printf(out, "(%s, %u)", mm_type_name(field->element_type), field->max_capacity);
    else if (field->type == MM_TYPE_VARCHAR)
        mm_buffer_printf(out, "(%u)", field->max_length);
    else if (field->dim > 0)
        mm_buffer_printf(out, "(%u)", field->dim);
    mm_buffer_printf(out, "%s\n", field->nullable ? " nullable" : "");
}

void mm_elastic_memo_write(const mm_elastic_collection *c, const mm_elastic_choice *choice, mm_buffer *out)
{
    const struct mm_elastic_tree *tree = c->fields->tree;
    const mm_schema *schema = c->fields->schema;
    for (size_t i = 0; i < schema->field_count; i++)
        if (strpbrk(tree->fields[i].path, " \t\n()*?") != NULL)
            return;
    if (choice->explode != NULL)
        return;
    mm_buffer_printf(out, "=%c%s\n", tree->include == NULL ? WHOLE : PARTS, c->name);
    for (size_t i = 0; i < schema->field_count; i++) {
        if (tree->fields[i].kind <= MM_ELASTIC_ROUTING) /* beside _source: as the job says */
            continue;
        mm_buffer_printf(out, "%s ", tree->fields[i].path);
        put_type(&schema->fields[i], out);
    }
}

/* The lines behind "=*collection", up to the next such; NULL: there is none. */
static const char *find_section(const char *memo, const char *collection)
{
    size_t size = strlen(collection);
    for (const char *at = memo; at && *at; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
        if (at[0] == '=' && at[1] != '\0' && strncmp(at + 2, collection, size) == 0 && at[2 + size] == '\n')
            return at + size + 3;
    return NULL;
}

mm_status mm_elastic_memo_choice(mm_arena *arena, const char *memo, const char *collection,
                                 const mm_elastic_choice *given, mm_elastic_choice *out, mm_error *err)
{
    const char *section = find_section(memo, collection);
    size_t count = 0;
    *out = *given;
    if (section == NULL)
        return MM_OK;
    for (const char *at = section; *at && *at != '='; at += strcspn(at, "\n"), at += *at == '\n')
        count++;
    const char **types = mm_arena_array(arena, count + 1, sizeof(*types));
    const char **paths = mm_arena_array(arena, count + 1, sizeof(*paths));
    char *lines = mm_arena_strdup(arena, section), *copy = mm_arena_strdup(arena, section);
    if (types == NULL || paths == NULL || lines == NULL || copy == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a memo");
    for (size_t i = 0; i < count; i++) {
        types[i] = strsep(&lines, "\n");
        char *path = strsep(&copy, "\n");
        paths[i] = strsep(&path, " ");
    }
    out->types = types;
    out->type_count = count;
    out->include = paths;
    out->include_count = count;
    return MM_OK;
}

void mm_elastic_memo_follow(const char *memo, const char *collection, mm_elastic_fields *fields)
{
    const char *section = find_section(memo, collection);
    if (section != NULL && section[-(ptrdiff_t)strlen(collection) - 2] == WHOLE)
        fields->tree->include = NULL;
}
