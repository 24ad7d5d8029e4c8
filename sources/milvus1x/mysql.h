/* Where the metadata of a Milvus 1.x in MySQL is: the address in one text, in the form of Go's MySQL driver (which
 * milvus-migration takes) or as a URL (which Milvus 1.x itself takes as its `meta_uri`), and the keys of a driver that
 * go with it. Knows nothing of what is read there. */
#ifndef MM_SOURCES_MILVUS1X_MYSQL_H
#define MM_SOURCES_MILVUS1X_MYSQL_H

#include "base/arena.h"
#include "base/error.h"
#include "config/options.h"

/* Keys of a driver that reads metadata from MySQL. The address is a secret, since it may hold the password. */
#define MM_MILVUS1X_MYSQL_OPTIONS                                                                                  \
    {.name = "mysql", .type = MM_OPT_STRING, .secret = true,                                                       \
     .help = "MySQL that has the metadata: user:password@tcp(host:port)/database?tls=…, or "                       \
             "mysql://user:password@host:port/database"},                                                          \
    {.name = "mysql_password", .type = MM_OPT_STRING, .secret = true,                                              \
     .help = "password of the user of mysql, where that does not hold it"},                                        \
    {.name = "mysql_ca", .type = MM_OPT_PATH,                                                                      \
     .help = "PEM file of authorities for mysql instead of the system's; with it the certificate is verified"},    \
    {.name = "mysql_cert", .type = MM_OPT_PATH, .help = "PEM file of a client certificate for mysql"},             \
    {.name = "mysql_key", .type = MM_OPT_PATH, .help = "PEM file of the client certificate's key"},                \
    {.name = "mysql_timeout", .type = MM_OPT_DURATION, .default_value = "10s",                                     \
     .help = "for connecting to mysql and for each of its answers, where the address does not say it"}

typedef enum mm_milvus1x_tls {
    MM_MILVUS1X_TLS_OFF,
    MM_MILVUS1X_TLS_PREFERRED, /* if the server has it; protects from nobody who can change what is sent */
    MM_MILVUS1X_TLS_UNVERIFIED,
    MM_MILVUS1X_TLS_VERIFIED   /* the certificate is of a known authority, and for this host */
} mm_milvus1x_tls;

/* An address taken apart. Strings live in the arena that was given. */
typedef struct mm_milvus1x_dsn {
    const char *user;     /* "" when it is not said */
    const char *password; /* NULL: not said */
    const char *host;     /* NULL: by socket */
    uint16_t port;
    const char *socket;   /* path of a unix socket; NULL: by TCP */
    const char *database; /* not empty */
    bool tls_said;
    mm_milvus1x_tls tls;          /* OFF when it is not said, as with Go's driver */
    uint64_t connect_ms, read_ms; /* 0: not said */
    const char *name;             /* "MySQL host:port/database": for messages */
} mm_milvus1x_dsn;

/* Takes an address apart:
 *
 *     [user[:password]@][tcp|unix[(address)]]/database[?key=value&…]   (Go's driver; default 127.0.0.1:3306)
 *     mysql://[user[:password]@]host[:port]/database[?key=value&…]     (parts percent-encoded; `socket=PATH` for a host)
 *
 * Keys: tls (false, preferred, skip-verify, true), timeout, readTimeout. Other keys of Go's driver have no meaning here
 * and are passed over; unknown ones with a line of the log. MM_CONFIG says what is wrong, never what stands there. */
mm_status mm_milvus1x_dsn_parse(mm_arena *arena, const char *text, mm_milvus1x_dsn *out, mm_error *err) MM_MUST_USE;
/* Whether a text is meant as such an address, and not as a path: to tell a user where it belongs. */
bool mm_milvus1x_dsn_is(const char *text);

#endif
