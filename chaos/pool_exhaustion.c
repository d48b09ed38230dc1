/*
 * pool_exhaustion.c - the pool's connections are all lent, to queries that
 * take their time; whoever comes then waits, up to the pool's deadline.
 */
#include "chaos.h"

#include <apr_atomic.h>
#include <apr_strings.h>

/* How soon those who hold a connection are told to stop. */
#define LOOK_EVERY apr_time_from_msec(100)
/* How often they are told again, in looks whether they are done: one may just
 * have begun its next query. */
#define TELL_EVERY 20
#define LOOK_WHETHER_DONE apr_time_from_msec(10)
/* How long to leave a database alone that can't be had. */
#define RETRY_AFTER apr_time_from_sec(1)
/* Longer than any incident. */
#define AS_LONG_AS_IT_TAKES apr_time_from_sec(24 * 3600)

/* What all threads of one run share. */
typedef struct crowd_t {
    chaos_host_t *host;
    int size;
    void (*body)(void *crowd, int index, apr_pool_t *pool);
    const char *sleep;          /* the query that takes its time */
    apr_time_t until;           /* all give up at once: they are to be
                                 * concurrent, however slowly threads begin */
    apr_status_t made;          /* whether all of them could be */
    volatile apr_uint32_t over; /* all of them are done */
    volatile apr_uint32_t stop; /* they are to be */
    volatile apr_uint32_t succeeded, timed_out, failed;
    volatile apr_uint32_t told; /* error is taken; read after the run */
    char error[256];
} crowd_t;

static int is_stopping(crowd_t *crowd)
{
    return apr_atomic_read32(&crowd->stop) != 0;
}

static void wait_for_others(crowd_t *crowd)
{
    int looks;

    for (looks = 0; looks < TELL_EVERY && !apr_atomic_read32(&crowd->over);
         looks++) {
        apr_sleep(LOOK_WHETHER_DONE);
    }
}

/* Looks after the others: a query that sleeps hears nothing by itself. */
static void watch(crowd_t *crowd)
{
    chaos_host_t *host = crowd->host;

    while (!apr_atomic_read32(&crowd->over)) {
        if (!is_stopping(crowd)
            && host->pause(host, LOOK_EVERY) == APR_SUCCESS) {
            continue;
        }
        apr_atomic_set32(&crowd->stop, 1);
        host->cancel(host);
        wait_for_others(crowd);
    }
}

static void part(void *baton, int index, apr_pool_t *pool)
{
    crowd_t *crowd = baton;

    if (index == 0) {
        crowd->made = chaos_spawn(crowd->size, crowd->body, crowd, pool);
        apr_atomic_set32(&crowd->over, 1);
    }
    else {
        watch(crowd);
    }
}

static void count(crowd_t *crowd, apr_status_t rv,
                  const chaos_failure_t *failure)
{
    if (rv == APR_SUCCESS) {
        apr_atomic_inc32(&crowd->succeeded);
        return;
    }
    if (rv == APR_EINTR) {
        return;
    }
    apr_atomic_inc32(rv == APR_TIMEUP ? &crowd->timed_out : &crowd->failed);
    if (failure->error != NULL
        && apr_atomic_cas32(&crowd->told, 1, 0) == 0) {
        apr_cpystrn(crowd->error, failure->error, sizeof(crowd->error));
    }
}

/* What SLEEP() answers says nothing. */
static void ignore(void *baton, int columns, const char *const *values)
{
    (void)baton;
    (void)columns;
    (void)values;
}

/* One of the concurrent requests. */
static void attempt(void *baton, int index, apr_pool_t *pool)
{
    crowd_t *crowd = baton;
    chaos_host_t *host = crowd->host;
    apr_interval_time_t patience = crowd->until - host->now(host);
    chaos_failure_t failure = { NULL, NULL };
    chaos_db_t *db;
    apr_status_t rv;

    (void)index;
    rv = host->borrow(host, &db, patience > 0 ? patience : 0, &failure,
                      pool);
    if (rv == APR_SUCCESS) {
        rv = is_stopping(crowd) ? APR_EINTR
                                : host->query(host, db, crowd->sleep, ignore,
                                              NULL);
        host->give_back(host, db);
    }
    count(crowd, rv, &failure);
}

/* Keeps one connection until the end, however often it has to begin anew. */
static void hold(void *baton, int index, apr_pool_t *pool)
{
    crowd_t *crowd = baton;
    chaos_host_t *host = crowd->host;
    chaos_failure_t failure;
    chaos_db_t *db;

    (void)index;
    while (!is_stopping(crowd)) {
        apr_status_t rv;

        apr_pool_clear(pool);
        rv = host->borrow(host, &db, AS_LONG_AS_IT_TAKES, &failure, pool);
        if (rv == APR_SUCCESS) {
            while (rv == APR_SUCCESS && !is_stopping(crowd)) {
                rv = host->query(host, db, crowd->sleep, ignore, NULL);
            }
            host->give_back(host, db);
        }
        if (rv != APR_SUCCESS
            && host->pause(host, RETRY_AFTER) != APR_SUCCESS) {
            return;
        }
    }
}

static apr_status_t gather(crowd_t *crowd, const chaos_args_t *args,
                           apr_pool_t *pool)
{
    apr_status_t rv;

    crowd->sleep = apr_psprintf(pool, "SELECT SLEEP(%d)",
                                (int)chaos_args_int(args, "hold_s"));
    crowd->until = crowd->host->now(crowd->host)
        + apr_time_from_msec(chaos_args_int(args, "acquire_ms"));
    rv = chaos_spawn(2, part, crowd, pool);
    return rv != APR_SUCCESS ? rv : crowd->made;
}

static void describe(chaos_report_t *report, const crowd_t *crowd,
                     apr_status_t rv, apr_pool_t *pool)
{
    char text[120];

    chaos_report_word(report, "scenario", chaos_pool_exhaustion.title);
    if (crowd->told) {
        chaos_report_word(report, "error", crowd->error);
    }
    else if (rv != APR_SUCCESS) {
        chaos_report_word(report, "error",
                          apr_pstrcat(pool, "too few threads: ",
                                      apr_strerror(rv, text, sizeof(text)),
                                      NULL));
    }
    else if (crowd->stop) {
        chaos_report_word(report, "error", "stopped");
    }
    else {
        chaos_report_word(report, "error",
                          "every request got a connection in time");
    }
    chaos_report_int(report, "poolSize", crowd->host->pool_max);
    chaos_report_int(report, "attempts", crowd->size);
    chaos_report_int(report, "succeeded", crowd->succeeded);
    chaos_report_int(report, "timedOut", crowd->timed_out);
    if (crowd->failed > 0) {
        chaos_report_int(report, "failed", crowd->failed);
    }
}

static apr_status_t run(chaos_host_t *host, const chaos_args_t *args,
                        chaos_report_t *report, apr_pool_t *pool)
{
    crowd_t crowd = {
        .host = host, .body = attempt,
        .size = (int)chaos_args_int(args, "attempts")
    };
    apr_status_t rv = gather(&crowd, args, pool);

    describe(report, &crowd, rv, pool);
    if (crowd.stop) {
        return APR_EINTR;
    }
    return crowd.timed_out > 0 ? APR_SUCCESS : APR_EGENERAL;
}

static apr_status_t work(chaos_host_t *host, const chaos_args_t *args,
                         apr_pool_t *pool)
{
    int attempts = (int)chaos_args_int(args, "attempts");
    crowd_t crowd = {
        .host = host, .body = hold,
        .size = attempts < host->pool_max ? attempts : host->pool_max
    };

    return gather(&crowd, args, pool);
}

static int felt(const chaos_figures_t *before, const chaos_figures_t *during,
                const chaos_args_t *args, const char **why, apr_pool_t *pool)
{
    (void)before;
    (void)args;
    (void)pool;
    if (during->felt > 0 || during->pool_timeouts > 0) {
        return 1;
    }
    *why = during->bitten == 0 && during->waiting_peak == 0
           ? "no request waited for a connection"
           : "requests waited for a connection, but none for long";
    return 0;
}

static const chaos_param_t params[] = {
    { .name = "attempts", .kind = CHAOS_INT,
      .fallback = 100, .min = 1, .cap = 500,
      .help = "how many requests want a connection at once; in an incident, "
              "how many keep one, in each process, of those that there are" },
    { .name = "hold_s", .kind = CHAOS_INT, .fallback = 5, .min = 1, .cap = 60,
      .help = "how long each query takes, in seconds" },
    { .name = "acquire_ms", .kind = CHAOS_INT, .once_only = 1,
      .fallback = 30000, .min = 100, .cap = 60000,
      .help = "how long each of them waits for a connection, in "
              "milliseconds; of a one-shot alone" },
    { .name = NULL }
};

static const char *const symptoms[] = { "POOL WARNING", "POOL ERROR", NULL };

const chaos_scenario_t chaos_pool_exhaustion = {
    .name = "pool-exhaustion",
    .title = "Pool Exhaustion",
    .summary = "Lends all connections of the pool to slow queries.",
    .signal = "log: POOL WARNING with waiting for a connection, then POOL "
              "ERROR with ResourceRequest timed out",
    .symptoms = symptoms,
    .params = params,
    .label = "pool-exhaustion",
    .severity = "critical",
    .diagnosis_en = "raise the number of ECS tasks",
    .diagnosis_ko = "ECS Task 수 증가 권장",
    .run = run,
    .fault = CHAOS_FAULT_POOL,
    .where = CHAOS_EVERY_CHILD,
    .work = work,
    .felt = felt
};
