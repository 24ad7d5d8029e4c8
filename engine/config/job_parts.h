/* The pieces of reading a job that job.c puts together. Internal to engine/config. */
#ifndef MM_CONFIG_JOB_PARTS_H
#define MM_CONFIG_JOB_PARTS_H

#include "config/job.h"
#include "config/reader.h"

/* The list under `collections:` (job_collections.c). */
mm_status mm_job_read_collections(mm_config_reader *reader, const mm_node *list, mm_job *job,
                                  mm_error *err) MM_MUST_USE;
/* Adds to reader->secrets what any driver of the tables calls a secret, in `source` and `target`, whether this job's
 * driver knows it or not: a half of a job does not read all of them (hide.c). */
mm_status mm_job_collect_secrets(mm_config_reader *reader, const mm_node *root, const mm_job_tables *tables,
                                 mm_error *err) MM_MUST_USE;
/* Sets job->text: the text with every secret of reader->secrets that is written out in it replaced by the mark, since
 * it goes into the savepoint store (hide.c). */
mm_status mm_job_hide_secrets(mm_config_reader *reader, mm_job *job, const char *text, mm_error *err) MM_MUST_USE;
/* Sets job->decides and job->fingerprint (fingerprint.c). */
mm_status mm_job_fingerprint(mm_job *job, mm_error *err) MM_MUST_USE;

/* `only`: makes the list of collections, or makes it shorter (select.c). */
mm_status mm_job_select(mm_config_reader *reader, mm_node *root, mm_error *err) MM_MUST_USE;
/* `half: dump` and `half: load`: makes the tree that of the job which is this half (halves.c). */
mm_status mm_job_halve(mm_config_reader *reader, mm_node *root, mm_error *err) MM_MUST_USE;

/* The file's name without folder and last extension. NULL: out of memory. */
const char *mm_job_stem(mm_arena *arena, const char *path);

/* Text between double quotes, as JSON and YAML both read it. */
void mm_text_quote(mm_buffer *out, const char *text);
/* A node as JSON; plain scalars that are numbers, truth values or null stay so. */
mm_status mm_node_json(mm_config_reader *reader, const mm_node *node, mm_buffer *out,
                       mm_error *err) MM_MUST_USE;

#endif
