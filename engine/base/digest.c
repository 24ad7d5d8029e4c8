/* Digests and their text forms. libcrypto does the cryptography. */
#include "base/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

bool mm_sha256(const void *bytes, size_t size, uint8_t out[MM_SHA256_SIZE])
{
    return EVP_Digest(bytes, size, out, NULL, EVP_sha256(), NULL) == 1;
}

bool mm_md5(const void *bytes, size_t size, uint8_t out[MM_MD5_SIZE])
{
    return EVP_Digest(bytes, size, out, NULL, EVP_md5(), NULL) == 1;
}

bool mm_hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size, uint8_t out[MM_SHA256_SIZE])
{
    /* libcrypto takes a NULL key for "the one before" */
    return key_size <= INT32_MAX &&
           HMAC(EVP_sha256(), key_size > 0 ? key : "", (int)key_size, bytes, size, out, NULL) != NULL;
}

void mm_hex(const void *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    for (size_t i = 0; i < size; i++) {
        *out++ = digits[from[i] >> 4];
        *out++ = digits[from[i] & 15];
    }
    *out = '\0';
}

/* --- base64 ------------------------------------------------------------------------------------- */

static const char base64_plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode(const char *alphabet, bool pad, const uint8_t *from, size_t size, char *out)
{
    char *to = out;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)from[i] << 16;
        bits |= (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) | (left > 2 ? from[i + 2] : 0u);
        for (size_t k = 0; k < 4; k++) {
            if (k <= left) {
                *to++ = alphabet[bits >> (18 - 6 * k) & 63];
            } else if (pad) {
                *to++ = '=';
            }
        }
    }
    *to = '\0';
    return (size_t)(to - out);
}

size_t mm_base64(const void *bytes, size_t size, char *out)
{
    return encode(base64_plain, true, bytes, size, out);
}

size_t mm_base64_url(const void *bytes, size_t size, char *out)
{
    return encode(base64_url, false, bytes, size, out);
}

static int base64_value(char c)
{
    const char *at = c != '\0' ? strchr(base64_plain, c) : NULL;
    return at != NULL ? (int)(at - base64_plain) : -1;
}

bool mm_base64_decode(const char *text, size_t length, uint8_t *out, size_t *size)
{
    if (length % 4 != 0) {
        return false;
    }
    size_t pad = 0, filled = 0;
    while (pad < 2 && pad < length && text[length - 1 - pad] == '=') {
        pad++;
    }
    for (size_t i = 0; i < length; i += 4) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 4; k++) {
            int value = i + k < length - pad ? base64_value(text[i + k]) : 0;
            if (value < 0) {
                return false;
            }
            bits = bits << 6 | (uint32_t)value;
        }
        size_t bytes = i + 4 == length ? 3 - pad : 3;
        for (size_t k = 0; k < bytes; k++) {
            out[filled++] = (uint8_t)(bits >> (16 - 8 * k));
        }
    }
    *size = filled;
    return true;
}
