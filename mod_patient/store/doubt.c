/*
 * doubt.c - a write that was sent, and whose connection was lost.
 */
#include "store/doubt.h"

#include <string.h>

#include <apr_strings.h>

#include "store/pool.h"
#include "vitals.h"

/* How long the database may be away, and how long it may take to end a
 * statement. */
#define PATIENCE apr_time_from_sec(5)

#define STEP apr_time_from_msec(20)

/* The connection, unless its number is somebody else's by now, on a server
 * that has taken the place of the other: who does anything but that statement
 * is let alone.  One that does nothing may not have read it yet. */
#define FIND_THREAD \
    "SELECT id FROM information_schema.processlist WHERE id = %lu " \
    "AND (info IS NULL OR LEFT(info, %d) = '%.*s')"

/* As much of a statement as has no parameters, which the server writes in its
 * own way; and no quotes. */
static int head_length(const db_statement_t *statement)
{
    return (int)strcspn(statement->sql, "%'\\");
}

/* @return whether the server has the connection still */
static int is_there(db_session_t *session, const char *find_thread)
{
    MYSQL_RES *result;
    int is_found = 0;

    if (mysql_query(session->mysql, find_thread) == 0
        && (result = mysql_store_result(session->mysql)) != NULL) {
        is_found = mysql_num_rows(result) > 0;
        mysql_free_result(result);
    }
    return is_found;
}

/* A KILL is carried out a little after the server has said so. */
static void end_thread(db_session_t *session,
                       const db_statement_t *statement, unsigned long thread)
{
    const char *order = apr_psprintf(session->pool, "KILL CONNECTION %lu",
                                     thread);
    int length = head_length(statement);
    const char *find_thread = apr_psprintf(session->pool, FIND_THREAD, thread,
                                           length, length, statement->sql);
    apr_time_t deadline = vitals_now() + PATIENCE;

    while (is_there(session, find_thread) && vitals_now() < deadline) {
        mysql_query(session->mysql, order);
        apr_sleep(STEP);
    }
}

apr_status_t doubt_end(db_t *db, const db_statement_t *statement,
                       unsigned long thread, apr_pool_t *pool)
{
    gate_entry_t entry = { .patience = PATIENCE, .line = GATE_BOUNDED };
    db_session_t session;
    apr_status_t rv = db_await(db, PATIENCE, pool);

    if (rv == APR_SUCCESS) {
        rv = pool_borrow_as(&session, db, &entry, pool);
    }
    if (rv == APR_SUCCESS) {
        end_thread(&session, statement, thread);
        pool_give_back(&session);
    }
    return rv;
}
