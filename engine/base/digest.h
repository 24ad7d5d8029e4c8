/* Digests, message authentication and their text forms, by libcrypto; CRC-32C by the processor where it can.
 * What signing and the checksums of object stores and file formats are made of. */
#ifndef MM_BASE_DIGEST_H
#define MM_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define MM_SHA256_SIZE 32
#define MM_MD5_SIZE 16

/* False: libcrypto refused (no memory; MD5 where the system's policy forbids it). */
bool mm_sha256(const void *bytes, size_t size, uint8_t out[MM_SHA256_SIZE]) MM_MUST_USE;
bool mm_md5(const void *bytes, size_t size, uint8_t out[MM_MD5_SIZE]) MM_MUST_USE;
/* HMAC (RFC 2104) with SHA-256. */
bool mm_hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size,
                    uint8_t out[MM_SHA256_SIZE]) MM_MUST_USE;

/* Lower-case hexadecimal digits: 2 × size characters and NUL. */
void mm_hex(const void *bytes, size_t size, char *out);

/* Characters of base64 text for `size` bytes, and its NUL. */
#define MM_BASE64_SIZE(size) (((size) + 2) / 3 * 4 + 1)
/* RFC 4648 with padding, on one line; returns the text's length. */
size_t mm_base64(const void *bytes, size_t size, char *out);
/* The alphabet for URLs, without padding (JSON Web Tokens); fits where mm_base64 fits. */
size_t mm_base64_url(const void *bytes, size_t size, char *out);
/* Decodes padded base64 of `length` characters into out (room for length / 4 × 3 bytes). False: it is none. */
bool mm_base64_decode(const char *text, size_t length, uint8_t *out, size_t *size) MM_MUST_USE;

/* CRC-32C (Castagnoli, RFC 3720): `crc` is 0 at the beginning, else what the bytes before gave. */
uint32_t mm_crc32c(uint32_t crc, const void *bytes, size_t size);
/* That of two pieces in a row from those of each; `second_size`: bytes of the second. */
uint32_t mm_crc32c_combine(uint32_t first, uint32_t second, uint64_t second_size);

#endif
