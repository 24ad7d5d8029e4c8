/* The log: one mutex, one writer, secrets replaced before anything is printed. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/util.h"

#define LINE_MAX_BYTES 4096
#define SECRETS_MAX 32

static struct {
    pthread_mutex_t lock;
    mm_log_level level;
    mm_log_format format;
    char *secrets[SECRETS_MAX];
    size_t secret_count;
    char live[512]; /* the live line now on the terminal, empty: none */
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = MM_LOG_INFO, .format = MM_LOG_TEXT};

void mm_log_setup(mm_log_level level, mm_log_format format)
{
    pthread_mutex_lock(&logger.lock);
    logger.level = level;
    logger.format = format;
    pthread_mutex_unlock(&logger.lock);
}

mm_log_format mm_log_get_format(void)
{
    pthread_mutex_lock(&logger.lock);
    mm_log_format format = logger.format;
    pthread_mutex_unlock(&logger.lock);
    return format;
}

void mm_log_add_secret(const char *secret)
{
    if (secret == NULL || strlen(secret) < 3)
        return;
    pthread_mutex_lock(&logger.lock);
    bool known = false;
    for (size_t i = 0; i < logger.secret_count; i++)
        known = known || strcmp(logger.secrets[i], secret) == 0;
    if (!known && logger.secret_count < SECRETS_MAX) {
        char *copy = strdup(secret);
        if (copy) { /* longest first: a secret inside another must not leave the rest of it */
            size_t at = logger.secret_count++;
            for (; at > 0 && strlen(logger.secrets[at - 1]) < strlen(copy); at--)
                logger.secrets[at] = logger.secrets[at - 1];
            logger.secrets[at] = copy;
        }
    }
    pthread_mutex_unlock(&logger.lock);
}

static void redact_locked(char *text)
{
    for (size_t i = 0; i < logger.secret_count; i++) {
        size_t size = strlen(logger.secrets[i]);
        for (char *at = text; (at = strstr(at, logger.secrets[i])) != NULL; at += 3) {
            memmove(at + 3, at + size, strlen(at + size) + 1);
            memset(at, '*', 3);
        }
    }
}

void mm_log_redact(char *text)
{
    pthread_mutex_lock(&logger.lock);
    redact_locked(text);
    pthread_mutex_unlock(&logger.lock);
}

static void write_all(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = write(STDERR_FILENO, bytes, size);
        if (done <= 0)
            return; /* a log that cannot be written must not end a migration */
        bytes += done;
        size -= (size_t)done;
    }
}

static void format_line(mm_buffer *out, mm_log_level level, const char *text)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    if (logger.format == MM_LOG_JSON) {
        char when[MM_CLOCK_TEXT];
        mm_clock_format(mm_clock_wall_ms(), when);
        mm_buffer_printf(out, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", when, names[level]);
        mm_json_text(out, text);
        mm_buffer_append(out, "}\n", 2);
    } else if (level == MM_LOG_INFO) {
        mm_buffer_printf(out, "mmresume: %s\n", text);
    } else {
        mm_buffer_printf(out, "mmresume: %s: %s\n", names[level], text);
    }
}

void mm_log(mm_log_level level, const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pthread_mutex_lock(&logger.lock);
    if (level <= logger.level) {
        mm_buffer line = MM_BUFFER_INIT;
        redact_locked(text);
        if (logger.live[0])
            mm_buffer_append(&line, "\r\033[K", 4);
        format_line(&line, level, text);
        if (logger.live[0])
            mm_buffer_append(&line, logger.live, strlen(logger.live));
        if (!line.failed)
            write_all(line.data, line.size);
        mm_buffer_free(&line);
    }
    pthread_mutex_unlock(&logger.lock);
}

/* A line that wraps could not be taken back: only the last row of it would go. */
static void cut_to_terminal(char *line)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && strlen(line) >= size.ws_col)
        line[size.ws_col - 1] = '\0';
}

void mm_log_live(const char *text)
{
    if (!isatty(STDERR_FILENO))
        return;
    pthread_mutex_lock(&logger.lock);
    if (text || logger.live[0])
        write_all("\r\033[K", 4);
    snprintf(logger.live, sizeof(logger.live), "%s", text ? text : "");
    cut_to_terminal(logger.live);
    write_all(logger.live, strlen(logger.live));
    pthread_mutex_unlock(&logger.lock);
}
