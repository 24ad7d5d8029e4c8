/* Inputs: local files and memory read alike, by pread and by the mapping; a file that shrinks, a folder, a missing
 * file and a wrong range are errors that name the place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/input.h"

static char folder[] = "/tmp/mmresume-input-XXXXXX";
static char path[64];

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, true);
    assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void check_bytes(const char *location)
{
    mm_error err = MM_ERROR_INIT;
    mm_input *input = NULL;
    char bytes[8] = "";
    assert_int_equal(mm_input_open(location, NULL, &input, &err), MM_OK);
    assert_int_equal(input->size, 10);
    assert_non_null(input->map);
    assert_memory_equal(input->map, "0123456789", 10);
    assert_int_equal(mm_input_read(input, 3, bytes, 4, &err), MM_OK);
    assert_memory_equal(bytes, "3456", 4);
    assert_int_equal(mm_input_read(input, 10, bytes, 0, &err), MM_OK);
    mm_input_close(input);
}

static void a_local_file_is_read_and_mapped(void **state)
{
    (void)state;
    char url[80];
    write_file("0123456789");
    snprintf(url, sizeof(url), "file://%s", path);
    check_bytes(path);
    check_bytes(url);
}

static void memory_is_read_like_a_file(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_input *input = NULL;
    char bytes[4];
    assert_int_equal(mm_input_memory("bytes", "abcdef", 6, &input, &err), MM_OK);
    assert_int_equal(mm_input_read(input, 2, bytes, 4, &err), MM_OK);
    assert_memory_equal(bytes, "cdef", 4);
    assert_string_equal(mm_input_identity(input), "size=6");
    mm_input_close(input);
}

static void an_empty_file_is_an_input_of_no_bytes(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_input *input = NULL;
    write_file("");
    assert_int_equal(mm_input_open(path, NULL, &input, &err), MM_OK);
    assert_int_equal(input->size, 0);
    mm_input_close(input);
}

static void a_range_beyond_the_end_is_a_bug_of_the_caller(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_input *input = NULL;
    char byte;
    write_file("0123456789");
    assert_int_equal(mm_input_open(path, NULL, &input, &err), MM_OK);
    assert_int_equal(mm_input_read(input, 10, &byte, 1, &err), MM_BUG);
    assert_int_equal(mm_input_read(input, UINT64_MAX, &byte, 1, &err), MM_BUG);
    mm_input_close(input);
}

static void a_file_that_shrank_is_an_error_with_the_byte(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_input *input = NULL;
    char bytes[10];
    write_file("0123456789");
    assert_int_equal(mm_input_open(path, NULL, &input, &err), MM_OK);
    assert_int_equal(truncate(path, 4), 0);
    assert_int_equal(mm_input_read(input, 0, bytes, 10, &err), MM_CHANGED);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "byte 4: "));
    mm_input_close(input);
}

static void another_content_has_another_identity(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_input *before = NULL, *same = NULL, *after = NULL;
    write_file("0123456789");
    assert_int_equal(mm_input_open(path, NULL, &before, &err), MM_OK);
    assert_int_equal(mm_input_open(path, NULL, &same, &err), MM_OK);
    write_file("0123456789a");
    assert_int_equal(mm_input_open(path, NULL, &after, &err), MM_OK);
    assert_string_equal(mm_input_identity(before), mm_input_identity(same));
    assert_string_not_equal(mm_input_identity(before), mm_input_identity(after));
    assert_true(strlen(mm_input_identity(after)) < 200);
    mm_input_close(before);
    mm_input_close(same);
    mm_input_close(after);
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_input *input = NULL;
    char fifo[80];
    assert_int_equal(mm_input_open("/nowhere/at/all", NULL, &input, &err), MM_NOT_FOUND);
    assert_int_equal(mm_input_open(folder, NULL, &input, &err), MM_CONFIG);
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(mm_input_open(fifo, NULL, &input, &err), MM_CONFIG);
    unlink(fifo);
    assert_null(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_local_file_is_read_and_mapped),
        cmocka_unit_test(memory_is_read_like_a_file),
        cmocka_unit_test(an_empty_file_is_an_input_of_no_bytes),
        cmocka_unit_test(a_range_beyond_the_end_is_a_bug_of_the_caller),
        cmocka_unit_test(a_file_that_shrank_is_an_error_with_the_byte),
        cmocka_unit_test(another_content_has_another_identity),
        cmocka_unit_test(what_is_no_file_is_refused),
    };
    return cmocka_run_group_tests_name("input", tests, make_folder, remove_folder);
}
