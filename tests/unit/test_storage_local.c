/* The local file system as a storage: what is there, in which order, and that nothing is there in halves. */
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

#include "storage/storage.h"

static char folder[64];
static mm_storage *storage;
static mm_error err;

static int open_folder(void **state)
{
    (void)state;
    char *key = NULL;
    err = (mm_error)MM_ERROR_INIT;
    snprintf(folder, sizeof(folder), "/tmp/mm-local-XXXXXX");
    if (mkdtemp(folder) == NULL || mm_storage_open(folder, NULL, &storage, &key, &err) != MM_OK)
        return -1;
    free(key);
    return 0;
}

static mm_status remove_one(void *context, const char *key, const mm_object *object, mm_error *error)
{
    (void)object;
    return mm_storage_remove(context, key, error);
}

static int remove_folder(void **state)
{
    (void)state;
    mm_status status = mm_storage_list(storage, folder, remove_one, storage, &err);
    mm_storage_close(storage);
    char *command = mm_format("%s/x/y", folder); /* deepest first; those that a test made */
    for (char *slash; strlen(command) > strlen(folder); *slash = '\0') {
        rmdir(command);
        slash = strrchr(command, '/');
    }
    rmdir(folder);
    free(command);
    return status == MM_OK ? 0 : -1;
}

static const char *at(const char *name)
{
    static char paths[4][256];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof(paths[next]), "%s/%s", folder, name);
    return paths[next];
}

static void put(const char *name, const char *text)
{
    assert_int_equal(mm_storage_put(storage, at(name), text, strlen(text), false, &err), MM_OK);
}

static mm_status note(void *context, const char *key, const mm_object *object, mm_error *error)
{
    (void)error;
    mm_buffer_printf(context, "%s:%llu ", key + strlen(folder) + 1, (unsigned long long)object->size);
    return MM_OK;
}

static void lists_in_the_order_of_bytes(void **state)
{
    (void)state;
    mm_buffer seen = MM_BUFFER_INIT;
    put("x/b", "1");
    put("x.b", "22");
    put("x/y/c", "333");
    put("x-", "");
    put("x0", "4444");
    assert_int_equal(symlink(at("x0"), at("link")), 0);
    assert_int_equal(symlink(folder, at("x/round")), 0); /* not followed */
    assert_int_equal(mm_storage_list(storage, folder, note, &seen, &err), MM_OK);
    assert_string_equal(seen.data, "link:4 x-:0 x.b:2 x/b:1 x/y/c:3 x0:4 ");
    seen.size = 0;
    assert_int_equal(mm_storage_list(storage, at("x"), note, &seen, &err), MM_OK);
    assert_string_equal(seen.data, "x/b:1 x/y/c:3 ");
    assert_int_equal(unlink(at("x/round")), 0);
    seen.size = 0;
    assert_int_equal(mm_storage_list(storage, at("nothing"), note, &seen, &err), MM_OK);
    assert_int_equal(seen.size, 0);
    mm_buffer_free(&seen);
}

static void puts_and_reads_ranges(void **state)
{
    (void)state;
    mm_object object, again;
    char out[8] = {0};
    put("x/a", "0123456789");
    assert_int_equal(mm_storage_stat(storage, at("x/a"), &object, &err), MM_OK);
    assert_true(object.size == 10 && object.modified_ms > 0);
    assert_int_equal(mm_storage_read(storage, at("x/a"), object.etag, 3, out, 4, &err), MM_OK);
    assert_string_equal(out, "3456");
    assert_int_equal(mm_storage_read(storage, at("x/a"), NULL, 8, out, 3, &err), MM_DATA);
    assert_int_equal(mm_storage_read(storage, at("x/a"), NULL, UINT64_MAX - 1, out, 3, &err), MM_DATA);
    put("x/a", "9876543210");
    assert_int_equal(mm_storage_stat(storage, at("x/a"), &again, &err), MM_OK);
    assert_string_not_equal(object.etag, again.etag);
    assert_int_equal(mm_storage_read(storage, at("x/a"), object.etag, 3, out, 4, &err), MM_CHANGED);
    struct stat st;
    assert_int_equal(stat(at("x/a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(mm_storage_stat(storage, at("x"), &object, &err), MM_TARGET);
    assert_int_equal(mm_storage_stat(storage, at("none"), &object, &err), MM_NOT_FOUND);
    assert_int_equal(mm_storage_stat(storage, at("x/a/b"), &object, &err), MM_NOT_FOUND);
}

static void creates_only_where_nothing_is(void **state)
{
    (void)state;
    char out[2] = {0};
    assert_int_equal(mm_storage_put(storage, at("a"), "1", 1, true, &err), MM_OK);
    assert_int_equal(mm_storage_put(storage, at("a"), "2", 1, true, &err), MM_TARGET);
    assert_int_equal(mm_storage_read(storage, at("a"), NULL, 0, out, 1, &err), MM_OK);
    assert_string_equal(out, "1");
    assert_int_equal(symlink("nowhere", at("dangling")), 0);
    assert_int_equal(mm_storage_put(storage, at("dangling"), "2", 1, true, &err), MM_TARGET);
    assert_int_equal(unlink(at("dangling")), 0);
    assert_int_equal(access(at("a.mmresume-part"), F_OK), -1);
}

static void moves_and_removes_repeatably(void **state)
{
    (void)state;
    mm_object object;
    put("a", "1");
    assert_int_equal(mm_storage_move(storage, at("a"), at("x/y/b"), &err), MM_OK);
    assert_int_equal(mm_storage_move(storage, at("a"), at("x/y/b"), &err), MM_OK);
    assert_int_equal(mm_storage_move(storage, at("a"), at("c"), &err), MM_NOT_FOUND);
    assert_int_equal(mm_storage_stat(storage, at("a"), &object, &err), MM_NOT_FOUND);
    assert_int_equal(mm_storage_remove(storage, at("x/y/b"), &err), MM_OK);
    assert_int_equal(mm_storage_remove(storage, at("x/y/b"), &err), MM_OK);
    assert_int_equal(mm_storage_remove(storage, at("x/y/b/c"), &err), MM_OK);
}

static bool say_stop(void *context)
{
    return --*(int *)context < 0;
}

static void uploads_are_copies(void **state)
{
    (void)state;
    mm_object object;
    int left = 1;
    put("from", "content");
    mm_upload upload = {.path = at("from"), .key = at("x/to")};
    assert_int_equal(mm_storage_upload(storage, &upload, &object, &err), MM_OK);
    assert_true(object.size == 7);
    upload.stopping = say_stop;
    upload.context = &left;
    assert_int_equal(mm_storage_upload(storage, &upload, &object, &err), MM_OK);
    assert_int_equal(mm_storage_upload(storage, &upload, &object, &err), MM_INTERRUPTED);
    assert_int_equal(access(at("x/to.mmresume-part"), F_OK), -1);
    assert_int_equal(mm_storage_upload_abort(storage, at("x/to"), "{}", &err), MM_OK);
    upload.path = at("none");
    assert_int_equal(mm_storage_upload(storage, &upload, &object, &err), MM_NOT_FOUND);
}

static void locations(void **state)
{
    (void)state;
    mm_storage *other;
    char *key;
    assert_true(mm_storage_is_remote("s3://b/k"));
    assert_false(mm_storage_is_remote("/a/b"));
    assert_false(mm_storage_is_remote("file:///a/b"));
    assert_int_equal(mm_storage_open("file:///a//b", NULL, &other, &key, &err), MM_OK);
    assert_string_equal(key, "/a//b");
    assert_true(mm_storage_local(other));
    char *url = mm_storage_url(other, key), *http = mm_storage_http_url(other, key);
    assert_string_equal(url, "/a//b");
    assert_string_equal(http, "file:///a//b");
    free(url);
    free(http);
    free(key);
    mm_storage_close(other);
    assert_int_equal(mm_storage_open("relative/path", NULL, &other, &key, &err), MM_CONFIG);
    assert_int_equal(mm_storage_open("s4://b/k", NULL, &other, &key, &err), MM_CONFIG);
    assert_int_equal(mm_storage_open("s3:///k", NULL, &other, &key, &err), MM_CONFIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_in_the_order_of_bytes),  TEST(puts_and_reads_ranges), TEST(creates_only_where_nothing_is),
        TEST(moves_and_removes_repeatably), TEST(uploads_are_copies),    TEST(locations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
