/* The four ways to an identity's token, in the order of azure_auth.h. Sources: Microsoft identity platform, client
 * credentials grant (with a secret, with a federated assertion); App Service's and Azure VMs' managed identities. */
#include "storage/azure_identity.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "storage/storage_internal.h"
#include "storage/token.h"

#define RESOURCE "https://storage.azure.com/"
#define AUTHORITY "https://login.microsoftonline.com"
#define METADATA "http://169.254.169.254"
#define FORM_HEADER "Content-Type: application/x-www-form-urlencoded"

typedef enum { WORKLOAD, APPLICATION, APP_SERVICE, MACHINE } kind;

struct mm_azure_identity {
    kind kind;
    mm_http *http;
    mm_token token;
    char *url, *what;
    char *client_id, *secret; /* secret: the application's, App Service's header; the path of the assertion's file */
};

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* --- fetching ----------------------------------------------------------------------------------- */

/* The assertion is read anew each time: the cluster replaces it. */
static mm_status add_proof(const mm_azure_identity *identity, mm_buffer *form, mm_error *err)
{
    if (identity->kind == APPLICATION) {
        mm_form_add(form, "client_secret", identity->secret);
        return MM_OK;
    }
    char *assertion = NULL;
    size_t size;
    mm_status status = mm_credentials_file(identity->secret, &assertion, &size, err);
    if (status == MM_OK) {
        assertion[strcspn(assertion, "\r\n")] = '\0';
        mm_form_add(form, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        mm_form_add(form, "client_assertion", assertion);
    }
    free(assertion);
    return status;
}

static mm_status fetch_from_authority(mm_azure_identity *identity, char **token, uint64_t *lifetime_ms, mm_error *err)
{
    static const char *const headers[] = {FORM_HEADER};
    mm_buffer form = MM_BUFFER_INIT;
    mm_form_add(&form, "grant_type", "client_credentials");
    mm_form_add(&form, "client_id", identity->client_id);
    mm_form_add(&form, "scope", RESOURCE ".default");
    mm_status status = add_proof(identity, &form, err);
    if (status == MM_OK && form.failed) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    if (status == MM_OK) {
        mm_http_request request = {.method = "POST", .url = identity->url, .headers = headers, .header_count = 1,
                                   .body = {.bytes = form.data, .size = form.size}, .total_timeout_ms = 30000,
                                   .repeatable = true};
        status = mm_token_request(identity->http, &request, identity->what, token, lifetime_ms, err);
    }
    mm_buffer_free(&form);
    return status;
}

static mm_status fetch_from_machine(mm_azure_identity *identity, char **token, uint64_t *lifetime_ms, mm_error *err)
{
    char *header = identity->kind == APP_SERVICE ? mm_format("X-IDENTITY-HEADER: %s", identity->secret)
                                                 : strdup("Metadata: true");
    if (header == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    const char *headers[] = {header};
    mm_http_request request = {.method = "GET", .url = identity->url, .headers = headers, .header_count = 1,
                               .total_timeout_ms = 30000, .repeatable = true};
    mm_status status = mm_token_request(identity->http, &request, identity->what, token, lifetime_ms, err);
    free(header);
    if (status == MM_AUTH || status == MM_NOT_FOUND) {
        mm_error_context(err, "does the machine have a managed identity?");
        status = MM_AUTH;
        if (err != NULL) {
            err->status = MM_AUTH;
        }
    } else if (status == MM_UNAVAILABLE && identity->kind == MACHINE) {
        mm_error_context(err, "no credentials for Azure Blob Storage are configured (storage_secret_key, "
                         "storage_session_token, AZURE_STORAGE_KEY), and");
    }
    return status;
}

static mm_status fetch(void *context, char **token, uint64_t *lifetime_ms, mm_error *err)
{
    mm_azure_identity *identity = context;
    return identity->kind == WORKLOAD || identity->kind == APPLICATION
               ? fetch_from_authority(identity, token, lifetime_ms, err)
               : fetch_from_machine(identity, token, lifetime_ms, err);
}

/* --- choosing ----------------------------------------------------------------------------------- */

static void choose_authority(mm_azure_identity *identity, kind found, const char *client, const char *tenant,
                             const char *secret)
{
    const char *authority = variable("AZURE_AUTHORITY_HOST");
    size_t length = strlen(authority ? authority : AUTHORITY);
    while (authority != NULL && length > 0 && authority[length - 1] == '/') {
        length--;
    }
    identity->kind = found;
    identity->client_id = strdup(client);
    identity->secret = strdup(secret);
    identity->url = mm_format("%.*s/%s/oauth2/v2.0/token", (int)length, authority ? authority : AUTHORITY, tenant);
    identity->what = mm_format("the identity platform %.*s for client %s", (int)length,
                               authority ? authority : AUTHORITY, client);
}

static void choose_machine(mm_azure_identity *identity, kind found, const char *base, const char *version,
                           const char *client)
{
    mm_buffer url = MM_BUFFER_INIT;
    mm_buffer_printf(&url, "%s?api-version=%s&resource=", base, version);
    mm_percent_encode(&url, RESOURCE, false);
    if (client != NULL) {
        mm_buffer_printf(&url, "&client_id=");
        mm_percent_encode(&url, client, false);
    }
    identity->kind = found;
    identity->url = url.failed ? NULL : url.data;
    identity->what = mm_format("the identity endpoint %s", base);
}

static void choose(mm_azure_identity *identity)
{
    const char *client = variable("AZURE_CLIENT_ID"), *tenant = variable("AZURE_TENANT_ID");
    const char *file = variable("AZURE_FEDERATED_TOKEN_FILE"), *secret = variable("AZURE_CLIENT_SECRET");
    const char *endpoint = variable("IDENTITY_ENDPOINT"), *header = variable("IDENTITY_HEADER");
    if (client != NULL && tenant != NULL && (file != NULL || secret != NULL)) {
        choose_authority(identity, file != NULL ? WORKLOAD : APPLICATION, client, tenant, file != NULL ? file : secret);
    } else if (endpoint != NULL && header != NULL) {
        choose_machine(identity, APP_SERVICE, endpoint, "2019-08-01", client);
        identity->secret = strdup(header);
    } else {
        const char *host = variable("AZURE_POD_IDENTITY_AUTHORITY_HOST");
        char *base = mm_format("%s/metadata/identity/oauth2/token", host ? host : METADATA);
        if (base != NULL) {
            choose_machine(identity, MACHINE, base, "2018-02-01", client);
        }
        free(base);
    }
}

mm_status mm_azure_identity_open(const char *ca_file, mm_azure_identity **out, mm_error *err)
{
    mm_azure_identity *identity = calloc(1, sizeof(*identity));
    if (identity == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    mm_token_init(&identity->token, fetch, identity);
    choose(identity);
    mm_status status = identity->url != NULL && identity->what != NULL &&
                               (identity->secret != NULL || identity->kind == MACHINE)
                           ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    bool machine = identity->kind == MACHINE || identity->kind == APP_SERVICE;
    if (status == MM_OK) {
        mm_http_config config = {.ca_file = machine ? NULL : ca_file, .direct = machine,
                                 .connect_timeout_ms = machine ? 3000 : 0};
        status = mm_http_open(&config, &identity->http, err);
    }
    if (status != MM_OK) {
        mm_azure_identity_close(identity);
        return status;
    }
    *out = identity;
    return MM_OK;
}

void mm_azure_identity_close(mm_azure_identity *identity)
{
    if (identity == NULL) {
        return;
    }
    if (identity->secret != NULL) {
        explicit_bzero(identity->secret, strlen(identity->secret));
    }
    mm_token_free(&identity->token);
    mm_http_close(identity->http);
    free(identity->url);
    free(identity->what);
    free(identity->client_id);
    free(identity->secret);
    free(identity);
}

mm_status mm_azure_identity_header(mm_azure_identity *identity, char **out, mm_error *err)
{
    char *token = NULL;
    mm_status status = mm_token_get(&identity->token, &token, err);
    if (status == MM_OK && (*out = mm_format("Bearer %s", token)) == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    free(token);
    return status;
}

void mm_azure_identity_refused(mm_azure_identity *identity, const char *header)
{
    mm_token_refused(&identity->token, header + strlen("Bearer "));
}
