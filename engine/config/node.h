/* A YAML document as a tree of nodes that know their line and column. Knows YAML and the job file's
 * limits, not what a job is. */
#ifndef MM_CONFIG_NODE_H
#define MM_CONFIG_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

/* Limits of a job file; beyond them it is refused (MM_CONFIG). Aliases count as what they stand
 * for, so that a small file cannot become a large tree. */
#define MM_YAML_BYTES_MAX (1u << 20)
#define MM_YAML_DEPTH_MAX 32
#define MM_YAML_NODES_MAX 100000

typedef enum mm_node_kind { MM_NODE_SCALAR, MM_NODE_LIST, MM_NODE_MAP } mm_node_kind;

typedef struct mm_node {
    mm_node_kind kind;
    bool plain;         /* SCALAR: written without quotes */
    int line, column;   /* 1-based; columns count characters */
    const char *origin; /* the key of the --set that made this node; NULL: the file */
    const char *text;   /* SCALAR: as written, environment not expanded */
    size_t start, end;  /* SCALAR: its bytes in the file, quotes included */
    struct mm_node **keys;  /* MAP: scalars */
    struct mm_node **items; /* MAP, LIST */
    size_t count, capacity;
} mm_node;

/* Parses one document. The tree lives in the arena. Refuses (MM_CONFIG, "path:line:column: …")
 * malformed YAML, an empty file, a second document, duplicate keys, keys that are no plain text,
 * foreign tags, aliases without an anchor, and what is beyond the limits. */
mm_status mm_yaml_parse(mm_arena *arena, const char *text, size_t size, const char *path,
                        mm_node **root, mm_error *err) MM_MUST_USE;

/* The value of a key of a MAP; NULL when it is not there. */
mm_node *mm_node_get(const mm_node *map, const char *key);
/* A scalar without a value: empty, ~ or null, unquoted. */
bool mm_node_is_null(const mm_node *node);
/* "a mapping", "a list", "a text". */
const char *mm_node_kind_name(const mm_node *node);
/* Appends an item (with its key, to a MAP). False: out of memory. */
bool mm_node_append(mm_arena *arena, mm_node *node, mm_node *key, mm_node *item);
/* Sets err to MM_CONFIG with the node's place in front: "path:line:column: …", or for a node that
 * --set made "--set key: …". */
mm_status mm_node_error(const mm_node *node, const char *path, mm_error *err, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));

/* Applies lines of key=value ("limits.loaders=2", "collections.0.to=x") to the tree: missing
 * mappings on the way are made; a list takes its length as "append". A value that begins with [ or
 * { is read as YAML. Values are not shown in errors: they could be secrets. */
mm_status mm_node_override(mm_arena *arena, mm_node *root, const char *lines,
                           mm_error *err) MM_MUST_USE;

/* Expands ${NAME} and ${NAME:-default} from the environment; $$ is a dollar sign, a $ before
 * anything else is itself. *out lives in the arena, or is text itself when nothing was to do.
 * MM_CONFIG names the variable that is not set. */
mm_status mm_env_expand(mm_arena *arena, const char *text, const char **out,
                        mm_error *err) MM_MUST_USE;

#endif
