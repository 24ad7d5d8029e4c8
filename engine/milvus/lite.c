/* Milvus Lite as a child process. See lite.h.
 *
 * The child is forked by a keeper thread that lives as long as the child: PR_SET_PDEATHSIG follows the
 * thread that forked, not the process. */
#include "milvus/lite.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"

enum { ARGUMENTS_MAX = 16, OUTPUT_TAIL = 600, STOP_GRACE_MS = 10000 };

struct mm_milvus_lite {
    char endpoint[64];
    char program[4096];
    char *arguments[ARGUMENTS_MAX];
    char **environment;
    int output; /* memory file that takes what the child prints */
    pthread_t keeper;
    bool keeper_started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pid_t child; /* 0: not forked yet; -1: fork failed */
    bool ended;
    int wait_status;
};

/* --- the child ------------------------------------------------------------------------------------ */

/* Between fork and exec only async-signal-safe calls. No descriptor of ours is left to the child: it
 * must not keep a lock that this process holds. */
static _Noreturn void become_server(const mm_milvus_lite *lite, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    /* a process group of its own: Ctrl-C is for mmresume, which drains before it stops the server */
    setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(126); /* the parent died before the prctl */
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0 || dup2(lite->output, 1) < 0 || dup2(lite->output, 2) < 0)
        _exit(126);
    syscall(SYS_close_range, 3u, ~0u, 0u);
    execve(lite->program, lite->arguments, lite->environment);
    _exit(127);
}

static void *keep(void *context)
{
    mm_milvus_lite *lite = context;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0)
        become_server(lite, parent);
    pthread_mutex_lock(&lite->lock);
    lite->child = child;
    pthread_cond_broadcast(&lite->changed);
    pthread_mutex_unlock(&lite->lock);
    if (child < 0)
        return NULL;
    siginfo_t info;
    while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
    /* reaped under the lock, so that nobody signals a pid that is no longer ours */
    pthread_mutex_lock(&lite->lock);
    waitpid(child, &lite->wait_status, 0);
    lite->ended = true;
    pthread_cond_broadcast(&lite->changed);
    pthread_mutex_unlock(&lite->lock);
    return NULL;
}

/* --- starting ------------------------------------------------------------------------------------- */

/* A loopback port that nobody listens on now. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int port = -1;
    if (bind(fd, (struct sockaddr *)&address, size) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        port = ntohs(address.sin_port);
    close(fd);
    return port;
}

static bool accepts(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* The file that `name` means, as execvp would find it. */
static bool find_program(const char *name, char out[4096])
{
    const char *path = getenv("PATH");
    if (strchr(name, '/') != NULL)
        return snprintf(out, 4096, "%s", name) < 4096 && access(out, X_OK) == 0;
    for (const char *at = path; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ":");
        if (length > 0 && snprintf(out, 4096, "%.*s/%s", (int)length, at, name) < 4096 && access(out, X_OK) == 0)
            return true;
        at += length;
        at += *at == ':';
    }
    return false;
}

/* The interpreter's way in is what the console script `milvus-lite` does. */
static mm_status prepare(mm_milvus_lite *lite, const mm_milvus_lite_args *args, int port, mm_error *err)
{
    static const char entry[] = "import sys; from milvus_lite.cmdline import main; sys.exit(main())";
    extern char **environ;
    const char *name = args->python != NULL ? args->python : "milvus-lite";
    if (!find_program(name, lite->program))
        return mm_error_set(err, MM_CONFIG, "%s: not found; Milvus Lite is needed to open %s: `pip install milvus-lite`, "
                                            "or name a Python that has it as target.lite_python", name, args->folder);
    char digits[16];
    snprintf(digits, sizeof(digits), "%d", port);
    const char *words[ARGUMENTS_MAX] = {lite->program};
    size_t n = 1;
    if (args->python != NULL) {
        words[n++] = "-u";
        words[n++] = "-c";
        words[n++] = entry;
    }
    const char *rest[] = {"server", "--data-dir", args->folder, "--host", "127.0.0.1", "--port", digits};
    for (size_t i = 0; i < MM_COUNT(rest); i++)
        words[n++] = rest[i];
    for (size_t i = 0; i < n; i++)
        if ((lite->arguments[i] = strdup(words[i])) == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    lite->environment = environ;
    lite->output = memfd_create("milvus-lite", MFD_CLOEXEC);
    if (lite->output < 0)
        return mm_error_errno(err, MM_UNAVAILABLE, "Milvus Lite: memory file");
    fcntl(lite->output, F_SETFL, O_APPEND);
    snprintf(lite->endpoint, sizeof(lite->endpoint), "http://127.0.0.1:%d", port);
    return MM_OK;
}

static void output_tail(const mm_milvus_lite *lite, char out[OUTPUT_TAIL])
{
    off_t size = lseek(lite->output, 0, SEEK_END);
    off_t from = size > OUTPUT_TAIL - 1 ? size - (OUTPUT_TAIL - 1) : 0;
    ssize_t got = pread(lite->output, out, OUTPUT_TAIL - 1, from);
    out[got > 0 ? got : 0] = '\0';
    for (char *c = out; *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
}

static bool has_ended(mm_milvus_lite *lite)
{
    pthread_mutex_lock(&lite->lock);
    bool ended = lite->ended || lite->child < 0;
    pthread_mutex_unlock(&lite->lock);
    return ended;
}

static void sleep_ms(uint64_t ms)
{
    struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* One child, until it accepts connections. MM_BUSY: another process holds the folder. */
static mm_status start_once(const mm_milvus_lite_args *args, uint64_t deadline, mm_milvus_lite **out, mm_error *err)
{
    char tail[OUTPUT_TAIL];
    int port = free_port();
    if (port < 0)
        return mm_error_errno(err, MM_UNAVAILABLE, "Milvus Lite: no free port");
    mm_milvus_lite *lite = calloc(1, sizeof(*lite));
    if (lite == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    lite->output = -1;
    pthread_mutex_init(&lite->lock, NULL);
    pthread_cond_init(&lite->changed, NULL);
    mm_status status = prepare(lite, args, port, err);
    if (status != MM_OK)
        goto out;
    if (pthread_create(&lite->keeper, NULL, keep, lite) != 0) {
        status = mm_error_set(err, MM_NO_MEMORY, "Milvus Lite: no thread");
        goto out;
    }
    lite->keeper_started = true;
    pthread_mutex_lock(&lite->lock);
    while (lite->child == 0)
        pthread_cond_wait(&lite->changed, &lite->lock);
    pthread_mutex_unlock(&lite->lock);
    while (!has_ended(lite) && !accepts(port)) {
        if (args->stopping != NULL && args->stopping(args->context)) {
            status = mm_error_set(err, MM_INTERRUPTED, "stopped while Milvus Lite was starting");
            goto out;
        }
        if (mm_clock_ms() > deadline) {
            output_tail(lite, tail);
            status = mm_error_set(err, MM_UNAVAILABLE, "Milvus Lite is not ready in time: %s", tail);
            goto out;
        }
        sleep_ms(50);
    }
    if (has_ended(lite)) {
        output_tail(lite, tail);
        status = strstr(tail, "DataDirLocked") != NULL || strstr(tail, "holds the lock") != NULL ? MM_BUSY
                                                                                               : MM_UNAVAILABLE;
        mm_error_set(err, status, "Milvus Lite on %s ended: %s", args->folder, tail);
    }
out:
    if (status != MM_OK)
        mm_milvus_lite_stop(lite);
    else
        *out = lite;
    return status;
}

mm_status mm_milvus_lite_start(const mm_milvus_lite_args *args, mm_milvus_lite **out, mm_error *err)
{
    uint64_t deadline = mm_clock_ms() + (args->timeout_ms > 0 ? args->timeout_ms : 60000);
    for (;;) {
        mm_status status = start_once(args, deadline, out, err);
        if (status != MM_BUSY || mm_clock_ms() > deadline)
            return status;
        if (args->stopping != NULL && args->stopping(args->context))
            return mm_error_set(err, MM_INTERRUPTED, "stopped while Milvus Lite's folder was held");
        sleep_ms(300);
    }
}

const char *mm_milvus_lite_endpoint(const mm_milvus_lite *lite)
{
    return lite->endpoint;
}

/* --- stopping ------------------------------------------------------------------------------------- */

static void signal_child(mm_milvus_lite *lite, int number)
{
    pthread_mutex_lock(&lite->lock);
    if (lite->child > 0 && !lite->ended)
        kill(lite->child, number);
    pthread_mutex_unlock(&lite->lock);
}

static void wait_ended(mm_milvus_lite *lite, uint64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(ms / 1000);
    pthread_mutex_lock(&lite->lock);
    while (!lite->ended && lite->child >= 0)
        if (pthread_cond_timedwait(&lite->changed, &lite->lock, &until) == ETIMEDOUT)
            break;
    pthread_mutex_unlock(&lite->lock);
}

void mm_milvus_lite_stop(mm_milvus_lite *lite)
{
    if (lite == NULL)
        return;
    if (lite->keeper_started) {
        signal_child(lite, SIGINT);
        wait_ended(lite, STOP_GRACE_MS);
        signal_child(lite, SIGKILL);
        pthread_join(lite->keeper, NULL);
    }
    if (lite->output >= 0)
        close(lite->output);
    for (size_t i = 0; i < ARGUMENTS_MAX; i++)
        free(lite->arguments[i]);
    pthread_cond_destroy(&lite->changed);
    pthread_mutex_destroy(&lite->lock);
    free(lite);
}
