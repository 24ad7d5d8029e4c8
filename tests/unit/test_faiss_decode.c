/* Decoding of lossy codes, against numbers worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/faiss_fixture.h"

static const mm_source_driver *driver;

/* Reads the one row of f's first `count` numbers; frees f. */
static mm_status first_row(faiss_bytes *f, bool lossy, size_t count, float *out, mm_error *err)
{
    faiss_plan plan = {.count = 0};
    mm_reader *reader = NULL;
    mm_batch batch;
    memset(&batch, 0, sizeof(batch));
    faiss_save(f);
    mm_source *source = faiss_open(f, lossy ? (const char *[]){"lossy=true", NULL} : NULL);
    mm_status status = driver->plan(source, 0, faiss_keep, &plan, err);
    if (status == MM_OK)
        status = driver->read_open(source, &plan.extents[0].extent, NULL, MM_READ_ALL, &reader, err);
    if (status == MM_OK)
        status = driver->next(reader, 1, 1 << 20, &batch, err);
    if (status == MM_OK)
        memcpy(out, batch.columns[1].values, count * sizeof(*out));
    driver->read_close(reader);
    mm_batch_free(&batch);
    faiss_plan_free(&plan);
    driver->close(source);
    faiss_done(f);
    return status;
}

static void is_row(faiss_bytes *f, const float *want, size_t count)
{
    float got[16];
    mm_error err = MM_ERROR_INIT;
    if (first_row(f, true, count, got, &err) != MM_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(got[i] - want[i]) <= 1e-6f * fmaxf(1, fabsf(want[i]))))
            fail_msg("element %zu: %.9g, not %.9g", i, (double)got[i], (double)want[i]);
}

static void put_sq(faiss_bytes *f, int32_t qtype, uint64_t d, uint64_t code_size, const float *ranges,
                   size_t range_count)
{
    put_i32(f, qtype);
    put_i32(f, 0);
    put_f32(f, 0);
    put_u64(f, d);
    put_u64(f, code_size);
    put_u64(f, range_count);
    for (size_t i = 0; i < range_count; i++)
        put_f32(f, ranges[i]);
}

/* IndexScalarQuantizer of 4 dimensions with one row. */
static void put_flat_sq(faiss_bytes *f, int32_t qtype, const uint8_t *code, uint64_t code_size,
                        const float *ranges, size_t range_count)
{
    put_header(f, "IxSQ", 4, 1, 1);
    put_sq(f, qtype, 4, code_size, ranges, range_count);
    put_u64(f, code_size);
    for (uint64_t i = 0; i < code_size; i++)
        put_u8(f, code[i]);
}

static void scalar_quantizers_decode_each_type(void **state)
{
    (void)state;
    static const float ranges[] = {-1, 0, 1, 2, 10, 20, 30, 40}, uniform[] = {-1, 10};
    faiss_bytes f = {.path = ""};
    put_flat_sq(&f, 0, (const uint8_t[]){0, 127, 128, 255}, 4, ranges, 8);
    is_row(&f, (const float[]){-1 + 10 * .5f / 255, 20 * 127.5f / 255, 1 + 30 * 128.5f / 255, 2 + 40 * 255.5f / 255},
           4);
    put_flat_sq(&f, 1, (const uint8_t[]){0x10, 0xf7}, 2, ranges, 8); /* low nibble first: 0, 1, 7, 15 */
    is_row(&f, (const float[]){-1 + 10 * .5f / 15, 20 * 1.5f / 15, 1 + 30 * 7.5f / 15, 2 + 40 * 15.5f / 15}, 4);
    put_flat_sq(&f, 2, (const uint8_t[]){0, 1, 2, 255}, 4, uniform, 2);
    is_row(&f, (const float[]){-1 + 5.0f / 255, -1 + 15.0f / 255, -1 + 25.0f / 255, -1 + 2555.0f / 255}, 4);
    put_flat_sq(&f, 3, (const uint8_t[]){0x10, 0xf2}, 2, uniform, 2);
    is_row(&f, (const float[]){-1 + 5.0f / 15, -1 + 15.0f / 15, -1 + 25.0f / 15, -1 + 155.0f / 15}, 4);
    /* 1, -2, the smallest number above 0, the greatest */
    put_flat_sq(&f, 4, (const uint8_t[]){0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0xff, 0x7b}, 8, NULL, 0);
    is_row(&f, (const float[]){1, -2, 0x1p-24f, 65504}, 4);
    put_flat_sq(&f, 5, (const uint8_t[]){0, 1, 128, 255}, 4, NULL, 0);
    is_row(&f, (const float[]){0, 1, 128, 255}, 4);
    /* six bits each, least significant first: 1, 2, 3, 63 */
    put_flat_sq(&f, 6, (const uint8_t[]){0x81, 0x30, 0xfc}, 3, ranges, 8);
    is_row(&f, (const float[]){-1 + 10 * 1.5f / 63, 20 * 2.5f / 63, 1 + 30 * 3.5f / 63, 2 + 40 * 63.5f / 63}, 4);
    put_flat_sq(&f, 7, (const uint8_t[]){0x80, 0x3f, 0x00, 0xc0, 0x00, 0x00, 0x80, 0xbf}, 8, NULL, 0);
    is_row(&f, (const float[]){1, -2, 0, -1}, 4);
    put_flat_sq(&f, 8, (const uint8_t[]){0, 1, 128, 255}, 4, NULL, 0);
    is_row(&f, (const float[]){-128, -127, 0, 127}, 4);
}

static void half_precision_keeps_infinity_and_nan(void **state)
{
    (void)state;
    float got[4];
    mm_error err = MM_ERROR_INIT;
    faiss_bytes f = {.path = ""};
    put_flat_sq(&f, 4, (const uint8_t[]){0x00, 0x7c, 0x00, 0xfc, 0x00, 0x7e, 0x00, 0x80}, 8, NULL, 0);
    assert_int_equal(first_row(&f, true, 4, got, &err), MM_OK);
    assert_true(isinf(got[0]) && got[0] > 0);
    assert_true(isinf(got[1]) && got[1] < 0);
    assert_true(isnan(got[2]));
    assert_true(fpclassify(got[3]) == FP_ZERO && signbit(got[3]));
}

static void quantizer_types_that_are_not_read_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        int32_t qtype;
        const char *name;
    } types[] = {{9, "QT_0bit"}, {10, "TurboQuant or EDEN"}, {26, "TurboQuant or EDEN"}, {99, "unknown"}, {-1, "unknown"}};
    for (size_t i = 0; i < MM_COUNT(types); i++) {
        float got[4];
        mm_error err = MM_ERROR_INIT;
        faiss_bytes f = {.path = ""};
        put_flat_sq(&f, types[i].qtype, (const uint8_t[]){0, 0, 0, 0}, 4, NULL, 0);
        assert_int_equal(first_row(&f, true, 4, got, &err), MM_DATA);
        assert_non_null(strstr(err.text, types[i].name));
        assert_non_null(strstr(err.text, "IndexScalarQuantizer"));
        assert_non_null(strstr(err.text, ": byte 37: "));
    }
}

static void lossy_types_want_the_users_consent(void **state)
{
    (void)state;
    float got[4];
    mm_error err = MM_ERROR_INIT;
    faiss_bytes f = {.path = ""};
    put_flat_sq(&f, 5, (const uint8_t[]){0, 0, 0, 0}, 4, NULL, 0);
    assert_int_equal(first_row(&f, false, 4, got, &err), MM_CONFIG);
    assert_non_null(strstr(err.text, "IndexScalarQuantizer ('IxSQ')"));
    assert_non_null(strstr(err.text, "source.lossy: true"));
}

static void put_pq(faiss_bytes *f, uint64_t d, uint64_t m, uint64_t bits)
{
    put_u64(f, d);
    put_u64(f, m);
    put_u64(f, bits);
    put_u64(f, d << bits);
    /* element k of centroid c of part p: 1000 p + c + k / 10 */
    for (uint64_t p = 0; p < m; p++)
        for (uint64_t c = 0; c < 1ull << bits; c++)
            for (uint64_t k = 0; k < d / m; k++)
                put_f32(f, (float)(1000 * p + c) + (float)k / 10);
}

static void product_quantizer_codes_are_a_stream_of_bits(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    /* three parts of 5 bits: 17, 3, 30 from the lowest bit on: 17 | 3 << 5 | 30 << 10 */
    unsigned code = 17 | 3 << 5 | 30 << 10;
    put_header(&f, "IxPq", 6, 1, 1);
    put_pq(&f, 6, 3, 5);
    put_u64(&f, 2);
    put_u8(&f, (uint8_t)code);
    put_u8(&f, (uint8_t)(code >> 8));
    for (int i = 0; i < 9; i++)
        put_u8(&f, 0);
    is_row(&f, (const float[]){17, 17.1f, 1003, 1003.1f, 2030, 2030.1f}, 6);
}

static void the_centroid_of_the_list_is_added_to_residuals(void **state)
{
    (void)state;
    for (uint8_t residual = 0; residual < 2; residual++) {
        faiss_bytes f = {.path = ""};
        put_ivf(&f, "IwPQ", 4, 1, 3); /* element j of centroid i: 1000 i + j */
        put_u8(&f, residual);
        put_u64(&f, 2);
        put_pq(&f, 4, 2, 8);
        put_text(&f, "ilar");
        put_u64(&f, 3);
        put_u64(&f, 2);
        put_text(&f, "full");
        put_u64(&f, 3);
        put_u64(&f, 0);
        put_u64(&f, 0);
        put_u64(&f, 1);
        put_u8(&f, 7);
        put_u8(&f, 8);
        put_u64(&f, 42);
        if (residual)
            is_row(&f, (const float[]){2007, 2008.1f, 3010, 3011.1f}, 4);
        else
            is_row(&f, (const float[]){7, 7.1f, 1008, 1008.1f}, 4);
    }
}

static void put_linear(faiss_bytes *f, const char *fourcc, const float *a, int32_t d_in, int32_t d_out,
                       const float *b)
{
    put_text(f, fourcc);
    put_u8(f, b != NULL);
    put_u64(f, (uint64_t)(d_in * d_out));
    for (int32_t i = 0; i < d_in * d_out; i++)
        put_f32(f, a[i]);
    put_u64(f, b != NULL ? (uint64_t)d_out : 0);
    for (int32_t i = 0; b != NULL && i < d_out; i++)
        put_f32(f, b[i]);
    put_i32(f, d_in);
    put_i32(f, d_out);
    put_u8(f, 1);
}

/* IndexFlatL2 of one row. */
static void put_inner(faiss_bytes *f, const float *row, int32_t d)
{
    put_header(f, "IxF2", d, 1, 1);
    put_u64(f, (uint64_t)d);
    for (int32_t i = 0; i < d; i++)
        put_f32(f, row[i]);
}

static void transforms_are_undone_from_the_last_to_the_first(void **state)
{
    (void)state;
    /* first a mean of (1, 2, 3) is taken off, then the axes are turned to (z, x, y), with a bias */
    static const float turn[] = {0, 0, 1, 1, 0, 0, 0, 1, 0}, bias[] = {10, 20, 30};
    faiss_bytes f = {.path = ""};
    put_header(&f, "IxPT", 3, 1, 1);
    put_i32(&f, 2);
    put_text(&f, "VCnt");
    put_u64(&f, 3);
    for (int i = 1; i <= 3; i++)
        put_f32(&f, (float)i);
    put_i32(&f, 3);
    put_i32(&f, 3);
    put_u8(&f, 1);
    put_linear(&f, "LTra", turn, 3, 3, bias);
    put_inner(&f, (const float[]){10 + 300, 20 + 100, 30 + 200}, 3);
    is_row(&f, (const float[]){101, 202, 303}, 3);
}

static void dimensions_that_were_dropped_come_back_as_zero(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    put_header(&f, "IxPT", 4, 1, 1);
    put_i32(&f, 1);
    put_text(&f, "RmDT");
    put_u64(&f, 3);
    put_i32(&f, 2);
    put_i32(&f, -1);
    put_i32(&f, 0);
    put_i32(&f, 4);
    put_i32(&f, 3);
    put_u8(&f, 1);
    put_inner(&f, (const float[]){5, 6, 7}, 3);
    is_row(&f, (const float[]){7, 0, 5, 0}, 4);
}

static void a_matrix_whose_transpose_is_not_its_inverse_is_refused(void **state)
{
    (void)state;
    static const float stretched[] = {2, 0, 0, 1}, broken[] = {NAN, 0, 0, 1}, near[] = {1.00001f, 0, 0, 1};
    static const struct {
        const float *a;
        mm_status want;
    } matrices[] = {{stretched, MM_DATA}, {broken, MM_DATA}, {near, MM_OK}};
    for (size_t i = 0; i < MM_COUNT(matrices); i++) {
        float got[2];
        mm_error err = MM_ERROR_INIT;
        faiss_bytes f = {.path = ""};
        put_header(&f, "IxPT", 2, 1, 1);
        put_i32(&f, 1);
        put_linear(&f, "LTra", matrices[i].a, 2, 2, NULL);
        put_inner(&f, (const float[]){1, 2}, 2);
        assert_int_equal(first_row(&f, true, 2, got, &err), matrices[i].want);
        if (matrices[i].want == MM_DATA)
            assert_non_null(strstr(err.text, ": byte 41: the transform 'LTra' from 2 to 2 dimensions is not orthonormal"));
    }
}

int main(void)
{
    driver = mm_source_find("faiss");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalar_quantizers_decode_each_type),
        cmocka_unit_test(half_precision_keeps_infinity_and_nan),
        cmocka_unit_test(quantizer_types_that_are_not_read_are_refused_by_name),
        cmocka_unit_test(lossy_types_want_the_users_consent),
        cmocka_unit_test(product_quantizer_codes_are_a_stream_of_bits),
        cmocka_unit_test(the_centroid_of_the_list_is_added_to_residuals),
        cmocka_unit_test(transforms_are_undone_from_the_last_to_the_first),
        cmocka_unit_test(dimensions_that_were_dropped_come_back_as_zero),
        cmocka_unit_test(a_matrix_whose_transpose_is_not_its_inverse_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
