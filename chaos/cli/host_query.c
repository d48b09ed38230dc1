/*
 * host_query.c - asks the database, and has it stop when the run is to.
 */
#include "host_query.h"

#include <poll.h>
#include <string.h>
#include <time.h>

#include <mysql.h>

#include "host.h"
#include "host_db.h"
#include "log/event.h"
#include "log/symptom.h"
#include "store/dberror.h"
#include "store/interrupt.h"
#include "vitals.h"

#define ERROR_KILLED 1317       /* ER_QUERY_INTERRUPTED */

/* How long a query may take to end that the server was told to. */
#define END_PATIENCE_S 1

/* How often one that is not told yet looks whether it can be. */
#define LOOK_EVERY_MS 20

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

/* With db->lock: until it is done nobody's query is over, so that it ends no
 * other than it should. */
static apr_status_t tell(chaos_db_t *place, MYSQL *mysql)
{
    place->is_told = 1;
    return interrupt_query(mysql, mysql_thread_id(place->mysql));
}

/* With db->telling. If it can't be had, the queries come to their own end. */
static MYSQL *open_line(apr_pool_t **own)
{
    dberror_t error;
    MYSQL *mysql;

    if (apr_pool_create_unmanaged_ex(own, NULL, NULL) != APR_SUCCESS) {
        return NULL;
    }
    if (interrupt_open(&mysql, &error, HOST_DB_CONNECT_TIMEOUT, *own)
        != APR_SUCCESS) {
        host_db_report(&error, NULL, *own);
        apr_pool_destroy(*own);
        return NULL;
    }
    return mysql;
}

/* With both locks.  Waits until the query has ended, too: one after the
 * other, see store/interrupt.h. */
static void end_query(host_db_t *db, chaos_db_t *place, MYSQL *mysql)
{
    struct timespec until;

    if (tell(place, mysql) != APR_SUCCESS) {
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += END_PATIENCE_S;
    while (place->use == HOST_DB_ASKED
           && pthread_cond_timedwait(&db->changed, &db->lock, &until) == 0) {
    }
}

static void cancel(chaos_host_t *host)
{
    host_db_t *db = host_db_of(host);
    apr_pool_t *own;
    MYSQL *mysql;
    int i;

    pthread_mutex_lock(&db->telling);
    mysql = open_line(&own);
    if (mysql != NULL) {
        pthread_mutex_lock(&db->lock);
        for (i = 0; i < db->count; i++) {
            if (db->connections[i].use == HOST_DB_ASKED) {
                end_query(db, &db->connections[i], mysql);
            }
        }
        pthread_mutex_unlock(&db->lock);
        apr_pool_destroy(own);
    }
    pthread_mutex_unlock(&db->telling);
}

/* 1: the answer is there; 0: it is not. */
static int has_answer(const chaos_db_t *lent, int wait_ms)
{
    struct pollfd answer = {
        .fd = mysql_get_socket(lent->mysql), .events = POLLIN
    };

    return poll(&answer, 1, wait_ms) > 0;
}

/* The same for the query that this thread waits for, unless it is told
 * already. */
static void end_own_query(host_db_t *db, chaos_db_t *lent)
{
    apr_pool_t *own;
    MYSQL *mysql;

    if (pthread_mutex_trylock(&db->telling) != 0) {
        return;                 /* it may be this one's turn any time */
    }
    mysql = lent->is_told ? NULL : open_line(&own);
    if (mysql != NULL) {
        pthread_mutex_lock(&db->lock);
        tell(lent, mysql);
        pthread_mutex_unlock(&db->lock);
        apr_pool_destroy(own);
        has_answer(lent, END_PATIENCE_S * 1000);
    }
    lent->is_told = 1;          /* as far as can be: not again and again */
    pthread_mutex_unlock(&db->telling);
}

/* Until the answer is there, or a signal ends the query. */
static void await_answer(host_db_t *db, chaos_db_t *lent)
{
    apr_time_t end = vitals_now() + HOST_DB_PATIENCE;
    struct pollfd either[] = {
        { .fd = mysql_get_socket(lent->mysql), .events = POLLIN },
        { .fd = host_wake(), .events = POLLIN }
    };

    while (poll(either, 2, (int)apr_time_as_msec(HOST_DB_PATIENCE)) < 0) {
        if (apr_get_os_error() != EINTR) {
            return;
        }
    }
    if (either[1].revents != 0) {
        while (!has_answer(lent, LOOK_EVERY_MS) && vitals_now() < end) {
            end_own_query(db, lent);
        }
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
