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

#include "gate.h"
#include "store/breaker.h"
#include "store/connections.h"
#include "store/db.h"

/** How long a lent connection waits for one answer. */
#define POOL_READ_TIMEOUT apr_time_from_sec(10)

/** How long an idle one waits for that of the ping that mod_dbd does before
 * it lends it. */
#define POOL_PING_TIMEOUT apr_time_from_sec(1)

struct db_t {
    server_rec *s;
    int max;
    int zone;
    gate_t *gate;
    breaker_t *breaker;
    connections_t *connections;
};

/** A connection lent to one thread. */
struct db_session_t {
    db_t *db;
    ap_dbd_t *dbd;
    MYSQL *mysql;
    connection_t *connection;
    apr_pool_t *pool;           /* statements' results: gone before return */
    dberror_t *refusal;         /* of a statement that could not be prepared
                                 * and took its reason along; or NULL */
};

/** What became of a connection that mod_dbd made. */
typedef struct pool_made_t {
    int is_made;
    unsigned int number;        /* why it could not be set up, or 0 */
    char sqlstate[6];
    char words[256];
} pool_made_t;

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

/** The connection turned out dead: it and all others of its time go. */
void pool_lost(db_session_t *session);

/**
 * The server declined a statement, and did nothing. Unless new connections
 * fare no better, this one and all others of its time go.
 * @param is_new it is borrowed for a second attempt
 * @return 1 if another attempt is worth while, once this is given back
 */
int pool_declined(db_session_t *session, int is_new);

/**
 * Asks mod_dbd once, and keeps its words from the log.
 * @param made whether it made a connection, and whether that is set up
 * @param words why there is none; "" if it does not say
 * @return NULL: an idle one is dead, or none could be made
 */
ap_dbd_t *pool_ask_dbd(pool_made_t *made, char *words, apr_size_t size,
                       db_t *db, apr_pool_t *pool);

/** Gives a connection back to mod_dbd. @param was_open it was lent */
void pool_leave_dbd(db_t *db, ap_dbd_t *dbd, int was_open);

#endif
