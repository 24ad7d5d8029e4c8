/* Option tables: each driver and each part of a job declares its keys in a static table, from which
 * parsing, defaults, `mmresume drivers`, the docs and the JSON schema of the job file are made. */
#ifndef MM_CONFIG_OPTIONS_H
#define MM_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef enum mm_option_type {
    MM_OPT_STRING,
    MM_OPT_BOOL,     /* true, false, yes, no, on, off */
    MM_OPT_INT,      /* signed 64-bit */
    MM_OPT_SIZE,     /* bytes: 64MiB, 1GB, 4096 */
    MM_OPT_DURATION, /* milliseconds: 30s, 5h, 250ms, 30m */
    MM_OPT_ENUM,     /* one of `choices` */
    MM_OPT_PATH,     /* relative to the job file's folder, made absolute; URLs stay */
    MM_OPT_LIST,     /* list of strings; one string is a list of one */
    MM_OPT_PATHS,    /* a list of what MM_OPT_PATH is one of */
    MM_OPT_ENDPOINT, /* URL or host:port; a path that ends in ".db" is treated as MM_OPT_PATH */
    MM_OPT_COUNT,    /* a number from 0 on, or `none` (no limit: UINT64_MAX, by mm_options_size) */
    MM_OPT_RATE,     /* "20000 rows/s", "50 MiB/s" or none; read with mm_options_str */
    MM_OPT_SECTION   /* a mapping or list with a reader of its own; not for drivers */
} mm_option_type;

typedef struct mm_option {
    const char *name;
    mm_option_type type;
    const char *default_value; /* text as in YAML; NULL: none */
    const char *help;          /* one sentence, lower case, no full stop */
    const char *choices;       /* ENUM: "fail|append|skip"; INT, SIZE: a range "1..256", "1MiB..";
                                * else NULL */
    bool required;
    bool secret;    /* never shown; also readable as <name>_file */
    bool decides;   /* part of the config fingerprint: changes which rows arrive or how */
} mm_option;

static inline bool mm_option_is_list(const mm_option *option)
{
    return option->type == MM_OPT_LIST || option->type == MM_OPT_PATHS;
}

/* Parsed values of one table. Opaque; owned by the job. */
typedef struct mm_options mm_options;

/* Getters. Asking for a name that is not in the table aborts (a bug). Strings live as long as the
 * options; NULL when not set and without default. */
const char *mm_options_str(const mm_options *options, const char *name);
bool mm_options_bool(const mm_options *options, const char *name);
int64_t mm_options_int(const mm_options *options, const char *name);
uint64_t mm_options_size(const mm_options *options, const char *name);
uint64_t mm_options_ms(const mm_options *options, const char *name);
size_t mm_options_list(const mm_options *options, const char *name, const char *const **items);
/* True when the job file or --set gave it, not the default. */
bool mm_options_given(const mm_options *options, const char *name);

/* What is wrong with a driver's table, if anything (a name twice, a default that does not parse, an
 * ENUM without choices, a secret with a default): MM_BUG. The registries call it at start. */
mm_status mm_options_check_table(const mm_option *table, size_t count, mm_error *err) MM_MUST_USE;

/* For tests and tools: options from "name=value" pairs, NULL-terminated. */
mm_status mm_options_make(const mm_option *table, size_t count, const char *const *pairs,
                          mm_options **out, mm_error *err);
void mm_options_free(mm_options *options);

#endif
