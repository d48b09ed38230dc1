/*
 * upstream.c - calls to services of this test's own, on loopback: one that
 * answers, one that is silent, one that is not there, one that hangs up.
 */
#include "upstream.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"
#include "vitals.h"

static apr_pool_t *pool;

/* ---- a service ---- */

typedef struct service_t {
    pthread_t thread;
    int listener;
    const char *url;
    const char *answer;         /* what each of its clients gets */
    int clients;                /* so many, then it ends */
    char request[4096];         /* the last one */
} service_t;

/* Reads a request to its empty line. */
static void hear(int client, char *request, size_t size)
{
    size_t len = 0;
    ssize_t got = 1;

    request[0] = '\0';
    while (got > 0 && len + 1 < size
           && strstr(request, "\r\n\r\n") == NULL) {
        got = read(client, request + len, size - 1 - len);
        len += got > 0 ? (size_t)got : 0;
        request[len] = '\0';
    }
}

static void *serve(void *data)
{
    service_t *service = data;
    int i;

    for (i = 0; i < service->clients; i++) {
        int client = accept(service->listener, NULL, NULL);

        hear(client, service->request, sizeof(service->request));
        if (write(client, service->answer, strlen(service->answer)) < 0) {
            printf("# the client went away\n");
        }
        shutdown(client, SHUT_RDWR);
        close(client);
    }
    return NULL;
}

/* A socket on a loopback port of its own. */
static int open_socket(const char **url)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, size) != 0
        || getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        tap_ok(0, "there is a loopback port");
        exit(tap_done());
    }
    *url = apr_psprintf(pool, "http://127.0.0.1:%d/some/where",
                        ntohs(address.sin_port));
    return fd;
}

static void begin(service_t *service, const char *answer, int clients)
{
    memset(service, 0, sizeof(*service));
    service->answer = answer;
    service->clients = clients;
    service->listener = open_socket(&service->url);
    listen(service->listener, 8);
    pthread_create(&service->thread, NULL, serve, service);
}

static void end(service_t *service)
{
    pthread_join(service->thread, NULL);
    close(service->listener);
}

/* ---- the tests ---- */

#define ENOUGH apr_time_from_sec(20)

static void answered(void)
{
    service_t service;
    upstream_result_t result;

    begin(&service, "HTTP/1.1 204 No Content\r\n\r\n", 1);
    tap_is(upstream_call(&result, service.url, ENOUGH, pool), APR_SUCCESS,
           "a service that answers");
    end(&service);
    tap_ok(result.status == 204 && result.reason == NULL
           && result.code == NULL, "... gives a status and no reason");
    tap_ok(result.elapsed >= 0 && result.elapsed < ENOUGH,
           "... and took its time");
    tap_ok(strncmp(service.request, "GET /some/where HTTP/1.1\r\n", 26) == 0,
           "it was asked by GET");
    tap_ok(strstr(service.request, "\r\nUser-Agent: patient/1.0\r\n") != NULL
           && strstr(service.request, "haos") == NULL,
           "by somebody who does not say why");

    begin(&service, "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", 1);
    tap_is(upstream_call(&result, service.url, ENOUGH, pool), APR_SUCCESS,
           "an answer of its troubles is an answer");
    end(&service);
    tap_is(result.status, 500, "... with its status");
}

static void no_detours(void)
{
    service_t target, service;
    upstream_result_t result;
    char redirect[256];

    begin(&target, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1);
    apr_snprintf(redirect, sizeof(redirect), "HTTP/1.1 302 Found\r\n"
                 "Location: %s\r\nContent-Length: 0\r\n\r\n", target.url);
    begin(&service, redirect, 1);
    tap_ok(upstream_call(&result, service.url, ENOUGH, pool) == APR_SUCCESS
           && result.status == 302, "a redirect is not followed");
    end(&service);

    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("all_proxy", "http://127.0.0.1:1/", 1);
    tap_is(upstream_call(&result, target.url, ENOUGH, pool), APR_SUCCESS,
           "nor is a proxy taken that the environment names");
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    end(&target);
}

static void timed_out(const char *what, const char *url)
{
    apr_interval_time_t timeout = apr_time_from_msec(300);
    apr_time_t start = vitals_now();
    upstream_result_t result;
    apr_interval_time_t took;

    tap_is(upstream_call(&result, url, timeout, pool), APR_TIMEUP, what);
    took = vitals_now() - start;
    if (!tap_ok(result.elapsed >= timeout - 2000 && result.elapsed <= took
                && took < ENOUGH, "... when its time is over, not before")) {
        printf("# %ld us\n", (long)result.elapsed);
    }
    tap_is_str(result.reason, "Error: connect ETIMEDOUT",
               "... with the words that are known for it");
    tap_is_str(result.code, "ETIMEDOUT", "... and the code");
    tap_is(result.status, 0, "... and no status");
}

static void silent(void)
{
    upstream_result_t result;
    const char *url, *late;
    apr_pool_t *own;
    int i, fd, probe;

    apr_pool_create(&own, pool);
    tap_is(upstream_silence(&fd, &url, own), APR_SUCCESS,
           "there can be a service that is silent");
    url = apr_pstrdup(pool, url);
    timed_out("a service that accepts and is silent times out", url);
    for (i = 0; i < 3; i++) {
        upstream_call(&result, url, 1000, pool);
    }
    tap_is_str(result.code, "ETIMEDOUT", "it stays so");
    tap_is(upstream_call(&result, url, 0, pool), APR_TIMEUP,
           "no time is not for ever");
    apr_pool_destroy(own);
    tap_is(upstream_call(&result, url, ENOUGH, pool), APR_EGENERAL,
           "it ends with its pool");

    /* A line of one, and that is taken: the kernel is deaf to the next. */
    fd = open_socket(&late);
    listen(fd, 0);
    probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    upstream_call(&result, late, 1000, pool);
    upstream_call(&result, late, 1000, pool);
    timed_out("one that does not even accept, too", late);
    close(probe);
    close(fd);
}

static void refused(void)
{
    upstream_result_t result;
    const char *url, *host;
    int fd = open_socket(&url);

    tap_is(upstream_call(&result, url, ENOUGH, pool), APR_EGENERAL,
           "a port where nobody listens is no timeout");
    host = apr_pstrmemdup(pool, url + 7, strcspn(url + 7, "/"));
    tap_is_str(result.reason,
               apr_pstrcat(pool, "Error: connect ECONNREFUSED ", host, NULL),
               "... it says so, and where");
    tap_is_str(result.code, "ECONNREFUSED", "... and the code");
    tap_ok(result.elapsed < ENOUGH, "... at once");
    close(fd);
}

static void broken(const char *what, const char *answer, const char *code)
{
    service_t service;
    upstream_result_t result;

    begin(&service, answer, 1);
    tap_is(upstream_call(&result, service.url, ENOUGH, pool), APR_EGENERAL,
           what);
    end(&service);
    tap_is_str(result.code, code, "... and the code says how");
    tap_ok(strncmp(result.reason, "Error: ", 7) == 0,
           "... and so do its words");
}

static void odd(const char *url, const char *code)
{
    upstream_result_t result;

    tap_ok(upstream_call(&result, url, ENOUGH, pool) == APR_EGENERAL
           && result.reason != NULL && strcmp(result.code, code) == 0,
           "\"%s\" is %s", url, code);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    tap_is(upstream_start(), APR_SUCCESS, "the library can be started");
    answered();
    no_detours();
    silent();
    refused();
    broken("one that hangs up has not answered", "", "ECONNRESET");
    broken("one that hangs up half-way neither",
           "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
           "ECONNRESET");
    broken("one that speaks no HTTP neither", "220 smtp.example ready\r\n",
           "EPROTO");
    odd("file:///etc/hostname", "EPROTO");
    odd("http://", "ERR_INVALID_URL");
    odd("", "ERR_INVALID_URL");
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
