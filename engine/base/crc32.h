/* CRC-32 as of zlib, gzip and Parquet's pages (polynomial 0x04C11DB7). */
#ifndef MM_BASE_CRC32_H
#define MM_BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* `crc` is 0 at the beginning, else what the bytes before gave. */
uint32_t mm_crc32(uint32_t crc, const void *bytes, size_t size);

#endif
