/* The job's collections resolved against what the source holds. */
#ifndef MM_RUN_COLLECTIONS_H
#define MM_RUN_COLLECTIONS_H

#include "run/session.h"

/* Fills session->collections from the job and the catalog: mappings, partitions, modes. */
mm_status mm_collections_resolve(mm_session *session, mm_error *err);

#endif
