/* A schema from the first objects of a file: truth values are Bool, integers Int64, other numbers Double, strings
 * VarChar, arrays of numbers of one length FloatVector, other arrays Array, objects JSON; what is null or missing
 * now and then is nullable. */
#include <stdlib.h>
#include <string.h>

#include "formats/json_internal.h"

#define FIELDS_MAX 1024
#define TEXT_LENGTH 65535
#define CAPACITY 4096
#define DIM_MAX 32768

/* Kinds of values seen, as bits. */
enum { SEEN_BOOL = 1, SEEN_INTEGER = 2, SEEN_REAL = 4, SEEN_STRING = 8, SEEN_ARRAY = 16, SEEN_OBJECT = 32 };

typedef struct guess {
    char *name;
    unsigned seen, items; /* of values; of the items of arrays */
    uint64_t objects;     /* that have the key with a value */
    size_t least, most;   /* items of an array */
} guess;

struct mm_json_guess {
    guess *fields;
    size_t count;
    uint64_t objects;
};

mm_json_guess *mm_json_guess_open(void)
{
    return calloc(1, sizeof(mm_json_guess));
}

void mm_json_guess_close(mm_json_guess *all)
{
    if (all == NULL)
        return;
    for (size_t i = 0; i < all->count; i++)
        free(all->fields[i].name);
    free(all->fields);
    free(all);
}

static guess *field_of(mm_json_guess *all, const char *key, size_t size)
{
    for (size_t i = 0; i < all->count; i++)
        if (strlen(all->fields[i].name) == size && memcmp(all->fields[i].name, key, size) == 0)
            return &all->fields[i];
    guess *grown = realloc(all->fields, (all->count + 1) * sizeof(*grown));
    if (grown == NULL)
        return NULL;
    all->fields = grown;
    char *name = strndup(key, size);
    if (name == NULL)
        return NULL;
    grown[all->count] = (guess){.name = name, .least = SIZE_MAX};
    return &grown[all->count++];
}

/* Reads a value and says what it is: a bit, 0 for null. */
static mm_status look(mm_json *json, unsigned *seen, mm_error *err)
{
    mm_json_kind kind;
    mm_number number;
    const char *text;
    size_t size;
    static const unsigned bits[] = {0, SEEN_BOOL, 0, SEEN_STRING, SEEN_ARRAY, SEEN_OBJECT};
    mm_status status = mm_json_peek(json, &kind, err);
    if (status != MM_OK)
        return status;
    if (kind == MM_JSON_NUMBER) {
        status = mm_json_number(json, &number, err);
        if (status == MM_OK)
            *seen = number.integer ? SEEN_INTEGER : SEEN_REAL;
        return status;
    }
    *seen = bits[kind];
    return mm_json_skip(json, &text, &size, err);
}

static mm_status look_at_items(mm_json *json, guess *field, mm_error *err)
{
    size_t count = 0;
    bool more;
    mm_status status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more) {
        unsigned seen = 0;
        status = look(json, &seen, err);
        field->items |= seen != 0 ? seen : SEEN_OBJECT; /* a null is no item of an Array */
        count++;
    }
    field->least = count < field->least ? count : field->least;
    field->most = count > field->most ? count : field->most;
    return status;
}

mm_status mm_json_guess_add(mm_json_guess *all, mm_json *json, mm_error *err)
{
    const char *key;
    size_t size;
    bool more;
    mm_json_kind kind;
    mm_status status = mm_json_enter(json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(json, &key, &size, &more, err)) == MM_OK && more) {
        if (all->count == FIELDS_MAX || memchr(key, '\0', size) != NULL)
            return mm_json_bad(json, json->at, err, "no name of a field, or more than %d fields", FIELDS_MAX);
        guess *field = field_of(all, key, size);
        if (field == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory for a schema");
        status = mm_json_peek(json, &kind, err);
        unsigned seen = SEEN_ARRAY;
        if (status == MM_OK)
            status = kind == MM_JSON_ARRAY ? look_at_items(json, field, err) : look(json, &seen, err);
        field->seen |= seen;
        field->objects += seen != 0;
    }
    all->objects += status == MM_OK;
    return status;
}

/* The type of one kind of scalars; NONE: several kinds, or none. */
static mm_type scalar_of(unsigned seen)
{
    switch (seen) {
    case SEEN_BOOL:
        return MM_TYPE_BOOL;
    case SEEN_INTEGER:
        return MM_TYPE_INT64;
    case SEEN_REAL:
    case SEEN_REAL | SEEN_INTEGER:
        return MM_TYPE_DOUBLE;
    case SEEN_STRING:
        return MM_TYPE_VARCHAR;
    case SEEN_OBJECT:
        return MM_TYPE_JSON;
    default:
        return MM_TYPE_NONE;
    }
}

static mm_status type_of(const guess *from, mm_field *field, const char *name, mm_error *err)
{
    field->type = scalar_of(from->seen);
    field->max_length = field->type == MM_TYPE_VARCHAR ? TEXT_LENGTH : 0;
    if (strcmp(from->name, "$meta") == 0 && field->type == MM_TYPE_JSON)
        field->dynamic = true;
    if (from->seen == SEEN_ARRAY) {
        mm_type item = scalar_of(from->items);
        bool numbers = item == MM_TYPE_INT64 || item == MM_TYPE_DOUBLE;
        if (numbers && from->least == from->most && from->most > 0 && from->most <= DIM_MAX) {
            field->type = MM_TYPE_FLOAT_VECTOR;
            field->dim = (uint32_t)from->most;
        } else if (item != MM_TYPE_NONE && item != MM_TYPE_JSON) {
            field->type = MM_TYPE_ARRAY;
            field->element_type = item;
            field->max_capacity = CAPACITY;
            field->max_length = item == MM_TYPE_VARCHAR ? TEXT_LENGTH : 0;
        }
    }
    if (field->type == MM_TYPE_NONE) {
        char shown[MM_JSON_SHOWN];
        mm_json_show(from->name, strlen(from->name), shown);
        return mm_error_set(err, MM_DATA,
                            "%s: the type of field %s cannot be told from the first rows; say it in source.schema",
                            name, shown);
    }
    return MM_OK;
}

mm_status mm_json_guess_schema(const mm_json_guess *all, const char *name, mm_arena *arena, mm_schema **out,
                               mm_error *err)
{
    mm_schema draft = {.name = "", .field_count = all->count};
    draft.fields = calloc(all->count > 0 ? all->count : 1, sizeof(*draft.fields));
    if (draft.fields == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory for a schema", name);
    mm_status status = MM_OK;
    if (all->count == 0)
        status = mm_error_set(err, MM_DATA, "%s: there is no row to tell the fields from; say them in source.schema",
                              name);
    for (size_t i = 0; status == MM_OK && i < all->count; i++) {
        draft.fields[i] = (mm_field){.name = all->fields[i].name, .nullable = all->fields[i].objects < all->objects};
        status = type_of(&all->fields[i], &draft.fields[i], name, err);
        draft.enable_dynamic_field = draft.enable_dynamic_field || draft.fields[i].dynamic;
    }
    mm_schema *schema = status == MM_OK ? mm_schema_copy(arena, &draft) : NULL;
    free(draft.fields);
    if (status != MM_OK)
        return status;
    if (schema == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory for a schema", name);
    *out = schema;
    return MM_OK;
}
