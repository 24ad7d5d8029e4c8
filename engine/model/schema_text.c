/* Fields in words: schema_text.h. */
#include "model/schema_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/array.h"

#define CAPACITY 4096
#define TEXT_LENGTH 65535

static mm_status bad(const char *key, const char *entry, const char *what, mm_error *err)
{
    return mm_error_set(err, MM_CONFIG, "%s: `%.100s`: %s", key, entry, what);
}

/* The next word; brackets belong to it, with blanks in them. false: there is none. */
static bool next_word(const char **at, char *out, size_t size)
{
    const char *p = *at + strspn(*at, " \t");
    size_t length = 0;
    for (int open = 0; p[length] != '\0' && (open > 0 || (p[length] != ' ' && p[length] != '\t')); length++)
        open += p[length] == '(' ? 1 : p[length] == ')' ? -1 : 0;
    if (length == 0 || length >= size)
        return false;
    memcpy(out, p, length);
    out[length] = '\0';
    *at = p + length;
    return true;
}

/* A number from 1 on. */
static bool read_number(const char *text, uint32_t *out)
{
    char *end;
    text += strspn(text, " ");
    unsigned long value = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
    if (value == 0 || value > UINT32_MAX / 64)
        return false;
    end += strspn(end, " ");
    *out = (uint32_t)value;
    return *end == '\0';
}

/* Array(Int32), Array(VarChar, 100) */
static const char *read_element(mm_field *field, char *inner)
{
    char *comma = inner != NULL ? strchr(inner, ',') : NULL;
    if (inner == NULL)
        return "an Array needs the type of its elements: Array(Int32), or Array(Int32, 100) with the most of them";
    if (comma != NULL)
        *comma = '\0';
    for (char *end = inner + strlen(inner); end > inner && end[-1] == ' ';)
        *--end = '\0';
    field->element_type = mm_type_from_name(inner + strspn(inner, " "));
    field->max_capacity = CAPACITY;
    field->max_length = field->element_type == MM_TYPE_VARCHAR ? TEXT_LENGTH : 0;
    if (!mm_array_element_valid(field->element_type))
        return "an Array's elements are Bool, Int8 to Int64, Float, Double or VarChar";
    if (comma != NULL && !read_number(comma + 1, &field->max_capacity))
        return "the most elements of an Array are a number";
    return NULL;
}

static const char *read_type(mm_field *field, char *word)
{
    char *inner = strchr(word, '(');
    if (inner != NULL) {
        size_t length = strlen(inner);
        if (inner[length - 1] != ')')
            return "a bracket is not closed";
        inner[length - 1] = '\0';
        *inner++ = '\0';
    }
    field->type = mm_type_from_name(word);
    if (field->type == MM_TYPE_NONE)
        return "not a type of Milvus";
    if (field->type == MM_TYPE_ARRAY)
        return read_element(field, inner);
    if (field->type == MM_TYPE_VARCHAR) {
        field->max_length = TEXT_LENGTH;
        return inner == NULL || read_number(inner, &field->max_length) ? NULL : "VarChar(max_length) wants a number";
    }
    bool dense = mm_type_is_vector(field->type) && field->type != MM_TYPE_SPARSE_FLOAT_VECTOR;
    if (dense && (inner == NULL || !read_number(inner, &field->dim)))
        return "a vector needs its dimension, as in FloatVector(768)";
    if (field->type == MM_TYPE_BINARY_VECTOR && field->dim % 8 != 0)
        return "the dimension of a BinaryVector is a multiple of 8";
    return dense || inner == NULL ? NULL : "this type has nothing in brackets";
}

static const char *read_field(mm_arena *arena, const char *entry, mm_field *field)
{
    char word[256];
    *field = (mm_field){.name = NULL};
    if (!next_word(&entry, word, sizeof(word)))
        return "`name Type` is wanted";
    field->name = mm_arena_strdup(arena, word);
    if (!next_word(&entry, word, sizeof(word)))
        return "`name Type` is wanted";
    const char *wrong = read_type(field, word);
    while (wrong == NULL && next_word(&entry, word, sizeof(word))) {
        if (strcmp(word, "primary") == 0)
            field->primary = true;
        else if (strcmp(word, "nullable") == 0)
            field->nullable = true;
        else
            wrong = "behind the type there may be `primary` and `nullable`";
    }
    field->dynamic = strcmp(field->name != NULL ? field->name : "", "$meta") == 0;
    if (wrong == NULL && entry[strspn(entry, " \t")] != '\0')
        wrong = "a word is too long";
    if (wrong == NULL && field->dynamic && field->type != MM_TYPE_JSON)
        wrong = "$meta is JSON";
    return wrong;
}

mm_status mm_schema_parse(mm_arena *arena, const char *key, const char *const *entries, size_t count, mm_schema **out,
                          mm_error *err)
{
    mm_schema *schema = mm_arena_array(arena, 1, sizeof(*schema));
    mm_field *fields = mm_arena_array(arena, count, sizeof(*fields));
    if (schema == NULL || fields == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a schema");
    *schema = (mm_schema){.name = "", .fields = fields, .field_count = count};
    for (size_t i = 0; i < count; i++) {
        const char *wrong = read_field(arena, entries[i], &fields[i]);
        if (wrong != NULL)
            return bad(key, entries[i], wrong, err);
        if (fields[i].name == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory for a schema");
        schema->enable_dynamic_field = schema->enable_dynamic_field || fields[i].dynamic;
        for (size_t j = 0; j < i; j++)
            if (strcmp(fields[j].name, fields[i].name) == 0)
                return bad(key, entries[i], "the field stands there twice", err);
    }
    *out = schema;
    return MM_OK;
}
