/* Endpoints, by libcurl's URL parser: what it takes apart is what it will connect to. */
#include "storage/endpoint.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static char *part(CURLU *url, CURLUPart which)
{
    char *text = NULL;
    return curl_url_get(url, which, &text, 0) == CURLUE_OK ? text : NULL;
}

static bool is_address(const char *host)
{
    struct in6_addr address;
    return host[0] == '[' || inet_pton(AF_INET, host, &address) == 1;
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

mm_status mm_endpoint_parse(const char *option, const char *text, mm_endpoint *out, mm_error *err)
{
    mm_status status = MM_CONFIG;
    mm_endpoint found = {0};
    CURLU *url = curl_url();
    bool good = url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK;
    char *scheme = good ? part(url, CURLUPART_SCHEME) : NULL, *host = good ? part(url, CURLUPART_HOST) : NULL;
    char *port = good ? part(url, CURLUPART_PORT) : NULL, *path = good ? part(url, CURLUPART_PATH) : NULL;
    char *user = good ? part(url, CURLUPART_USER) : NULL, *query = good ? part(url, CURLUPART_QUERY) : NULL;
    char *fragment = good ? part(url, CURLUPART_FRAGMENT) : NULL;
    if (scheme == NULL || host == NULL || path == NULL ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
        mm_error_set(err, MM_CONFIG, "%s: '%s' is not http://host:port or https://host:port", option, text);
        goto out;
    }
    if (user != NULL || query != NULL || fragment != NULL) { /* not repeated in the message: it may be a secret */
        mm_error_set(err, MM_CONFIG, "%s for host %s: only scheme, host, port and path are meant; credentials have "
                     "options of their own", option, host);
        goto out;
    }
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/') {
        length--;
    }
    found.origin = mm_format("%s://%s%s%s", scheme, host, port ? ":" : "", port ? port : "");
    found.host = strdup(host);
    found.path = strndup(path, length);
    if (found.origin == NULL || found.host == NULL || found.path == NULL) {
        mm_endpoint_free(&found);
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        goto out;
    }
    found.plain = strcmp(scheme, "http") == 0;
    found.loopback = is_loopback(host);
    found.bare = is_address(host) || strchr(host, '.') == NULL;
    *out = found;
    status = MM_OK;
out:
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(user);
    curl_free(query);
    curl_free(fragment);
    curl_url_cleanup(url);
    return status;
}

void mm_endpoint_free(mm_endpoint *endpoint)
{
    free(endpoint->origin);
    free(endpoint->host);
    free(endpoint->path);
    *endpoint = (mm_endpoint){0};
}
