/* What parent and child say to each other, and the child's side of it. One message is one packet of a SOCK_SEQPACKET
 * socket; both ends are the same program. */
#ifndef MM_SOURCES_HDF5_SERVE_H
#define MM_SOURCES_HDF5_SERVE_H

#include "sources/hdf5/look.h"

#define MM_HDF5_PATH 4096

typedef enum mm_hdf5_op { MM_HDF5_OP_LOOK, MM_HDF5_OP_READ, MM_HDF5_OP_DESCRIBE, MM_HDF5_OP_CLOSE } mm_hdf5_op;

typedef struct mm_hdf5_request {
    mm_hdf5_op op;
    bool check;                 /* LOOK: at every chunk too */
    bool of_ids;                /* READ */
    uint64_t first, rows;       /* READ */
    char path[MM_HDF5_PATH];    /* LOOK, DESCRIBE */
    char vectors[MM_HDF5_NAME]; /* LOOK */
    char ids[MM_HDF5_NAME];     /* LOOK */
} mm_hdf5_request;

typedef struct mm_hdf5_answer {
    mm_status status;
    char text[MM_ERROR_TEXT];
    mm_hdf5_layout layout; /* LOOK */
} mm_hdf5_answer;

/* Serves until the socket's other end is closed. vectors, ids: the two parts of the memory for READ; DESCRIBE puts its
 * text into the first. Never returns. */
_Noreturn void mm_hdf5_serve(int socket, uint8_t *vectors, uint8_t *ids);

#endif
