/* Steps after the copy: flush, index, load. Each waits until the server is done, as long as it makes
 * progress and the host does not stop. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "sinks/milvus/internal.h"

enum {
    POLL_MS = 200,
    FLUSH_RATE_WAIT_MS = 11000, /* a collection may be flushed once in 10 s */
    FLUSH_WAIT_MS = 600000,
    INDEX_AGAIN_MS = 4000, /* without progress, before an index is asked for again; then twice as long */
    STALL_MS = 600000 /* index or load without any progress for so long: give it back as not ready */
};

/* --- flush ---------------------------------------------------------------------------------------- */

static mm_status flush_begin(mm_sink *sink, const mm_milvus_target *target, mm_arena *arena,
                             mm_milvus_flush *flush, mm_error *err)
{
    for (int turn = 0;; turn++) {
        pthread_mutex_lock(&sink->lock);
        MM_FAILPOINT("milvus.flush.before");
        mm_status status = mm_milvus_flush_begin(sink->client, target->work, arena, flush, err);
        pthread_mutex_unlock(&sink->lock);
        if (status != MM_RATE_LIMITED || turn == 2)
            return status;
        mm_error_clear(err);
        status = mm_milvus_pause(sink, FLUSH_RATE_WAIT_MS, err);
        if (status != MM_OK)
            return status;
    }
}

mm_status mm_milvus_step_flush(mm_sink *sink, uint32_t collection, const char *intent,
                               char detail[MM_STEP_DETAIL], mm_error *err)
{
    mm_milvus_target *target = &sink->targets[collection];
    mm_arena arena = MM_ARENA_INIT;
    mm_milvus_flush flush;
    bool done = false;
    (void)intent;
    uint64_t end = mm_clock_ms() + FLUSH_WAIT_MS;
    mm_status status = flush_begin(sink, target, &arena, &flush, err);
    while (status == MM_OK && !done) {
        pthread_mutex_lock(&sink->lock);
        status = mm_milvus_flush_done(sink->client, target->work, &flush, &done, err);
        pthread_mutex_unlock(&sink->lock);
        if (status == MM_OK && !done)
            status = mm_milvus_pause(sink, POLL_MS, err);
        if (status == MM_OK && !done && mm_clock_ms() > end)
            status = mm_error_set(err, MM_NOT_READY, "collection '%s' is not flushed after %d s", target->work,
                                  FLUSH_WAIT_MS / 1000);
    }
    MM_FAILPOINT("milvus.flush.done");
    if (status == MM_OK)
        snprintf(detail, MM_STEP_DETAIL, "segments=%zu", flush.segment_count);
    mm_arena_free(&arena);
    return status;
}

/* --- index ---------------------------------------------------------------------------------------- */

typedef struct index_choice {
    const char *index_type, *metric_type, *params, *name;
} index_choice;

static bool is_one_of(const char *word, const char *const *words)
{
    for (; word != NULL && *words != NULL; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

/* The field's own metric where Milvus has it for this type, else the usual one. */
static const char *metric_of(const mm_field *field)
{
    static const char *const dense[] = {"L2", "IP", "COSINE", NULL};
    static const char *const binary[] = {"HAMMING", "JACCARD", "SUBSTRUCTURE", "SUPERSTRUCTURE", NULL};
    static const char *const sparse[] = {"IP", "BM25", NULL};
    const char *const *known = field->type == MM_TYPE_BINARY_VECTOR           ? binary
                               : field->type == MM_TYPE_SPARSE_FLOAT_VECTOR ? sparse
                                                                            : dense;
    if (is_one_of(field->metric_type, known))
        return field->metric_type;
    const char *usual = known == dense ? "COSINE" : known[0];
    if (field->metric_type != NULL)
        mm_log(MM_LOG_WARN, "field '%s': metric %s is not known to Milvus, %s is used", field->name,
               field->metric_type, usual);
    return usual;
}

/* Metrics that only a comparison with every row serves, and not every server: HAMMING is the way out. */
static bool is_structure(const char *metric)
{
    static const char *const metrics[] = {"SUBSTRUCTURE", "SUPERSTRUCTURE", NULL};
    return is_one_of(metric, metrics);
}

/* What to try in turn when nothing is prescribed: servers differ in what they have for which type. */
static size_t automatic_choices(const mm_field *field, index_choice out[4])
{
    const char *metric = metric_of(field);
    size_t n = 0;
    if (is_structure(metric)) {
        out[n++] = (index_choice){"BIN_FLAT", metric, NULL, NULL};
        out[n++] = (index_choice){"BIN_FLAT", "HAMMING", NULL, NULL};
        return n;
    }
    out[n++] = (index_choice){"AUTOINDEX", metric, NULL, NULL};
    if (field->type == MM_TYPE_BINARY_VECTOR) {
        out[n++] = (index_choice){"BIN_IVF_FLAT", metric, "{\"nlist\":1024}", NULL};
        out[n++] = (index_choice){"BIN_FLAT", metric, NULL, NULL};
    } else if (field->type == MM_TYPE_SPARSE_FLOAT_VECTOR) {
        out[n++] = (index_choice){"SPARSE_INVERTED_INDEX", metric, NULL, NULL};
    } else {
        out[n++] = (index_choice){"HNSW", metric, "{\"M\":16,\"efConstruction\":200}", NULL};
        out[n++] = (index_choice){"FLAT", metric, NULL, NULL};
    }
    return n;
}

/* The cheapest index that lets a collection be loaded; found again by its name's prefix. */
static size_t temporary_choices(const mm_sink *sink, const mm_field *field, size_t number, char name[96],
                                index_choice out[5])
{
    char prefix[64];
    const char *metric = is_structure(metric_of(field)) ? "HAMMING" : metric_of(field);
    mm_milvus_index_prefix(sink, prefix);
    snprintf(name, 96, "%s%zu", prefix, number);
    if (field->type == MM_TYPE_BINARY_VECTOR)
        out[0] = (index_choice){"BIN_FLAT", metric, NULL, name};
    else if (field->type == MM_TYPE_SPARSE_FLOAT_VECTOR)
        out[0] = (index_choice){"SPARSE_INVERTED_INDEX", metric, NULL, name};
    else
        out[0] = (index_choice){"FLAT", metric, NULL, name};
    out[1] = (index_choice){"AUTOINDEX", metric, NULL, name};
    return 2;
}

static const mm_index_rule *rule_of(const mm_sink_collection *plan, const char *field)
{
    for (size_t i = 0; i < plan->index_count; i++)
        if (strcmp(plan->indexes[i].field, field) == 0)
            return &plan->indexes[i];
    return NULL;
}

/* The choices for one field, best first; 0: no index. */
static size_t choices_of(const mm_sink *sink, const mm_sink_collection *plan, size_t number, char name[96],
                         index_choice out[5])
{
    const mm_field *field = &plan->schema->fields[number];
    const mm_index_rule *rule = rule_of(plan, field->name);
    bool vector = mm_type_is_vector(field->type);
    if (rule != NULL && plan->index_mode != MM_INDEX_NONE) {
        const char *metric = rule->metric_type != NULL ? rule->metric_type : vector ? metric_of(field) : NULL;
        out[0] = (index_choice){rule->index_type != NULL ? rule->index_type : "AUTOINDEX", metric, rule->params, NULL};
        return 1;
    }
    if (plan->index_mode == MM_INDEX_SOURCE && field->index_type != NULL) {
        out[0] = (index_choice){field->index_type, vector ? metric_of(field) : NULL, field->index_params, NULL};
        return vector ? 1 + automatic_choices(field, out + 1) : 1;
    }
    if (!vector)
        return 0;
    if (plan->index_mode == MM_INDEX_AUTO || plan->index_mode == MM_INDEX_SOURCE)
        return automatic_choices(field, out);
    /* none, or explicit without this field: only what verification or loading cannot do without */
    if (sink->lite || !plan->verify)
        return 0;
    return temporary_choices(sink, field, number, name, out);
}

static bool has_index(const mm_milvus_index *indexes, size_t count, const char *field, bool finished)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(indexes[i].field, field) == 0)
            return !finished || indexes[i].state == MM_MILVUS_INDEX_FINISHED;
    return false;
}

/* Creates the first choice that the server takes. */
static mm_status create_index(mm_sink *sink, const mm_milvus_target *target, const char *field,
                              const index_choice *choices, size_t count, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; i < count; i++) {
        MM_FAILPOINT("milvus.index.before");
        status = mm_milvus_create_index(sink->client, target->work, field, choices[i].name, choices[i].index_type,
                                        choices[i].metric_type, choices[i].params, err);
        MM_FAILPOINT("milvus.index.created");
        if (status == MM_OK)
            mm_log(MM_LOG_INFO, "%s.%s: index %s %s", target->work, field, choices[i].index_type,
                   choices[i].metric_type != NULL ? choices[i].metric_type : "");
        if (status != MM_TARGET && status != MM_DATA)
            break;
    }
    return status;
}

/* Indexes for the fields that have none of these (`finished`: no finished one), with the lock held. */
static mm_status create_indexes(mm_sink *sink, const mm_milvus_target *target, const mm_milvus_index *there,
                                size_t count, bool finished, size_t *made, mm_error *err)
{
    const mm_sink_collection *plan = target->plan;
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < plan->schema->field_count; i++) {
        index_choice choices[5];
        char name[96];
        const char *field = plan->schema->fields[i].name;
        size_t n = choices_of(sink, plan, i, name, choices);
        if (n == 0 || has_index(there, count, field, finished))
            continue;
        status = create_index(sink, target, field, choices, n, err);
        *made += status == MM_OK;
    }
    return status;
}

typedef struct progress {
    int64_t rows;         /* indexed so far; -1: not known */
    uint64_t since;       /* when that was first so */
    uint64_t again_after; /* ms from then on */
} progress;

/* One look: *unfinished indexes. Where nothing moves, those are asked for again: a Milvus 2.3 that is busy at the moment
 * drops the signal that there is an index to build, and looks for such at the next full minute only. */
static mm_status look_at_indexes(mm_sink *sink, const mm_milvus_target *target, progress *seen, size_t *unfinished,
                                 mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_milvus_index *indexes;
    size_t count, made = 0;
    int64_t rows = 0;
    *unfinished = 0;
    pthread_mutex_lock(&sink->lock);
    mm_status status = mm_milvus_indexes(sink->client, target->work, &arena, &indexes, &count, err);
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        rows += indexes[i].indexed_rows;
        *unfinished += indexes[i].state != MM_MILVUS_INDEX_FINISHED;
        if (indexes[i].state == MM_MILVUS_INDEX_FAILED)
            status = mm_error_set(err, MM_TARGET, "index of %s.%s failed: %s", target->work, indexes[i].field,
                                  indexes[i].fail_reason);
    }
    uint64_t now = mm_clock_ms();
    if (rows != seen->rows)
        *seen = (progress){rows, now, INDEX_AGAIN_MS};
    if (status == MM_OK && *unfinished > 0 && now - seen->since > seen->again_after) {
        mm_error ignored = MM_ERROR_INIT; /* an index of others is another one */
        seen->again_after *= 2;
        if (create_indexes(sink, target, indexes, count, true, &made, &ignored) != MM_OK)
            mm_log(MM_LOG_DEBUG, "%s", ignored.text);
    }
    pthread_mutex_unlock(&sink->lock);
    mm_arena_free(&arena);
    return status;
}

/* Waits until no index of the collection is being built. */
static mm_status wait_indexes(mm_sink *sink, const mm_milvus_target *target, mm_error *err)
{
    progress seen = {.rows = -1};
    for (;;) {
        size_t unfinished;
        mm_status status = look_at_indexes(sink, target, &seen, &unfinished, err);
        if (status != MM_OK || unfinished == 0)
            return status;
        if (mm_clock_ms() - seen.since > STALL_MS)
            return mm_error_set(err, MM_NOT_READY, "index of '%s': no progress at %" PRId64 " rows", target->work,
                                seen.rows);
        if ((status = mm_milvus_pause(sink, POLL_MS, err)) != MM_OK)
            return status;
    }
}

mm_status mm_milvus_step_index(mm_sink *sink, uint32_t collection, const char *intent,
                               char detail[MM_STEP_DETAIL], mm_error *err)
{
    mm_milvus_target *target = &sink->targets[collection];
    mm_arena arena = MM_ARENA_INIT;
    mm_milvus_index *indexes;
    size_t count = 0, made = 0;
    (void)intent;
    pthread_mutex_lock(&sink->lock);
    mm_status status = mm_milvus_indexes(sink->client, target->work, &arena, &indexes, &count, err);
    if (status == MM_OK)
        status = create_indexes(sink, target, indexes, count, false, &made, err);
    pthread_mutex_unlock(&sink->lock);
    mm_arena_free(&arena);
    if (status == MM_OK)
        status = wait_indexes(sink, target, err);
    MM_FAILPOINT("milvus.index.done");
    if (status == MM_OK)
        snprintf(detail, MM_STEP_DETAIL, "created=%zu", made);
    return status;
}

/* --- load ----------------------------------------------------------------------------------------- */

static mm_status load_state(mm_sink *sink, const mm_milvus_target *target, int32_t *state, mm_error *err)
{
    pthread_mutex_lock(&sink->lock);
    mm_status status = mm_milvus_load_state(sink->client, target->work, state, err);
    pthread_mutex_unlock(&sink->lock);
    return status;
}

mm_status mm_milvus_intend_load(mm_sink *sink, uint32_t collection, char intent[MM_STEP_DETAIL], mm_error *err)
{
    int32_t state = 0;
    mm_status status = load_state(sink, &sink->targets[collection], &state, err);
    if (status == MM_OK)
        snprintf(intent, MM_STEP_DETAIL, "state=%d", state);
    return status;
}

static mm_status wait_loaded(mm_sink *sink, const mm_milvus_target *target, mm_error *err)
{
    uint64_t end = mm_clock_ms() + STALL_MS;
    for (;;) {
        int32_t state = 0;
        mm_status status = load_state(sink, target, &state, err);
        if (status != MM_OK || state == MM_MILVUS_LOADED)
            return status;
        if (mm_clock_ms() > end)
            return mm_error_set(err, MM_NOT_READY, "collection '%s' is not loaded after %d s", target->work,
                                STALL_MS / 1000);
        if ((status = mm_milvus_pause(sink, POLL_MS, err)) != MM_OK)
            return status;
    }
}

/* A collection without an index cannot be loaded by a real server; that it was asked for is said, and
 * the copy is not failed for it. */
static mm_status begin_load(mm_sink *sink, const mm_milvus_target *target, bool *loading, mm_error *err)
{
    pthread_mutex_lock(&sink->lock);
    MM_FAILPOINT("milvus.load.before");
    mm_status status = mm_milvus_load(sink->client, target->work, err);
    MM_FAILPOINT("milvus.load.begun");
    int32_t code = mm_milvus_last(sink->client)->code;
    pthread_mutex_unlock(&sink->lock);
    *loading = status == MM_OK;
    if (status == MM_NOT_FOUND && code == MM_MILVUS_INDEX_NOT_FOUND && !target->plan->verify) {
        mm_log(MM_LOG_WARN, "collection '%s' is not loaded: it has no index", target->work);
        mm_error_clear(err);
        return MM_OK;
    }
    return status;
}

mm_status mm_milvus_step_load(mm_sink *sink, uint32_t collection, const char *intent,
                              char detail[MM_STEP_DETAIL], mm_error *err)
{
    mm_milvus_target *target = &sink->targets[collection];
    char before[8] = "";
    bool loading = false;
    mm_status status = MM_OK;
    if (!mm_milvus_detail(intent, "state", before, sizeof(before)))
        before[0] = '\0';
    if (target->plan->load || target->plan->verify)
        status = begin_load(sink, target, &loading, err);
    if (status == MM_OK && loading)
        status = wait_loaded(sink, target, err);
    MM_FAILPOINT("milvus.load.done");
    if (status != MM_OK)
        return status;
    target->loaded_here = loading && strcmp(before, "3") != 0;
    snprintf(detail, MM_STEP_DETAIL, "loaded=%d", target->loaded_here);
    return MM_OK;
}

mm_status mm_milvus_recall_load(mm_sink *sink, uint32_t collection, const char *detail, mm_error *err)
{
    char flag[8];
    (void)err;
    sink->targets[collection].loaded_here = mm_milvus_detail(detail, "loaded", flag, sizeof(flag)) && flag[0] == '1';
    return MM_OK;
}
