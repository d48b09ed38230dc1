/*
 * doubt.h - a write that was sent, and whose connection was lost.
 *
 * The server does not notice that nobody waits any more: it may work on the
 * statement for as long as a lock holds it, and do it then.  So it is ended
 * there, and only afterwards there is something to be known.  For store/
 * alone.
 */
#ifndef PATIENT_STORE_DOUBT_H
#define PATIENT_STORE_DOUBT_H

#include "store/db.h"

/**
 * Waits for the database, and until the statement does not run there any
 * more; some seconds at most.
 * @param thread how the server called the connection
 * @return APR_SUCCESS: whether it is done can be looked up; anything else: the
 *         database does not answer (logged)
 */
apr_status_t doubt_end(db_t *db, const db_statement_t *statement,
                       unsigned long thread, apr_pool_t *pool);

#endif
