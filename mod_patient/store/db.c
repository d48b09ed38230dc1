/*
 * db.c - the database: statements, and what comes of them.
 */
#include "store/db.h"

#include <string.h>

#include <apr_buckets.h>
#include <apr_hash.h>
#include <apr_strings.h>

#include "conf.h"
#include "datetime.h"
#include "store/connect.h"
#include "store/dberror.h"
#include "store/pool.h"
#include "vitals.h"

#define AWAIT_STEP apr_time_from_msec(100)

/* apr_dbd cuts what is longer than DBDParams' fldsz, and doesn't tell. */
#define FIELD_SURE 255

#define ERROR_DUPLICATE 1062    /* ER_DUP_ENTRY */
#define ERROR_KILLED 1317       /* ER_QUERY_INTERRUPTED */

/* What this thread's statements took since somebody asked. */
static __thread struct {
    int queries;
    apr_interval_time_t elapsed;
} statistics;

struct db_row_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_row_t *row;
    int zone;                   /* of its times */
    apr_bucket_alloc_t *buckets;
};

/* ---- statements ---- */

static void count_query(apr_time_t start)
{
    statistics.queries++;
    statistics.elapsed += vitals_now() - start;
}

void db_take_statistics(int *queries, apr_interval_time_t *elapsed)
{
    *queries = statistics.queries;
    *elapsed = statistics.elapsed;
    memset(&statistics, 0, sizeof(statistics));
}

/* The statement on this connection; prepared now if it wasn't yet, so that a
 * table that is missing fails what needs it and not every connection. */
static int prepare(apr_dbd_prepared_t **prepared, db_session_t *session,
                   const db_statement_t *statement)
{
    ap_dbd_t *dbd = session->dbd;
    int error;

    *prepared = apr_hash_get(dbd->prepared, statement->name,
                             APR_HASH_KEY_STRING);
    if (*prepared != NULL) {
        return 0;
    }
    error = apr_dbd_prepare(dbd->driver, dbd->pool, dbd->handle,
                            statement->sql, NULL, prepared);
    if (error == 0) {
        apr_hash_set(dbd->prepared, statement->name, APR_HASH_KEY_STRING,
                     *prepared);
    }
    return error;
}

/* apr_dbd returns MySQL's number; the connection knows the rest, unless the
 * error is the statement's own. */
static void log_statement(db_session_t *session, int number)
{
    const patient_conf_t *conf = patient_conf(pool_server(session->db));
    unsigned int last = mysql_errno(session->mysql);
    dberror_t error;

    dberror_set(&error, last ? last : (unsigned int)number,
                mysql_sqlstate(session->mysql), mysql_error(session->mysql),
                conf->database_host, (int)conf->database_port,
                session->pool);
    db_log_error(&error);
}

static int is_lost(const db_session_t *session, int number)
{
    return dberror_is_lost((unsigned int)number)
        || dberror_is_lost(mysql_errno(session->mysql));
}

static int select_rows(db_session_t *session, const db_statement_t *statement,
                       const void **args,
                       void (*take)(void *baton, const db_row_t *row),
                       void *baton)
{
    ap_dbd_t *dbd = session->dbd;
    apr_dbd_results_t *results = NULL;
    apr_dbd_prepared_t *prepared;
    db_row_t row = {
        dbd->driver, NULL, pool_zone(session->db),
        apr_bucket_alloc_create(session->pool)
    };
    int error = prepare(&prepared, session, statement);

    if (error == 0) {
        error = apr_dbd_pbselect(dbd->driver, session->pool, dbd->handle,
                                 &results, prepared, 0, args);
    }
    if (error != 0) {
        return error;
    }
    /* To the very end, or the connection would be out of step. */
    while (apr_dbd_get_row(dbd->driver, session->pool, results, &row.row, -1)
           == 0) {
        take(baton, &row);
    }
    return 0;
}

apr_status_t db_read(db_t *db, const db_statement_t *statement,
                     const void **args,
                     void (*take)(void *baton, const db_row_t *row),
                     void *baton, apr_pool_t *pool)
{
    int attempt;

    for (attempt = 0; ; attempt++) {
        db_session_t session;
        apr_time_t start;
        int error, lost;
        apr_status_t rv = pool_borrow(&session, db, pool);

        if (rv != APR_SUCCESS) {
            return rv;
        }
        start = vitals_now();
        error = select_rows(&session, statement, args, take, baton);
        count_query(start);
        lost = error && is_lost(&session, error);
        if (error && !(lost && attempt == 0)) {
            log_statement(&session, error);
        }
        pool_give_back(&session);
        if (error == 0) {
            return APR_SUCCESS;
        }
        if (!lost || attempt > 0) {
            return APR_EGENERAL;
        }
    }
}

/* Ends what a lost connection may still be doing over there. */
static void kill_thread(db_t *db, unsigned long thread, apr_pool_t *pool)
{
    db_session_t session;
    int rows;

    if (pool_borrow(&session, db, pool) != APR_SUCCESS) {
        return;
    }
    apr_dbd_query(session.dbd->driver, session.dbd->handle, &rows,
                  apr_psprintf(session.pool, "KILL CONNECTION %lu", thread));
    pool_give_back(&session);
}

apr_status_t db_write(db_t *db, const db_statement_t *statement,
                      const void **args, db_written_t *written,
                      apr_pool_t *pool)
{
    db_session_t session;
    apr_dbd_prepared_t *prepared;
    unsigned long thread;
    apr_time_t start;
    int error, sent, lost;
    apr_status_t rv = pool_borrow(&session, db, pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    thread = mysql_thread_id(session.mysql);
    start = vitals_now();
    error = prepare(&prepared, &session, statement);
    sent = error == 0;
    if (sent) {
        error = apr_dbd_pbquery(session.dbd->driver, session.pool,
                                session.dbd->handle, &written->rows,
                                prepared, args);
    }
    count_query(start);
    lost = error && is_lost(&session, error);
    if (error == 0) {
        written->insert_id = (apr_int64_t)mysql_insert_id(session.mysql);
    }
    else if (error != ERROR_DUPLICATE) {
        log_statement(&session, error);
    }
    pool_give_back(&session);
    if (error == 0) {
        return APR_SUCCESS;
    }
    if (error == ERROR_DUPLICATE) {
        return APR_EEXIST;
    }
    if (!lost || !sent) {
        return APR_EGENERAL;
    }
    /* A server that only took too long still works on it; one that hung up
     * does not. */
    if (vitals_now() - start >= POOL_READ_TIMEOUT) {
        kill_thread(db, thread, pool);
    }
    return APR_INCOMPLETE;
}

/* ---- one connection for several statements ---- */

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

    if (mysql_query(session->mysql, sql) == 0) {
        hand_on(session->mysql, take, baton);
    }
    error = mysql_errno(session->mysql);
    if (error == ERROR_KILLED) {
        return APR_EINTR;
    }
    if (error != 0) {
        log_statement(session, (int)error);
        return APR_EGENERAL;
    }
    return APR_SUCCESS;
}

/* ---- is it there ---- */

apr_status_t db_check(db_t *db, apr_interval_time_t patience,
                      apr_pool_t *pool)
{
    gate_entry_t entry = { .patience = patience, .line = GATE_BOUNDED };
    db_session_t session;
    apr_status_t rv = pool_borrow_as(&session, db, &entry, pool);

    if (rv == APR_SUCCESS) {    /* borrowing has asked for an answer */
        pool_give_back(&session);
    }
    return rv;
}

apr_status_t db_await(db_t *db, apr_interval_time_t patience,
                      apr_pool_t *pool)
{
    apr_time_t deadline = vitals_now() + patience;

    while (db_check(db, patience, pool) != APR_SUCCESS) {
        if (vitals_now() + AWAIT_STEP > deadline) {
            return APR_TIMEUP;
        }
        apr_sleep(AWAIT_STEP);
    }
    return APR_SUCCESS;
}

/* ---- columns ---- */

const char *db_text(const db_row_t *row, int column)
{
    const char *text = NULL;

    /* Not apr_dbd_get_entry(): it doesn't end a value that fills its field. */
    if (apr_dbd_datum_get(row->driver, row->row, column, APR_DBD_TYPE_STRING,
                          &text) != APR_SUCCESS) {
        return NULL;
    }
    return text;
}

/* All of a value, however long it is. @return NULL: it cannot be had */
static const char *read_whole(const db_row_t *row, int column,
                              apr_pool_t *pool)
{
    apr_bucket_brigade *brigade = apr_brigade_create(pool, row->buckets);
    apr_off_t length = 0;
    apr_size_t size;
    char *text = NULL;

    /* One bucket, which knows its length and reads itself piece by piece. */
    if (apr_dbd_datum_get(row->driver, row->row, column, APR_DBD_TYPE_CLOB,
                          brigade) == APR_SUCCESS
        && apr_brigade_length(brigade, 0, &length) == APR_SUCCESS) {
        size = (apr_size_t)length;
        text = apr_palloc(pool, size + 1);
        if (apr_brigade_flatten(brigade, text, &size) == APR_SUCCESS) {
            text[size] = '\0';
        }
        else {
            text = NULL;
        }
    }
    apr_brigade_destroy(brigade);
    return text;
}

const char *db_copy(const db_row_t *row, int column, apr_pool_t *pool)
{
    const char *text = db_text(row, column);

    return text != NULL && strlen(text) >= FIELD_SURE
        ? read_whole(row, column, pool) : apr_pstrdup(pool, text);
}

apr_int64_t db_int(const db_row_t *row, int column)
{
    const char *text = db_text(row, column);

    return text ? apr_atoi64(text) : 0;
}

apr_time_t db_time(const db_row_t *row, int column)
{
    return datetime_read(db_text(row, column), row->zone);
}
