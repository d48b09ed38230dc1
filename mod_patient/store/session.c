/*
 * session.c - one connection for several statements.
 */
#include "store/connect.h"
#include "store/db.h"
#include "store/pool.h"
#include "store/refusal.h"

#define ERROR_KILLED 1317       /* ER_QUERY_INTERRUPTED */

apr_status_t db_session_open(db_session_t **out, db_t *db,
                             const gate_entry_t *entry, apr_pool_t *pool)
{
    db_session_t *session = apr_pcalloc(pool, sizeof(*session));

    *out = session;
    return pool_borrow_as(session, db, entry, pool);
}

void db_session_close(db_session_t *session)
{
    pool_give_back(session);
}

unsigned long db_session_thread(const db_session_t *session)
{
    return mysql_thread_id(session->mysql);
}

void db_session_patience(db_session_t *session, apr_interval_time_t patience)
{
    connect_set_timeout(session->mysql, patience);
}

/* Hands on the rows of the statement that was just run, to the very end.
 * The client library's own calls: apr_dbd doesn't tell beforehand whether a
 * statement has rows, and wants another call for each kind. */
static void hand_on(MYSQL *mysql,
                    void (*take)(void *baton, int columns,
                                 const char *const *values), void *baton)
{
    MYSQL_RES *result = mysql_store_result(mysql);
    MYSQL_ROW row;

    if (result == NULL) {
        return;
    }
    while (take != NULL && (row = mysql_fetch_row(result)) != NULL) {
        take(baton, (int)mysql_num_fields(result),
             (const char *const *)row);
    }
    mysql_free_result(result);
}

apr_status_t db_session_run(db_session_t *session, const char *sql,
                            void (*take)(void *baton, int columns,
                                         const char *const *values),
                            void *baton)
{
    unsigned int error;

    session->refusal = NULL;
    if (mysql_query(session->mysql, sql) == 0) {
        hand_on(session->mysql, take, baton);
    }
    error = mysql_errno(session->mysql);
    if (error == ERROR_KILLED) {
        return APR_EINTR;
    }
    if (error != 0) {
        refusal_is_worth_another(session, (int)error, 1, 0);
        return APR_EGENERAL;
    }
    return APR_SUCCESS;
}
