/* Google's credentials: files, the JWT of a service account, the metadata server. */
#include "storage/gcs_auth.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/json_text.h"
#include "base/log.h"
#include "storage/token.h"

#define SCOPE "https://www.googleapis.com/auth/devstorage.read_write"
#define TOKEN_URL "https://oauth2.googleapis.com/token"
#define METADATA_TOKEN "/computeMetadata/v1/instance/service-accounts/default/token"
#define FORM_HEADER "Content-Type: application/x-www-form-urlencoded"

typedef enum { NONE, GIVEN, SERVICE_ACCOUNT, AUTHORIZED_USER, METADATA } kind;

struct mm_gcs_auth {
    kind kind;
    mm_http *http;
    mm_token token;
    char *url;   /* that gives tokens */
    char *what;  /* the same for messages */
    char *given;                                     /* an access token, which ends some time */
    char *email, *key_pem, *key_id;                  /* service account */
    char *client_id, *client_secret, *refresh_token; /* authorized user */
};

/* --- JWT ---------------------------------------------------------------------------------------- */

static mm_status sign(const char *key_pem, const mm_buffer *input, uint8_t **signature, size_t *size, mm_error *err)
{
    mm_status status = MM_CONFIG;
    BIO *bio = BIO_new_mem_buf(key_pem, -1);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t *out = NULL;
    if (key == NULL || EVP_PKEY_base_id(key) != EVP_PKEY_RSA) {
        mm_error_set(err, MM_CONFIG, "private_key is not an RSA key in PEM form");
        goto done;
    }
    size_t room = (size_t)EVP_PKEY_size(key);
    out = malloc(room);
    if (context == NULL || out == NULL ||
        EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(context, out, &room, (const uint8_t *)input->data, input->size) != 1) {
        status = mm_error_set(err, MM_BUG, "libcrypto does not sign");
        goto done;
    }
    *signature = out;
    *size = room;
    out = NULL;
    status = MM_OK;
done:
    free(out);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return status;
}

static void append_base64(mm_buffer *out, const void *bytes, size_t size)
{
    char *text = malloc(MM_BASE64_SIZE(size));
    if (text == NULL) {
        out->failed = true;
        return;
    }
    mm_buffer_append(out, text, mm_base64_url(bytes, size, text));
    free(text);
}

mm_status mm_gcs_jwt(const char *email, const char *key_pem, const char *key_id, const char *audience, int64_t now_s,
                     char **out, mm_error *err)
{
    mm_buffer part = MM_BUFFER_INIT, jwt = MM_BUFFER_INIT;
    uint8_t *signature = NULL;
    size_t size = 0;
    mm_buffer_printf(&part, "{\"alg\":\"RS256\",\"typ\":\"JWT\"");
    if (key_id != NULL) {
        mm_buffer_printf(&part, ",\"kid\":");
        mm_json_text(&part, key_id);
    }
    mm_buffer_printf(&part, "}");
    append_base64(&jwt, part.data, part.size);
    part.size = 0;
    mm_buffer_printf(&part, "{\"iss\":");
    mm_json_text(&part, email);
    mm_buffer_printf(&part, ",\"scope\":\"" SCOPE "\",\"aud\":");
    mm_json_text(&part, audience);
    mm_buffer_printf(&part, ",\"iat\":%" PRId64 ",\"exp\":%" PRId64 "}", now_s, now_s + 3600);
    mm_buffer_printf(&jwt, ".");
    append_base64(&jwt, part.data, part.size);
    mm_status status = part.failed || jwt.failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory")
                                                 : sign(key_pem, &jwt, &signature, &size, err);
    if (status == MM_OK) {
        mm_buffer_printf(&jwt, ".");
        append_base64(&jwt, signature, size);
        if (jwt.failed) {
            status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        } else {
            *out = jwt.data;
            jwt = (mm_buffer)MM_BUFFER_INIT;
        }
    }
    free(signature);
    mm_buffer_free(&part);
    mm_buffer_free(&jwt);
    return status;
}

/* --- fetching ----------------------------------------------------------------------------------- */

static mm_status post_form(mm_gcs_auth *auth, const mm_buffer *form, char **token, uint64_t *lifetime_ms, mm_error *err)
{
    static const char *const headers[] = {FORM_HEADER};
    if (form->failed) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    mm_http_request request = {.method = "POST", .url = auth->url, .headers = headers, .header_count = 1,
                               .body = {.bytes = form->data, .size = form->size}, .total_timeout_ms = 30000,
                               .repeatable = true};
    return mm_token_request(auth->http, &request, auth->what, token, lifetime_ms, err);
}

static mm_status fetch_by_jwt(mm_gcs_auth *auth, char **token, uint64_t *lifetime_ms, mm_error *err)
{
    char *jwt = NULL;
    mm_buffer form = MM_BUFFER_INIT;
    mm_status status = mm_gcs_jwt(auth->email, auth->key_pem, auth->key_id, auth->url, mm_clock_wall_ms() / 1000, &jwt,
                                  err);
    if (status == MM_OK) {
        mm_form_add(&form, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
        mm_form_add(&form, "assertion", jwt);
        status = post_form(auth, &form, token, lifetime_ms, err);
    }
    free(jwt);
    mm_buffer_free(&form);
    return status;
}

static mm_status fetch_by_refresh_token(mm_gcs_auth *auth, char **token, uint64_t *lifetime_ms, mm_error *err)
{
    mm_buffer form = MM_BUFFER_INIT;
    mm_form_add(&form, "grant_type", "refresh_token");
    mm_form_add(&form, "client_id", auth->client_id);
    mm_form_add(&form, "client_secret", auth->client_secret);
    mm_form_add(&form, "refresh_token", auth->refresh_token);
    mm_status status = post_form(auth, &form, token, lifetime_ms, err);
    mm_buffer_free(&form);
    return status;
}

static mm_status fetch_from_metadata(mm_gcs_auth *auth, char **token, uint64_t *lifetime_ms, mm_error *err)
{
    static const char *const headers[] = {"Metadata-Flavor: Google"};
    mm_http_request request = {.method = "GET", .url = auth->url, .headers = headers, .header_count = 1,
                               .total_timeout_ms = 30000, .repeatable = true};
    mm_status status = mm_token_request(auth->http, &request, auth->what, token, lifetime_ms, err);
    if (status == MM_NOT_FOUND) {
        status = mm_error_set(err, MM_AUTH, "%s knows no service account: give the machine or pod one", auth->what);
    } else if (status == MM_UNAVAILABLE) {
        mm_error_context(err, "no credentials for Google Cloud Storage are configured (storage_credentials, "
                         "GOOGLE_APPLICATION_CREDENTIALS, gcloud auth application-default login), and");
    }
    return status;
}

static mm_status fetch(void *context, char **token, uint64_t *lifetime_ms, mm_error *err)
{
    mm_gcs_auth *auth = context;
    switch (auth->kind) {
    case SERVICE_ACCOUNT:
        return fetch_by_jwt(auth, token, lifetime_ms, err);
    case AUTHORIZED_USER:
        return fetch_by_refresh_token(auth, token, lifetime_ms, err);
    case METADATA:
        return fetch_from_metadata(auth, token, lifetime_ms, err);
    case GIVEN:
    case NONE:
        break;
    }
    return mm_error_set(err, MM_BUG, "no credentials to fetch a token with");
}

/* --- files -------------------------------------------------------------------------------------- */

static mm_status take(const cJSON *root, const char *path, const char *name, char **out, mm_error *err)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, name));
    if (text == NULL || text[0] == '\0') {
        return mm_error_set(err, MM_CONFIG, "credentials file %s has no %s", path, name);
    }
    *out = strdup(text);
    return *out != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static mm_status take_service_account(mm_gcs_auth *auth, const cJSON *root, const char *path, mm_error *err)
{
    auth->kind = SERVICE_ACCOUNT;
    mm_status status = take(root, path, "client_email", &auth->email, err);
    if (status == MM_OK) {
        status = take(root, path, "private_key", &auth->key_pem, err);
    }
    if (status == MM_OK && cJSON_HasObjectItem(root, "private_key_id")) {
        status = take(root, path, "private_key_id", &auth->key_id, err);
    }
    if (status == MM_OK && cJSON_HasObjectItem(root, "token_uri")) {
        status = take(root, path, "token_uri", &auth->url, err);
    } else if (status == MM_OK && (auth->url = strdup(TOKEN_URL)) == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    if (status != MM_OK) {
        return status;
    }
    mm_log_add_secret(auth->key_pem);
    char *trial = NULL; /* so that a broken key is found before anything is sent */
    status = mm_gcs_jwt(auth->email, auth->key_pem, auth->key_id, auth->url, 0, &trial, err);
    if (status != MM_OK) {
        mm_error_context(err, "credentials file %s", path);
    }
    free(trial);
    auth->what = mm_format("token endpoint %s for %s", auth->url, auth->email);
    return status;
}

static mm_status take_user(mm_gcs_auth *auth, const cJSON *root, const char *path, mm_error *err)
{
    auth->kind = AUTHORIZED_USER;
    mm_status status = take(root, path, "client_id", &auth->client_id, err);
    if (status == MM_OK) {
        status = take(root, path, "client_secret", &auth->client_secret, err);
    }
    if (status == MM_OK) {
        status = take(root, path, "refresh_token", &auth->refresh_token, err);
    }
    if (status == MM_OK && cJSON_HasObjectItem(root, "token_uri")) {
        status = take(root, path, "token_uri", &auth->url, err);
    } else if (status == MM_OK && (auth->url = strdup(TOKEN_URL)) == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    if (status == MM_OK) {
        mm_log_add_secret(auth->client_secret);
        mm_log_add_secret(auth->refresh_token);
        auth->what = mm_format("token endpoint %s for the user of %s", auth->url, path);
    }
    return status;
}

static mm_status take_file(mm_gcs_auth *auth, const char *path, mm_error *err)
{
    char *text = NULL;
    size_t size;
    mm_status status = mm_credentials_file(path, &text, &size, err);
    if (status != MM_OK) {
        return status;
    }
    cJSON *root = cJSON_ParseWithLength(text, size);
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "type"));
    if (root == NULL || type == NULL) {
        status = mm_error_set(err, MM_CONFIG, "credentials file %s is not JSON with a type (a service account's key "
                              "is meant)", path);
    } else if (strcmp(type, "service_account") == 0) {
        status = take_service_account(auth, root, path, err);
    } else if (strcmp(type, "authorized_user") == 0) {
        status = take_user(auth, root, path, err);
    } else {
        status = mm_error_set(err, MM_CONFIG, "credentials file %s is of type '%s': there are service_account and "
                              "authorized_user; on Google's machines and pods storage_use_iam: true needs no file",
                              path, type);
    }
    cJSON_Delete(root);
    explicit_bzero(text, size);
    free(text);
    return status;
}

/* gcloud's file where it is there; *out NULL where not. */
static mm_status default_file(char **out, mm_error *err)
{
    const char *folder = getenv("CLOUDSDK_CONFIG"), *home = getenv("HOME");
    *out = NULL;
    if ((folder == NULL || folder[0] == '\0') && (home == NULL || home[0] == '\0')) {
        return MM_OK;
    }
    char *path = folder != NULL && folder[0] != '\0'
                     ? mm_format("%s/application_default_credentials.json", folder)
                     : mm_format("%s/.config/gcloud/application_default_credentials.json", home);
    if (path == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        free(path);
        return MM_OK;
    }
    fclose(file);
    *out = path;
    return MM_OK;
}

static mm_status take_metadata(mm_gcs_auth *auth, mm_error *err)
{
    const char *host = getenv("GCE_METADATA_HOST");
    auth->kind = METADATA;
    host = host != NULL && host[0] != '\0' ? host : "metadata.google.internal";
    auth->url = mm_format("http://%s" METADATA_TOKEN, host);
    auth->what = mm_format("the metadata server %s", host);
    return auth->url != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static mm_status choose(mm_gcs_auth *auth, const mm_storage_place *place, bool plain, mm_error *err)
{
    const char *file = mm_storage_option(place, "storage_credentials"), *variable;
    const char *given = mm_storage_option(place, "storage_session_token");
    if (given != NULL) {
        auth->kind = GIVEN;
        auth->given = strdup(given);
        auth->what = strdup("storage_session_token");
        return auth->given != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    if (file != NULL) {
        return take_file(auth, file, err);
    }
    if (place->options != NULL && mm_options_bool(place->options, "storage_use_iam")) {
        return take_metadata(auth, err);
    }
    if (plain) {
        return MM_OK;
    }
    variable = getenv("GOOGLE_APPLICATION_CREDENTIALS");
    if (variable != NULL && variable[0] != '\0') {
        return take_file(auth, variable, err);
    }
    char *found;
    mm_status status = default_file(&found, err);
    if (status == MM_OK) {
        status = found != NULL ? take_file(auth, found, err) : take_metadata(auth, err);
    }
    free(found);
    return status;
}

mm_status mm_gcs_auth_open(const mm_storage_place *place, bool plain, bool loopback, mm_gcs_auth **out, mm_error *err)
{
    mm_gcs_auth *auth = calloc(1, sizeof(*auth));
    if (auth == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    mm_token_init(&auth->token, fetch, auth);
    mm_status status = choose(auth, place, plain, err);
    if (status == MM_OK && auth->kind != NONE && plain && !loopback) {
        status = mm_error_set(err, MM_CONFIG, "%s: an access token would go to an http:// endpoint in the clear: use "
                              "https, or leave out storage_session_token, storage_credentials and storage_use_iam", place->location);
    }
    if (status == MM_OK && auth->kind != NONE && auth->what == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    if (status == MM_OK && auth->kind != NONE) {
        mm_http_config config = {.ca_file = auth->kind == METADATA ? NULL : mm_storage_option(place, "storage_ca"),
                                 .direct = auth->kind == METADATA,
                                 .connect_timeout_ms = auth->kind == METADATA ? 3000 : 0};
        status = mm_http_open(&config, &auth->http, err);
    }
    if (status != MM_OK) {
        mm_gcs_auth_close(auth);
        return status;
    }
    *out = auth;
    return MM_OK;
}

static void free_secret(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
    }
    free(text);
}

void mm_gcs_auth_close(mm_gcs_auth *auth)
{
    if (auth == NULL) {
        return;
    }
    mm_token_free(&auth->token);
    mm_http_close(auth->http);
    free(auth->url);
    free(auth->what);
    free(auth->email);
    free(auth->key_id);
    free(auth->client_id);
    free_secret(auth->given);
    free_secret(auth->key_pem);
    free_secret(auth->client_secret);
    free_secret(auth->refresh_token);
    free(auth);
}

mm_status mm_gcs_auth_token(mm_gcs_auth *auth, char **token, mm_error *err)
{
    if (auth->kind == NONE) {
        *token = NULL;
        return MM_OK;
    }
    if (auth->kind == GIVEN) {
        *token = strdup(auth->given);
        return *token != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    return mm_token_get(&auth->token, token, err);
}

void mm_gcs_auth_refused(mm_gcs_auth *auth, const char *token)
{
    mm_token_refused(&auth->token, token);
}
