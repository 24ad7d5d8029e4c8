/* Pages of Elasticsearch for tests: fields from the properties of a mapping, documents from their _source, and rows as
 * text: "_id=a title=x v=[1,2]" a line, rejects as "! key field: reason". */
#ifndef MM_TEST_ELASTIC_FIXTURE_H
#define MM_TEST_ELASTIC_FIXTURE_H

#include "sources/elastic/documents.h"

typedef struct elastic_fixture {
    mm_arena arena;
    mm_elastic_fields *fields;
    mm_buffer text; /* what the last call gave */
    mm_error err;
} elastic_fixture;

/* An answer of _search with these documents: `sources` is a list of _source values, separated by commas; _id is "a", "b",
 * … and _seq_no 0, 1, …  Appended to out. */
void elastic_answer(mm_buffer *out, const char *const *sources, size_t count);
/* properties: the object of that name. sample: NULL, or an answer. */
mm_status elastic_fields(elastic_fixture *f, const char *properties, const mm_elastic_choice *choice,
                         const char *sample);
/* The schema as text: "title VarChar(65535) nullable", one a line. */
const char *elastic_schema(elastic_fixture *f);
/* All rows and rejects of an answer, read in batches of at most max_rows rows. NULL: it was refused, err says why. */
const char *elastic_rows(elastic_fixture *f, const char *answer, size_t size, bool keys_only, size_t max_rows);
/* Fields of the properties with that one document as the sample, and its rows. */
const char *elastic_one(elastic_fixture *f, const char *properties, const mm_elastic_choice *choice,
                        const char *source);
void elastic_close(elastic_fixture *f);

#endif
