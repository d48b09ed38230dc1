/*
 * upstream.c - one GET by libcurl, and why it failed in Node's words.
 */
#include "upstream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_strings.h>
#include <curl/curl.h>

#include "vitals.h"

/* Says nothing of what we are or why we ask. */
#define USER_AGENT "patient/1.0"

apr_status_t upstream_start(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? APR_SUCCESS
                                                              : APR_EGENERAL;
}

/* Where the body goes. */
typedef struct sink_t {
    char *text;                 /* NULL: nowhere */
    apr_size_t size, len;
} sink_t;

static size_t take_body(char *data, size_t size, size_t count, void *baton)
{
    sink_t *sink = baton;
    size_t len = size * count;

    if (sink->text == NULL) {
        return len;
    }
    if (len >= sink->size - sink->len) {
        return 0;               /* libcurl gives up */
    }
    memcpy(sink->text + sink->len, data, len);
    sink->len += len;
    sink->text[sink->len] = '\0';
    return len;
}

/* In milliseconds, rounded up: to libcurl, 0 means for ever. */
static long milliseconds(apr_interval_time_t timeout)
{
    return timeout > 0 ? (long)((timeout + 999) / 1000) : 1;
}

static void set_options(CURL *curl, const char *url,
                        apr_interval_time_t timeout)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, USER_AGENT);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds(timeout));
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(timeout));
    /* Not even one that http_proxy names. */
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    /* A signal would hit any thread, not the one that waits. */
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    /* Or a resolver that hangs would hold us beyond the timeout. */
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
}

/* "host" or "host:port" of a URL, for people. */
static const char *place_of(const char *url, int with_port, apr_pool_t *pool)
{
    CURLU *parts = curl_url();
    char *host = NULL;
    char *port = NULL;
    const char *place = "";

    if (parts != NULL
        && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)
           == CURLUE_OK) {
        place = with_port ? apr_pstrcat(pool, host, ":", port, NULL)
                          : apr_pstrdup(pool, host);
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return place;
}

/* The code of a connection that was not made. */
static const char *connect_code(CURL *curl)
{
    long number = 0;

    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
    switch (number) {
    case ETIMEDOUT:
        return "ETIMEDOUT";
    case EHOSTUNREACH:
        return "EHOSTUNREACH";
    case ENETUNREACH:
        return "ENETUNREACH";
    case EADDRNOTAVAIL:
        return "EADDRNOTAVAIL";
    case ECONNRESET:
        return "ECONNRESET";
    default:
        return "ECONNREFUSED";
    }
}

static void fail(upstream_result_t *result, const char *code,
                 const char *reason)
{
    result->code = code;
    result->reason = reason;
}

/* @param words libcurl's own, where it had some */
static void explain(upstream_result_t *result, CURL *curl, CURLcode rc,
                    const char *url, const char *words, apr_pool_t *pool)
{
    switch (rc) {
    case CURLE_OPERATION_TIMEDOUT:
        fail(result, "ETIMEDOUT", "Error: connect ETIMEDOUT");
        break;
    case CURLE_COULDNT_CONNECT:
        fail(result, connect_code(curl),
             apr_pstrcat(pool, "Error: connect ", connect_code(curl), " ",
                         place_of(url, 1, pool), NULL));
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
        fail(result, "ENOTFOUND",
             apr_pstrcat(pool, "Error: getaddrinfo ENOTFOUND ",
                         place_of(url, 0, pool), NULL));
        break;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        fail(result, "ECONNRESET", "Error: socket hang up");
        break;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        fail(result, "ECONNRESET", "Error: read ECONNRESET");
        break;
    case CURLE_URL_MALFORMAT:
        fail(result, "ERR_INVALID_URL", "TypeError: Invalid URL");
        break;
    default:
        fail(result, "EPROTO",
             apr_pstrcat(pool, "Error: ",
                         *words ? words : curl_easy_strerror(rc), NULL));
    }
}

static apr_status_t call(upstream_result_t *result, sink_t *sink,
                         const char *url, apr_interval_time_t timeout,
                         apr_pool_t *pool)
{
    CURL *curl = curl_easy_init();
    char words[CURL_ERROR_SIZE] = "";
    apr_time_t start = vitals_now();
    CURLcode rc;

    memset(result, 0, sizeof(*result));
    if (curl == NULL) {
        fail(result, "ENOMEM", "Error: not enough memory");
        return APR_EGENERAL;
    }
    set_options(curl, url, timeout);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
    rc = curl_easy_perform(curl);
    result->elapsed = vitals_now() - start;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &result->status);
    if (rc != CURLE_OK) {
        explain(result, curl, rc, url, words, pool);
    }
    curl_easy_cleanup(curl);
    if (rc == CURLE_OK) {
        return APR_SUCCESS;
    }
    return strcmp(result->code, "ETIMEDOUT") == 0 ? APR_TIMEUP : APR_EGENERAL;
}

apr_status_t upstream_call(upstream_result_t *result, const char *url,
                           apr_interval_time_t timeout, apr_pool_t *pool)
{
    sink_t nowhere = { NULL, 0, 0 };

    return call(result, &nowhere, url, timeout, pool);
}

apr_status_t upstream_read(upstream_result_t *result, char *text,
                           apr_size_t size, const char *url,
                           apr_interval_time_t timeout, apr_pool_t *pool)
{
    sink_t sink = { text, size, 0 };

    *text = '\0';
    return call(result, &sink, url, timeout, pool);
}

static apr_status_t close_socket(void *data)
{
    close((int)(apr_uintptr_t)data);
    return APR_SUCCESS;
}

apr_status_t upstream_silence(int *fd, const char **url, apr_pool_t *pool)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof(address);
    apr_status_t rv;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return apr_get_os_error();
    }
    /* Nobody ever accepts: the kernel does, as many as wait in its line, and
     * is deaf to the rest. */
    if (bind(*fd, (struct sockaddr *)&address, size) != 0
        || listen(*fd, SOMAXCONN) != 0
        || getsockname(*fd, (struct sockaddr *)&address, &size) != 0) {
        rv = apr_get_os_error();
        close(*fd);
        *fd = -1;
        return rv;
    }
    apr_pool_cleanup_register(pool, (void *)(apr_uintptr_t)*fd, close_socket,
                              apr_pool_cleanup_null);
    *url = apr_psprintf(pool, "http://127.0.0.1:%d/",
                        (int)ntohs(address.sin_port));
    return APR_SUCCESS;
}
