/* Finding the file in which an index keeps its inverted lists (OnDiskInvertedLists). */
#ifndef MM_SOURCES_FAISS_SIDE_H
#define MM_SOURCES_FAISS_SIDE_H

#include "sources/faiss/view.h"

/* Opens and checks the file when the view has one; else *out stays as it is. override: path given by
 * the user, "" for none. Without it: the path that the index names, or the same name beside the index;
 * two different files there are refused (MM_CONFIG), since only the user can know. MM_NOT_FOUND names
 * what was tried. */
mm_status mm_faiss_side_open(mm_faiss_file *index, const mm_faiss_view *view, const char *override,
                             mm_faiss_file **out, mm_error *err) MM_MUST_USE;

#endif
