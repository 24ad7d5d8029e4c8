/* mmresume status: a table or one JSON object; --watch draws it again every second until no run goes
 * on any more. */
#include <stdint.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"

/* Rows that the text takes on the terminal: a line that is wider than it takes several. */
static size_t rows_on_screen(const mm_buffer *text)
{
    struct winsize size;
    size_t columns = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : SIZE_MAX;
    size_t rows = 0, length = 0;
    for (size_t i = 0; i < text->size; i++) {
        if (text->data[i] != '\n') {
            length += ((unsigned char)text->data[i] & 0xC0) != 0x80; /* a character of UTF-8 counts once */
            continue;
        }
        rows += length == 0 ? 1 : (length - 1) / columns + 1;
        length = 0;
    }
    return rows;
}

static mm_status draw(const mm_run_args *run, size_t *drawn, mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT, screen = MM_BUFFER_INIT;
    mm_error ignored = MM_ERROR_INIT;
    mm_status status = mm_run_status(run, &text, err);
    if (*drawn > 0 && text.size > 0) /* back to where the last picture began */
        mm_buffer_printf(&screen, "\033[%zuA\033[J", *drawn);
    mm_buffer_append(&screen, text.data, text.size); /* what could be read is shown in any case */
    mm_status printed = mm_cli_print(&screen, status == MM_OK ? err : &ignored);
    status = status == MM_OK ? printed : status;
    if (status == MM_OK && !run->json && isatty(STDOUT_FILENO))
        *drawn = rows_on_screen(&text);
    mm_buffer_free(&screen);
    mm_buffer_free(&text);
    return status;
}

mm_status mm_cmd_status(const mm_cli_args *args, mm_error *err)
{
    mm_request request;
    const struct timespec second = {.tv_sec = 1};
    size_t drawn = 0;
    bool watch = mm_cli_flag(args, "watch"), running = watch;
    mm_status status = mm_request_make(args, MM_REQUEST_MAYBE_JOB, &request, err);
    if (status != MM_OK)
        return status;
    for (;;) {
        /* asked before the picture is drawn, so that the last picture shows the end */
        if (watch)
            status = mm_run_at_work(&request.run, &running, err);
        if (status == MM_OK)
            status = draw(&request.run, &drawn, err);
        if (status != MM_OK || !running)
            break;
        nanosleep(&second, NULL);
    }
    mm_request_free(&request);
    return status;
}
