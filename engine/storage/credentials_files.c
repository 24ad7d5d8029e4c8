/* The shared credentials and config files of AWS tools: where they are, what a profile says. Knows no order of
 * sources, no roles. */
#include "storage/credentials_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define FILE_MAX ((size_t)1 << 20)

const char *mm_environment(const char *name)
{
    const char *value = name ? getenv(name) : NULL;
    return value && value[0] ? value : NULL;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Without blanks on either side. */
static const char *trim(const char *text, size_t *size)
{
    while (*size > 0 && blank(*text))
        text++, (*size)--;
    while (*size > 0 && blank(text[*size - 1]))
        (*size)--;
    return text;
}

/* "[profile  x]" and "[x]" alike, inner blanks as one. */
static bool is_section(const char *line, size_t size, const char *section)
{
    if (size < 2 || line[0] != '[')
        return false;
    const char *end = memchr(line, ']', size);
    if (end == NULL)
        return false;
    size_t length = (size_t)(end - line) - 1, wanted = strlen(section), at = 0;
    const char *name = trim(line + 1, &length);
    for (size_t i = 0; i < length; i++) {
        if (blank(name[i]) && i > 0 && blank(name[i - 1]))
            continue;
        char c = blank(name[i]) ? ' ' : name[i];
        if (at >= wanted || section[at++] != c)
            return false;
    }
    return at == wanted;
}

char *mm_credentials_ini(const char *text, const char *section, const char *key, bool *found)
{
    bool inside = false;
    char *value = NULL;
    *found = false;
    for (const char *line = text; *line;) {
        size_t size = strcspn(line, "\n"), length = size;
        const char *next = line + size + (line[size] == '\n'), *at = trim(line, &length);
        bool nested = blank(line[0]); /* of a setting above, such as "s3 =": not ours */
        if (length > 0 && at[0] == '[') {
            inside = is_section(at, length, section);
            *found |= inside;
        } else if (inside && !nested && length > 0 && at[0] != '#' && at[0] != ';') {
            const char *equals = memchr(at, '=', length);
            size_t name = equals ? (size_t)(equals - at) : 0, rest = equals ? length - name - 1 : 0;
            const char *from = equals ? trim(equals + 1, &rest) : NULL;
            trim(at, &name);
            if (equals && name == strlen(key) && strncasecmp(at, key, name) == 0 && rest > 0) {
                free(value); /* the last one counts */
                value = strndup(from, rest);
            }
        }
        line = next;
    }
    return value;
}

/* A file's text; *out NULL when it is not there. */
static mm_status read_file(const char *path, char **out, mm_error *err)
{
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? MM_OK : mm_error_errno(err, MM_CONFIG, "%s", path);
    char *text = malloc(FILE_MAX + 1);
    mm_status status = text ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    size_t size = 0;
    ssize_t got = 0;
    while (status == MM_OK && size < FILE_MAX && (got = read(fd, text + size, FILE_MAX - size)) > 0)
        size += (size_t)got;
    if (status == MM_OK && got < 0)
        status = mm_error_errno(err, MM_CONFIG, "%s", path);
    close(fd);
    if (status != MM_OK) {
        free(text);
        return status;
    }
    text[size] = '\0';
    *out = text;
    return MM_OK;
}

void mm_shared_files_free(mm_shared_files *files)
{
    free(files->credentials_path);
    if (files->credentials)
        OPENSSL_cleanse(files->credentials, strlen(files->credentials));
    free(files->credentials);
    free(files->config_path);
    if (files->config)
        OPENSSL_cleanse(files->config, strlen(files->config));
    free(files->config);
}

static char *file_path(const char *given, const char *variable, const char *name)
{
    const char *home = mm_environment("HOME"), *set = given ? given : mm_environment(variable);
    return set ? strdup(set) : mm_format("%s/.aws/%s", home ? home : "", name);
}

mm_status mm_shared_files_read(const mm_storage_place *place, mm_shared_files *files, mm_error *err)
{
    const char *given = mm_storage_option(place, "storage_credentials");
    const char *profile = mm_storage_option(place, "storage_profile");
    profile = profile ? profile : mm_environment("AWS_PROFILE");
    profile = profile ? profile : mm_environment("AWS_DEFAULT_PROFILE");
    files->profile = profile ? profile : "default";
    files->credentials_path = file_path(given, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
    files->config_path = file_path(NULL, "AWS_CONFIG_FILE", "config");
    if (files->credentials_path == NULL || files->config_path == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = read_file(files->credentials_path, &files->credentials, err);
    if (status == MM_OK)
        status = read_file(files->config_path, &files->config, err);
    if (status == MM_OK && given && files->credentials == NULL)
        status = mm_error_set(err, MM_CONFIG, "storage_credentials: %s is not there", given);
    return status;
}

char *mm_shared_files_setting(const mm_shared_files *files, const char *profile, const char *key, bool *found)
{
    bool here = false, there = false;
    char *value = files->credentials ? mm_credentials_ini(files->credentials, profile, key, &here) : NULL;
    if (value == NULL && files->config) {
        char *section = strcmp(profile, "default") == 0 ? strdup("default") : mm_format("profile %s", profile);
        value = section ? mm_credentials_ini(files->config, section, key, &there) : NULL;
        free(section);
    }
    if (found)
        *found |= here || there;
    return value;
}
