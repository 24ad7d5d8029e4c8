/* Tokens kept and fetched. What a token is for, its owner knows. */
#include "storage/token.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "storage/storage_internal.h"

#define CREDENTIALS_MAX ((size_t)1 << 20)
#define REFRESH_BEFORE_MS (300 * (uint64_t)1000)
#define LIFETIME_DEFAULT_MS (600 * (uint64_t)1000)

void mm_token_init(mm_token *token, mm_token_fetch fetch, void *context)
{
    *token = (mm_token){.fetch = fetch, .context = context};
    pthread_mutex_init(&token->lock, NULL);
}

void mm_token_free(mm_token *token)
{
    pthread_mutex_destroy(&token->lock);
    free(token->text);
}

static mm_status renew(mm_token *token, mm_error *err)
{
    char *fresh = NULL;
    uint64_t lifetime_ms = LIFETIME_DEFAULT_MS, asked = mm_clock_ms();
    mm_status status = token->fetch(token->context, &fresh, &lifetime_ms, err);
    if (status != MM_OK) {
        return status;
    }
    /* five minutes early, since a request may be long; of a short life the last quarter */
    uint64_t early = lifetime_ms / 4 < REFRESH_BEFORE_MS ? lifetime_ms / 4 : REFRESH_BEFORE_MS;
    mm_log_add_secret(fresh);
    free(token->text);
    token->text = fresh;
    token->ends_ms = asked + lifetime_ms;
    token->refresh_at_ms = token->ends_ms - early;
    return MM_OK;
}

mm_status mm_token_get(mm_token *token, char **text, mm_error *err)
{
    mm_status status = MM_OK;
    pthread_mutex_lock(&token->lock);
    uint64_t now = mm_clock_ms();
    if (token->text == NULL || now >= token->refresh_at_ms) {
        mm_error trouble = MM_ERROR_INIT;
        status = renew(token, &trouble);
        if (status != MM_OK && token->text != NULL && now < token->ends_ms) {
            mm_log(MM_LOG_WARN, "the next access token could not be had yet: %s", trouble.text);
            status = MM_OK;
        } else if (status != MM_OK && err != NULL) {
            *err = trouble;
        }
    }
    if (status == MM_OK && (*text = strdup(token->text)) == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    pthread_mutex_unlock(&token->lock);
    return status;
}

void mm_token_refused(mm_token *token, const char *text)
{
    pthread_mutex_lock(&token->lock);
    if (token->text != NULL && strcmp(token->text, text) == 0) {
        free(token->text);
        token->text = NULL;
    }
    pthread_mutex_unlock(&token->lock);
}

/* --- the request -------------------------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* A number, or a text of digits; below zero: neither. */
static double number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (cJSON_IsNumber(item)) {
        return item->valuedouble;
    }
    const char *text = cJSON_GetStringValue(item);
    char *end = NULL;
    double value = text != NULL ? strtod(text, &end) : -1;
    return end != NULL && end != text && *end == '\0' ? value : -1;
}

static uint64_t lifetime_of(const cJSON *root)
{
    double seconds = number_of(root, "expires_in");
    if (!(seconds >= 0)) {
        double until = number_of(root, "expires_on");
        seconds = until >= 0 ? until - (double)mm_clock_wall_ms() / 1000 : -1;
    }
    return seconds >= 1 && seconds < 1e7 ? (uint64_t)(seconds * 1000) : LIFETIME_DEFAULT_MS;
}

static mm_status refuse(const mm_http_reply *reply, const cJSON *root, const char *what, mm_error *err)
{
    const char *error = text_of(root, "error"), *more = text_of(root, "error_description");
    mm_status status = reply->status == 400 || reply->status == 403 ? MM_AUTH : mm_http_judge(reply->status, true);
    mm_error_set(err, status, "%s answered HTTP %ld: %s%s%s", what, reply->status, error ? error : "no reason given",
                 more ? ": " : "", more ? more : "");
    if (err != NULL) {
        err->retry_after_ms = reply->retry_after_ms;
    }
    return status;
}

mm_status mm_token_request(mm_http *http, const mm_http_request *request, const char *what, char **token,
                           uint64_t *lifetime_ms, mm_error *err)
{
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    cJSON *root = NULL;
    mm_status status = mm_http_perform(http, request, &reply, err);
    if (status != MM_OK) {
        mm_error_context(err, "%s", what);
        goto out;
    }
    root = reply.body.size > 0 ? cJSON_ParseWithLength(reply.body.data, reply.body.size) : NULL;
    if (reply.status < 200 || reply.status > 299) {
        status = refuse(&reply, root, what, err);
        goto out;
    }
    const char *text = text_of(root, "access_token");
    if (text == NULL || text[strcspn(text, "\r\n")] != '\0') {
        status = mm_error_set(err, MM_DATA, "%s answered without an access_token", what);
        goto out;
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        goto out;
    }
    *token = copy;
    *lifetime_ms = lifetime_of(root);
out:
    cJSON_Delete(root);
    mm_http_reply_free(&reply);
    return status;
}

void mm_form_add(mm_buffer *out, const char *name, const char *value)
{
    mm_buffer_printf(out, "%s%s=", out->size > 0 ? "&" : "", name);
    mm_percent_encode(out, value, false);
}

mm_status mm_credentials_file(const char *path, char **out, size_t *size, mm_error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return mm_error_set(err, MM_CONFIG, "credentials file %s: %s", path, strerror(errno));
    }
    mm_status status = MM_OK;
    char *text = malloc(CREDENTIALS_MAX + 1);
    size_t got = text != NULL ? fread(text, 1, CREDENTIALS_MAX + 1, file) : 0;
    if (text == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    } else if (ferror(file) || got == 0 || got > CREDENTIALS_MAX) {
        const char *why = ferror(file) ? "it cannot be read" : got == 0 ? "it is empty" : "it is larger than 1 MiB";
        status = mm_error_set(err, MM_CONFIG, "credentials file %s: %s", path, why);
    }
    fclose(file);
    if (status != MM_OK) {
        free(text);
        return status;
    }
    text[got] = '\0';
    *out = text;
    *size = got;
    return MM_OK;
}
