/* What datasets become: the field's type, and the way from elements to its values. */
#ifndef MM_SOURCES_HDF5_VALUES_H
#define MM_SOURCES_HDF5_VALUES_H

#include "sources/hdf5/front.h"

/* The type and dimension of vectors. wanted: MM_TYPE_NONE (auto) or a vector type. distance: the root's attribute.
 *
 *     float16                       Float16Vector; FloatVector where it is wanted
 *     float32, float64, integers    FloatVector, rounded to the nearest float; int8 Int8Vector where it is wanted
 *     uint8                         BinaryVector in a dataset called embeddings (MilvusDM) and with the distances
 *                                   hamming and jaccard, else FloatVector
 *     truth values                  BinaryVector, eight to a byte, the first in the highest bit
 *     strings, opaque               BinaryVector of their bytes
 *
 * MM_DATA: it cannot become that. Sets type and dim of *field alone. */
mm_status mm_hdf5_vector_field(const mm_hdf5_array *array, const char *file, const char *distance, mm_type wanted,
                               mm_field *field, mm_error *err) MM_MUST_USE;
/* "L2" for "euclidean"; NULL: a distance that Milvus does not have for this type. */
const char *mm_hdf5_metric(const char *distance, mm_type type);

/* Whether ids can come from this dataset: integers. */
mm_status mm_hdf5_check_ids(const mm_hdf5_array *array, const char *file, mm_error *err) MM_MUST_USE;

/* The bytes in the file are the field's values as they are. */
bool mm_hdf5_is_same(const mm_hdf5_array *array, mm_type type);
/* `rows` rows from `from` to `out`; `first`: the number of the first one, for messages. MM_DATA: a value that the type
 * cannot hold (a double beyond floats, an unsigned id beyond int64). */
mm_status mm_hdf5_convert(const mm_hdf5_array *array, mm_type type, const char *file, uint64_t first, size_t rows,
                          const uint8_t *from, uint8_t *out, mm_error *err) MM_MUST_USE;

#endif
