/*
 * silence.c - a loopback port where nobody answers.
 */
#include "silence.h"

#include <apr_strings.h>

#define LOOPBACK "127.0.0.1"

apr_status_t silence_take(silence_t *silence, int listening,
                          apr_pool_t *pool)
{
    apr_sockaddr_t *address;
    apr_status_t rv;

    silence->socket = NULL;
    rv = apr_sockaddr_info_get(&address, LOOPBACK, APR_INET, 0, 0, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_socket_create(&silence->socket, APR_INET, SOCK_STREAM,
                           APR_PROTO_TCP, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_socket_bind(silence->socket, address);
    if (rv == APR_SUCCESS && listening) {
        rv = apr_socket_listen(silence->socket, 8);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_socket_addr_get(&address, APR_LOCAL, silence->socket);
    }
    if (rv != APR_SUCCESS) {
        silence_leave(silence);
        return rv;
    }
    silence->host = LOOPBACK;
    silence->port = address->port;
    return APR_SUCCESS;
}

void silence_leave(silence_t *silence)
{
    if (silence->socket != NULL) {
        apr_socket_close(silence->socket);
        silence->socket = NULL;
    }
}

const char *silence_error(apr_status_t status, apr_pool_t *pool)
{
    char text[120];

    return apr_pstrcat(pool, "no loopback port: ",
                       apr_strerror(status, text, sizeof(text)), NULL);
}
