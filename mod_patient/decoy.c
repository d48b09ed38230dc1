/*
 * decoy.c - places where nobody answers.
 */
#include "decoy.h"

#include <apr_network_io.h>
#include <apr_strings.h>

#define LOOPBACK "127.0.0.1"

/* RFC 6761: no such name can exist. The last dot keeps the resolver from
 * trying it below the machine's search domains. */
#define NOWHERE "db.invalid."
#define NOWHERE_PORT 3306

/* Where a scenario leaves it to us. */
#define TIMEOUT_MS 2000

#define BACKLOG 128

/* More are not let go at once. */
#define CALLERS_MAX (2 * BACKLOG)

static struct {
    apr_socket_t *silent;       /* NULL: there are no such places */
    const char *silent_host;
    int silent_port;            /* somebody listens and never speaks */
    int closed_port;            /* nobody listens, and nobody else can */
    const char *upstream;
} decoy;

static apr_status_t take_port(apr_socket_t **socket, int *port, int backlog,
                              apr_pool_t *pool)
{
    apr_sockaddr_t *address;
    apr_status_t rv = apr_sockaddr_info_get(&address, LOOPBACK, APR_INET, 0,
                                            0, pool);

    if (rv == APR_SUCCESS) {
        rv = apr_socket_create(socket, APR_INET, SOCK_STREAM, APR_PROTO_TCP,
                               pool);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_socket_bind(*socket, address);
    }
    if (rv == APR_SUCCESS && backlog > 0) {
        rv = apr_socket_listen(*socket, backlog);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_socket_addr_get(&address, APR_LOCAL, *socket);
    }
    if (rv == APR_SUCCESS) {
        *port = address->port;
    }
    return rv;
}

static apr_status_t forget(void *unused)
{
    (void)unused;
    decoy.silent = NULL;
    return APR_SUCCESS;
}

apr_status_t decoy_open(const patient_conf_t *conf, apr_pool_t *pconf)
{
    apr_socket_t *silent, *closed;
    int silent_port = 0;
    apr_status_t rv = take_port(&silent, &silent_port, BACKLOG, pconf);

    if (rv == APR_SUCCESS) {
        rv = apr_socket_timeout_set(silent, 0);
    }
    if (rv == APR_SUCCESS) {
        rv = take_port(&closed, &decoy.closed_port, 0, pconf);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    decoy.silent = silent;
    apr_pool_cleanup_register(pconf, NULL, forget, apr_pool_cleanup_null);
    decoy.silent_host = LOOPBACK;
    decoy.silent_port = silent_port;
    if (conf->chaos_endpoint_host != NULL) {
        decoy.silent_host = conf->chaos_endpoint_host;
        decoy.silent_port = conf->chaos_endpoint_port;
    }
    decoy.upstream = conf->chaos_upstream
        ? conf->chaos_upstream
        : apr_psprintf(pconf, "http://" LOOPBACK ":%d/", silent_port);
    return APR_SUCCESS;
}

void decoy_tidy(apr_pool_t *pool)
{
    apr_socket_t *caller;
    int count = 0;

    while (decoy.silent != NULL && count++ < CALLERS_MAX
           && apr_socket_accept(&caller, decoy.silent, pool) == APR_SUCCESS) {
        apr_socket_close(caller);
    }
}

void decoy_endpoint(const char **host, int *port,
                    apr_interval_time_t *timeout, const chaos_args_t *args)
{
    *timeout = apr_time_from_msec(
        chaos_args_role(args, CHAOS_ROLE_TIMEOUT_MS, TIMEOUT_MS));
    switch (chaos_args_role(args, CHAOS_ROLE_PLACE, CHAOS_PLACE_SILENT)) {
    case CHAOS_PLACE_CLOSED:
        *host = LOOPBACK;
        *port = decoy.closed_port;
        break;
    case CHAOS_PLACE_UNKNOWN:
        *host = NOWHERE;
        *port = NOWHERE_PORT;
        break;
    default:
        decoy_silence(host, port);
        break;
    }
}

void decoy_silence(const char **host, int *port)
{
    *host = decoy.silent_host;
    *port = decoy.silent_port;
}

const char *decoy_upstream(void)
{
    return decoy.upstream;
}
