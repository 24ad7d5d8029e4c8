/* Protocol buffers on the wire: varints, tags, and a reader over foreign bytes that never reads beyond
 * them. Source: the Protocol Buffers encoding documentation. Knows no message. */
#ifndef MM_BASE_WIRE_H
#define MM_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MM_WIRE_VARINT = 0, MM_WIRE_FIXED64 = 1, MM_WIRE_BYTES = 2, MM_WIRE_FIXED32 = 5 };

#define MM_VARINT_MAX 10

/* Bytes that value takes as a varint: 1 to 10. */
static inline size_t mm_varint_size(uint64_t value)
{
    return (size_t)(63 - __builtin_clzll(value | 1)) / 7 + 1;
}

/* Writes value; returns the byte after it. out has room for mm_varint_size(value). */
static inline uint8_t *mm_varint_put(uint8_t *out, uint64_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

/* A reader over [at, end). After malformed input `bad` is set and everything reads as the end. */
typedef struct mm_wire {
    const uint8_t *at, *end;
    bool bad;
} mm_wire;

typedef struct mm_wire_field {
    uint32_t number;
    uint8_t type;
    uint64_t value;      /* VARINT, FIXED64, FIXED32 */
    const uint8_t *data; /* BYTES: points into the input */
    size_t size;
} mm_wire_field;

static inline mm_wire mm_wire_over(const uint8_t *data, size_t size)
{
    return (mm_wire){data, size > 0 ? data + size : data, false}; /* data may be NULL */
}

/* The next field; false at the end or when malformed (then wire->bad). Groups are malformed. */
bool mm_wire_next(mm_wire *wire, mm_wire_field *field);
/* One bare varint of a packed list; false as above. */
bool mm_wire_varint(mm_wire *wire, uint64_t *value);

#endif
