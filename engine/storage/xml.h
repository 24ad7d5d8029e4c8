/* Reads the small XML that object stores answer with: elements and their text. Attributes, comments, processing
 * instructions and namespaces' prefixes are passed over; a document type is refused, since no service sends one
 * and entities of its making are a known attack. */
#ifndef MM_STORAGE_XML_H
#define MM_STORAGE_XML_H

#include <stddef.h>

#include "base/error.h"
#include "base/util.h"

#define MM_XML_DEPTH 16
#define MM_XML_PATH 512

/* Called at the end of every element, in the document's order, so children before their parent. path: the names
 * from the root on, "ListBucketResult/Contents/Key", without prefixes. text: what stands in an element without
 * children, entities decoded, NUL behind it; "" for one with children. A status other than MM_OK ends the walk and is
 * returned. */
typedef mm_status (*mm_xml_fn)(void *context, const char *path, const char *text, mm_error *err);

/* bytes: UTF-8, at most 256 MiB, need no NUL. MM_DATA: not well-formed, with the byte; deeper than MM_XML_DEPTH or
 * paths longer than MM_XML_PATH count as that. */
mm_status mm_xml_walk(const char *bytes, size_t size, mm_xml_fn fn, void *context, mm_error *err) MM_MUST_USE;

/* Appends text with the five characters of markup escaped. */
void mm_xml_text(mm_buffer *out, const char *text);

#endif
