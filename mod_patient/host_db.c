/*
 * host_db.c - the database as a scenario's host gives it.
 */
#include "host_db.h"

#include <apr_strings.h>
#include <mysql.h>

#include "log/errorlog.h"
#include "log/symptom.h"
#include "store/connect.h"
#include "store/db.h"
#include "store/dberror.h"
#include "store/interrupt.h"
#include "vitals.h"

/* An errand of the operator's may take longer than a request's. */
#define QUERY_PATIENCE apr_time_from_sec(75)

/* Cutting a query short must be quick, or not be. */
#define CANCEL_PATIENCE apr_time_from_sec(2)

/* How long a query may take to end that the server was told to. */
#define END_PATIENCE apr_time_from_msec(250)

struct chaos_db_t {
    db_session_t *session;
    unsigned long thread;
};

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
        db_log_error(&error);
        failure->error = dberror_text(&error, pool);
        failure->code = error.code;
    }
    apr_pool_destroy(own);      /* closes the connection */
    return rv;
}

/* ---- lending ---- */

static void note(host_self_t *self, unsigned long thread)
{
    apr_thread_mutex_lock(self->mutex);
    APR_ARRAY_PUSH(self->threads, unsigned long) = thread;
    apr_thread_mutex_unlock(self->mutex);
}

static void forget(host_self_t *self, unsigned long thread)
{
    int i;

    apr_thread_mutex_lock(self->mutex);
    for (i = 0; i < self->threads->nelts; i++) {
        if (APR_ARRAY_IDX(self->threads, i, unsigned long) == thread) {
            APR_ARRAY_IDX(self->threads, i, unsigned long) =
                *(unsigned long *)apr_array_pop(self->threads);
            break;
        }
    }
    apr_thread_cond_broadcast(self->returned);
    apr_thread_mutex_unlock(self->mutex);
}

static int keep_waiting(void *baton)
{
    chaos_host_t *host = baton;

    return host->pause(host, 0) == APR_SUCCESS;
}

static void explain(chaos_failure_t *failure, apr_status_t why,
                    struct db_t *db, apr_pool_t *pool)
{
    dberror_t error;

    if (why == APR_TIMEUP || why == APR_EBUSY) {
        failure->error = symptom_pool_error(why);
        failure->code = "POOL_TIMEOUT";
        return;
    }
    db_last_error(&error, db, pool);
    failure->error = dberror_text(&error, pool);
    failure->code = error.code;
}

static apr_status_t lend(chaos_host_t *host, chaos_db_t **out,
                         apr_interval_time_t patience,
                         chaos_failure_t *failure, apr_pool_t *pool)
{
    host_self_t *self = host->self;
    gate_entry_t entry = {
        .patience = patience, .line = GATE_EXEMPT, .keep = keep_waiting,
        .baton = host
    };
    chaos_db_t *db = apr_pcalloc(pool, sizeof(*db));
    apr_status_t rv = db_session_open(&db->session, self->db, &entry, pool);

    if (rv != APR_SUCCESS) {
        if (rv != APR_EINTR) {
            explain(failure, rv, self->db, pool);
        }
        return rv;
    }
    db_session_patience(db->session, QUERY_PATIENCE);
    db->thread = db_session_thread(db->session);
    note(self, db->thread);
    *out = db;
    return APR_SUCCESS;
}

static void give_back(chaos_host_t *host, chaos_db_t *db)
{
    forget(host->self, db->thread);
    db_session_close(db->session);
}

/* ---- using ---- */

static apr_status_t query(chaos_host_t *host, chaos_db_t *db, const char *sql,
                          chaos_row_fn *row, void *baton)
{
    (void)host;
    return db_session_run(db->session, sql, row, baton);
}

static int has(const apr_array_header_t *threads, unsigned long thread)
{
    int i;

    for (i = 0; i < threads->nelts; i++) {
        if (APR_ARRAY_IDX(threads, i, unsigned long) == thread) {
            return 1;
        }
    }
    return 0;
}

/* With the mutex. @return one that was not told yet, or 0 */
static unsigned long next_to_tell(const host_self_t *self,
                                  const apr_array_header_t *told)
{
    int i;

    for (i = 0; i < self->threads->nelts; i++) {
        unsigned long thread = APR_ARRAY_IDX(self->threads, i, unsigned long);

        if (!has(told, thread)) {
            return thread;
        }
    }
    return 0;
}

/* With the mutex. Has the server end what one connection is asked, and waits
 * until that is given back: one after the other, see store/interrupt.h. */
static void end_query(host_self_t *self, MYSQL *mysql, unsigned long thread)
{
    apr_time_t until = vitals_now() + END_PATIENCE;
    apr_interval_time_t left;

    if (interrupt_query(mysql, thread) != APR_SUCCESS) {
        return;
    }
    while (has(self->threads, thread) && (left = until - vitals_now()) > 0) {
        apr_thread_cond_timedwait(self->returned, self->mutex, left);
    }
}

static void cancel(chaos_host_t *host)
{
    host_self_t *self = host->self;
    apr_array_header_t *told;
    dberror_t error;
    apr_pool_t *pool;
    MYSQL *mysql;
    unsigned long thread;

    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return;
    }
    told = apr_array_make(pool, 16, sizeof(unsigned long));
    if (interrupt_open(&mysql, &error, CANCEL_PATIENCE, pool)
        != APR_SUCCESS) {
        db_log_error(&error);
    }
    else {
        apr_thread_mutex_lock(self->mutex);
        while ((thread = next_to_tell(self, told)) != 0) {
            APR_ARRAY_PUSH(told, unsigned long) = thread;
            end_query(self, mysql, thread);
        }
        apr_thread_mutex_unlock(self->mutex);
    }
    apr_pool_destroy(pool);
}

static void queried(chaos_host_t *host, int queries,
                    apr_interval_time_t elapsed)
{
    event_t event;

    (void)host;
    if (symptom_is_slow(queries, elapsed)) {
        errorlog_open(&event, EVENT_ERROR, SYMPTOM_SLOW);
        symptom_slow(&event, queries, elapsed);
        errorlog_write(&event);
    }
}

void host_db_fill(chaos_host_t *host, apr_pool_t *pool)
{
    host_self_t *self = host->self;

    apr_thread_mutex_create(&self->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    apr_thread_cond_create(&self->returned, pool);
    /* Room for every connection there can be: growing it would allocate from
     * a pool that several threads see. */
    host->pool_max = db_max(self->db);
    self->threads = apr_array_make(pool, host->pool_max + 1,
                                   sizeof(unsigned long));
    host->connect = connect_to;
    host->borrow = lend;
    host->give_back = give_back;
    host->query = query;
    host->cancel = cancel;
    host->queried = queried;
}
