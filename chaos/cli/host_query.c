/*
 * host_query.c - asks the database, and has it stop when the run is to.
 */
#include "host_query.h"

#include <poll.h>
#include <string.h>

#include <apr_strings.h>
#include <mysql.h>

#include "host.h"
#include "host_db.h"
#include "log/event.h"
#include "log/symptom.h"
#include "store/connect.h"
#include "store/dberror.h"

#define ERROR_KILLED 1317       /* ER_QUERY_INTERRUPTED */

static void hand_on(MYSQL *mysql, chaos_row_fn *take, void *baton)
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

/* Has the server end what it is asked, on one place of the pool or on all:
 * over a connection of its own, since those of the pool may all be lent.
 * If that can't be had, the queries come to their own end. */
static void end_queries(host_db_t *db, const chaos_db_t *only)
{
    dberror_t error;
    apr_pool_t *own;
    MYSQL *mysql;
    int i;

    if (apr_pool_create_unmanaged_ex(&own, NULL, NULL) != APR_SUCCESS) {
        return;
    }
    if (connect_open(&mysql, &error, NULL, 0, HOST_DB_CONNECT_TIMEOUT, own)
        != APR_SUCCESS) {
        host_db_report(&error, NULL, own);
    }
    else {
        /* Until it is done nobody's query is over, so that it ends no other
         * than it should. */
        pthread_mutex_lock(&db->lock);
        for (i = 0; i < db->count; i++) {
            chaos_db_t *place = &db->connections[i];

            if (place->use == HOST_DB_ASKED
                && (only == NULL || only == place)) {
                place->is_told = 1;
                mysql_query(mysql, apr_psprintf(
                    own, "KILL QUERY %lu", mysql_thread_id(place->mysql)));
            }
        }
        pthread_mutex_unlock(&db->lock);
    }
    apr_pool_destroy(own);
}

static void cancel(chaos_host_t *host)
{
    end_queries(host_db_of(host), NULL);
}

/* Until the answer is there, or a signal ends the query. */
static void await_answer(host_db_t *db, const chaos_db_t *lent)
{
    struct pollfd either[] = {
        { .fd = mysql_get_socket(lent->mysql), .events = POLLIN },
        { .fd = host_wake(), .events = POLLIN }
    };

    while (poll(either, 2, (int)apr_time_as_msec(HOST_DB_PATIENCE)) < 0) {
        if (apr_get_os_error() != EINTR) {
            return;
        }
    }
    if (either[0].revents == 0 && either[1].revents != 0) {
        end_queries(db, lent);
    }
}

/* @return MySQL's number of the failure, or 0 */
static unsigned int ask(host_db_t *db, chaos_db_t *lent, const char *sql,
                        chaos_row_fn *row, void *baton)
{
    MYSQL *mysql = lent->mysql;

    if (mysql_send_query(mysql, sql, strlen(sql)) == 0) {
        /* What is asked after a signal clears up, and is let finish. */
        if (host_signal() == 0) {
            await_answer(db, lent);
        }
        if (mysql_read_query_result(mysql) == 0) {
            hand_on(mysql, row, baton);
        }
    }
    return mysql_errno(mysql);
}

static void report_query(const chaos_db_t *lent)
{
    MYSQL *mysql = lent->mysql;
    dberror_t error;
    apr_pool_t *own;

    if (apr_pool_create_unmanaged_ex(&own, NULL, NULL) == APR_SUCCESS) {
        dberror_set(&error, mysql_errno(mysql), mysql_sqlstate(mysql),
                    mysql_error(mysql), mysql->host, (int)mysql->port, own);
        host_db_report(&error, NULL, own);
        apr_pool_destroy(own);
    }
}

static apr_status_t query(chaos_host_t *host, chaos_db_t *lent,
                          const char *sql, chaos_row_fn *row, void *baton)
{
    host_db_t *db = host_db_of(host);
    unsigned int error;

    lent->is_told = 0;
    host_db_use(db, lent, HOST_DB_ASKED);
    error = ask(db, lent, sql, row, baton);
    host_db_use(db, lent, HOST_DB_LENT);
    if (error != 0 && error != ERROR_KILLED) {
        report_query(lent);
        return APR_EGENERAL;
    }
    if (error == 0 && lent->is_told) {
        /* The order came too late, or the server counts a SLEEP() that was
         * cut short as done: the next query may be what it ends. */
        mysql_query(lent->mysql, "DO 0");
    }
    return lent->is_told || error != 0 ? APR_EINTR : APR_SUCCESS;
}

static void queried(chaos_host_t *host, int queries,
                    apr_interval_time_t elapsed)
{
    event_t event;

    (void)host;
    if (symptom_is_slow(queries, elapsed)) {
        event_open(&event, EVENT_ERROR, SYMPTOM_SLOW, apr_time_now());
        symptom_slow(&event, queries, elapsed);
        host_write(&event);
    }
}

void host_query_fill(chaos_host_t *host)
{
    host->query = query;
    host->cancel = cancel;
    host->queried = queried;
}
