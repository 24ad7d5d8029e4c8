/* Whether bytes are UTF-8 (RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF). */
#ifndef MM_BASE_UTF8_H
#define MM_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool mm_utf8_valid(const void *bytes, size_t size);

#endif
