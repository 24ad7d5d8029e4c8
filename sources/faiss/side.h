/* Finding the file in which an index keeps its inverted lists (OnDiskInvertedLists). */
#ifndef MM_SOURCES_FAISS_SIDE_H
#define MM_SOURCES_FAISS_SIDE_H

#include "sources/faiss/view.h"

/* True when the view's lists are in a file of their own. */
bool mm_faiss_side_wanted(const mm_faiss_view *view);
/* Opens that file: the one that the index names (by an absolute path only where the index is a local file too) or the
 * same name beside the index; two different files there are refused (MM_CONFIG), since only the user can know.
 * MM_NOT_FOUND names what was tried. index must outlive it. */
mm_status mm_faiss_side_open(const mm_input *index, const mm_faiss_view *view, mm_input **out,
                             mm_error *err) MM_MUST_USE;

#endif
