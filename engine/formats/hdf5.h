/* What reading and writing HDF5 share: one lock around the library, its error stack as words, and the element types
 * of datasets. Facts: the HDF5 File Format Specification 3.0 and libhdf5 1.10.8.
 *
 * The library keeps global state that is not made for many threads (a build for threads has one lock of its own, and
 * state per thread): whoever calls H5… holds the lock. Nothing is ever printed by the library. */
#ifndef MM_FORMATS_HDF5_H
#define MM_FORMATS_HDF5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "model/schema.h"

/* Takes the lock; starts the library with the first call, and silences it for this thread. MM_NO_MEMORY: it does not
 * start; then the lock is not held. */
mm_status mm_hdf5_enter(mm_error *err) MM_MUST_USE;
void mm_hdf5_leave(void);

/* fork(2) while no thread is inside the library, so that the child, which has one thread, may call it. The lock is not
 * held by the caller; in the child it is free. */
pid_t mm_hdf5_fork(void);

/* With the lock held, right after a call that failed: sets `status` with the text, ": " and the innermost reasons of
 * the library's error stack, and clears that. Returns status. */
mm_status mm_hdf5_failed(mm_error *err, mm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- element types ---------------------------------------------------------------------------------------------- */

typedef enum mm_hdf5_kind {
    MM_HDF5_OTHER,    /* what vectors and ids are not made of: see mm_hdf5_class_name */
    MM_HDF5_FLOAT,    /* IEEE 754 of 2, 4 or 8 bytes */
    MM_HDF5_SIGNED,   /* two's complement of 1, 2, 4 or 8 bytes, all bits used */
    MM_HDF5_UNSIGNED, /* the same without a sign */
    MM_HDF5_BOOL,     /* an enum of one byte with FALSE = 0 and TRUE = 1, as h5py writes truth values */
    MM_HDF5_BYTES     /* strings of a fixed length, or opaque: `size` bytes each */
} mm_hdf5_kind;

typedef struct mm_hdf5_element {
    mm_hdf5_kind kind;
    uint32_t size; /* bytes of one element in the file */
    bool big_endian;
} mm_hdf5_element;

/* With the lock held. `type`: of a dataset. Never fails: what is not understood is MM_HDF5_OTHER. */
mm_hdf5_element mm_hdf5_element_of(hid_t type);
/* "compound", "variable-length string", …: for messages. */
const char *mm_hdf5_class_name(hid_t type);
/* "float32", "uint8, big-endian", "64 bytes": for people. */
const char *mm_hdf5_element_text(const mm_hdf5_element *element, char out[40]);

/* The type by which MilvusDM's layout stores a field, and the elements of one row: FloatVector IEEE_F32LE × dim,
 * BinaryVector STD_U8LE × dim / 8, Int64 STD_I64LE × 1, Float16Vector IEEE half × dim, Int8Vector STD_I8LE × dim.
 * With the lock held. The type belongs to the library or, where `*close` is set, to the caller (H5Tclose). MM_TARGET:
 * the layout has no place for such a field. */
mm_status mm_hdf5_type_of_field(const mm_field *field, hid_t *type, bool *close, uint64_t *elements,
                                mm_error *err) MM_MUST_USE;

#endif
