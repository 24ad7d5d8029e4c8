/* Names and folders of the target `files`: safe names, identity of a folder, what stands in it. Knows nothing of
 * units. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "sinks/files/internal.h"

char *mm_files_quote(const char *name)
{
    /* a folder of this name would stand where the manifest goes */
    return strcmp(name, "manifest.json") == 0 ? strdup("%6Danifest.json") : mm_folder_quote(name);
}

mm_status mm_files_look(const char *path, mm_files_found *out, mm_error *err)
{
    DIR *folder = opendir(path);
    if (folder == NULL && errno == ENOENT) {
        *out = MM_FILES_ABSENT;
        return MM_OK;
    }
    if (folder == NULL && errno == ENOTDIR)
        return mm_error_set(err, MM_TARGET, "%s is not a folder", path);
    if (folder == NULL)
        return mm_error_errno(err, MM_IO, "%s", path);
    mm_files_found found = MM_FILES_EMPTY;
    struct dirent *entry;
    while (found != MM_FILES_MANIFEST && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, "manifest.json") == 0)
            found = MM_FILES_MANIFEST;
        else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            found = MM_FILES_OTHER;
    }
    closedir(folder);
    *out = found;
    return MM_OK;
}

mm_status mm_files_read_text(const char *path, mm_buffer *text, mm_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return mm_error_errno(err, errno == ENOENT ? MM_NOT_FOUND : MM_IO, "%s", path);
    mm_status status = MM_OK;
    char chunk[16384];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof(chunk))) > 0)
        mm_buffer_append(text, chunk, (size_t)got);
    if (got < 0)
        status = mm_error_errno(err, MM_IO, "reading %s", path);
    mm_buffer_append(text, "", 1);
    text->size -= text->failed ? 0 : 1; /* the NUL is there but not part of the text */
    if (status == MM_OK && text->failed)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory reading %s", path);
    close(fd);
    return status;
}
