/* Azure's credentials: the signature by an account's key, and which other kind there is. Tokens: azure_identity.c. */
#include "storage/azure_auth.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "storage/azure_identity.h"

typedef enum { SHARED_KEY, SAS, IDENTITY } kind;

struct mm_azure_auth {
    kind kind;
    char *account;
    uint8_t *key;
    size_t key_size;
    char *sas;
    mm_azure_identity *identity;
};

/* --- SharedKey ---------------------------------------------------------------------------------- */

static const char *value_of(const mm_pair *pairs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(pairs[i].name, name) == 0) {
            return pairs[i].value;
        }
    }
    return "";
}

mm_status mm_azure_string_to_sign(const char *account, const char *method, const char *path, const mm_pair *query,
                                  size_t query_count, const mm_pair *headers, size_t header_count, uint64_t body_size,
                                  mm_buffer *out, mm_error *err)
{
    /* the date stands in x-ms-date instead of Date */
    static const char *const before[] = {"content-encoding", "content-language"};
    static const char *const behind[] = {"content-md5", "content-type", "date", "if-modified-since", "if-match",
                                         "if-none-match", "if-unmodified-since", "range"};
    mm_buffer_printf(out, "%s\n", method);
    for (size_t i = 0; i < MM_COUNT(before); i++) {
        mm_buffer_printf(out, "%s\n", value_of(headers, header_count, before[i]));
    }
    if (body_size > 0) {
        mm_buffer_printf(out, "%" PRIu64, body_size);
    }
    mm_buffer_printf(out, "\n");
    for (size_t i = 0; i < MM_COUNT(behind); i++) {
        mm_buffer_printf(out, "%s\n", value_of(headers, header_count, behind[i]));
    }
    for (size_t i = 0; i < header_count; i++) {
        if (strncmp(headers[i].name, "x-ms-", 5) == 0) {
            mm_buffer_printf(out, "%s:%s\n", headers[i].name, headers[i].value);
        }
    }
    mm_buffer_printf(out, "/%s%s", account, path);
    for (size_t i = 0; i < query_count; i++) {
        mm_buffer_printf(out, "\n%s:%s", query[i].name, query[i].value);
    }
    return out->failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory") : MM_OK;
}

static mm_status sign(const mm_azure_auth *auth, const mm_buffer *text, char **out, mm_error *err)
{
    uint8_t mac[MM_SHA256_SIZE];
    char signature[MM_BASE64_SIZE(MM_SHA256_SIZE)];
    if (!mm_hmac_sha256(auth->key, auth->key_size, text->data, text->size, mac)) {
        return mm_error_set(err, MM_BUG, "libcrypto does not sign");
    }
    mm_base64(mac, sizeof(mac), signature);
    *out = mm_format("SharedKey %s:%s", auth->account, signature);
    return *out != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

mm_status mm_azure_auth_header(mm_azure_auth *auth, const char *method, const char *path, const mm_pair *query,
                               size_t query_count, const mm_pair *headers, size_t header_count, uint64_t body_size,
                               char **out, mm_error *err)
{
    *out = NULL;
    if (auth->kind == SAS) {
        return MM_OK;
    }
    if (auth->kind == IDENTITY) {
        return mm_azure_identity_header(auth->identity, out, err);
    }
    mm_buffer text = MM_BUFFER_INIT;
    mm_status status = mm_azure_string_to_sign(auth->account, method, path, query, query_count, headers, header_count,
                                               body_size, &text, err);
    if (status == MM_OK) {
        status = sign(auth, &text, out, err);
    }
    mm_buffer_free(&text);
    return status;
}

/* --- choosing ----------------------------------------------------------------------------------- */

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static mm_status take_sas(mm_azure_auth *auth, const char *sas, mm_error *err)
{
    sas += sas[0] == '?';
    if (strstr(sas, "sig=") == NULL || sas[strcspn(sas, " \r\n\t#")] != '\0') {
        return mm_error_set(err, MM_CONFIG, "the SAS token of account %s is none: it has the form sv=…&sig=…",
                            auth->account);
    }
    auth->kind = SAS;
    auth->sas = strdup(sas);
    mm_log_add_secret(sas);
    mm_log_add_secret(strstr(sas, "sig=") + 4);
    return auth->sas != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static mm_status take_key(mm_azure_auth *auth, const char *text, mm_error *err)
{
    size_t length = strlen(text);
    auth->kind = SHARED_KEY;
    auth->key = malloc(length / 4 * 3 + 1);
    if (auth->key == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    mm_log_add_secret(text);
    if (length == 0 || !mm_base64_decode(text, length, auth->key, &auth->key_size)) {
        return mm_error_set(err, MM_CONFIG, "the key of account %s is not base64: copy it whole, with its \"==\"",
                            auth->account);
    }
    return MM_OK;
}

static mm_status take_identity(mm_azure_auth *auth, const mm_storage_place *place, bool plain, bool loopback,
                               mm_error *err)
{
    auth->kind = IDENTITY;
    if (plain && !loopback) {
        return mm_error_set(err, MM_CONFIG, "%s: no key or SAS token of account %s is given (storage_secret_key, "
                            "storage_session_token), and an identity's token would go to an http:// endpoint in the "
                            "clear", place->location, auth->account);
    }
    return mm_azure_identity_open(mm_storage_option(place, "storage_ca"), &auth->identity, err);
}

static mm_status choose(mm_azure_auth *auth, const mm_storage_place *place, bool plain, bool loopback, mm_error *err)
{
    const char *sas = mm_storage_option(place, "storage_session_token");
    const char *key = mm_storage_option(place, "storage_secret_key");
    bool role = place->options != NULL && mm_options_bool(place->options, "storage_use_iam");
    const char *other = variable("AZURE_STORAGE_ACCOUNT"); /* whose key the environment has, when it says so */
    if (sas == NULL && key == NULL && !role && (other == NULL || strcmp(other, auth->account) == 0)) {
        sas = variable("AZURE_STORAGE_SAS_TOKEN");
        key = variable("AZURE_STORAGE_KEY");
    }
    if (role) {
        return take_identity(auth, place, plain, loopback, err);
    }
    if (sas != NULL) {
        return take_sas(auth, sas, err);
    }
    return key != NULL ? take_key(auth, key, err) : take_identity(auth, place, plain, loopback, err);
}

mm_status mm_azure_auth_open(const mm_storage_place *place, const char *account, bool plain, bool loopback,
                             mm_azure_auth **out, mm_error *err)
{
    mm_azure_auth *auth = calloc(1, sizeof(*auth));
    if (auth == NULL || (auth->account = strdup(account)) == NULL) {
        free(auth);
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    mm_status status = choose(auth, place, plain, loopback, err);
    if (status != MM_OK) {
        mm_azure_auth_close(auth);
        return status;
    }
    *out = auth;
    return MM_OK;
}

void mm_azure_auth_close(mm_azure_auth *auth)
{
    if (auth == NULL) {
        return;
    }
    if (auth->key != NULL) {
        explicit_bzero(auth->key, auth->key_size);
    }
    mm_azure_identity_close(auth->identity);
    free(auth->key);
    free(auth->sas);
    free(auth->account);
    free(auth);
}

const char *mm_azure_auth_sas(const mm_azure_auth *auth)
{
    return auth->sas;
}

bool mm_azure_auth_refused(mm_azure_auth *auth, const char *header)
{
    if (auth->kind != IDENTITY || header == NULL) {
        return false;
    }
    mm_azure_identity_refused(auth->identity, header);
    return true;
}
