/* From mapping, sample and choice to a schema: which names become fields, under which names, and which of them is the
 * primary key. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "model/schema_text.h"
#include "sources/elastic/fields.h"

#define FIELDS_MAX 1024
#define EXPLODED 11 /* "#" and the number of an object */
#define PATH_MAX_HERE 1024

typedef struct builder {
    mm_arena *arena;
    const mm_elastic_choice *choice;
    struct mm_elastic_tree *tree;
    const mm_schema *types; /* of the choice */
    bool *used;             /* entries of it that named something */
    mm_field fields[FIELDS_MAX];
    mm_elastic_field how[FIELDS_MAX];
    size_t count;
    uint64_t documents, objects;
    mm_buffer lost;
    bool left_out; /* something in the mapping is no field */
} builder;

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a schema");
}

/* --- names ------------------------------------------------------------------------------------------------------ */

/* Whether a path, or one that it lies below, is meant. */
static bool meant(const char *const *patterns, size_t count, const char *path)
{
    char part[PATH_MAX_HERE];
    size_t size = strlen(path);
    for (size_t i = 0; i < count; i++)
        for (size_t end = 1; end <= size; end++) {
            if ((end < size && path[end] != '.') || end >= sizeof(part))
                continue;
            memcpy(part, path, end);
            part[end] = '\0';
            if (fnmatch(patterns[i], part, 0) == 0)
                return true;
        }
    return false;
}

static bool wanted(const builder *b, const char *path)
{
    if (meant(b->choice->exclude, b->choice->exclude_count, path))
        return false;
    return b->choice->include_count == 0 || meant(b->choice->include, b->choice->include_count, path);
}

/* The line of `types` for a path; NULL: none. */
static const mm_field *given_for(const builder *b, const char *path)
{
    int at = mm_schema_find(b->types, path);
    if (at < 0)
        return NULL;
    b->used[at] = true;
    return &b->types->fields[at];
}

/* As Milvus wants names: letters, digits and underscores, no digit in front. */
static char *field_name(mm_arena *arena, const char *path)
{
    size_t size = strlen(path), digit = path[0] >= '0' && path[0] <= '9';
    char *name = mm_arena_alloc(arena, size + 2);
    if (name == NULL)
        return NULL;
    name[0] = '_';
    for (size_t i = 0; i < size; i++) {
        bool good = (path[i] >= 'a' && path[i] <= 'z') || (path[i] >= 'A' && path[i] <= 'Z') ||
                    (path[i] >= '0' && path[i] <= '9');
        name[i + digit] = good ? path[i] : '_';
    }
    name[size + digit] = '\0';
    return name;
}

static mm_status add(builder *b, const mm_field *field, const mm_elastic_field *how, mm_error *err)
{
    char *name = field_name(b->arena, how->path);
    if (name == NULL)
        return no_memory(err);
    if (b->count == FIELDS_MAX)
        return mm_error_set(err, MM_CONFIG, "more than %d fields; say which in source.include", FIELDS_MAX);
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(b->fields[i].name, name) == 0)
            return mm_error_set(err, MM_CONFIG,
                                "fields `%s` and `%s` would both be called `%s` in Milvus; leave one of them out",
                                b->how[i].path, how->path, name);
    b->fields[b->count] = *field;
    b->fields[b->count].name = name;
    b->how[b->count++] = *how;
    return MM_OK;
}

/* --- choosing --------------------------------------------------------------------------------------------------- */

typedef enum below { BELOW_VECTOR, BELOW_NAMED } below;

static const char *join(mm_arena *arena, const char *path, const mm_elastic_node *node)
{
    size_t size = strlen(path);
    char *out = size + node->size + 2 < PATH_MAX_HERE ? mm_arena_alloc(arena, size + node->size + 2) : NULL;
    if (out == NULL)
        return NULL;
    memcpy(out, path, size);
    if (size > 0)
        out[size++] = '.';
    memcpy(out + size, node->name, node->size + 1);
    return out;
}

/* Whether something below is a vector that is wanted, or is named by the choice while the path itself is not. */
static bool has_below(const builder *b, const mm_elastic_node *node, const char *path, below what)
{
    for (const mm_elastic_node *child = node->first; child != NULL; child = child->next) {
        const char *at = join(b->arena, path, child);
        if (at == NULL || meant(b->choice->exclude, b->choice->exclude_count, at))
            continue;
        bool here = what == BELOW_VECTOR ? mm_elastic_is_vector(child)
                                         : mm_schema_find(b->types, at) >= 0 ||
                                               (b->choice->include_count > 0 &&
                                                meant(b->choice->include, b->choice->include_count, at) &&
                                                !meant(b->choice->include, b->choice->include_count, path));
        if (here || has_below(b, child, at, what))
            return true;
    }
    return false;
}

static void mark_above(mm_elastic_node *node)
{
    for (mm_elastic_node *n = node->parent; n != NULL; n = n->parent)
        n->below = true;
}

/* A value was missing in the sample. An empty array is a value of a field that holds arrays, and none of others. */
static bool is_nullable(const builder *b, const mm_elastic_node *node, bool inner, mm_type type)
{
    bool arrays = type == MM_TYPE_JSON || type == MM_TYPE_ARRAY;
    return node->seen + (arrays ? node->empty : 0) < (inner ? b->objects : b->documents);
}

static mm_status missing_of(const builder *b, const mm_elastic_node *node, bool inner, const mm_field *given,
                            mm_field *field, mm_elastic_field *how, mm_error *err)
{
    const char *nulls = b->choice->nulls != NULL ? b->choice->nulls : "auto";
    bool vector = mm_type_is_vector(field->type), automatic = strcmp(nulls, "auto") == 0;
    how->missing = MM_ELASTIC_MISSING_REJECT;
    if (!automatic && strcmp(nulls, "nullable") != 0 && strcmp(nulls, "default") != 0 && strcmp(nulls, "reject") != 0)
        return mm_error_set(err, MM_CONFIG, "source.nulls: auto, nullable, default or reject, not `%s`", nulls);
    if (how->text != NULL || (strcmp(nulls, "default") == 0 && !vector))
        how->missing = MM_ELASTIC_MISSING_DEFAULT;
    else if ((given != NULL && given->nullable) || strcmp(nulls, "nullable") == 0 ||
             (automatic && given == NULL && !vector && is_nullable(b, node, inner, field->type)))
        how->missing = MM_ELASTIC_MISSING_NULL;
    field->nullable = how->missing == MM_ELASTIC_MISSING_NULL;
    return MM_OK;
}

static mm_status add_leaf(builder *b, mm_elastic_node *node, const char *path, bool inner, const mm_field *given,
                          mm_error *err)
{
    mm_field field;
    mm_elastic_field how;
    if (given == NULL && node->type != NULL && strcmp(node->type, "alias") == 0) {
        mm_buffer_printf(&b->lost, "%s: alias is another name, documents do not have it\n", path);
        return MM_OK;
    }
    mm_status status = mm_elastic_type(b->arena, node, path, given, b->choice, &field, &how, &b->lost, err);
    if (status == MM_OK)
        status = missing_of(b, node, inner, given, &field, &how, err);
    how.inner = inner;
    if (mm_type_is_vector(field.type))
        how.null_value = NULL; /* of the numbers, not of the vector */
    if (status == MM_OK)
        status = add(b, &field, &how, err);
    if (status != MM_OK)
        return status;
    node->field = (int)b->count - 1;
    mark_above(node);
    return MM_OK;
}

static mm_status choose(builder *b, mm_elastic_node *parent, const char *path, bool inner, unsigned depth,
                        mm_error *err);

static mm_status choose_one(builder *b, mm_elastic_node *node, const char *path, bool inner, unsigned depth,
                            mm_error *err)
{
    const mm_field *given = given_for(b, path);
    bool container = node->first != NULL && given == NULL, nested = node->type && strcmp(node->type, "nested") == 0;
    bool vector = container && has_below(b, node, path, BELOW_VECTOR);
    bool named = container && has_below(b, node, path, BELOW_NAMED);
    bool excluded = meant(b->choice->exclude, b->choice->exclude_count, path);
    if (node->type == NULL && given == NULL) {
        if (!excluded)
            mm_buffer_printf(&b->lost, "%s: is in documents, not in the mapping, and left out (types: \"%s JSON\")\n",
                             path, path);
        b->left_out = true;
        return MM_OK;
    }
    if (excluded || (given == NULL && !named && !node->explode && !wanted(b, path) &&
                     !(vector && b->choice->include_count == 0))) {
        b->left_out = true;
        return MM_OK;
    }
    if (node->explode)
        return choose(b, node, path, true, depth + 1, err);
    if (nested && (vector || named))
        return mm_error_set(err, MM_CONFIG,
                            "`%s` is nested, and %s: say source.explode: %s (each of its objects becomes an entity), "
                            "source.types: [\"%s JSON\"], or leave it out with source.exclude",
                            path,
                            vector ? "holds a vector, of which a document may have many" : "a field of it is wanted",
                            path, path);
    if (vector || named) {
        mm_buffer_printf(&b->lost, "%s: object becomes fields of their own, since %s\n", path,
                         vector ? "it holds a vector" : "one of them is named");
        return choose(b, node, path, inner, depth + 1, err);
    }
    return add_leaf(b, node, path, inner, given, err);
}

static mm_status choose(builder *b, mm_elastic_node *parent, const char *path, bool inner, unsigned depth,
                        mm_error *err)
{
    mm_status status = MM_OK;
    for (mm_elastic_node *node = parent->first; node != NULL && status == MM_OK; node = node->next) {
        const char *at = join(b->arena, path, node);
        status = at != NULL ? choose_one(b, node, at, inner, depth, err)
                            : mm_error_set(err, MM_CONFIG, "a name of more than %d bytes", PATH_MAX_HERE);
    }
    return status;
}

/* --- what stands beside _source --------------------------------------------------------------------------------- */

static bool key_is(const builder *b, const char *name)
{
    return strcmp(b->choice->primary_key != NULL ? b->choice->primary_key : "_id", name) == 0;
}

static mm_status add_beside(builder *b, const char *name, mm_elastic_kind kind, mm_type type, uint32_t length,
                            mm_error *err)
{
    bool primary = key_is(b, name);
    if (!primary && meant(b->choice->exclude, b->choice->exclude_count, name))
        return MM_OK;
    mm_field field = {.type = type, .max_length = type == MM_TYPE_VARCHAR ? length : 0, .primary = primary};
    mm_elastic_field how = {.path = name, .kind = kind};
    if (kind == MM_ELASTIC_ROUTING) {
        how.missing = MM_ELASTIC_MISSING_DEFAULT; /* most documents have none */
        how.text = "";
    }
    return add(b, &field, &how, err);
}

static mm_status add_all_beside(builder *b, mm_error *err)
{
    const mm_elastic_choice *choice = b->choice;
    uint32_t length = choice->id_length > 0 ? choice->id_length : 512;
    bool explode = choice->explode != NULL;
    mm_status status = MM_OK;
    if (key_is(b, "_id_hash"))
        status = add_beside(b, "_id_hash", MM_ELASTIC_ID_HASH, MM_TYPE_INT64, 0, err);
    if (status == MM_OK)
        status = add_beside(b, "_id", MM_ELASTIC_ID, MM_TYPE_VARCHAR, explode ? length + EXPLODED : length, err);
    if (status == MM_OK && explode)
        status = add_beside(b, "_parent_id", MM_ELASTIC_PARENT, MM_TYPE_VARCHAR, length, err);
    if (status == MM_OK && choice->with_index)
        status = add_beside(b, "_index", MM_ELASTIC_INDEX, MM_TYPE_VARCHAR, 255, err);
    if (status == MM_OK && choice->with_routing)
        status = add_beside(b, "_routing", MM_ELASTIC_ROUTING, MM_TYPE_VARCHAR, 512, err);
    return status;
}

/* --- the primary key -------------------------------------------------------------------------------------------- */

static mm_status unknown_key(const builder *b, mm_error *err)
{
    const char *names[FIELDS_MAX];
    for (size_t i = 0; i < b->count; i++)
        names[i] = b->how[i].path;
    const char *nearest = mm_nearest(b->choice->primary_key, names, b->count);
    return mm_error_set(err, MM_CONFIG, "source.primary_key: there is no field `%s` among those that are read%s%s%s",
                        b->choice->primary_key, nearest ? " (did you mean `" : "", nearest ? nearest : "",
                        nearest ? "`?)" : "");
}

static mm_status find_key(builder *b, size_t *out, mm_error *err)
{
    size_t at = 0;
    while (at < b->count && !key_is(b, b->how[at].path))
        at++;
    if (at == b->count)
        return unknown_key(b, err);
    mm_field *field = &b->fields[at];
    mm_elastic_field *how = &b->how[at];
    if (field->type == MM_TYPE_INT8 || field->type == MM_TYPE_INT16 || field->type == MM_TYPE_INT32)
        field->type = MM_TYPE_INT64;
    if (field->type != MM_TYPE_INT64 && field->type != MM_TYPE_VARCHAR)
        return mm_error_set(err, MM_CONFIG, "source.primary_key: `%s` is %s; a primary key is an integer or a text",
                            how->path, mm_type_name(field->type));
    if (b->tree->explode != NULL && how->kind > MM_ELASTIC_ROUTING && !how->inner)
        return mm_error_set(err, MM_CONFIG, "source.primary_key: `%s` is the same for all objects of `%s`; take _id, "
                            "_id_hash, or a field of the objects",
                            how->path, b->choice->explode);
    if (how->kind == MM_ELASTIC_INDEX || how->kind == MM_ELASTIC_ROUTING || how->kind == MM_ELASTIC_PARENT)
        return mm_error_set(err, MM_CONFIG, "source.primary_key: `%s` is the same for many documents", how->path);
    field->primary = true;
    field->nullable = false;
    how->missing = MM_ELASTIC_MISSING_REJECT;
    how->text = NULL;
    *out = at;
    return MM_OK;
}

static void set_key(mm_elastic_node *node, int field)
{
    for (mm_elastic_node *n = node->first; n != NULL; n = n->next) {
        if (n->field == field) {
            n->key = 0;
            for (mm_elastic_node *above = n->parent; above != NULL; above = above->parent)
                above->key_below = true;
        }
        set_key(n, field);
    }
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

static mm_status check_names(const builder *b, mm_error *err)
{
    for (size_t i = 0; i < b->types->field_count; i++)
        if (!b->used[i])
            return mm_error_set(err, MM_CONFIG, "source.types: `%s` is no field that is read",
                                b->types->fields[i].name);
    for (size_t i = 0; i < b->choice->include_count; i++) {
        bool found = false;
        for (size_t f = 0; f < b->count && !found; f++)
            found = meant(&b->choice->include[i], 1, b->how[f].path);
        if (!found)
            return mm_error_set(err, MM_CONFIG, "source.include: `%s` names nothing in the mapping",
                                b->choice->include[i]);
    }
    return MM_OK;
}

static mm_status prepare(builder *b, const char *const *mappings, size_t mapping_count, mm_error *err)
{
    mm_schema *types = NULL;
    mm_status status = mm_schema_parse(b->arena, "source.types", b->choice->types, b->choice->type_count, &types, err);
    b->types = types;
    b->used = mm_arena_alloc(b->arena, b->choice->type_count + 1);
    if (status == MM_OK && b->used == NULL)
        return no_memory(err);
    memset(b->used, 0, b->choice->type_count + 1);
    for (size_t i = 0; i < mapping_count && status == MM_OK; i++)
        status = mm_elastic_tree_add(b->arena, &b->tree->root, mappings[i], err);
    for (size_t i = 0; status == MM_OK && i < types->field_count; i++) {
        if (types->fields[i].primary || types->fields[i].dynamic)
            return mm_error_set(err, MM_CONFIG, "source.types: `%s`: source.primary_key says which is the primary key, "
                                "and there is no $meta",
                                types->fields[i].name);
        if (mm_elastic_tree_at(b->arena, &b->tree->root, types->fields[i].name) == NULL)
            return no_memory(err);
    }
    if (status != MM_OK || b->choice->explode == NULL)
        return status;
    mm_elastic_node *node = mm_elastic_tree_at(b->arena, &b->tree->root, b->choice->explode);
    if (node == NULL)
        return no_memory(err);
    if (node->first == NULL || node->type == NULL)
        return mm_error_set(err, MM_CONFIG, "source.explode: `%s` is no nested field of the mapping",
                            b->choice->explode);
    node->explode = true;
    b->tree->explode = node;
    return MM_OK;
}

static mm_status keep(builder *b, const char *collection, size_t key, mm_elastic_fields **out, mm_error *err)
{
    mm_schema whole = {.name = collection, .fields = b->fields, .field_count = b->count};
    mm_schema alone = {.name = collection, .fields = &b->fields[key], .field_count = 1};
    mm_elastic_fields *fields = mm_arena_alloc(b->arena, sizeof(*fields));
    struct mm_elastic_tree *tree = b->tree;
    const char **paths = mm_arena_array(b->arena, b->count + 1, sizeof(*paths));
    tree->fields = mm_arena_array(b->arena, b->count, sizeof(*tree->fields));
    if (fields == NULL || tree->fields == NULL || paths == NULL)
        return no_memory(err);
    memcpy(tree->fields, b->how, b->count * sizeof(*tree->fields));
    tree->key = b->how[key];
    for (size_t i = 0; i < b->count; i++)
        if (b->how[i].kind > MM_ELASTIC_ROUTING)
            paths[tree->include_count++] = b->how[i].path;
    if (tree->explode != NULL) { /* as a whole: an object without any field that is wanted is still a row */
        tree->explode_path = mm_arena_strdup(b->arena, b->choice->explode);
        paths[tree->include_count++] = tree->explode_path;
    }
    tree->from_source = tree->include_count > 0;
    tree->key_from_source = b->how[key].kind > MM_ELASTIC_ROUTING || tree->explode != NULL;
    tree->include = b->left_out || b->choice->include_count > 0 ? paths : NULL;
    tree->exclude_count = b->choice->exclude_count;
    const char **exclude = mm_arena_array(b->arena, tree->exclude_count, sizeof(*exclude));
    for (size_t i = 0; exclude != NULL && i < tree->exclude_count; i++)
        exclude[i] = mm_arena_strdup(b->arena, b->choice->exclude[i]);
    tree->exclude = exclude;
    *fields = (mm_elastic_fields){.schema = mm_schema_copy(b->arena, &whole),
                                  .keys = mm_schema_copy(b->arena, &alone),
                                  .unique_by_id = key_is(b, "_id") && tree->explode == NULL,
                                  .lost = mm_arena_strdup(b->arena, b->lost.data != NULL ? b->lost.data : ""),
                                  .tree = tree};
    if (fields->schema == NULL || fields->keys == NULL || fields->lost == NULL || exclude == NULL || b->lost.failed)
        return no_memory(err);
    *out = fields;
    return MM_OK;
}

mm_status mm_elastic_fields_build(mm_arena *arena, const char *collection, const mm_elastic_choice *choice,
                                  const char *const *mappings, size_t mapping_count, const char *sample,
                                  size_t sample_size, mm_elastic_fields **out, mm_error *err)
{
    size_t key = 0;
    builder *b = calloc(1, sizeof(*b));
    struct mm_elastic_tree *tree = mm_arena_alloc(arena, sizeof(*tree));
    if (b == NULL || tree == NULL) {
        free(b);
        return no_memory(err);
    }
    *tree = (struct mm_elastic_tree){.root = {.name = "", .field = -1, .key = -1, .type = "object"}};
    *b = (builder){.arena = arena, .choice = choice, .tree = tree, .lost = MM_BUFFER_INIT};
    mm_status status = prepare(b, mappings, mapping_count, err);
    if (status == MM_OK && sample != NULL)
        status = mm_elastic_sample(arena, &tree->root, tree->explode, sample, sample_size, &b->documents, &b->objects,
                                   err);
    if (status == MM_OK)
        status = add_all_beside(b, err);
    if (status == MM_OK)
        status = choose(b, &tree->root, "", false, 0, err);
    if (status == MM_OK)
        status = check_names(b, err);
    if (status == MM_OK)
        status = find_key(b, &key, err);
    if (status == MM_OK) {
        set_key(&tree->root, (int)key);
        tree->nodes = mm_elastic_tree_number(&tree->root, 0);
        status = keep(b, collection, key, out, err);
    }
    mm_buffer_free(&b->lost);
    free(b);
    return status;
}

/* ["a","b.c"] */
static void put_names(mm_buffer *out, const char *name, const char *const *names, size_t count)
{
    mm_buffer_printf(out, "%s\"%s\":[", out->size > 0 && out->data[out->size - 1] != '{' ? "," : "", name);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            mm_buffer_append(out, ",", 1);
        mm_json_put_string(out, names[i], strlen(names[i]));
    }
    mm_buffer_append(out, "]", 1);
}

void mm_elastic_fields_source(const mm_elastic_fields *fields, bool keys_only, bool vectors, mm_buffer *out)
{
    const struct mm_elastic_tree *tree = fields->tree;
    const char *key = tree->explode != NULL ? tree->explode_path : tree->key.path;
    if (keys_only ? !tree->key_from_source : !tree->from_source) {
        mm_buffer_append(out, "false", 5);
        return;
    }
    mm_buffer_append(out, "{", 1);
    if (keys_only)
        put_names(out, "includes", &key, 1);
    else if (tree->include != NULL)
        put_names(out, "includes", tree->include, tree->include_count);
    if (tree->exclude_count > 0)
        put_names(out, "excludes", tree->exclude, tree->exclude_count);
    if (vectors)
        mm_buffer_printf(out, "%s\"exclude_vectors\":false", out->data[out->size - 1] != '{' ? "," : "");
    mm_buffer_append(out, "}", 1);
}
