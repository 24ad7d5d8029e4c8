/* The lock of a job (lock.h). Two locks on one open file: the flock excludes, the open-file-description
 * lock can be asked after without being taken (F_OFD_GETLK), which flock does not offer; both end
 * with the last descriptor. The file is never removed: whoever removed it while another process
 * waits at it would let two in. */
#include "checkpoint/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static struct flock mm_lock_whole(void)
{
    struct flock whole;
    memset(&whole, 0, sizeof whole);
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    return whole;
}

/* The number that the holder wrote; -1 when there is none. */
static long mm_lock_read_pid(int fd)
{
    char text[32];
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    if (got <= 0)
        return -1;
    text[got] = '\0';
    char *end;
    errno = 0;
    long pid = strtol(text, &end, 10);
    return errno == 0 && end != text && *end == '\n' && pid > 0 ? pid : -1;
}

/* For people only (who holds it?): the lock holds without it, so that a full disk does not matter. */
static void mm_lock_write_pid(int fd)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && size > 0 && pwrite(fd, text, (size_t)size, 0) != size)
        (void)!ftruncate(fd, 0);
}

mm_status mm_lock_take(const char *path, int *fd, mm_error *err)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return mm_error_errno(err, MM_IO, "lock file %s", path);

    mm_status status = MM_OK;
    struct flock whole = mm_lock_whole();
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        int cause = errno;
        long pid = mm_lock_read_pid(file);
        errno = cause;
        if (cause != EWOULDBLOCK)
            status = mm_error_errno(err, MM_IO, "lock file %s", path);
        else if (pid > 0)
            status = mm_error_set(err, MM_BUSY, "process %ld works on this job (%s)", pid, path);
        else
            status = mm_error_set(err, MM_BUSY, "another process works on this job (%s)", path);
    } else if (fcntl(file, F_OFD_SETLK, &whole) != 0) {
        status = mm_error_errno(err, MM_IO, "lock file %s", path);
    }
    if (status != MM_OK) {
        close(file);
        return status;
    }
    mm_lock_write_pid(file);
    *fd = file;
    return MM_OK;
}

long mm_lock_holder(const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return 0;
    struct flock whole = mm_lock_whole();
    long pid = 0;
    if (fcntl(file, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK)
        pid = mm_lock_read_pid(file);
    close(file);
    return pid;
}
