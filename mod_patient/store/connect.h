/*
 * connect.h - one connection to one endpoint, outside any pool.
 *
 * Credentials and TLS come from the option file that the patient's own
 * connections use (group "patient"), the endpoint from the caller.  No httpd
 * in here.
 */
#ifndef PATIENT_STORE_CONNECT_H
#define PATIENT_STORE_CONNECT_H

#include <apr_pools.h>
#include <apr_time.h>

#include "store/dberror.h"

/** The group of the option file that holds the patient's settings. */
#define CONNECT_OPTION_GROUP "patient"

struct st_mysql;

/**
 * Opens a connection.
 * @param mysql closed with pool; one thread at a time
 * @param error filled on failure, allocated from pool
 * @param host NULL for the option file's
 * @param port 0 for the option file's
 * @param timeout for the connection to be made, handshake included, whatever
 *        the option file says (but the resolver has times of its own); and
 *        rounded up to whole seconds, for each later read and write until
 *        connect_set_timeout()
 * @return APR_SUCCESS or APR_EGENERAL
 */
apr_status_t connect_open(struct st_mysql **mysql, dberror_t *error,
                          const char *host, int port,
                          apr_interval_time_t timeout, apr_pool_t *pool);

/**
 * Bounds every later read and write on an open connection, plain or TLS,
 * whoever opened it.  A server that stays silent for longer is a lost
 * connection: number 2013, over TLS 2026.
 * @param timeout rounded up to whole seconds
 */
void connect_set_timeout(struct st_mysql *mysql, apr_interval_time_t timeout);

/**
 * Frees the rows that its prepared statements have read, and that each would
 * keep until it runs again: on an idle connection a list of long posts, for as
 * long as that lives.
 */
void connect_forget_rows(struct st_mysql *mysql);

#endif
