// Answers of _search into columns: the page parser of the sources elasticsearch and opensearch against simdjson's
// on-demand parser, which fills the same columns from the same bytes, in alternating turns of one process. The columns
// are compared once. Bar: throughput of each kind of page >= 0.8 x simdjson's, median of the turns.
//
//     elastic_parse [turns [kind]]      kind: 0 to 3, default all

#include <simdjson.h>

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <vector>

extern "C" {
#include "sources/elastic/documents.h"
}

namespace {

constexpr double bar = 0.8;
constexpr size_t page_bytes = 8 << 20;
constexpr size_t batch_bytes = 4 << 20;

struct Kind {
    const char *name, *properties;
    int dim;    // 0: no vector
    bool exact; // numbers as a float64's shortest text, as Python writes them; else as a float32's
    bool texts; // scalars, long texts, an object
};

constexpr Kind kinds[] = {
    {"768 floats of 32 bits", R"({"title":{"type":"text"},"n":{"type":"long"},"v":{"type":"dense_vector","dims":768}})", 768,
     false, false},
    {"768 floats of 64 bits", R"({"title":{"type":"text"},"n":{"type":"long"},"v":{"type":"dense_vector","dims":768}})", 768,
     true, false},
    {"128 floats and texts",
     R"({"title":{"type":"text"},"n":{"type":"long"},"v":{"type":"dense_vector","dims":128},"body":{"type":"text"},)"
     R"("price":{"type":"double"},"in_stock":{"type":"boolean"},"meta":{"type":"flattened"}})",
     128, false, true},
    {"texts and scalars",
     R"({"title":{"type":"text"},"n":{"type":"long"},"body":{"type":"text"},"price":{"type":"double"},)"
     R"("in_stock":{"type":"boolean"},"meta":{"type":"flattened"}})",
     0, false, true},
};

std::string page_of(const Kind &kind) {
    std::mt19937_64 random(7);
    std::normal_distribution<double> normal(0, 0.05);
    std::string out = R"({"took":5,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},)"
                      R"("hits":{"total":{"value":100000,"relation":"eq"},"max_score":null,"hits":[)";
    char text[64];
    static const char *const words[] = {"vector", "search", "of", "the", "migration", "row", "a", "while",
                                        "index", "and", "caf\xc3\xa9", "between", "line\\n", "to", "collection", "\\\"quoted\\\""};
    for (long row = 0; out.size() < page_bytes; row++) {
        out += row > 0 ? "," : "";
        out += R"({"_index":"books","_id":"doc-)" + std::to_string(row) + R"(","_seq_no":)" + std::to_string(row) +
               R"(,"_primary_term":1,"_score":null,"_source":{"title":"The title of document )" + std::to_string(row) +
               R"(","n":)" + std::to_string(random() >> 20);
        if (kind.dim > 0) {
            out += R"(,"v":[)";
            for (int i = 0; i < kind.dim; i++) {
                double value = normal(random);
                if (kind.exact)
                    for (int digits = 15; digits <= 17; digits++) {
                        snprintf(text, sizeof text, "%.*g", digits, value);
                        if (strtod(text, nullptr) == value)
                            break;
                    }
                else
                    for (int digits = 6; digits <= 9; digits++) {
                        snprintf(text, sizeof text, "%.*g", digits, static_cast<double>(static_cast<float>(value)));
                        if (strtof(text, nullptr) == static_cast<float>(value))
                            break;
                    }
                out += i > 0 ? "," : "";
                out += text;
            }
            out += "]";
        }
        if (kind.texts) {
            out += R"(,"body":")";
            for (int i = 0; i < 80; i++)
                out += std::string(words[random() % 64 < 60 ? random() % 10 : random() % 16]) + " ";
            snprintf(text, sizeof text, "%.2f", static_cast<double>(random() % 100000) / 100);
            out += std::string(R"(","price":)") + text + R"(,"in_stock":)" + (row % 2 != 0 ? "true" : "false") +
                   R"(,"meta":{"author":"A. N. Other","year":)" + std::to_string(1900 + random() % 120) +
                   R"(,"tags":["a","b","c"]})";
        }
        out += R"(},"sort":[)" + std::to_string(row) + "]}";
    }
    return out + "]}}";
}

struct Columns {
    size_t rows = 0;
    std::vector<int64_t> n;
    std::vector<float> v;
    std::vector<double> price;
    std::vector<uint8_t> in_stock;
    std::string id, title, body, meta;
    std::vector<uint64_t> ids, titles, bodies, metas; // ends
    void clear() {
        rows = 0;
        n.clear(), v.clear(), price.clear(), in_stock.clear(), id.clear(), title.clear(), body.clear(), meta.clear();
        ids.clear(), titles.clear(), bodies.clear(), metas.clear();
    }
};

void theirs(simdjson::ondemand::parser &parser, const simdjson::padded_string &page, const Kind &kind, Columns &out) {
    simdjson::ondemand::document document = parser.iterate(page);
    if (document["timed_out"].get_bool().value() || document["_shards"]["failed"].get_uint64().value() != 0)
        abort();
    for (auto hit : document["hits"]["hits"].get_array()) {
        simdjson::ondemand::object object = hit.get_object();
        std::string_view text = object.find_field("_id").get_string();
        out.id.append(text);
        out.ids.push_back(out.id.size());
        if (object.find_field("_seq_no").get_uint64().value() > INT64_MAX)
            abort();
        simdjson::ondemand::object source = object.find_field("_source").get_object();
        text = source.find_field("title").get_string();
        out.title.append(text);
        out.titles.push_back(out.title.size());
        out.n.push_back(source.find_field("n").get_int64());
        if (kind.dim > 0) {
            size_t at = out.v.size();
            out.v.resize(at + static_cast<size_t>(kind.dim));
            float *to = out.v.data() + at, *end = to + kind.dim;
            for (auto number : source.find_field("v").get_array()) {
                if (to == end)
                    abort();
                *to++ = static_cast<float>(number.get_double().value());
            }
            if (to != end)
                abort();
        }
        if (kind.texts) {
            text = source.find_field("body").get_string();
            out.body.append(text);
            out.bodies.push_back(out.body.size());
            out.price.push_back(source.find_field("price").get_double());
            out.in_stock.push_back(source.find_field("in_stock").get_bool());
            text = simdjson::to_json_string(source.find_field("meta"));
            out.meta.append(text);
            out.metas.push_back(out.meta.size());
        }
        out.rows++;
    }
}

void must(mm_status status, const mm_error &err) {
    if (status == MM_OK)
        return;
    fprintf(stderr, "%s\n", err.text);
    exit(1);
}

// One batch after the other in the same memory, as a reader makes them; returns the rows of the page.
size_t ours(mm_elastic_page *page, const std::string &text, size_t bytes, mm_batch *batch) {
    mm_error err = MM_ERROR_INIT;
    mm_elastic_envelope envelope;
    mm_elastic_rows rows;
    mm_status status = MM_OK;
    size_t count = 0;
    must(mm_elastic_page_begin(page, "page", text.data(), text.size(), UINT64_MAX, &envelope, &err), err);
    while (status != MM_END) {
        mm_batch_reset(batch);
        status = mm_elastic_page_next(page, SIZE_MAX, bytes, batch, &rows, &err);
        if (status != MM_END)
            must(status, err);
        count += status == MM_OK ? batch->rows : 0;
    }
    return count;
}

void same(bool equal, const char *what) {
    if (equal)
        return;
    fprintf(stderr, "%s: other values than simdjson's\n", what);
    exit(1);
}

void compare_texts(const mm_column &column, const std::string &text, const std::vector<uint64_t> &ends) {
    bool equal = column.offsets[ends.size()] == text.size() && memcmp(column.values, text.data(), text.size()) == 0;
    for (size_t i = 0; equal && i < ends.size(); i++)
        equal = column.offsets[i + 1] == ends[i];
    same(equal, column.field->name);
}

void compare(const Columns &want, mm_elastic_page *page, const std::string &text) {
    mm_error err = MM_ERROR_INIT;
    mm_elastic_envelope envelope;
    mm_elastic_rows rows;
    mm_batch batch{};
    must(mm_elastic_page_begin(page, "page", text.data(), text.size(), UINT64_MAX, &envelope, &err), err);
    must(mm_elastic_page_next(page, SIZE_MAX, SIZE_MAX / 2, &batch, &rows, &err), err);
    same(batch.rows == want.rows, "rows");
    for (size_t i = 0; i < batch.column_count; i++) {
        const mm_column &column = batch.columns[i];
        const std::string name = column.field->name;
        if (name == "_id")
            compare_texts(column, want.id, want.ids);
        else if (name == "title")
            compare_texts(column, want.title, want.titles);
        else if (name == "body")
            compare_texts(column, want.body, want.bodies);
        else if (name == "meta")
            compare_texts(column, want.meta, want.metas);
        else if (name == "n")
            same(memcmp(column.values, want.n.data(), want.n.size() * 8) == 0, "n");
        else if (name == "price")
            same(memcmp(column.values, want.price.data(), want.price.size() * 8) == 0, "price");
        else if (name == "v")
            same(memcmp(column.values, want.v.data(), want.v.size() * 4) == 0, "v");
        else
            same(memcmp(column.values, want.in_stock.data(), want.in_stock.size()) == 0, "in_stock");
    }
    mm_batch_free(&batch);
}

// Processor time: both are one thread that waits for nothing, and a busy machine disturbs it less than wall time.
double now() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

bool measure(const Kind &kind, int turns) {
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_elastic_choice choice{};
    choice.primary_key = "_id";
    const std::string mapping = std::string(R"({"books":{"mappings":{"properties":)") + kind.properties + "}}}";
    const char *mappings[] = {mapping.c_str()};
    mm_elastic_fields *fields;
    mm_elastic_page *page;
    mm_batch batch{};
    must(mm_elastic_fields_build(&arena, "books", &choice, mappings, 1, nullptr, 0, &fields, &err), err);
    must(mm_elastic_page_new(fields, false, true, &page, &err), err);
    const std::string text = page_of(kind);
    const simdjson::padded_string padded(text);
    simdjson::ondemand::parser parser;
    Columns columns;
    std::vector<double> ratios, rates[2];
    for (int turn = 0; turn <= turns; turn++) {
        constexpr int repeats = 5;
        double began = now();
        for (int i = 0; i < repeats; i++) {
            columns.clear();
            theirs(parser, padded, kind, columns);
        }
        double their_time = now() - began;
        began = now();
        for (int i = 0; i < repeats; i++)
            same(ours(page, text, batch_bytes, &batch) == columns.rows, "rows");
        double our_time = now() - began;
        if (turn == 0) { // memory is there, the branch predictor has seen the page
            compare(columns, page, text);
            continue;
        }
        rates[0].push_back(static_cast<double>(text.size()) * repeats / their_time / 1e6);
        rates[1].push_back(static_cast<double>(text.size()) * repeats / our_time / 1e6);
        ratios.push_back(their_time / our_time);
    }
    std::sort(ratios.begin(), ratios.end());
    std::sort(rates[0].begin(), rates[0].end());
    std::sort(rates[1].begin(), rates[1].end());
    double median = ratios[ratios.size() / 2];
    printf("%-24s simdjson %5.0f MB/s, ours %5.0f MB/s, ratio min %.2f  median %.2f  max %.2f  (bar %.1f: %s)\n", kind.name,
           rates[0][rates[0].size() / 2], rates[1][rates[1].size() / 2], ratios.front(), median, ratios.back(), bar,
           median >= bar ? "kept" : "MISSED");
    fflush(stdout);
    mm_batch_free(&batch);
    mm_elastic_page_free(page);
    mm_arena_free(&arena);
    return median >= bar;
}

} // namespace

int main(int argc, char **argv) {
    int turns = argc > 1 ? std::max(1, atoi(argv[1])) : 5;
    bool kept = true;
    printf("simdjson %s, %s; pages of %zu MiB, %d alternating turns\n", SIMDJSON_STRINGIFY(SIMDJSON_VERSION),
           std::string(simdjson::get_active_implementation()->name()).c_str(), page_bytes >> 20, turns);
    for (int i = 0; i < 4; i++)
        if (argc < 3 || atoi(argv[2]) == i)
            kept = measure(kinds[i], turns) && kept;
    return kept ? 0 : 1;
}
