/* Protocol buffers reader. See wire.h. */
#include "base/wire.h"

#include <string.h>

static bool fail(mm_wire *wire)
{
    wire->bad = true;
    wire->at = wire->end;
    return false;
}

bool mm_wire_varint(mm_wire *wire, uint64_t *value)
{
    uint64_t out = 0;
    if (wire->at == wire->end) {
        return false;
    }
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (wire->at == wire->end) {
            return fail(wire);
        }
        uint8_t byte = *wire->at++;
        if (shift == 63 && byte > 1) {
            return fail(wire);
        }
        out |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = out;
            return true;
        }
    }
    return fail(wire);
}

static bool fixed(mm_wire *wire, size_t size, uint64_t *value)
{
    if ((size_t)(wire->end - wire->at) < size) {
        return fail(wire);
    }
    uint64_t out = 0;
    for (size_t i = 0; i < size; i++) {
        out |= (uint64_t)wire->at[i] << (8 * i);
    }
    wire->at += size;
    *value = out;
    return true;
}

bool mm_wire_next(mm_wire *wire, mm_wire_field *field)
{
    uint64_t tag, size;
    if (!mm_wire_varint(wire, &tag)) {
        return false;
    }
    if (tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) {
        return fail(wire);
    }
    *field = (mm_wire_field){.number = (uint32_t)(tag >> 3), .type = (uint8_t)(tag & 7)};
    switch (field->type) {
    case MM_WIRE_VARINT:
        return mm_wire_varint(wire, &field->value) || fail(wire);
    case MM_WIRE_FIXED64:
        return fixed(wire, 8, &field->value);
    case MM_WIRE_FIXED32:
        return fixed(wire, 4, &field->value);
    case MM_WIRE_BYTES:
        if (!mm_wire_varint(wire, &size) || size > (uint64_t)(wire->end - wire->at)) {
            return fail(wire);
        }
        field->data = wire->at;
        field->size = (size_t)size;
        wire->at += size;
        return true;
    default:
        return fail(wire);
    }
}
