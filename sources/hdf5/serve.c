/* The child's side. From fork to the end this process runs one thread, touches nothing of its parent's (files, locks,
 * terminal), and ends with the socket. */
#include "sources/hdf5/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "sources/hdf5/child.h"

/* Processor time of one request: what a sound file needs is a small part of it. */
#define SECONDS 10
#define BYTES_A_SECOND ((uint64_t)16 << 20) /* unpacked, beyond that */
/* Memory beside a row of chunks, packed and unpacked: the library's own. */
#define LIBRARY_MEMORY ((uint64_t)128 << 20)

/* --- becoming the child ----------------------------------------------------------------------------------------- */

/* All descriptors but the socket, which becomes 3: the parent's locks on files are held by whoever has them open. */
static bool keep_only(int socket)
{
    if (socket != 3 && dup2(socket, 3) != 3)
        return false;
    syscall(SYS_close_range, 4u, ~0u, 0u);
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    return open("/dev/null", O_RDWR) == 0 && dup(0) == 1 && dup(0) == 2;
}

/* The parent ends this process by closing the socket; what is sent to a terminal's whole group is for the parent. */
static void set_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};
    static const int fatal[] = {SIGPROF, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigset_t none;
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)signal(ignored[i], SIG_IGN);
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        (void)signal(fatal[i], SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Private memory that this process has already, copied from the parent. */
static uint64_t memory_now(void)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    const char *at = strstr(text, "VmData:");
    return at != NULL ? strtoull(at + strlen("VmData:"), NULL, 10) << 10 : 0;
}

/* A damaged count must not take the machine's memory: the library gets none and says so. `now`: memory_now() of the
 * beginning; chunk_bytes: of the rows of chunks that are to be unpacked, which was found to be within chunk_memory. */
static void set_memory(uint64_t now, uint64_t chunk_bytes)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    struct rlimit data;
    if (now > 0 && chunk_bytes < (uint64_t)1 << 50 && getrlimit(RLIMIT_DATA, &data) == 0) {
        rlim_t most = (rlim_t)(now + 4 * chunk_bytes + LIBRARY_MEMORY);
        data.rlim_cur = most < data.rlim_max ? most : data.rlim_max;
        (void)setrlimit(RLIMIT_DATA, &data);
    }
#else
    (void)now, (void)chunk_bytes;
#endif
}

static void set_timer(time_t seconds)
{
    struct itimerval timer = {{0, 0}, {seconds, 0}};
    (void)setitimer(ITIMER_PROF, &timer, NULL);
}

/* --- serving ---------------------------------------------------------------------------------------------------- */

typedef struct server {
    mm_hdf5_open open;
    uint8_t *vectors, *ids;
    uint64_t memory; /* memory_now() of the beginning */
} server;

static mm_status read_rows(server *s, const mm_hdf5_request *request, mm_error *err)
{
    const mm_hdf5_array *array = request->of_ids ? &s->open.layout.ids : &s->open.layout.vectors;
    size_t room = request->of_ids ? MM_HDF5_IDS_ROOM : MM_HDF5_VECTORS_ROOM;
    if (!s->open.is_open || mm_hdf5_width(array) == 0 || request->rows > room / mm_hdf5_width(array))
        return mm_error_set(err, MM_BUG, "a block that does not fit");
    set_memory(s->memory, s->open.layout.vectors.chunk_bytes + s->open.layout.ids.chunk_bytes);
    return mm_hdf5_read_block(&s->open, request->of_ids, request->first, request->rows,
                              request->of_ids ? s->ids : s->vectors, err);
}

static mm_status serve_one(server *s, const mm_hdf5_request *request, mm_hdf5_answer *answer, mm_error *err)
{
    mm_status status = MM_OK;
    switch (request->op) {
    case MM_HDF5_OP_LOOK:
        mm_hdf5_close(&s->open);
        set_memory(s->memory, 0);
        status = mm_hdf5_look(&s->open, request->path, request->vectors, request->ids, err);
        if (status == MM_OK && request->check)
            status = mm_hdf5_check(&s->open, request->path, err);
        answer->layout = s->open.layout;
        if (status != MM_OK)
            mm_hdf5_close(&s->open);
        return status;
    case MM_HDF5_OP_READ:
        return read_rows(s, request, err);
    case MM_HDF5_OP_DESCRIBE:
        return mm_hdf5_describe_file(request->path, (char *)s->vectors, MM_HDF5_VECTORS_ROOM, err);
    case MM_HDF5_OP_CLOSE:
        mm_hdf5_close(&s->open);
        return MM_OK;
    }
    return mm_error_set(err, MM_BUG, "an unknown request");
}

static ssize_t receive(int socket, void *out, size_t size)
{
    ssize_t got;
    do
        got = recv(socket, out, size, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

_Noreturn void mm_hdf5_serve(int socket, uint8_t *vectors, uint8_t *ids)
{
    static mm_hdf5_request request;
    static mm_hdf5_answer answer;
    const struct rlimit no_core = {0, 0};
    server s = {.vectors = vectors, .ids = ids};
    mm_error err = MM_ERROR_INIT;
    if (!keep_only(socket))
        _exit(2);
    (void)prctl(PR_SET_NAME, "mmresume-hdf5");
    set_signals();
    (void)setrlimit(RLIMIT_CORE, &no_core);
    s.memory = memory_now();
    set_memory(s.memory, 0);
    mm_status started = mm_hdf5_enter(&err);
    while (receive(3, &request, sizeof(request)) == (ssize_t)sizeof(request)) {
        memset(&answer, 0, sizeof(answer));
        if (started == MM_OK) {
            mm_error_clear(&err);
            set_timer(SECONDS + (time_t)(s.open.layout.vectors.chunk_bytes / BYTES_A_SECOND));
            answer.status = serve_one(&s, &request, &answer, &err);
            set_timer(0);
        } else {
            answer.status = started;
        }
        snprintf(answer.text, sizeof(answer.text), "%s", err.text);
        if (send(3, &answer, sizeof(answer), MSG_NOSIGNAL) != (ssize_t)sizeof(answer))
            break;
    }
    /* not exit: what the parent registered for its own end is none of this process's business */
    _exit(0);
}
