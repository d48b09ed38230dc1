/*
 * db.c - the database: statements, and what comes of them.
 */
#include "store/db.h"

#include <string.h>

#include <apr_buckets.h>
#include <apr_hash.h>
#include <apr_strings.h>

#include "datetime.h"
#include "store/dberror.h"
#include "store/doubt.h"
#include "store/misfit.h"
#include "store/pool.h"
#include "store/refusal.h"
#include "vitals.h"

#define NO_MORE_ROWS (-1)       /* apr_dbd_get_row() says so */

/* apr_dbd cuts what is longer than DBDParams' fldsz, and doesn't tell. */
#define FIELD_SURE 255

#define ERROR_DUPLICATE 1062    /* ER_DUP_ENTRY */

/* What this thread's statements took since somebody asked. */
static __thread struct {
    int queries;
    apr_interval_time_t elapsed;
} statistics;

struct db_row_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_row_t *row;
    int zone;                   /* of its times */
    apr_bucket_brigade *value;  /* empty; for one value at a time */
};

/* ---- statements ---- */

/* One that is tried once more, on another connection, is no second one. */
static void count_query(apr_time_t start, int is_first_try)
{
    statistics.queries += is_first_try;
    statistics.elapsed += vitals_now() - start;
}

void db_take_statistics(int *queries, apr_interval_time_t *elapsed)
{
    *queries = statistics.queries;
    *elapsed = statistics.elapsed;
    memset(&statistics, 0, sizeof(statistics));
}

/* The statement on this connection; prepared now if it wasn't yet, so that a
 * table that is missing fails what needs it and not every connection.  It
 * lives as long as the connection, and what a failure leaves behind does
 * not. */
static int prepare(apr_dbd_prepared_t **prepared, db_session_t *session,
                   const db_statement_t *statement)
{
    ap_dbd_t *dbd = session->dbd;
    apr_pool_t *own;
    int error;

    *prepared = apr_hash_get(dbd->prepared, statement->name,
                             APR_HASH_KEY_STRING);
    if (*prepared != NULL) {
        return 0;
    }
    apr_pool_create(&own, dbd->pool);
    error = apr_dbd_prepare(dbd->driver, own, dbd->handle, statement->sql,
                            NULL, prepared);
    if (error != 0) {
        refusal_keep(session, error);
        apr_pool_destroy(own);  /* closes it, and clears its reason */
        return error;
    }
    apr_hash_set(dbd->prepared, statement->name, APR_HASH_KEY_STRING,
                 *prepared);
    return 0;
}

/* A read, and how far it got. */
typedef struct read_t {
    const db_statement_t *statement;
    const void **args;
    void (*take)(void *baton, const db_row_t *row);
    void *baton;
    int has_taken;              /* a row, and so must not begin anew */
} read_t;

static int select_rows(read_t *read, db_session_t *session)
{
    ap_dbd_t *dbd = session->dbd;
    apr_dbd_results_t *results = NULL;
    apr_dbd_prepared_t *prepared;
    db_row_t row = {
        dbd->driver, NULL, pool_zone(session->db),
        apr_brigade_create(session->pool,
                           apr_bucket_alloc_create(session->pool))
    };
    int got;
    int error = prepare(&prepared, session, read->statement);

    if (error == 0) {
        error = apr_dbd_pbselect(dbd->driver, session->pool, dbd->handle,
                                 &results, prepared, 0, read->args);
    }
    if (error != 0) {
        return error;
    }
    /* To the very end, or the connection would be out of step. */
    while ((got = apr_dbd_get_row(dbd->driver, session->pool, results,
                                  &row.row, -1)) == 0) {
        read->has_taken = 1;
        read->take(read->baton, &row);
    }
    return got == NO_MORE_ROWS ? 0 : got;
}

apr_status_t db_read(db_t *db, const db_statement_t *statement,
                     const void **args,
                     void (*take)(void *baton, const db_row_t *row),
                     void *baton, apr_pool_t *pool)
{
    read_t read = { statement, args, take, baton, 0 };
    int attempt, error, again;

    for (attempt = 0; ; attempt++) {
        db_session_t session;
        apr_time_t start;
        apr_status_t misfit;
        apr_status_t rv = pool_borrow(&session, db, pool);

        if (rv != APR_SUCCESS) {
            return rv;
        }
        start = vitals_now();
        error = select_rows(&read, &session);
        count_query(start, attempt == 0);
        misfit = misfit_of(statement, error);
        again = error && !misfit && refusal_is_worth_another(
            &session, error, attempt || read.has_taken, 1);
        pool_give_back(&session);
        if (error == 0 || misfit) {
            return misfit;
        }
        if (!again) {
            return APR_EGENERAL;
        }
    }
}

/* A write, and how far it got on one connection. */
typedef struct write_t {
    const db_statement_t *statement;
    const void **args;
    int number;                 /* which attempt: 0, 1 */
    int is_sent;
    int again;                  /* another one is worth while */
} write_t;

static apr_status_t outcome_of(int error, int is_in_doubt)
{
    return error == 0 ? APR_SUCCESS
         : error == ERROR_DUPLICATE ? APR_EEXIST
         : is_in_doubt ? APR_INCOMPLETE : APR_EGENERAL;
}

static apr_status_t write_once(write_t *write, db_written_t *written,
                               db_session_t *session)
{
    ap_dbd_t *dbd = session->dbd;
    apr_dbd_prepared_t *prepared;
    apr_status_t misfit;
    int is_in_doubt = 0;
    int error = prepare(&prepared, session, write->statement);

    write->is_sent = error == 0;
    write->again = 0;
    if (write->is_sent) {
        error = apr_dbd_pbquery(dbd->driver, session->pool, dbd->handle,
                                &written->rows, prepared, write->args);
    }
    misfit = misfit_of(write->statement, error);
    if (error == 0) {
        written->insert_id = (apr_int64_t)mysql_insert_id(session->mysql);
    }
    else if (error != ERROR_DUPLICATE && !misfit) {
        is_in_doubt = write->is_sent
                      && refusal_judge(session, error) == DBERROR_IS_LOST;
        write->again = refusal_is_worth_another(session, error, write->number,
                                                !write->is_sent);
    }
    return misfit ? misfit : outcome_of(error, is_in_doubt);
}

apr_status_t db_write(db_t *db, const db_statement_t *statement,
                      const void **args, db_written_t *written,
                      apr_pool_t *pool)
{
    write_t write = { .statement = statement, .args = args };
    unsigned long thread;
    apr_time_t start;
    apr_status_t rv;

    do {
        db_session_t session;

        rv = pool_borrow(&session, db, pool);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        thread = mysql_thread_id(session.mysql);
        start = vitals_now();
        rv = write_once(&write, written, &session);
        count_query(start, write.number == 0);
        pool_give_back(&session);
        write.number++;
    } while (write.again);
    written->was_slow = vitals_now() - start >= POOL_READ_TIMEOUT;
    if (rv == APR_INCOMPLETE
        && doubt_end(db, statement, thread, pool) != APR_SUCCESS) {
        return APR_EGENERAL;
    }
    return rv;
}

/* ---- columns ---- */

/* Numbers and times end with a NUL, all else perhaps. @return NULL for NULL */
static const char *read_text(const db_row_t *row, int column)
{
    const char *text = NULL;

    /* Not apr_dbd_get_entry(): it doesn't end a value that fills its field. */
    if (apr_dbd_datum_get(row->driver, row->row, column, APR_DBD_TYPE_STRING,
                          &text) != APR_SUCCESS) {
        return NULL;
    }
    return text;
}

/* The one bucket of a long value reads itself piece by piece. */
static char *read_whole(const db_row_t *row, apr_size_t length,
                        apr_pool_t *pool)
{
    char *text = apr_palloc(pool, length + 1);

    if (apr_brigade_flatten(row->value, text, &length) != APR_SUCCESS) {
        return NULL;
    }
    text[length] = '\0';
    return text;
}

/* A text ends with its first NUL, which a column may have anywhere: one at
 * its end fills it up, one before that is a byte that is no character. */
static void mark_nuls(char *text, apr_size_t length)
{
    char *end = text + length, *nul = text;

    while (end > text && end[-1] == '\0') {
        end--;
    }
    while ((nul = memchr(nul, '\0', (apr_size_t)(end - nul))) != NULL) {
        *nul++ = '\xff';
    }
}

/* Only a bucket tells how long a value is: one of bytes has no NUL at its
 * end, and any number of them before that. */
const char *db_copy(const db_row_t *row, int column, apr_pool_t *pool)
{
    apr_off_t length = 0;
    char *text = NULL;

    if (apr_dbd_datum_get(row->driver, row->row, column, APR_DBD_TYPE_CLOB,
                          row->value) == APR_SUCCESS
        && apr_brigade_length(row->value, 0, &length) == APR_SUCCESS) {
        text = length > FIELD_SURE
             ? read_whole(row, (apr_size_t)length, pool)
             : apr_pstrmemdup(pool, read_text(row, column), (apr_size_t)length);
    }
    apr_brigade_cleanup(row->value);
    if (text != NULL) {
        mark_nuls(text, (apr_size_t)length);
    }
    return text;
}

apr_int64_t db_int(const db_row_t *row, int column)
{
    const char *text = read_text(row, column);

    return text ? apr_atoi64(text) : 0;
}

apr_time_t db_time(const db_row_t *row, int column)
{
    return datetime_read(read_text(row, column), row->zone);
}
