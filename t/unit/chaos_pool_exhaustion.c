/*
 * chaos_pool_exhaustion.c - pool-exhaustion before a pool that is simulated:
 * its clock moves on when all threads of the run wait for something, so half
 * a minute takes no time and comes out the same each time.
 */
#include "chaos_fake.h"

#include <pthread.h>

#include <apr_general.h>
#include <apr_thread_proc.h>

#define CONNECTIONS 10
#define THREADS 600

/* What a query takes beside its sleep. */
#define OVERHEAD apr_time_from_msec(2)

static apr_pool_t *pool;
static const chaos_scenario_t *scenario;

struct chaos_db_t {
    int lent, was_used;
};

/* Somebody who waits, until a time or for a connection. */
typedef struct waiter_t {
    int busy;
    apr_time_t until;
    int wants_connection, sleeps;
    struct chaos_db_t *granted;
    int cancelled;
    long ticket;
} waiter_t;

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    apr_time_t clock, stop_at;
    int threads, waiting;       /* of the run: there are; of them wait */
    waiter_t waiters[THREADS];
    struct chaos_db_t connections[CONNECTIONS];
    long tickets;
    int borrows, queries, cancels, timeouts;
    int break_at;               /* the query that fails */
    int closed;                 /* no database at all */
    char sql[64];
} sim = { .mutex = PTHREAD_MUTEX_INITIALIZER,
          .moved = PTHREAD_COND_INITIALIZER };

/* With the mutex held: somebody waits whose time has come. */
static int is_due(const waiter_t *waiter)
{
    return waiter->busy && (waiter->until <= sim.clock
                            || waiter->granted != NULL
                            || waiter->cancelled);
}

/* All wait: goes to the next time at which one does not. */
static void move_on(void)
{
    apr_time_t next = FAKE_NEVER;
    int i;

    for (i = 0; i < THREADS; i++) {
        if (is_due(&sim.waiters[i])) {
            return;             /* it will wake and see */
        }
        if (sim.waiters[i].busy && sim.waiters[i].until < next) {
            next = sim.waiters[i].until;
        }
    }
    sim.clock = next;
    pthread_cond_broadcast(&sim.moved);
}

/* Waits as the caller filled in; with the mutex held. */
static waiter_t *await(const waiter_t *wish)
{
    waiter_t *own = sim.waiters;

    while (own->busy) {
        own++;
    }
    *own = *wish;
    own->busy = 1;
    own->ticket = ++sim.tickets;
    sim.waiting++;
    while (!is_due(own)) {
        if (sim.waiting == sim.threads) {
            move_on();
        }
        if (!is_due(own)) {
            pthread_cond_wait(&sim.moved, &sim.mutex);
        }
    }
    sim.waiting--;
    own->busy = 0;
    return own;                 /* still the caller's: the mutex is held */
}

/* A thread of the run has done its last. */
static void leave(void)
{
    sim.threads--;
    if (sim.waiting == sim.threads) {
        move_on();
    }
}

static apr_time_t now(chaos_host_t *host)
{
    apr_time_t clock;

    (void)host;
    pthread_mutex_lock(&sim.mutex);
    clock = sim.clock;
    pthread_mutex_unlock(&sim.mutex);
    return clock;
}

static apr_status_t ended(const chaos_host_t *host)
{
    if (sim.clock >= sim.stop_at) {
        return APR_EINTR;
    }
    return host->deadline != 0 && sim.clock >= host->deadline
           ? APR_TIMEUP : APR_SUCCESS;
}

static apr_time_t earliest(const chaos_host_t *host, apr_time_t time)
{
    if (host->deadline != 0 && host->deadline < time) {
        time = host->deadline;
    }
    return sim.stop_at < time ? sim.stop_at : time;
}

static apr_status_t pause_for(chaos_host_t *host, apr_interval_time_t span)
{
    apr_status_t rv;

    pthread_mutex_lock(&sim.mutex);
    if (host->deadline == 0 && sim.threads == 1) {
        apr_sleep(1000);        /* only the end is left to wait for */
    }
    else if (span > 0) {
        waiter_t wish = { .until = earliest(host, sim.clock + span) };

        await(&wish);
    }
    rv = ended(host);
    pthread_mutex_unlock(&sim.mutex);
    return rv;
}

static struct chaos_db_t *free_connection(void)
{
    int i;

    for (i = 0; i < CONNECTIONS; i++) {
        if (!sim.connections[i].lent) {
            return &sim.connections[i];
        }
    }
    return NULL;
}

static apr_status_t borrow(chaos_host_t *host, chaos_db_t **db,
                           apr_interval_time_t patience,
                           chaos_failure_t *failure, apr_pool_t *p)
{
    apr_status_t rv = APR_SUCCESS;
    struct chaos_db_t *got;

    pthread_mutex_lock(&sim.mutex);
    sim.borrows++;
    got = free_connection();
    if (got == NULL && ended(host) == APR_SUCCESS) {
        waiter_t wish = { .wants_connection = 1,
                          .until = earliest(host, sim.clock + patience) };

        got = await(&wish)->granted;
    }
    if (sim.closed || got == NULL) {
        rv = sim.closed ? APR_EGENERAL
             : ended(host) != APR_SUCCESS ? APR_EINTR : APR_TIMEUP;
        sim.timeouts += rv == APR_TIMEUP;
        failure->error = apr_pstrdup(p, sim.closed
            ? "SequelizeConnectionRefusedError: connect"
            : "SequelizeConnectionAcquireTimeoutError: ResourceRequest "
              "timed out");
        failure->code = "POOL_TIMEOUT";
        if (host->deadline == 0) {
            leave();            /* an attempt: it was its last word */
        }
    }
    else {
        got->lent = 1;
        *db = got;
    }
    pthread_mutex_unlock(&sim.mutex);
    return rv;
}

/* First come, first served. */
static void give_back(chaos_host_t *host, chaos_db_t *db)
{
    waiter_t *next = NULL;
    int i;

    pthread_mutex_lock(&sim.mutex);
    db->lent = 0;
    for (i = 0; i < THREADS; i++) {
        waiter_t *each = &sim.waiters[i];

        if (each->busy && each->wants_connection && !is_due(each)
            && (next == NULL || each->ticket < next->ticket)) {
            next = each;
        }
    }
    if (next != NULL) {
        db->lent = 1;
        next->granted = db;
        pthread_cond_broadcast(&sim.moved);
    }
    if (host->deadline == 0) {
        leave();
    }
    pthread_mutex_unlock(&sim.mutex);
}

static apr_status_t query(chaos_host_t *host, chaos_db_t *db, const char *sql,
                          chaos_row_fn *row, void *baton)
{
    waiter_t wish = { .sleeps = 1 };
    const char *values[] = { "0" };
    apr_status_t rv = APR_SUCCESS;

    (void)host;
    pthread_mutex_lock(&sim.mutex);
    apr_cpystrn(sim.sql, sql, sizeof(sim.sql));
    db->was_used = 1;
    if (++sim.queries == sim.break_at) {
        rv = APR_EGENERAL;
    }
    else {
        wish.until = sim.clock + OVERHEAD
            + apr_time_from_sec(strtol(strchr(sql, '(') + 1, NULL, 10));
        rv = await(&wish)->cancelled ? APR_EINTR : APR_SUCCESS;
    }
    pthread_mutex_unlock(&sim.mutex);
    if (rv == APR_SUCCESS) {
        row(baton, 1, values);
    }
    return rv;
}

static void cancel(chaos_host_t *host)
{
    int i;

    (void)host;
    pthread_mutex_lock(&sim.mutex);
    sim.cancels++;
    for (i = 0; i < THREADS; i++) {
        sim.waiters[i].cancelled |= sim.waiters[i].busy
                                    && sim.waiters[i].sleeps;
    }
    pthread_cond_broadcast(&sim.moved);
    pthread_mutex_unlock(&sim.mutex);
}

static chaos_host_t host = {
    .now = now, .pause = pause_for, .borrow = borrow, .give_back = give_back,
    .query = query, .cancel = cancel, .pool_max = CONNECTIONS
};

/* @param threads of the run, not counting that which watches */
static void reset(int threads)
{
    int i;

    sim.clock = FAKE_BEGIN;
    sim.stop_at = FAKE_NEVER;
    sim.threads = threads + 1;
    sim.waiting = 0;
    sim.borrows = sim.queries = sim.cancels = sim.timeouts = 0;
    sim.break_at = sim.closed = 0;
    memset(sim.waiters, 0, sizeof(sim.waiters));
    for (i = 0; i < CONNECTIONS; i++) {
        sim.connections[i].lent = sim.connections[i].was_used = 0;
    }
    host.deadline = 0;
}

static int all_returned(void)
{
    int i;

    for (i = 0; i < CONNECTIONS; i++) {
        if (sim.connections[i].lent) {
            return 0;
        }
    }
    return 1;
}

static double elapsed(void)
{
    return (double)(sim.clock - FAKE_BEGIN) / APR_USEC_PER_SEC;
}

static void once(void)
{
    chaos_report_t *report = chaos_report_create(pool);

    reset(100);
    tap_is(scenario->run(&host, fake_args(scenario, NULL, NULL, pool), report,
                         pool), APR_SUCCESS, "it happens");
    tap_is_str(fake_shown(report, pool), "scenario=Pool Exhaustion, "
               "error=SequelizeConnectionAcquireTimeoutError: "
               "ResourceRequest timed out, poolSize=10, attempts=100, "
               "succeeded=60, timedOut=40",
               "at its defaults 60 get through and 40 don't");
    tap_ok(elapsed() >= 30 && elapsed() < 31,
           "after half a minute it is over: %.1f s", elapsed());
    tap_is_str(sim.sql, "SELECT SLEEP(5)", "each query takes five seconds");
    tap_ok(all_returned() && sim.borrows == 100 && sim.cancels == 0,
           "every connection is back");
}

static void enough_for_all(void)
{
    chaos_report_t *report = chaos_report_create(pool);

    reset(20);
    tap_is(scenario->run(&host, fake_args(scenario, "attempts", "20", pool),
                         report, pool), APR_EGENERAL,
           "where all are served in time nothing has happened");
    tap_is_str(fake_shown(report, pool), "scenario=Pool Exhaustion, "
               "error=every request got a connection in time, poolSize=10, "
               "attempts=20, succeeded=20, timedOut=0",
               "and the report says so");
}

static void shortened(void)
{
    chaos_args_t *args = fake_args(scenario, "hold_s", "1", pool);
    chaos_report_t *report = chaos_report_create(pool);
    const char *why;

    chaos_args_parse(args, "acquire_ms", "1500", &why);
    chaos_args_parse(args, "attempts", "35", &why);
    reset(35);
    tap_ok(scenario->run(&host, args, report, pool) == APR_SUCCESS
           && strstr(fake_shown(report, pool),
                     "attempts=35, succeeded=20, timedOut=15") != NULL
           && elapsed() < 3, "all three are as asked: %s",
           fake_shown(report, pool));
}

static void no_database(void)
{
    chaos_report_t *report = chaos_report_create(pool);

    reset(5);
    sim.closed = 1;
    tap_is(scenario->run(&host, fake_args(scenario, "attempts", "5", pool),
                         report, pool), APR_EGENERAL,
           "no database is another failure");
    tap_is_str(fake_shown(report, pool), "scenario=Pool Exhaustion, "
               "error=SequelizeConnectionRefusedError: connect, poolSize=10, "
               "attempts=5, succeeded=0, timedOut=0, failed=5",
               "which the report names");
}

static void stopped(void)
{
    chaos_report_t *report = chaos_report_create(pool);

    reset(100);
    sim.stop_at = FAKE_BEGIN + apr_time_from_sec(7);
    tap_is(scenario->run(&host, fake_args(scenario, NULL, NULL, pool), report,
                         pool), APR_EINTR, "a stop ends it");
    tap_ok(elapsed() >= 7 && elapsed() < 8 && sim.cancels > 0
           && all_returned(), "at once, queries under way included: %.1f s",
           elapsed());
    tap_ok(strstr(fake_shown(report, pool), "succeeded=10, timedOut=0")
           != NULL, "what was cut short counts neither way: %s",
           fake_shown(report, pool));
}

static int all_used(void)
{
    int i, used = 1;

    for (i = 0; i < CONNECTIONS; i++) {
        used = used && sim.connections[i].was_used;
    }
    return used;
}

static void incident(void)
{
    chaos_args_t *args = fake_args(scenario, NULL, NULL, pool);

    reset(CONNECTIONS);
    host.deadline = FAKE_BEGIN + apr_time_from_sec(22);
    tap_is(scenario->work(&host, args, pool), APR_SUCCESS,
           "an incident lasts until its deadline");
    tap_ok(elapsed() >= 22 && elapsed() < 23 && sim.cancels > 0
           && all_returned(), "then all is back at once: %.1f s", elapsed());
    tap_ok(all_used() && sim.borrows == CONNECTIONS,
           "it takes every connection and keeps it");
    tap_is(sim.queries, 5LL * CONNECTIONS,
           "with one query after the other, the last cut short");

    reset(CONNECTIONS);
    host.deadline = FAKE_BEGIN + apr_time_from_sec(600);
    sim.stop_at = FAKE_BEGIN + apr_time_from_sec(3);
    tap_ok(scenario->work(&host, args, pool) == APR_SUCCESS
           && elapsed() < 4 && all_returned(), "a stop ends it, too");

    reset(CONNECTIONS);
    host.deadline = FAKE_BEGIN + apr_time_from_sec(22);
    sim.break_at = 15;
    tap_ok(scenario->work(&host, args, pool) == APR_SUCCESS
           && sim.borrows == CONNECTIONS + 1 && all_returned(),
           "a connection that breaks is given back, and one taken anew");

    reset(CONNECTIONS);
    host.deadline = FAKE_BEGIN + apr_time_from_sec(5);
    sim.closed = 1;
    tap_ok(scenario->work(&host, args, pool) == APR_SUCCESS
           && sim.borrows <= 6 * CONNECTIONS && elapsed() < 6,
           "a database that is down is asked once a second");
}

static void felt(void)
{
    chaos_args_t *args = fake_args(scenario, NULL, NULL, pool);
    chaos_figures_t before = { .requests = 100,
                               .p95 = apr_time_from_msec(80) };
    chaos_figures_t during = { .requests = 100,
                               .p95 = apr_time_from_msec(80) };

    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool),
               "no request waited for a connection", "nothing is not felt");
    during.waiting_peak = 3;
    tap_ok(fake_unfelt(scenario, &before, &during, args, pool) != NULL,
           "nor is a short wait: %s",
           fake_unfelt(scenario, &before, &during, args, pool));
    during.waiting_peak = 0;
    during.bitten = 3;
    tap_ok(fake_unfelt(scenario, &before, &during, args, pool) != NULL,
           "even if nobody happened to look at the line");
    during.p95 = apr_time_from_sec(20);
    tap_ok(fake_unfelt(scenario, &before, &during, args, pool) != NULL,
           "that requests take long has many reasons");
    during.felt = 1;
    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool), NULL,
               "who waits for long has felt it");
    during.felt = 0;
    during.bitten = 0;
    during.pool_timeouts = 1;
    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool), NULL,
               "and so is one request that waited in vain");
}

/* ---- the threads themselves ---- */

static int ran[500];

static void mark(void *baton, int index, apr_pool_t *p)
{
    int *marks = baton;

    memset(apr_palloc(p, 10000), 1, 10000);
    marks[index]++;
}

static void crowd(void)
{
    int i, each_once = 1;

    tap_is(chaos_spawn(500, mark, ran, pool), APR_SUCCESS,
           "five hundred threads can be had");
    for (i = 0; i < 500; i++) {
        each_once = each_once && ran[i] == 1;
    }
    tap_ok(each_once, "each ran once, and all have ended");
}

int main(int argc, const char *const *argv)
{
    apr_app_initialize(&argc, &argv, NULL);
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    scenario = chaos_find("pool-exhaustion");
    if (!tap_ok(scenario != NULL, "pool-exhaustion is a scenario")) {
        return tap_done();
    }
    once();
    enough_for_all();
    shortened();
    no_database();
    stopped();
    incident();
    felt();
    crowd();
    return tap_done();
}
