/* The order in which AWS credentials are looked for, and keeping what a role gave until it expires. */
#include "storage/credentials.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/log.h"
#include "storage/credentials_files.h"
#include "storage/credentials_role.h"

#define RENEW_BEFORE_MS (5 * 60 * 1000)
#define RENEW_PAUSE_MS 30000
#define METADATA_ENDPOINT "http://169.254.169.254"
#define CONTAINER_HOST "http://169.254.170.2"

struct mm_credentials_source {
    pthread_mutex_t lock; /* of current; held while a role is asked, so that one thread asks for all */
    mm_credentials current;
    bool is_role;
    mm_role role;
    mm_http *http; /* of roles */
    uint64_t next_try_ms; /* monotonic; after a renewal in good time that failed */
};

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

static void free_secret(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

void mm_credentials_free(mm_credentials *credentials)
{
    free(credentials->access_key);
    free_secret(credentials->secret_key);
    free_secret(credentials->session_token);
    *credentials = (mm_credentials){0};
}

void mm_credentials_hints_free(mm_credentials_hints *hints)
{
    free(hints->region);
    free(hints->endpoint);
    *hints = (mm_credentials_hints){0};
}

static mm_status keep(mm_credentials *to, const char *access, const char *secret, const char *token, mm_error *err)
{
    mm_credentials_free(to);
    *to = (mm_credentials){copy(access), copy(secret), copy(token), 0};
    if (to->access_key == NULL || to->secret_key == NULL || (token && to->session_token == NULL))
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_log_add_secret(secret);
    mm_log_add_secret(token);
    return MM_OK;
}

/* --- roles -------------------------------------------------------------------------------------------------- */

static mm_status use_role(mm_credentials_source *source, const mm_credentials_hints *hints, mm_error *err)
{
    mm_role *role = &source->role;
    bool sts = role->kind == MM_ROLE_WEB_IDENTITY || role->kind == MM_ROLE_ASSUME;
    source->is_role = true;
    if (sts) {
        const char *endpoint = mm_environment("AWS_ENDPOINT_URL_STS");
        endpoint = endpoint ? endpoint : mm_environment("AWS_ENDPOINT_URL");
        role->region = strdup(hints->region ? hints->region : "us-east-1");
        if (endpoint)
            role->endpoint = strndup(endpoint, strlen(endpoint) - (endpoint[strlen(endpoint) - 1] == '/'));
        else if (role->region)
            role->endpoint = mm_format("https://sts.%s.amazonaws.com%s", role->region,
                                       strncmp(role->region, "cn-", 3) == 0 ? ".cn" : "");
        if (role->region && role->endpoint && strstr(role->endpoint, "://") == NULL)
            return mm_error_set(err, MM_CONFIG, "the endpoint of STS, '%s', is not a URL", role->endpoint);
    }
    if (role->endpoint == NULL || (sts && (role->region == NULL || role->role_arn == NULL)))
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_http_config config = {.direct = !sts, .connect_timeout_ms = sts ? 0 : 2000};
    return mm_http_open(&config, &source->http, err);
}

/* Plain HTTP only to the container agents' own addresses, since the answer holds keys. */
static bool container_url_is_safe(const char *url)
{
    static const char *const hosts[] = {CONTAINER_HOST, "http://169.254.170.23", "http://[fd00:ec2::23]",
                                        "http://127.0.0.1", "http://localhost", "http://[::1]"};
    if (strncmp(url, "https://", 8) == 0)
        return true;
    for (size_t i = 0; i < MM_COUNT(hosts); i++) {
        size_t length = strlen(hosts[i]);
        if (strncmp(url, hosts[i], length) == 0 && strchr(":/", url[length]) != NULL)
            return true;
    }
    return false;
}

/* The machine's roles by the environment; the instance's is always there to be asked. */
static mm_status choose_machine_role(mm_credentials_source *source, const mm_credentials_hints *hints, bool *found,
                                     mm_error *err)
{
    mm_role *role = &source->role;
    const char *identity = mm_environment("AWS_WEB_IDENTITY_TOKEN_FILE"), *arn = mm_environment("AWS_ROLE_ARN");
    const char *relative = mm_environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = mm_environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *disabled = mm_environment("AWS_EC2_METADATA_DISABLED");
    const char *metadata = mm_environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    *found = true;
    if (identity && arn) {
        *role = (mm_role){.kind = MM_ROLE_WEB_IDENTITY, .token_file = strdup(identity), .role_arn = strdup(arn),
                          .session_name = copy(mm_environment("AWS_ROLE_SESSION_NAME"))};
        if (role->token_file == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    } else if (relative || full) {
        char *url = relative ? mm_format(CONTAINER_HOST "%s", relative) : strdup(full);
        *role = (mm_role){.kind = MM_ROLE_CONTAINER, .endpoint = url,
                          .token_file = copy(mm_environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")),
                          .token = copy(mm_environment("AWS_CONTAINER_AUTHORIZATION_TOKEN"))};
        if (url && !container_url_is_safe(url))
            return mm_error_set(err, MM_CONFIG, "AWS_CONTAINER_CREDENTIALS_FULL_URI is '%s': only https, or the "
                                "container agent's own addresses, are safe for keys", url);
    } else if (disabled == NULL || strcasecmp(disabled, "true") != 0) {
        size_t length = metadata ? strlen(metadata) : 0;
        *role = (mm_role){.kind = MM_ROLE_INSTANCE,
                          .endpoint = metadata ? strndup(metadata, length - (metadata[length - 1] == '/'))
                                               : strdup(METADATA_ENDPOINT)};
    } else {
        *found = false;
        return MM_OK;
    }
    return use_role(source, hints, err);
}

/* --- the order ---------------------------------------------------------------------------------------------- */

static mm_status try_options(mm_credentials_source *source, const mm_storage_place *place, bool *found, mm_error *err)
{
    const char *access = mm_storage_option(place, "storage_access_key");
    const char *secret = mm_storage_option(place, "storage_secret_key");
    const char *token = mm_storage_option(place, "storage_session_token");
    *found = false;
    if (access == NULL && secret == NULL && token == NULL)
        return MM_OK;
    if (access == NULL || secret == NULL)
        return mm_error_set(err, MM_CONFIG, "%s is given without %s: they belong together",
                            access ? "storage_access_key" : secret ? "storage_secret_key" : "storage_session_token",
                            access ? "storage_secret_key" : "storage_access_key");
    *found = true;
    return keep(&source->current, access, secret, token, err);
}

static mm_status try_environment(mm_credentials_source *source, const char *access_name, const char *secret_name,
                                 const char *token_name, bool *found, mm_error *err)
{
    const char *access = mm_environment(access_name), *secret = mm_environment(secret_name);
    *found = access && secret;
    if (*found)
        return keep(&source->current, access, secret, mm_environment(token_name), err);
    if (access || secret)
        return mm_error_set(err, MM_CONFIG, "the environment has %s without %s", access ? access_name : secret_name,
                            access ? secret_name : access_name);
    return MM_OK;
}

/* Keys that stand in a profile itself. */
static mm_status profile_keys(const mm_shared_files *files, const char *profile, mm_credentials *out, bool *found,
                              mm_error *err)
{
    bool there = false;
    char *access = mm_shared_files_setting(files, profile, "aws_access_key_id", &there);
    char *secret = mm_shared_files_setting(files, profile, "aws_secret_access_key", &there);
    char *token = mm_shared_files_setting(files, profile, "aws_session_token", &there);
    mm_status status = MM_OK;
    *found = access && secret;
    if (*found)
        status = keep(out, access, secret, token, err);
    else if (access || secret)
        status = mm_error_set(err, MM_CONFIG, "profile '%s' has %s alone", profile,
                              access ? "aws_access_key_id" : "aws_secret_access_key");
    free(access);
    free_secret(secret);
    free_secret(token);
    return status;
}

/* role_arn with a web identity's file, or on behalf of a profile with keys. */
static mm_status profile_role(mm_credentials_source *source, const mm_shared_files *files, const mm_credentials_hints *hints,
                              char *arn, bool *found, mm_error *err)
{
    mm_role *role = &source->role;
    char *identity = mm_shared_files_setting(files, files->profile, "web_identity_token_file", NULL);
    char *base = mm_shared_files_setting(files, files->profile, "source_profile", NULL);
    mm_status status = MM_OK;
    *found = true;
    *role = (mm_role){.kind = identity ? MM_ROLE_WEB_IDENTITY : MM_ROLE_ASSUME, .role_arn = arn,
                      .token_file = identity,
                      .session_name = mm_shared_files_setting(files, files->profile, "role_session_name", NULL),
                      .external_id = mm_shared_files_setting(files, files->profile, "external_id", NULL)};
    if (identity == NULL) {
        bool has_keys = false;
        if (base)
            status = profile_keys(files, base, &role->base, &has_keys, err);
        if (status == MM_OK && !has_keys)
            status = mm_error_set(err, MM_CONFIG, "profile '%s' has a role_arn, but no source_profile with keys and no "
                                  "web_identity_token_file: other ways to take a role are not known here",
                                  files->profile);
    }
    free(base);
    return status == MM_OK ? use_role(source, hints, err) : status;
}

static mm_status try_profile(mm_credentials_source *source, const mm_storage_place *place, const mm_shared_files *files,
                             const mm_credentials_hints *hints, bool roles, bool *found, mm_error *err)
{
    bool there = false;
    mm_status status = MM_OK;
    char *arn = roles ? mm_shared_files_setting(files, files->profile, "role_arn", &there) : NULL;
    if (arn)
        return profile_role(source, files, hints, arn, found, err);
    status = profile_keys(files, files->profile, &source->current, found, err);
    if (status != MM_OK || *found)
        return status;
    static const char *const others[] = {"credential_process", "sso_session", "sso_start_url"};
    for (size_t i = 0; i < MM_COUNT(others); i++) {
        char *value = mm_shared_files_setting(files, files->profile, others[i], &there);
        if (value)
            status = mm_error_set(err, MM_CONFIG, "profile '%s' relies on %s, which is not known here: export its "
                                  "keys (aws configure export-credentials)", files->profile, others[i]);
        free(value);
        if (status != MM_OK)
            return status;
    }
    if (mm_storage_option(place, "storage_profile") && !there)
        return mm_error_set(err, MM_CONFIG, "storage_profile: neither %s nor %s has a profile '%s'",
                            files->credentials_path, files->config_path, files->profile);
    if (mm_storage_option(place, "storage_credentials"))
        return mm_error_set(err, MM_CONFIG, "storage_credentials: %s has no keys for the profile '%s'",
                            files->credentials_path, files->profile);
    return MM_OK;
}

static void take_hints(const mm_shared_files *files, mm_credentials_hints *hints)
{
    static const char *const regions[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
    static const char *const endpoints[] = {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"};
    for (size_t i = 0; i < 2; i++) {
        if (hints->region == NULL)
            hints->region = copy(mm_environment(regions[i]));
        if (hints->endpoint == NULL)
            hints->endpoint = copy(mm_environment(endpoints[i]));
    }
    if (hints->region == NULL)
        hints->region = mm_shared_files_setting(files, files->profile, "region", NULL);
    if (hints->endpoint == NULL)
        hints->endpoint = mm_shared_files_setting(files, files->profile, "endpoint_url", NULL);
}

static mm_status choose(mm_credentials_source *source, const mm_credentials_config *config, const mm_shared_files *files,
                        const mm_credentials_hints *hints, mm_error *err)
{
    const mm_storage_place *place = config->place;
    bool found = false, iam = place->options && mm_options_bool(place->options, "storage_use_iam");
    bool named = mm_storage_option(place, "storage_profile") || mm_storage_option(place, "storage_credentials");
    mm_status status = MM_OK;
    if (!iam) {
        status = try_options(source, place, &found, err);
        if (status == MM_OK && !found && !named && config->key_names[0])
            status = try_environment(source, config->key_names[0], config->key_names[1], config->token_name, &found,
                                     err);
        if (status == MM_OK && !found && !named)
            status = try_environment(source, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
                                     &found, err);
        if (status == MM_OK && !found)
            status = try_profile(source, place, files, hints, config->aws_roles, &found, err);
    }
    if (status == MM_OK && !found && config->aws_roles)
        status = choose_machine_role(source, hints, &found, err);
    if (status == MM_OK && !found)
        status = mm_error_set(err, MM_CONFIG, "%s: no credentials: give storage_access_key and storage_secret_key%s, "
                              "or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in %s",
                              place->location, iam ? " (this service has no roles for storage_use_iam)" : "",
                              files->credentials_path);
    return status;
}

mm_status mm_credentials_open(const mm_credentials_config *config, mm_credentials_source **out,
                              mm_credentials_hints *hints, mm_error *err)
{
    mm_shared_files files = {0};
    mm_credentials_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    pthread_mutex_init(&source->lock, NULL);
    mm_status status = mm_shared_files_read(config->place, &files, err);
    if (status == MM_OK) {
        take_hints(&files, hints);
        status = choose(source, config, &files, hints, err);
    }
    mm_shared_files_free(&files);
    if (status != MM_OK) {
        mm_credentials_close(source);
        mm_credentials_hints_free(hints);
        return status;
    }
    *out = source;
    return MM_OK;
}

void mm_credentials_close(mm_credentials_source *source)
{
    if (source == NULL)
        return;
    mm_http_close(source->http);
    mm_role_free(&source->role);
    mm_credentials_free(&source->current);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

bool mm_credentials_renewable(const mm_credentials_source *source)
{
    return source->is_role;
}

/* --- keeping ------------------------------------------------------------------------------------------------ */

static mm_status fetch(mm_credentials_source *source, bool patiently, mm_error *err)
{
    mm_status status;
    mm_credentials fresh = {0};
    mm_retry retry = {0};
    do
        status = mm_role_fetch(source->http, &source->role, &fresh, err);
    while (patiently && mm_retry_again(&retry, status, err));
    if (status != MM_OK)
        return status;
    mm_credentials_free(&source->current);
    source->current = fresh;
    return MM_OK;
}

/* With the lock held. needed: the old ones are of no use. */
static mm_status renew(mm_credentials_source *source, bool needed, mm_error *err)
{
    bool first = source->current.access_key == NULL;
    if (!needed && mm_clock_ms() < source->next_try_ms)
        return MM_OK;
    mm_status status = fetch(source, needed && !first, err);
    if (status != MM_OK && !needed) {
        source->next_try_ms = mm_clock_ms() + RENEW_PAUSE_MS;
        mm_log(MM_LOG_WARN, "credentials could not be renewed yet, the old ones are used on: %s",
               err ? err->text : mm_status_text(status));
        status = MM_OK;
    }
    /* where nothing else was given, this was the last place to look: waiting will not help */
    if (first && source->role.kind == MM_ROLE_INSTANCE && mm_status_class(status) == MM_CLASS_RETRY) {
        status = MM_CONFIG;
        if (err) {
            err->status = status;
            mm_error_context(err, "no credentials: none in the options, the environment or a profile, and the machine "
                             "has no role to ask");
        }
    }
    return status;
}

mm_status mm_credentials_get(mm_credentials_source *source, const char *refused, mm_credentials *out, mm_error *err)
{
    mm_status status = MM_OK;
    pthread_mutex_lock(&source->lock);
    const mm_credentials *now = &source->current;
    if (source->is_role) {
        int64_t left = now->expires_ms - mm_clock_wall_ms();
        bool expires = now->expires_ms > 0 && left < RENEW_BEFORE_MS;
        bool bad = now->access_key == NULL || (refused && strcmp(refused, now->access_key) == 0);
        if (bad || expires)
            status = renew(source, bad || left <= 0, err);
    }
    if (status == MM_OK) {
        *out = (mm_credentials){copy(now->access_key), copy(now->secret_key), copy(now->session_token),
                                now->expires_ms};
        if (out->access_key == NULL || out->secret_key == NULL || (now->session_token && out->session_token == NULL)) {
            mm_credentials_free(out);
            status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        }
    }
    pthread_mutex_unlock(&source->lock);
    return status;
}
