/* From nodes to checked values: what options.c, job.c and show.c share. Internal to engine/config. */
#ifndef MM_CONFIG_READER_H
#define MM_CONFIG_READER_H

#include "config/node.h"
#include "config/options.h"

/* What is common to all reads of one job file. */
typedef struct mm_config_reader {
    mm_arena *arena;
    const char *path;   /* of the job file, absolute: for messages and hidden secrets */
    const char *folder; /* base of relative paths */
    mm_node *original;  /* the file at path, read on demand for secrets shown as "***" */
    bool original_read;
    mm_node secrets;  /* items: scalars that the savepoint store must not keep */
    mm_node warnings; /* items: what the user is told, "line:column: …" */
} mm_config_reader;

/* Several tables make one section: a driver's, and what all targets share. */
typedef struct mm_option_part {
    const mm_option *table;
    size_t count;
} mm_option_part;

typedef struct mm_option_value {
    const mm_option *option;
    const mm_node *node; /* where it was given; NULL: it was not */
    const char *text;    /* canonical; NULL: not set. Of a secret: the secret */
    const char *file;    /* of a secret read by <name>_file: that file, absolute */
    union {
        bool truth;
        int64_t number;
        uint64_t size; /* also counts (UINT64_MAX: none) and durations in ms */
    } as;
    const char *const *items; /* LIST */
    size_t item_count;
} mm_option_value;

struct mm_options {
    mm_arena *own; /* of mm_options_make; NULL: lives in a job's arena */
    size_t count;
    mm_option_value values[];
};

/* What stands in a hidden secret's place. */
#define MM_SECRET_MARK "***"

/* Checks a mapping against the tables and fills in defaults. section names it in messages ("target");
 * node NULL: the section is missing, every option gets its default. owner: the node that a missing
 * required key is reported at. SECTION options are only checked to be known. */
mm_status mm_options_read(mm_config_reader *reader, const mm_node *node, const mm_node *owner,
                          const char *section, const mm_option_part *parts, size_t part_count,
                          mm_options **out, mm_error *err) MM_MUST_USE;

/* The expanded text of a scalar; what: the key, for messages. NULL in *out: nothing was given. */
mm_status mm_config_scalar(mm_config_reader *reader, const mm_node *node, const char *what,
                           const char **out, mm_error *err) MM_MUST_USE;

const mm_option_value *mm_options_find(const mm_options *options, const char *name);
/* True when any of the '|'-separated choices equals text, case ignored; *canonical (may be NULL)
 * gets a copy in its own spelling. */
bool mm_choice_match(mm_arena *arena, const char *choices, const char *text, const char **canonical);
/* Splits "a|b|c" into the arena. NULL: out of memory. */
const char **mm_choice_list(mm_arena *arena, const char *choices, size_t *count);
/* " (did you mean `x`?)" or "". */
const char *mm_config_suggest(mm_arena *arena, const char *word, const char *const *names,
                              size_t count);
/* The bounds of "1..256"; missing ones are INT64_MIN or 0, and INT64_MAX. size: bounds have units. */
void mm_option_range(const mm_option *option, int64_t *low, int64_t *high);

#endif
