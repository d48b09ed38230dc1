/*
 * interrupt.h - has the server end what other connections ask of it.
 *
 * On a connection of its own, since those of a pool may all be lent, and in
 * turn with everybody else who does so on this server. For MariaDB ends many
 * SLEEP()s slowly if it is told to all at once: there the killer and the
 * sleeper each hold a lock that the other wants, the killer gives up after two
 * seconds, and the lock of the two that is the same for all sleepers makes the
 * next pair meet in the same way. So whoever ends several waits for the end of
 * each before the next, too.  No httpd in here.
 */
#ifndef PATIENT_STORE_INTERRUPT_H
#define PATIENT_STORE_INTERRUPT_H

#include <apr_pools.h>
#include <apr_time.h>

#include "store/dberror.h"

struct st_mysql;

/**
 * Connects as the patient, and waits for its turn, a second at most: then it
 * takes turns with those alone who have waited so long, too.
 * @param mysql closed, which ends the turn, with pool; one thread at a time
 * @param error filled on failure, allocated from pool
 * @param timeout as for connect_open()
 * @return APR_SUCCESS or APR_EGENERAL
 */
apr_status_t interrupt_open(struct st_mysql **mysql, dberror_t *error,
                            apr_interval_time_t timeout, apr_pool_t *pool);

/**
 * Ends the query, and not the connection, of a thread of the server's. The
 * order may be carried out a little after this returns.
 * @return APR_SUCCESS: the order is given; APR_EGENERAL: it could not be
 */
apr_status_t interrupt_query(struct st_mysql *mysql, unsigned long thread);

#endif
