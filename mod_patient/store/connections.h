/*
 * connections.h - which connections of a pool may still be trusted.
 *
 * Where one connection turned out dead, or its server declines what another
 * server would do, the others that were made before are no better: they lead
 * to the same place.  Each would cost a timeout, or a request, to find out.
 * So all are put in doubt at once: the idle ones are shut down, whereupon the
 * pool finds them dead without waiting, and a lent one when it comes back.
 *
 * The pool must be used by nobody else: what another borrows looks idle here.
 * Any thread may call.  No httpd in here.
 */
#ifndef PATIENT_STORE_CONNECTIONS_H
#define PATIENT_STORE_CONNECTIONS_H

#include <apr_pools.h>
#include <apr_time.h>

typedef struct connections_t connections_t;
typedef struct connection_t connection_t;

/** @param pool must outlive the connections */
apr_status_t connections_create(connections_t **connections,
                                apr_pool_t *pool);

/**
 * Notes that this connection is lent now.
 * @param fd its socket
 * @param life the pool that it lives in
 * @return NULL: it is in doubt, and must go
 */
connection_t *connections_lend(connections_t *connections, int fd,
                               apr_pool_t *life);

/** Shuts down one that was just made, and that the server lets nobody use:
 * of those that are in use, that says nothing. */
void connections_reject(connections_t *connections, int fd, apr_pool_t *life);

/** It is about to go back to the pool; shut down, if it is in doubt. */
void connections_return(connections_t *connections, connection_t *connection);

/**
 * A connection turned out dead; unless it was in doubt, all are now.
 * @param connection a lent one; NULL: an idle one, whose pool was destroyed on
 *        this thread just now
 */
void connections_lost(connections_t *connections, connection_t *connection);

/**
 * The server declined what it was asked over this connection.  At most once a
 * second, and not while new ones are declined as well, that puts all in doubt.
 * @param is_new it was made because an older one was declined
 * @return 1 if a new connection is worth an attempt
 */
int connections_declined(connections_t *connections, connection_t *connection,
                         int is_new);

#endif
