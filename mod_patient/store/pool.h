/*
 * pool.h - connections of mod_dbd, lent one by one and not for ever.
 *
 * What stands behind db.h: the gate in front of mod_dbd, the breaker, and the
 * connection while it is lent.  For store/ alone.
 */
#ifndef PATIENT_STORE_POOL_H
#define PATIENT_STORE_POOL_H

#include <apr_dbd.h>
#include <mod_dbd.h>
#include <mysql.h>

#include "store/db.h"

/** How long a lent connection waits for one answer. */
#define POOL_READ_TIMEOUT apr_time_from_sec(10)

/** A connection lent to one thread. */
struct db_session_t {
    db_t *db;
    ap_dbd_t *dbd;
    MYSQL *mysql;
    apr_pool_t *pool;           /* statements' results: gone before return */
};

/**
 * Borrows a connection.
 * @return APR_SUCCESS; APR_EINTR: entry->keep() said so; anything else:
 *         logged
 */
apr_status_t pool_borrow_as(db_session_t *session, db_t *db,
                            const gate_entry_t *entry, apr_pool_t *pool);

/** The same as a request does, with the patience that is configured. */
apr_status_t pool_borrow(db_session_t *session, db_t *db, apr_pool_t *pool);

void pool_give_back(db_session_t *session);

/** The zone that the connections tell times in, seconds east of UTC. */
int pool_zone(const db_t *db);

/** The server that the pool belongs to. */
server_rec *pool_server(const db_t *db);

#endif
