/* What is UTF-8 and what is not (RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF). */
#ifndef MM_BASE_UTF8_H
#define MM_BASE_UTF8_H

#include <stddef.h>

/* Length of the longest prefix that is UTF-8: `size` when all is. */
size_t mm_utf8_prefix(const void *bytes, size_t size);

#endif
