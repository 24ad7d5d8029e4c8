"""Writes engine/formats/powers_of_ten.h: 10^q for q = -342 … 324 as the 128 highest bits, cut off.

    python3 scripts/powers_of_ten.py > engine/formats/powers_of_ten.h"""

FIRST, LAST = -342, 324


def bits(q):
    if q >= 0:
        power = 10**q
        shift = power.bit_length() - 128
        return power >> shift if shift >= 0 else power << -shift
    power = 10**-q
    quotient = (1 << (power.bit_length() + 127)) // power
    return quotient >> (quotient.bit_length() - 128)


def main():
    print(f"""/* Made by scripts/powers_of_ten.py. mm_powers_of_ten[q - ({FIRST})]: 10^q times that power of two that brings it
 * into [2^127, 2^128), cut off to an integer: {{high, low}} 64 bits. Exact for 0 <= q <= 55. */
#ifndef MM_FORMATS_POWERS_OF_TEN_H
#define MM_FORMATS_POWERS_OF_TEN_H

#include <stdint.h>

enum {{ MM_POWER_FIRST = {FIRST}, MM_POWER_LAST = {LAST}, MM_POWER_EXACT = 55 }};

static const uint64_t mm_powers_of_ten[][2] = {{""")
    cells = []
    for q in range(FIRST, LAST + 1):
        value = bits(q)
        assert value.bit_length() == 128
        cells.append(f"{{0x{value >> 64:016x}, 0x{value & (1 << 64) - 1:016x}}},")
    for at in range(0, len(cells), 2):
        print("    " + " ".join(cells[at : at + 2]))
    print("};\n\n#endif")


if __name__ == "__main__":
    main()
