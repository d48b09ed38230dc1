/*
 * chaos_slow_query.c - slow-query before a database that knows a handful of
 * statements and keeps account of every row.
 */
#include "chaos_fake.h"

#include <apr_general.h>

#define LOOKUP_TAKES apr_time_from_msec(15)

static apr_pool_t *pool;
static const chaos_scenario_t *scenario;

struct chaos_db_t {
    int lent;
};

static struct {
    struct chaos_db_t connection;
    int borrows, lent;
    apr_status_t borrow_status;
    int users, posts;           /* rows of the patient's own */
    int exists, rows, copied;   /* of the scenario's table */
    int creates, drops, lookups, hits;
    apr_int64_t largest;        /* rows added by one statement */
    int queries, break_at;      /* the statement that fails */
    int broken;                 /* and all that follow on the connection */
    int told_queries;
    apr_interval_time_t told;
    int strange;                /* statements that it doesn't know */
} db;

static apr_status_t borrow(chaos_host_t *host, chaos_db_t **lent,
                           apr_interval_time_t patience,
                           chaos_failure_t *failure, apr_pool_t *p)
{
    (void)host;
    (void)p;
    (void)patience;
    if (db.borrow_status != APR_SUCCESS) {
        failure->error = "SequelizeConnectionRefusedError: connect";
        failure->code = "ECONNREFUSED";
        return db.borrow_status;
    }
    db.borrows++;
    db.lent++;
    db.broken = 0;
    *lent = &db.connection;
    return APR_SUCCESS;
}

static void give_back(chaos_host_t *host, chaos_db_t *lent)
{
    (void)host;
    db.lent -= lent == &db.connection;
}

static int begins(const char *sql, const char *prefix)
{
    return strncmp(sql, prefix, strlen(prefix)) == 0;
}

/* The number behind the last such word. */
static apr_int64_t number_after(const char *sql, const char *word)
{
    const char *found = NULL;
    const char *next = sql;

    while ((next = strstr(next, word)) != NULL) {
        next += strlen(word);
        found = next;
    }
    return found != NULL ? apr_atoi64(found) : -1;
}

static void add(apr_int64_t more)
{
    db.rows += (int)more;
    db.largest = more > db.largest ? more : db.largest;
}

/* Users have the ids 1 to db.users. */
static void copy_users(const char *sql)
{
    apr_int64_t limit = number_after(sql, "LIMIT ");
    apr_int64_t below = number_after(sql, "id < ") - 1;
    apr_int64_t left = db.users - db.copied;

    if (below > db.users) {
        below = db.users;
    }
    db.strange += below != left;    /* it forgot some, or takes some twice */
    left = left < limit ? left : limit;
    db.copied += (int)left;
    add(left);
}

static void answer(chaos_row_fn *row, void *baton, apr_int64_t first,
                   apr_int64_t second)
{
    char texts[2][24];
    const char *values[2] = { texts[0], second < 0 ? NULL : texts[1] };

    apr_snprintf(texts[0], 24, "%" APR_INT64_T_FMT, first);
    apr_snprintf(texts[1], 24, "%" APR_INT64_T_FMT, second);
    row(baton, 2, values);
}

static void list_posts(const char *sql, chaos_row_fn *row, void *baton)
{
    apr_int64_t limit = number_after(sql, "LIMIT ");
    int i;

    for (i = 0; i < db.posts && i < limit; i++) {
        answer(row, baton, 1 + i % db.users, -1);
    }
}

static void look_up(const char *sql, chaos_row_fn *row, void *baton)
{
    apr_int64_t id = number_after(sql, "user_id = ");

    db.lookups++;
    fake.clock += LOOKUP_TAKES;
    if (id > db.users - db.copied && id <= db.users) {
        db.hits++;
        answer(row, baton, id, id);
    }
}

#define TABLE "author_directory"

static void execute(const char *sql)
{
    if (strcmp(sql, "DROP TABLE IF EXISTS " TABLE) == 0) {
        db.drops++;
        db.exists = db.rows = db.copied = 0;
    }
    else if (begins(sql, "CREATE TABLE " TABLE " (")
             && strstr(sql, "KEY") == NULL && strstr(sql, "UNIQUE") == NULL
             && !db.exists) {
        db.creates++;
        db.exists = 1;
    }
    else if (begins(sql, "INSERT INTO " TABLE " VALUES") && db.exists) {
        add(1);
    }
    else if (begins(sql, "INSERT INTO " TABLE " SELECT id") && db.exists) {
        copy_users(sql);
    }
    else if (begins(sql, "INSERT INTO " TABLE " SELECT 0") && db.exists
             && number_after(sql, "LIMIT ") <= db.rows) {
        add(number_after(sql, "LIMIT "));
    }
    else {
        db.strange++;
        printf("# strange: %s\n", sql);
    }
}

static apr_status_t query(chaos_host_t *host, chaos_db_t *lent,
                          const char *sql, chaos_row_fn *row, void *baton)
{
    (void)host;
    db.queries++;
    db.broken = db.broken || db.queries == db.break_at;
    if (db.broken || lent != &db.connection) {
        return APR_EGENERAL;
    }
    if (begins(sql, "SELECT COUNT(*), MIN") && db.exists) {
        answer(row, baton, db.rows,
               db.copied ? db.users - db.copied + 1 : -1);
    }
    else if (begins(sql, "SELECT user_id FROM posts ORDER BY")) {
        list_posts(sql, row, baton);
    }
    else if (begins(sql, "SELECT email, name FROM " TABLE " WHERE")
             && db.exists) {
        look_up(sql, row, baton);
    }
    else {
        db.strange += row != NULL;
        execute(sql);
    }
    return APR_SUCCESS;
}

static void queried(chaos_host_t *host, int queries,
                    apr_interval_time_t elapsed)
{
    (void)host;
    db.told_queries = queries;
    db.told = elapsed;
}

static chaos_host_t host = {
    .now = fake_now, .pause = fake_pause, .borrow = borrow,
    .give_back = give_back, .query = query, .queried = queried
};

static void reset(int users, int posts)
{
    fake_reset();
    memset(&db, 0, sizeof(db));
    db.users = users;
    db.posts = posts;
}

/* Nothing lent, no table, nothing that it should not have asked. */
static int is_clean(void)
{
    return db.lent == 0 && !db.exists && db.rows == 0 && db.strange == 0;
}

static apr_status_t run(chaos_report_t **report, const char *name,
                        const char *value)
{
    *report = chaos_report_create(pool);
    return scenario->run(&host, fake_args(scenario, name, value, pool),
                         *report, pool);
}

static void once(void)
{
    chaos_report_t *report;

    reset(50, 1000);
    tap_is(run(&report, NULL, NULL), APR_SUCCESS, "it happens");
    tap_is_str(fake_shown(report, pool), "scenario=Slow Query (N+1), "
               "totalQueries=101, totalTime=1500ms",
               "the report has its keys in order, and only the look-ups' "
               "time");
    tap_is(db.lookups, 100, "a hundred authors are looked up");
    tap_is(db.hits, 100, "and found");
    tap_ok(db.told_queries == 101 && db.told == apr_time_from_msec(1500),
           "the patient is told what a slow request it was");
    tap_ok(is_clean() && db.borrows == 1, "nothing is left behind");
}

static void few_posts(void)
{
    chaos_report_t *report;

    reset(3, 2);
    tap_ok(run(&report, NULL, NULL) == APR_SUCCESS && db.lookups == 100
           && db.hits == 2 && is_clean(),
           "where there are few posts, nobody is looked up just as slowly");
    reset(0, 0);
    tap_ok(run(&report, "posts", "10") == APR_SUCCESS && db.lookups == 10
           && is_clean(), "even where there are none");
    tap_ok(strstr(fake_shown(report, pool), "totalQueries=11") != NULL,
           "the list has as many posts as asked");
    reset(3, 2);
    tap_ok(run(&report, "posts", "1") == APR_EGENERAL && is_clean()
           && chaos_report_get(report, "error") != NULL,
           "a list of one is not slow, and the report says so");
}

static void sizes(void)
{
    static const struct { const char *rows; int users; } cases[] = {
        { "1000", 0 }, { "1000", 999 }, { "1000", 5000 }, { "500000", 7 },
        { "500000", 90000 }, { "65537", 65536 }, { "20001", 20000 }
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        chaos_args_t *args = fake_args(scenario, "rows", cases[i].rows, pool);
        int rows = (int)chaos_args_int(args, "rows");

        reset(cases[i].users, 10);
        tap_ok(scenario->prepare(&host, args, pool) == APR_SUCCESS
               && db.rows == rows
               && db.copied == (cases[i].users < rows ? cases[i].users
                                                      : rows - 1)
               && db.largest <= 20000 && db.lent == 0 && db.strange == 0,
               "%s rows with %d users, in small steps", cases[i].rows,
               cases[i].users);
    }
}

static void incident(void)
{
    chaos_args_t *args = fake_args(scenario, NULL, NULL, pool);

    reset(50, 1000);
    tap_ok(scenario->prepare(&host, args, pool) == APR_SUCCESS && db.exists
           && db.lookups == 0 && db.told_queries == 0,
           "an incident makes the table and leaves the asking to users");
    tap_ok(scenario->prepare(&host, args, pool) == APR_SUCCESS
           && db.rows == (int)chaos_args_int(args, "rows")
           && db.strange == 0, "also where one was left");
    tap_ok(scenario->recover(&host, pool) == APR_SUCCESS && is_clean(),
           "recovery takes it away");
    tap_ok(scenario->recover(&host, pool) == APR_SUCCESS && is_clean(),
           "and a second one finds nothing to do");
    db.borrow_status = APR_EGENERAL;
    tap_ok(scenario->recover(&host, pool) != APR_SUCCESS && db.lent == 0,
           "without a database it is to be tried again");
}

static void stops(void)
{
    chaos_args_t *args = fake_args(scenario, NULL, NULL, pool);
    chaos_report_t *report;

    reset(50, 1000);
    fake.stop_at = FAKE_BEGIN;
    tap_ok(scenario->prepare(&host, args, pool) == APR_EINTR && db.lent == 0
           && db.rows < 20001, "a stop is heard while the table is filled");
    reset(50, 1000);
    fake.stop_at = FAKE_BEGIN + apr_time_from_msec(700);
    tap_ok(run(&report, NULL, NULL) == APR_EINTR && db.lookups < 50
           && is_clean(), "and among the look-ups: the table is gone");
}

static void breaks(void)
{
    chaos_report_t *report;
    int i, ended = 1, clean = 1, told = 1;

    for (i = 1; i <= 60; i++) {
        reset(50, 1000);
        db.break_at = i;
        ended = ended && run(&report, NULL, NULL) == APR_EGENERAL;
        clean = clean && is_clean();
        told = told && chaos_report_get(report, "error") != NULL;
    }
    tap_ok(ended && told, "a connection that breaks anywhere is no success");
    tap_ok(clean, "and the table is taken away on another");
    reset(50, 1000);
    db.borrow_status = APR_EGENERAL;
    tap_is(run(&report, NULL, NULL), APR_EGENERAL, "no database, no slowness");
    tap_is_str(fake_shown(report, pool), "scenario=Slow Query (N+1), "
               "error=SequelizeConnectionRefusedError: connect",
               "the report says what the log says");
}

static void felt(void)
{
    chaos_args_t *args = fake_args(scenario, NULL, NULL, pool);
    chaos_figures_t before = { .requests = 1 };
    chaos_figures_t during = { .requests = 9, .bitten = 1, .felt = 1 };

    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool), NULL,
               "a list that took long was felt");
    during.felt = 0;
    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool),
               "no list of posts took long", "a quick one was not");
    during.bitten = 0;
    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool),
               "nobody asked for the list of posts", "nor none at all");
}

int main(int argc, const char *const *argv)
{
    apr_app_initialize(&argc, &argv, NULL);
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    scenario = chaos_find("slow-query");
    if (!tap_ok(scenario != NULL, "slow-query is a scenario")) {
        return tap_done();
    }
    once();
    few_posts();
    sizes();
    incident();
    stops();
    breaks();
    felt();
    return tap_done();
}
