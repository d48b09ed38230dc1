/*
 * host_db.c - the database of a host without a server: a pool of its own.
 */
#include "host_db.h"

#include <stdlib.h>
#include <string.h>

#include <apr_atomic.h>
#include <apr_strings.h>
#include <mysql.h>

#include "gate.h"
#include "host_query.h"
#include "log/event.h"
#include "log/symptom.h"
#include "store/connect.h"
#include "store/dberror.h"

#define POOL_DEFAULT 10
#define POOL_MAX 1000

void host_db_report(const dberror_t *error, chaos_failure_t *failure,
                    apr_pool_t *pool)
{
    event_t event;

    event_open(&event, EVENT_ERROR, dberror_type(error), apr_time_now());
    dberror_describe(error, &event);
    host_write(&event);
    if (failure != NULL) {
        failure->error = dberror_text(error, pool);
        failure->code = apr_pstrdup(pool, error->code);
    }
}

/* ---- an endpoint, once ---- */

static apr_status_t connect_to(chaos_host_t *host, const char *name, int port,
                               apr_interval_time_t timeout,
                               chaos_failure_t *failure, apr_pool_t *pool)
{
    MYSQL *mysql;
    dberror_t error;
    apr_pool_t *own;
    apr_status_t rv = apr_pool_create(&own, pool);

    (void)host;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = connect_open(&mysql, &error, name, port, timeout, own);
    if (rv != APR_SUCCESS) {
        host_db_report(&error, failure, pool);
    }
    apr_pool_destroy(own);      /* closes the connection */
    return rv;
}

/* ---- the pool ---- */

void host_db_use(host_db_t *db, chaos_db_t *place, host_db_use_e use)
{
    pthread_mutex_lock(&db->lock);
    place->use = use;
    pthread_cond_broadcast(&db->changed);
    pthread_mutex_unlock(&db->lock);
}

/* A free place, one with a connection before others. There is one: who asks
 * holds a permit. */
static chaos_db_t *take_place(host_db_t *db)
{
    chaos_db_t *found = NULL;
    int i;

    pthread_mutex_lock(&db->lock);
    for (i = 0; i < db->count; i++) {
        chaos_db_t *place = &db->connections[i];

        if (place->use == HOST_DB_IDLE
            && (found == NULL
                || (found->mysql == NULL && place->mysql != NULL))) {
            found = place;
        }
    }
    if (found == NULL) {
        abort();                /* the gate let in more than there are */
    }
    found->use = HOST_DB_LENT;
    pthread_mutex_unlock(&db->lock);
    return found;
}

static void disconnect(chaos_db_t *place)
{
    if (place->mysql != NULL) {
        apr_pool_destroy(place->own);   /* closes the connection */
        place->mysql = NULL;
    }
}

/* The server may have gone since, and come back. */
static int is_alive(chaos_db_t *place)
{
    if (place->mysql == NULL) {
        return 0;
    }
    connect_set_timeout(place->mysql, HOST_DB_CONNECT_TIMEOUT);
    return mysql_ping(place->mysql) == 0;
}

static int keep_waiting(void *baton)
{
    chaos_host_t *host = baton;

    return host->pause(host, 0) == APR_SUCCESS;
}

/* Once in a run: that is one stretch of waiting. */
static apr_interval_time_t say_waiting(void *baton,
                                       apr_interval_time_t waited)
{
    host_db_t *db = baton;
    gate_stats_t stats;
    event_t event;

    if (apr_atomic_cas32(&db->waiting_told, 1, 0) == 0) {
        gate_stats(db->gate, &stats);
        event_open(&event, EVENT_WARNING, SYMPTOM_WAITING, apr_time_now());
        symptom_waiting(&event, &stats, waited);
        host_write(&event);
    }
    return 0;
}

static apr_status_t enter(chaos_host_t *host, apr_interval_time_t patience,
                          chaos_failure_t *failure)
{
    host_db_t *db = host_db_of(host);
    apr_time_t start = host->now(host);
    gate_entry_t entry = {
        .patience = patience, .line = GATE_EXEMPT, .keep = keep_waiting,
        .baton = host, .notice = say_waiting,
        .notice_after = SYMPTOM_WAITING_AFTER, .notice_baton = db
    };
    apr_status_t rv = gate_enter_while(db->gate, &entry);
    gate_stats_t stats;
    event_t event;

    if (rv == APR_TIMEUP) {
        gate_stats(db->gate, &stats);
        event_open(&event, EVENT_ERROR, SYMPTOM_POOL, apr_time_now());
        symptom_pool(&event, rv, &stats, host->now(host) - start);
        host_write(&event);
        failure->error = symptom_pool_error(rv);
        failure->code = "POOL_TIMEOUT";
    }
    return rv;
}

static apr_status_t make(chaos_db_t *place, chaos_failure_t *failure,
                         apr_pool_t *pool)
{
    dberror_t error;
    apr_status_t rv = apr_pool_create_unmanaged_ex(&place->own, NULL, NULL);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = connect_open(&place->mysql, &error, NULL, 0, HOST_DB_CONNECT_TIMEOUT,
                      place->own);
    if (rv != APR_SUCCESS) {
        host_db_report(&error, failure, pool);
        apr_pool_destroy(place->own);
    }
    return rv;
}

static void give_back(chaos_host_t *host, chaos_db_t *lent)
{
    host_db_t *db = host_db_of(host);

    host_db_use(db, lent, HOST_DB_IDLE);
    gate_leave(db->gate);
}

static apr_status_t borrow(chaos_host_t *host, chaos_db_t **out,
                           apr_interval_time_t patience,
                           chaos_failure_t *failure, apr_pool_t *pool)
{
    chaos_db_t *place;
    apr_status_t rv = enter(host, patience, failure);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    place = take_place(host_db_of(host));
    if (!is_alive(place)) {
        disconnect(place);
        rv = make(place, failure, pool);
    }
    if (rv != APR_SUCCESS) {
        give_back(host, place);
        return rv;
    }
    connect_set_timeout(place->mysql, HOST_DB_PATIENCE);
    *out = place;
    return APR_SUCCESS;
}

static apr_status_t close_pool(void *data)
{
    host_db_t *db = data;
    int i;

    for (i = 0; i < db->count; i++) {
        disconnect(&db->connections[i]);
    }
    return APR_SUCCESS;
}

static int pool_size(void)
{
    const char *wanted = getenv("DB_POOL_MAX");
    int size = wanted != NULL ? atoi(wanted) : POOL_DEFAULT;

    return size < 1 ? POOL_DEFAULT : size > POOL_MAX ? POOL_MAX : size;
}

apr_status_t host_db_fill(chaos_host_t *host, host_db_t *db,
                          apr_pool_t *pool)
{
    host->pool_max = pool_size();
    host->connect = connect_to;
    host->borrow = borrow;
    host->give_back = give_back;
    host_query_fill(host);
    db->count = host->pool_max;
    db->connections = apr_pcalloc(pool,
                                  db->count * sizeof(*db->connections));
    pthread_mutex_init(&db->telling, NULL);
    pthread_mutex_init(&db->lock, NULL);
    pthread_cond_init(&db->changed, NULL);
    apr_pool_cleanup_register(pool, db, close_pool, apr_pool_cleanup_null);
    return gate_create(&db->gate, host->pool_max, 0, pool);
}
