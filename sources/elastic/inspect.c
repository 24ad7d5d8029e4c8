/* `mmresume inspect http://host:9200/index`: which server it is, and of each index (all, where none is named) its
 * documents, its fields as they would arrive with the driver's defaults, and what would be lost. Changes nothing. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sources/elastic/elastic.h"
#include "sources/elastic/internal.h"

#define PAIRS_MAX 8

/* "https://host:9200/products" to the endpoint and the last part of its path; *index NULL: there is none. Both malloc'd. */
static mm_status split(const char *location, char **endpoint, char **index, mm_error *err)
{
    const char *host = strstr(location, "://") + 3;
    size_t size = strlen(location);
    while (location + size > host && location[size - 1] == '/')
        size--;
    const char *slash = memrchr(host, '/', (size_t)(location + size - host));
    *index = slash ? strndup(slash + 1, (size_t)(location + size - slash - 1)) : NULL;
    *endpoint = strndup(location, slash ? (size_t)(slash - location) : size);
    if (*endpoint && (*index || !slash))
        return MM_OK;
    free(*endpoint);
    free(*index);
    *endpoint = *index = NULL;
    return mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* Who asks comes from the environment: a command line is seen by everybody on the machine. */
static mm_status make_options(const char *endpoint, const char *index, mm_options **out, mm_error *err)
{
    static const struct {
        const char *option, *variable;
    } names[] = {{"api_key", "ES_API_KEY"}, {"username", "ES_USERNAME"}, {"password", "ES_PASSWORD"},
                 {"ca_fingerprint", "ES_CA_FINGERPRINT"}};
    char *pairs[PAIRS_MAX] = {NULL};
    size_t count = 0;
    pairs[count++] = mm_format("endpoint=%s", endpoint);
    pairs[count++] = mm_format("index=%s", index ? index : "*");
    pairs[count++] = mm_format("request_timeout=10s");
    for (size_t i = 0; i < MM_COUNT(names); i++) {
        const char *value = getenv(names[i].variable);
        if (value && value[0])
            pairs[count++] = mm_format("%s=%s", names[i].option, value);
    }
    mm_status status = MM_OK;
    for (size_t i = 0; i < count; i++)
        if (pairs[i] == NULL)
            status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (status == MM_OK)
        status = mm_options_make(mm_source_elasticsearch.options, mm_source_elasticsearch.option_count,
                                 (const char *const *)pairs, out, err);
    for (size_t i = 0; i < count; i++)
        free(pairs[i]);
    return status;
}

static void print_field(const mm_field *field, mm_buffer *text)
{
    mm_buffer_printf(text, "  field: %s %s", field->name, mm_type_name(field->type));
    if (field->dim > 0)
        mm_buffer_printf(text, " dim=%u", field->dim);
    if (field->max_length > 0)
        mm_buffer_printf(text, " max_length=%u", field->max_length);
    mm_buffer_printf(text, "%s%s\n", field->primary ? " primary" : "", field->nullable ? " nullable" : "");
}

static void print_collection(const mm_elastic_collection *c, mm_buffer *text)
{
    static const char *const orders[] = {"_seq_no", "a field", "points in time", "scrolls"};
    uint64_t shards = 0;
    for (size_t i = 0; i < c->index_count; i++)
        shards += c->indices[i].shards;
    mm_buffer_printf(text, "collection: %s\n", c->name);
    for (size_t i = 0; i < c->index_count; i++)
        mm_buffer_printf(text, "  index: %s\n", c->indices[i].name);
    mm_buffer_printf(text, "  shards: %" PRIu64 ", read by %s\n  documents: %" PRIu64 "\n", shards, orders[c->way],
                     c->documents);
    const mm_schema *schema = c->fields->schema;
    for (size_t i = 0; i < schema->field_count; i++)
        print_field(&schema->fields[i], text);
    for (const char *line = c->fields->lost; *line; line += strcspn(line, "\n"), line += *line == '\n')
        mm_buffer_printf(text, "  note: %.*s\n", (int)strcspn(line, "\n"), line);
}

static mm_status print_all(mm_source *source, const char *location, mm_buffer *text, mm_error *err)
{
    mm_catalog catalog = MM_CATALOG_INIT;
    mm_status status = mm_source_elasticsearch.describe(source, &catalog, err);
    const mm_elastic_server *server = &source->server;
    if (status == MM_NOT_FOUND) /* which would have others asked */
        status = mm_error_set(err, MM_CONFIG, "%s has no such index that is open", location);
    if (status == MM_OK)
        mm_buffer_printf(text, "server: %s %u.%u.%u\n", server->opensearch ? "OpenSearch" : "Elasticsearch",
                         server->major, server->minor, server->patch);
    for (size_t i = 0; status == MM_OK && i < source->count; i++)
        print_collection(&source->collections[i], text);
    mm_catalog_free(&catalog);
    return status == MM_OK && text->failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory") : status;
}

/* What does not say that it is one of ours may be a Milvus, and is left to others to know; but a path asks for an index,
 * and that the server wants to know who asks is told where it says so in Elasticsearch's words. */
static mm_status is_ours(mm_source *source, const char *location, const char *index, mm_error *err)
{
    mm_status status = mm_elastic_identify(source, err);
    bool foreign = status == MM_NOT_FOUND || status == MM_CONFIG;
    if (status == MM_OK || source->server.major > 0 || (index && !foreign) ||
        (err && strstr(err->text, "security_exception")))
        return status;
    return mm_error_set(err, MM_NOT_FOUND, "%s: neither Elasticsearch nor OpenSearch", location);
}

mm_status mm_elastic_inspect(const char *location, mm_buffer *text, mm_error *err)
{
    char *endpoint = NULL, *index = NULL;
    mm_options *options = NULL;
    mm_source *source = NULL;
    if (strncmp(location, "http://", 7) != 0 && strncmp(location, "https://", 8) != 0)
        return mm_error_set(err, MM_NOT_FOUND, "%s: no URL of a server", location);
    mm_status status = split(location, &endpoint, &index, err);
    if (status != MM_OK)
        return status;
    status = make_options(endpoint, index, &options, err);
    if (status == MM_OK)
        status = mm_source_elasticsearch.open(options, &source, err);
    if (status == MM_OK)
        status = is_ours(source, location, index, err);
    if (status == MM_OK)
        status = print_all(source, location, text, err);
    mm_source_elasticsearch.close(source);
    mm_options_free(options);
    free(endpoint);
    free(index);
    return status;
}
