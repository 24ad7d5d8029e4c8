/* Inverse transforms, as FAISS's reverse_transform defines them: linear ones by the transpose,
 * centering by adding the mean, remapping backwards, normalisation not at all (the norm is gone). */
#include "sources/faiss/transform.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "sources/faiss/codec.h"

/* How far A·Aᵀ may be from the identity, as in LinearTransform::set_is_orthonormal. */
#define ORTHONORMAL_EPSILON 4e-5f
#define LANES 8

static float dot(const float *a, const float *b, size_t n)
{
    float sums[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            sums[lane] += a[i + lane] * b[i + lane];
    for (; i < n; i++)
        sum += a[i] * b[i];
    for (size_t lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    return sum;
}

static bool is_orthonormal(const float *matrix, size_t rows, size_t columns)
{
    if (rows > columns)
        return false;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j <= i; j++) {
            float product = dot(matrix + i * columns, matrix + j * columns, columns);
            /* written so that a NaN fails */
            if (!(fabsf(product - (i == j ? 1.0f : 0.0f)) <= ORTHONORMAL_EPSILON))
                return false;
        }
    return true;
}

static mm_status open_linear(mm_faiss_inverse *inverse, const mm_input *file, mm_arena *arena,
                             const mm_faiss_transform *t, mm_error *err)
{
    mm_status status =
        mm_faiss_load_floats(file, arena, t->data, t->data_count, &inverse->matrix, err);
    if (status == MM_OK && t->bias)
        status = mm_faiss_load_floats(file, arena, t->b, t->d_out, &inverse->offset, err);
    if (status != MM_OK)
        return status;
    /* A random rotation is orthonormal by construction, and FAISS undoes it unseen. */
    if (t->fourcc != MM_FOURCC("rrot") && !is_orthonormal(inverse->matrix, t->d_out, t->d_in))
        return mm_faiss_bad(file, t->at, err,
                            "the transform '%s' from %u to %u dimensions is not orthonormal "
                            "(whitening?): its vectors cannot be had back",
                            mm_faiss_fourcc_text(t->fourcc).text, t->d_in, t->d_out);
    return MM_OK;
}

static mm_status open_map(mm_faiss_inverse *inverse, const mm_input *file, mm_arena *arena,
                          const mm_faiss_transform *t, mm_error *err)
{
    int32_t *map = mm_arena_array(arena, (size_t)t->data_count, sizeof(*map));
    if (map == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", file->name);
    mm_status status = mm_faiss_read(file, t->data, map, (size_t)t->data_count * sizeof(*map), err);
    for (uint64_t i = 0; status == MM_OK && i < t->data_count; i++)
        if (map[i] >= 0 && (uint32_t)map[i] >= t->d_in)
            status = mm_faiss_bad(file, t->data + i * sizeof(*map), err,
                                  "dimension %d in the map of a transform from %u dimensions",
                                  map[i], t->d_in);
    inverse->map = map;
    return status;
}

mm_status mm_faiss_inverse_open(mm_faiss_inverse *inverse, const mm_input *file, mm_arena *arena,
                                const mm_faiss_transform *t, uint64_t *budget, mm_error *err)
{
    uint64_t bytes = (t->data_count + (t->bias ? t->d_out : 0)) * sizeof(float);
    if (bytes > *budget)
        return mm_faiss_bad(file, t->at, err,
                            "the transform '%s' from %u to %u dimensions takes more memory than is "
                            "allowed for tables",
                            mm_faiss_fourcc_text(t->fourcc).text, t->d_in, t->d_out);
    *budget -= bytes;
    *inverse = (mm_faiss_inverse){.kind = t->kind, .d_in = t->d_in, .d_out = t->d_out};
    switch (t->kind) {
    case MM_FAISS_LINEAR:
        return open_linear(inverse, file, arena, t, err);
    case MM_FAISS_CENTER:
        return mm_faiss_load_floats(file, arena, t->data, t->data_count, &inverse->offset, err);
    case MM_FAISS_REMAP:
        return open_map(inverse, file, arena, t, err);
    case MM_FAISS_NORM:
        break;
    }
    return MM_OK;
}

/* x = Aᵀ·(y - b), four rows of A at a time: in float32 within the four, so that the compiler can use
 * vectors of them, in double beyond, so that long sums stay exact. */
static void undo_linear(const mm_faiss_inverse *t, const float *y, float *x, double *sums)
{
    size_t d_in = t->d_in;
    memset(sums, 0, d_in * sizeof(*sums));
    for (size_t i = 0; i < t->d_out; i += 4) {
        float v[4] = {0};
        const float *row[4];
        for (size_t k = 0; k < 4; k++) {
            bool there = i + k < t->d_out;
            row[k] = t->matrix + (there ? i + k : i) * d_in;
            if (there)
                v[k] = y[i + k] - (t->offset != NULL ? t->offset[i + k] : 0.0f);
        }
        const float *r0 = row[0], *r1 = row[1], *r2 = row[2], *r3 = row[3];
        for (size_t j = 0; j < d_in; j++)
            sums[j] += (double)(v[0] * r0[j] + v[1] * r1[j] + (v[2] * r2[j] + v[3] * r3[j]));
    }
    for (size_t j = 0; j < d_in; j++)
        x[j] = (float)sums[j];
}

void mm_faiss_inverse_apply(const mm_faiss_inverse *t, const float *y, float *x, double *sums)
{
    switch (t->kind) {
    case MM_FAISS_LINEAR:
        undo_linear(t, y, x, sums);
        break;
    case MM_FAISS_CENTER:
        for (size_t i = 0; i < t->d_in; i++)
            x[i] = y[i] + t->offset[i];
        break;
    case MM_FAISS_REMAP:
        memset(x, 0, t->d_in * sizeof(*x));
        for (size_t j = 0; j < t->d_out; j++)
            if (t->map[j] >= 0)
                x[t->map[j]] = y[j];
        break;
    case MM_FAISS_NORM:
        memcpy(x, y, t->d_in * sizeof(*x));
        break;
    }
}
