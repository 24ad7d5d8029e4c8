/* The parent's side: children, and what is asked of them. */
#include "sources/hdf5/child.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sources/hdf5/serve.h"

struct mm_hdf5_child {
    mm_hdf5_child *next; /* in the list of idle ones */
    pid_t pid;
    int socket;
    uint8_t *room; /* shared; of vectors, then of ids */
    bool dead;     /* it has ended, or its answers cannot be understood */
    mm_hdf5_request request;
    mm_hdf5_answer answer;
};

#define ROOM (MM_HDF5_VECTORS_ROOM + MM_HDF5_IDS_ROOM)

/* --- beginning and end ------------------------------------------------------------------------------------------ */

static void end(mm_hdf5_child *child)
{
    if (child->socket >= 0)
        close(child->socket);
    if (child->pid > 0) { /* it keeps nothing that would have to be put in order */
        (void)kill(child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (child->room != NULL)
        munmap(child->room, ROOM);
    free(child);
}

static mm_status begin(mm_hdf5_child **out, mm_error *err)
{
    int sockets[2];
    mm_hdf5_child *child = calloc(1, sizeof(*child));
    if (child == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for reading HDF5");
    child->socket = -1;
    void *room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    child->room = room != MAP_FAILED ? room : NULL;
    if (child->room == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
        mm_status status = mm_error_errno(err, MM_UNAVAILABLE, "memory and a socket for reading HDF5");
        end(child);
        return status;
    }
    child->socket = sockets[0];
    child->pid = mm_hdf5_fork();
    if (child->pid == 0)
        mm_hdf5_serve(sockets[1], child->room, child->room + MM_HDF5_VECTORS_ROOM);
    int error = errno;
    close(sockets[1]);
    if (child->pid < 0) {
        errno = error;
        mm_status status = mm_error_errno(err, MM_UNAVAILABLE, "a process for reading HDF5");
        end(child);
        return status;
    }
    *out = child;
    return MM_OK;
}

void mm_hdf5_pool_init(mm_hdf5_pool *pool)
{
    *pool = (mm_hdf5_pool){.idle = NULL};
    pthread_mutex_init(&pool->lock, NULL);
}

void mm_hdf5_pool_end(mm_hdf5_pool *pool)
{
    while (pool->idle != NULL) {
        mm_hdf5_child *child = pool->idle;
        pool->idle = child->next;
        end(child);
    }
    pthread_mutex_destroy(&pool->lock);
}

mm_status mm_hdf5_child_take(mm_hdf5_pool *pool, mm_hdf5_child **out, mm_error *err)
{
    pthread_mutex_lock(&pool->lock);
    mm_hdf5_child *child = pool->idle;
    if (child != NULL)
        pool->idle = child->next;
    pthread_mutex_unlock(&pool->lock);
    if (child == NULL)
        return begin(out, err);
    *out = child;
    return MM_OK;
}

/* --- asking ----------------------------------------------------------------------------------------------------- */

/* What became of a child that does not answer. */
static mm_status obituary(mm_hdf5_child *child, const char *what, mm_error *err)
{
    int how = 0;
    child->dead = true;
    while (waitpid(child->pid, &how, 0) < 0 && errno == EINTR) {
    }
    child->pid = -1;
    if (WIFSIGNALED(how) && WTERMSIG(how) == SIGPROF)
        return mm_error_set(err, MM_DATA, "%s: the HDF5 library came to no end: the file is damaged", what);
    if (WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL)
        return mm_error_set(err, MM_UNAVAILABLE, "%s: the process that read it was killed", what);
    return mm_error_set(err, MM_DATA, "%s: the HDF5 library crashed (%s %d): the file is damaged", what,
                        WIFSIGNALED(how) ? "signal" : "exit", WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
}

/* Sends child->request and waits for the answer. `what` it is about, for messages. */
static mm_status ask(mm_hdf5_child *child, const char *what, mm_error *err)
{
    ssize_t got = -1;
    if (send(child->socket, &child->request, sizeof(child->request), MSG_NOSIGNAL) ==
        (ssize_t)sizeof(child->request)) {
        do
            got = recv(child->socket, &child->answer, sizeof(child->answer), 0);
        while (got < 0 && errno == EINTR);
    }
    if (got != (ssize_t)sizeof(child->answer))
        return obituary(child, what, err);
    mm_hdf5_answer *answer = &child->answer;
    answer->text[sizeof(answer->text) - 1] = '\0';
    if (answer->status == MM_OK)
        return MM_OK;
    if (answer->status < 0 || answer->status >= MM_STATUS_COUNT || answer->status == MM_END) {
        child->dead = true;
        return mm_error_set(err, MM_DATA, "%s: the HDF5 library gave no sense: the file is damaged", what);
    }
    return mm_error_set(err, answer->status, "%s", answer->text);
}

void mm_hdf5_child_give(mm_hdf5_pool *pool, mm_hdf5_child *child)
{
    if (child == NULL)
        return;
    child->request.op = MM_HDF5_OP_CLOSE;
    if (child->dead || ask(child, "close", NULL) != MM_OK) {
        end(child);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    child->next = pool->idle;
    pool->idle = child;
    pthread_mutex_unlock(&pool->lock);
}

static mm_status set_path(mm_hdf5_child *child, const char *path, mm_error *err)
{
    if ((size_t)snprintf(child->request.path, sizeof(child->request.path), "%s", path) >= sizeof(child->request.path))
        return mm_error_set(err, MM_CONFIG, "%.200s…: the path is too long", path);
    return MM_OK;
}

mm_status mm_hdf5_child_look(mm_hdf5_child *child, const mm_hdf5_looking *how, mm_hdf5_layout *out, mm_error *err)
{
    mm_hdf5_request *request = &child->request;
    request->op = MM_HDF5_OP_LOOK;
    request->check = how->check;
    mm_status status = set_path(child, how->path, err);
    if (status == MM_OK &&
        (strlen(how->vectors) >= sizeof(request->vectors) || strlen(how->ids) >= sizeof(request->ids)))
        status = mm_error_set(err, MM_CONFIG, "source.vectors, source.ids: a name of more than %zu bytes",
                              sizeof(request->ids) - 1);
    if (status != MM_OK)
        return status;
    snprintf(request->vectors, sizeof(request->vectors), "%s", how->vectors);
    snprintf(request->ids, sizeof(request->ids), "%s", how->ids);
    status = ask(child, how->path, err);
    if (status == MM_OK)
        status = mm_hdf5_layout_check(&child->answer.layout, how->path, how->size, how->chunk_memory, err);
    if (status == MM_OK)
        *out = child->answer.layout;
    return status;
}

mm_status mm_hdf5_child_read(mm_hdf5_child *child, bool ids, uint64_t first, uint64_t rows, const uint8_t **out,
                             mm_error *err)
{
    mm_hdf5_request *request = &child->request;
    char what[MM_HDF5_PATH + 64];
    request->op = MM_HDF5_OP_READ;
    request->of_ids = ids;
    request->first = first;
    request->rows = rows;
    snprintf(what, sizeof(what), "%s: %s of rows %" PRIu64 " to %" PRIu64, request->path, ids ? "ids" : "vectors",
             first, first + rows);
    mm_status status = ask(child, what, err);
    if (status != MM_OK)
        return strstr(err->text, request->path) == NULL ? mm_error_context(err, "%s", request->path) : status;
    *out = child->room + (ids ? MM_HDF5_VECTORS_ROOM : 0);
    return MM_OK;
}

mm_status mm_hdf5_child_describe(mm_hdf5_child *child, const char *path, const char **out, mm_error *err)
{
    child->request.op = MM_HDF5_OP_DESCRIBE;
    mm_status status = set_path(child, path, err);
    if (status == MM_OK)
        status = ask(child, path, err);
    if (status != MM_OK)
        return status;
    child->room[MM_HDF5_VECTORS_ROOM - 1] = '\0';
    *out = (const char *)child->room;
    return MM_OK;
}
