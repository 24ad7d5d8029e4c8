/* float_texts.h */
#include "support/float_texts.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json_parse.h"

#define ARRAY 1000

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static float any_float(uint64_t *state)
{
    for (;;) {
        uint32_t bits = (uint32_t)next(state);
        float value;
        memcpy(&value, &bits, sizeof(value));
        if (isfinite(value))
            return value;
    }
}

/* Digits with a point and an exponent anywhere. */
static size_t digits(uint64_t *state, char *out)
{
    size_t size = 0, count = 1 + next(state) % 24, point = next(state) % (count + 1);
    if (next(state) & 1)
        out[size++] = '-';
    if (point == 0)
        out[size++] = '0';
    for (size_t i = 0; i < count; i++) {
        if (i == point)
            out[size++] = '.';
        uint64_t digit = next(state) % (next(state) % 4 == 0 ? 1 : 10);
        out[size++] = (char)('0' + (i == 0 && point > 1 && digit == 0 ? 1 : digit));
    }
    if (next(state) % 3 == 0)
        size += (size_t)sprintf(out + size, next(state) & 1 ? "e%d" : "E%+03d", (int)(next(state) % 60) - 45);
    return size;
}

/* Beside the middle between two floats, so near that a double does not tell them apart. */
static size_t near_middle(uint64_t *state, char *out)
{
    float low = (float)((double)(next(state) >> 40) / 1e6), high = nextafterf(low, FLT_MAX);
    return (size_t)snprintf(out, FLOAT_TEXT_MAX, "%.15g", ((double)low + (double)high) / 2);
}

/* The middle between two floats exactly, and a little beside it. */
static size_t middle(uint64_t *state, char *out)
{
    float low = any_float(state), high = nextafterf(low, FLT_MAX);
    double half = isfinite(high) ? ((double)low + (double)high) / 2 : (double)low;
    size_t size = (size_t)snprintf(out, FLOAT_TEXT_MAX, "%.*g", 17 + (int)(next(state) % 40), half);
    if (next(state) % 3 == 0 && size > 0 && out[size - 1] < '9' && out[size - 1] > '0')
        out[size - 1] = (char)(out[size - 1] + (next(state) & 1 ? 1 : -1));
    return size;
}

size_t float_text(uint64_t *state, char out[FLOAT_TEXT_MAX])
{
    size_t size = 0;
    float value;
    double component;
    do {
        switch (next(state) % 9) {
        case 0: /* a float of any size */
            size = (size_t)snprintf(out, FLOAT_TEXT_MAX, "%.9g", (double)any_float(state));
            break;
        case 1: /* components of vectors, as float32 and as float64 are printed */
        case 2:
            component = (double)(int64_t)next(state) / 9.3e18;
            size = (size_t)snprintf(out, FLOAT_TEXT_MAX, "%.*g", next(state) & 1 ? 17 : 9, component);
            break;
        case 3:
            size = (size_t)snprintf(out, FLOAT_TEXT_MAX, "%.*f", (int)(next(state) % 20), (double)(int64_t)next(state) / 1e17);
            break;
        case 4:
            size = middle(state, out);
            break;
        case 6:
            size = near_middle(state, out);
            break;
        case 5: /* integers, around 2^24 too */
            size = (size_t)snprintf(out, FLOAT_TEXT_MAX, "%lld", (long long)(next(state) >> (next(state) % 64)) - 8);
            break;
        default:
            size = digits(state, out);
        }
        out[size] = '\0';
        value = strtof(out, NULL);
    } while (!isfinite(value));
    return size;
}

uint64_t float_texts_compare(uint64_t count, uint64_t seed, char wrong[2 * FLOAT_TEXT_MAX])
{
    static char text[ARRAY * (FLOAT_TEXT_MAX + 2) + 2];
    static char texts[ARRAY][FLOAT_TEXT_MAX];
    float values[ARRAY];
    uint64_t state = seed, bad = 0;
    for (uint64_t done = 0; done < count; done += ARRAY) {
        size_t size = 0, read = 0;
        mm_json json;
        mm_error err = MM_ERROR_INIT;
        for (size_t i = 0; i < ARRAY; i++) {
            text[size++] = i == 0 ? '[' : ',';
            size_t length = float_text(&state, texts[i]);
            memcpy(text + size, texts[i], length);
            size += length;
        }
        text[size++] = ']';
        mm_json_open(&json, "t", text, size);
        if (mm_json_floats(&json, values, ARRAY, &read, &err) != MM_OK || read != ARRAY) {
            snprintf(wrong, 2 * FLOAT_TEXT_MAX, "%.150s", err.text);
            return bad + 1;
        }
        for (size_t i = 0; i < ARRAY; i++) {
            float want = strtof(texts[i], NULL);
            if (memcmp(&want, &values[i], sizeof(want)) == 0)
                continue;
            if (bad++ == 0)
                snprintf(wrong, 2 * FLOAT_TEXT_MAX, "%s is read as %a", texts[i], (double)values[i]);
        }
        mm_json_close(&json);
    }
    return bad;
}
