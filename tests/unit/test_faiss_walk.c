/* The walk over FAISS files made by hand: what it refuses, with which words, at which byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/faiss_fixture.h"

#define D 4

static const mm_source_driver *driver;

/* Saves f, reads it with lossy types allowed, and wants MM_DATA with all these words; frees f. */
static void refused(faiss_bytes *f, const char *word, const char *more)
{
    mm_error err = MM_ERROR_INIT;
    uint64_t rows = 0;
    faiss_save(f);
    mm_source *source = faiss_open(f, (const char *[]){"lossy=true", NULL});
    mm_status status = faiss_read_all(source, &rows, &err);
    if (status != MM_DATA || strstr(err.text, word) == NULL || strstr(err.text, more) == NULL ||
        strstr(err.text, f->path) != err.text)
        fail_msg("wanted \"%s\" and \"%s\", got %s: %s", word, more, mm_status_name(status), err.text);
    driver->close(source);
    faiss_done(f);
}

static void read_well(faiss_bytes *f, uint64_t want)
{
    mm_error err = MM_ERROR_INIT;
    uint64_t rows = 0;
    faiss_save(f);
    mm_source *source = faiss_open(f, (const char *[]){"lossy=true", NULL});
    if (faiss_read_all(source, &rows, &err) != MM_OK)
        fail_msg("%s", err.text);
    assert_int_equal(rows, want);
    driver->close(source);
    faiss_done(f);
}

static void put_small_ivf(faiss_bytes *f)
{
    static const uint64_t sizes[] = {2, 1, 3};
    put_ivf(f, "IwFl", D, 6, 3);
    put_lists(f, D, sizes, 3);
}

static void a_file_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    mm_error err = MM_ERROR_INIT;
    put_small_ivf(&f);
    size_t whole = f.bytes.size;
    faiss_save(&f);
    for (size_t size = 0; size < whole; size++) {
        char path[64];
        uint64_t rows = 0;
        f.bytes.size = size;
        snprintf(path, sizeof(path), "%s", f.path);
        faiss_save(&f);
        unlink(path);
        mm_source *source = faiss_open(&f, NULL);
        assert_int_equal(faiss_read_all(source, &rows, &err), MM_DATA);
        assert_non_null(strstr(err.text, ": byte "));
        driver->close(source);
    }
    f.bytes.size = whole;
    unlink(f.path);
    read_well(&f, 6);
}

static void bytes_behind_the_index_are_refused(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    put_flat(&f, D, 2);
    put_u8(&f, 0);
    refused(&f, ": byte 77: ", "the file goes on for 1 bytes");
}

static void what_is_no_faiss_file_is_named_by_its_first_letters(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    put_text(&f, "%PDF-1.4 and so on");
    refused(&f, ": byte 0: ", "'\\x25PDF' is no known FAISS index type");
    put_text(&f, "Ix");
    refused(&f, ": byte 0: ", "the file ends after 2 of the 4 bytes of the index type");
    refused(&f, ": byte 0: ", "the file ends after 0 of the 4 bytes");
}

static void known_types_that_are_not_read_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const types[][2] = {{"IxHe", "IndexLSH"},       {"IxRq", "IndexResidualQuantizer"},
                                           {"Iwrq", "IndexIVFRaBitQ"}, {"IBHh", "IndexBinaryHash"},
                                           {"IPfs", "IndexPQFastScan"}};
    for (size_t i = 0; i < MM_COUNT(types); i++) {
        faiss_bytes f = {.path = ""};
        put_header(&f, "IxMp", D, 0, 1);
        put_text(&f, types[i][0]);
        if (i + 1 == MM_COUNT(types)) { /* known well enough to be stepped over, not to be read */
            faiss_done(&f);
            put_header(&f, "IPfs", D, 0, 1);
            put_u64(&f, D);
            put_u64(&f, 1);
            put_u64(&f, 1);
            put_u64(&f, 2 * D);
            for (int j = 0; j < 2 * D; j++)
                put_f32(&f, 0);
            for (int j = 0; j < 28; j++)
                put_u8(&f, 0);
            put_u64(&f, 0);
        }
        refused(&f, types[i][1], types[i][0]);
    }
}

static void counts_too_large_for_the_file_are_refused(void **state)
{
    (void)state;
    static const uint64_t counts[] = {9, 7, 1ull << 61, 1ull << 62, UINT64_MAX};
    for (size_t i = 0; i < MM_COUNT(counts); i++) {
        faiss_bytes f = {.path = ""};
        put_flat(&f, D, 2);
        set_u64(&f, 37, counts[i]);
        refused(&f, ": byte ", counts[i] < 8 ? "7 × 4 bytes of vectors for 2 rows of 16 bytes" : "vectors: ");
    }
}

static void headers_out_of_range_are_refused(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    put_flat(&f, D, 2);
    set_u32(&f, 4, 0);
    refused(&f, ": byte 4: ", "a dimension of 0");
    put_flat(&f, D, 2);
    set_u32(&f, 4, UINT32_MAX);
    refused(&f, ": byte 4: ", "a dimension of -1");
    put_flat(&f, D, 2);
    set_u64(&f, 8, UINT64_MAX);
    refused(&f, ": byte 8: ", "-1 rows");
    put_flat(&f, D, 2);
    set_u32(&f, 33, UINT32_MAX);
    refused(&f, ": byte 33: ", "-1 is no metric");
}

static void rows_that_do_not_add_up_are_refused(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    put_small_ivf(&f);
    set_u64(&f, 8, 7);
    refused(&f, ": byte 8: ", "the index says 7 rows, its inverted lists hold 6");
    put_header(&f, "IxMp", D, 3, 1);
    put_flat(&f, D, 2);
    put_u64(&f, 3);
    for (int i = 0; i < 3; i++)
        put_u64(&f, 0);
    refused(&f, ": byte 8: ", "says 3 rows, the IndexFlatL2 in it (byte 37) has 2");
    put_header(&f, "IxMp", D, 2, 1);
    put_flat(&f, D, 2);
    put_u64(&f, 1);
    put_u64(&f, 0);
    refused(&f, ": byte 114: ", "1 ids for 2 rows");
}

static void an_index_without_its_lists_or_storage_is_refused(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    put_ivf(&f, "IwFl", D, 6, 3);
    put_text(&f, "il00");
    refused(&f, ": byte 8: ", "they were not stored with the index");
    put_header(&f, "INNf", D, 0, 1);
    for (int i = 0; i < 37; i++)
        put_u8(&f, 0);
    put_u64(&f, 0);
    put_text(&f, "null");
    refused(&f, ": byte 82: ", "IO_FLAG_SKIP_STORAGE");
}

static void indexes_nested_too_deeply_are_refused(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    for (int i = 0; i < 60; i++)
        put_header(&f, "IxMp", D, 0, 1);
    refused(&f, ": byte 1887: ", "more than 50 indexes within each other");
    for (int i = 0; i < 50; i++)
        put_header(&f, "IxMp", D, 0, 1);
    put_flat(&f, D, 0);
    for (int i = 0; i < 50; i++)
        put_u64(&f, 0);
    read_well(&f, 0);
}

/* A Refine has two indexes, so that a small file could ask for very many of them. */
static void put_tree(faiss_bytes *f, int depth)
{
    if (depth == 0) {
        put_flat(f, D, 0);
        return;
    }
    put_header(f, "IxRF", D, 0, 1);
    put_tree(f, depth - 1);
    put_tree(f, depth - 1);
    put_f32(f, 1);
}

static void very_many_indexes_in_one_file_are_refused(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    put_tree(&f, 6);
    read_well(&f, 0);
    put_tree(&f, 9);
    refused(&f, ": byte ", "256 in all");
}

static void ids_outside_of_their_map_are_refused(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    put_header(&f, "IxM2", D, 6, 1);
    put_small_ivf(&f);
    put_u64(&f, 6);
    for (uint64_t i = 0; i < 6; i++)
        put_u64(&f, i);
    refused(&f, ": byte ", "an id map of 6 ids is asked for number 10");
}

static void sparse_lists_out_of_order_are_refused(void **state)
{
    (void)state;
    static const uint64_t tables[][4] = {{1, 1, 0, 1}, {1, 1, 1, 1}, {0, 1, 9, 1}};
    for (size_t i = 0; i < MM_COUNT(tables); i++) {
        faiss_bytes f = {.path = ""};
        put_ivf(&f, "IwFl", 1, 2, 8);
        put_text(&f, "ilar");
        put_u64(&f, 8);
        put_u64(&f, 4);
        put_text(&f, "sprs");
        put_u64(&f, 4);
        for (size_t j = 0; j < 4; j++)
            put_u64(&f, tables[i][j]);
        for (int j = 0; j < 2; j++) {
            put_f32(&f, 0);
            put_u64(&f, 0);
        }
        refused(&f, ": byte ", "out of order or not one of 8");
    }
}

static void a_duplicate_of_an_unknown_id_is_refused(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 1};
    for (uint64_t kept = 0; kept <= 10; kept += 5) {
        faiss_bytes f = {.path = ""};
        put_ivf(&f, "IwFd", D, 3, 2);
        put_u64(&f, 2);
        put_u64(&f, kept); /* the lists hold 0 and 10 */
        put_u64(&f, 77);
        put_lists(&f, D, sizes, 2);
        if (kept == 5)
            refused(&f, ": byte ", "the id 5, whose duplicate is 77, is in no inverted list");
        else
            read_well(&f, 3);
    }
}

static void put_hnsw(faiss_bytes *f, uint64_t levels, uint64_t offsets, uint64_t neighbours)
{
    put_header(f, "IHNf", D, 2, 1);
    put_u64(f, 0);
    put_u64(f, 2);
    put_i32(f, 0);
    put_i32(f, 8);
    put_u64(f, levels);
    for (uint64_t i = 0; i < levels; i++)
        put_i32(f, 1);
    put_u64(f, offsets);
    for (uint64_t i = 0; i < offsets; i++)
        put_u64(f, i * 8);
    put_u64(f, neighbours);
    for (uint64_t i = 0; i < neighbours; i++)
        put_i32(f, -1);
    for (int i = 0; i < 5; i++)
        put_i32(f, 40);
    put_flat(f, D, 2);
}

static void graphs_that_do_not_fit_their_rows_are_refused(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    put_hnsw(&f, 2, 3, 16);
    read_well(&f, 2);
    put_hnsw(&f, 3, 3, 16);
    refused(&f, ": byte ", "3 levels of a graph; 2 are wanted");
    put_hnsw(&f, 2, 2, 16);
    refused(&f, ": byte ", "2 offsets of a graph; 3 are wanted");
    put_hnsw(&f, 2, 3, 17);
    refused(&f, ": byte ", "17 neighbours of a graph; 16 are wanted");
}

static void put_nsg(faiss_bytes *f, int32_t per_node, uint8_t built)
{
    put_header(f, "INSf", D, 2, 1);
    for (int i = 0; i < 21; i++)
        put_u8(f, 0);
    put_i32(f, 2);
    put_i32(f, 3);
    for (int i = 0; i < 4; i++)
        put_i32(f, 0);
    put_u8(f, built);
    for (int node = 0; built && node < 2; node++) {
        for (int32_t i = 0; i < per_node; i++)
            put_i32(f, 1 - node);
        put_i32(f, -1);
    }
    put_flat(f, D, 2);
}

static void a_graph_of_varying_length_is_stepped_over(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    put_nsg(&f, 0, 0);
    read_well(&f, 2);
    put_nsg(&f, 0, 1);
    read_well(&f, 2);
    put_nsg(&f, 3, 1);
    read_well(&f, 2);
    put_nsg(&f, 4, 1);
    refused(&f, ": byte ", "node 0 of the graph has more than 3 neighbours");
}

static void legacy_lists_whose_halves_differ_are_refused(void **state)
{
    (void)state;
    for (uint64_t bytes = 16; bytes <= 17; bytes++) {
        faiss_bytes f = {.path = ""};
        put_header(&f, "IvFL", D, 1, 1);
        put_u64(&f, 1);
        put_u64(&f, 1);
        put_flat(&f, D, 1);
        put_u64(&f, 1); /* one id */
        put_u64(&f, 5);
        put_u8(&f, 0); /* no direct map */
        put_u64(&f, 0);
        put_u64(&f, bytes);
        for (uint64_t i = 0; i < bytes; i++)
            put_u8(&f, 0);
        if (bytes == 16)
            read_well(&f, 1);
        else
            refused(&f, ": byte ", "list 0: 17 × 1 bytes of codes for 1 ids of 16 bytes each");
    }
}

static void a_binary_index_within_a_float_one_is_refused(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    put_header(&f, "IxMp", D, 0, 1);
    put_text(&f, "IBxF");
    refused(&f, ": byte 37: ", "the binary index 'IBxF' within a float one");
}

static void inspection_shows_the_tree_and_leaves_other_files_alone(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    mm_buffer text = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    put_small_ivf(&f);
    faiss_save(&f);
    assert_int_equal(driver->inspect(f.path, &text, &err), MM_OK);
    mm_buffer_append(&text, "", 1);
    assert_non_null(strstr(text.data, "type: IndexIVFFlat\nmetric: L2\nrows: 6\n"));
    assert_non_null(strstr(text.data, "exact: yes\n"));
    assert_non_null(strstr(text.data, "tree:   quantizer IndexFlatL2 ('IxF2') at byte 53: 3 rows"));
    mm_buffer_free(&text);
    faiss_done(&f);
    put_text(&f, "hello, this is text");
    faiss_save(&f);
    assert_int_equal(driver->inspect(f.path, &text, &err), MM_NOT_FOUND);
    faiss_done(&f);
}

int main(void)
{
    driver = mm_source_find("faiss");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_cut_at_any_byte_is_refused),
        cmocka_unit_test(bytes_behind_the_index_are_refused),
        cmocka_unit_test(what_is_no_faiss_file_is_named_by_its_first_letters),
        cmocka_unit_test(known_types_that_are_not_read_are_refused_by_name),
        cmocka_unit_test(counts_too_large_for_the_file_are_refused),
        cmocka_unit_test(headers_out_of_range_are_refused),
        cmocka_unit_test(rows_that_do_not_add_up_are_refused),
        cmocka_unit_test(an_index_without_its_lists_or_storage_is_refused),
        cmocka_unit_test(indexes_nested_too_deeply_are_refused),
        cmocka_unit_test(very_many_indexes_in_one_file_are_refused),
        cmocka_unit_test(ids_outside_of_their_map_are_refused),
        cmocka_unit_test(sparse_lists_out_of_order_are_refused),
        cmocka_unit_test(a_duplicate_of_an_unknown_id_is_refused),
        cmocka_unit_test(graphs_that_do_not_fit_their_rows_are_refused),
        cmocka_unit_test(a_graph_of_varying_length_is_stepped_over),
        cmocka_unit_test(legacy_lists_whose_halves_differ_are_refused),
        cmocka_unit_test(a_binary_index_within_a_float_one_is_refused),
        cmocka_unit_test(inspection_shows_the_tree_and_leaves_other_files_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
