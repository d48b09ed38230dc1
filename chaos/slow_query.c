/*
 * slow_query.c - the author of each post is looked up by a query of its own,
 * in a table without an index.
 */
#include "chaos.h"

#include <apr_strings.h>

/* Everybody who reads the database's own slow log sees this name. */
#define TABLE "author_directory"

#define PATIENCE apr_time_from_sec(30)
/* Rows that one statement adds at most, so that a stop is heard in time. */
#define BATCH 20000
/* Bytes that each of them has for nothing. */
#define WIDTH "120"
/* Below this, nobody would call it slow. */
#define SLOW apr_time_from_msec(100)

static const char drop_table[] = "DROP TABLE IF EXISTS " TABLE;

/* No key at all: not even the server may find a row by anything. */
static const char create_table[] =
    "CREATE TABLE " TABLE " ("
    "user_id INT NOT NULL, email VARCHAR(255), name VARCHAR(255), "
    "filler CHAR(" WIDTH ") NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";

/* Rows of nobody: no user has the id 0. */
static const char first_row[] =
    "INSERT INTO " TABLE " VALUES (0, NULL, NULL, REPEAT('-', " WIDTH "))";

static const char copy_users[] =
    "INSERT INTO " TABLE " SELECT id, email, name, REPEAT('-', " WIDTH ") "
    "FROM users WHERE id < %" APR_INT64_T_FMT " "
    "ORDER BY id DESC LIMIT %" APR_INT64_T_FMT;

static const char add_filler[] =
    "INSERT INTO " TABLE " SELECT 0, NULL, NULL, filler FROM " TABLE " "
    "LIMIT %" APR_INT64_T_FMT;

static const char count_rows[] =
    "SELECT COUNT(*), MIN(NULLIF(user_id, 0)) FROM " TABLE;

typedef struct session_t {
    chaos_host_t *host;
    chaos_db_t *db;
    apr_array_header_t *authors;    /* of apr_int64_t: a user id each */
    apr_uint32_t found;             /* of them, in the table */
    apr_pool_t *pool;
} session_t;

static apr_status_t execute(session_t *session, const char *sql)
{
    return session->host->query(session->host, session->db, sql, NULL, NULL);
}

/* What is in the table. */
typedef struct extent_t {
    apr_int64_t rows;
    apr_int64_t lowest;         /* id of a user, the last one copied */
} extent_t;

static void take_extent(void *baton, int columns, const char *const *values)
{
    extent_t *extent = baton;

    if (columns > 0 && values[0] != NULL) {
        extent->rows = apr_atoi64(values[0]);
    }
    if (columns > 1 && values[1] != NULL) {
        extent->lowest = apr_atoi64(values[1]);
    }
}

static apr_int64_t batch(apr_int64_t rows)
{
    return rows < BATCH ? rows : BATCH;
}

/* Copies the users, in bounded steps, those who came last first: theirs are
 * the posts at the top of the list. */
static apr_status_t copy(session_t *session, extent_t *extent,
                         apr_int64_t want)
{
    chaos_host_t *host = session->host;
    apr_int64_t before;
    apr_status_t rv;

    do {
        before = extent->rows;
        rv = host->pause(host, 0);
        if (rv == APR_SUCCESS) {
            rv = execute(session, apr_psprintf(
                session->pool, copy_users, extent->lowest,
                batch(want - extent->rows)));
        }
        if (rv == APR_SUCCESS) {
            rv = host->query(host, session->db, count_rows, take_extent,
                             extent);
        }
    } while (rv == APR_SUCCESS && extent->rows > before
             && extent->rows < want);
    return rv;
}

/* Doubles the table, in bounded steps, until it has so many rows. */
static apr_status_t fill(session_t *session, extent_t *extent,
                         apr_int64_t want)
{
    chaos_host_t *host = session->host;
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && extent->rows < want) {
        apr_int64_t missing = want - extent->rows;
        apr_int64_t more = batch(extent->rows < missing ? extent->rows
                                                        : missing);

        rv = host->pause(host, 0);
        if (rv == APR_SUCCESS) {
            rv = execute(session, apr_psprintf(session->pool, add_filler,
                                               more));
        }
        extent->rows += more;
    }
    return rv;
}

static apr_status_t make_table(session_t *session, apr_int64_t rows)
{
    extent_t extent = { 1, APR_INT64_MAX };
    apr_status_t rv = execute(session, drop_table);

    if (rv == APR_SUCCESS) {
        rv = execute(session, create_table);
    }
    if (rv == APR_SUCCESS) {
        rv = execute(session, first_row);
    }
    if (rv == APR_SUCCESS) {
        rv = copy(session, &extent, rows);
    }
    return rv == APR_SUCCESS ? fill(session, &extent, rows) : rv;
}

static apr_status_t begin(session_t *session, chaos_host_t *host,
                          chaos_failure_t *failure, apr_pool_t *pool)
{
    session->host = host;
    session->pool = pool;
    session->found = 0;
    return host->borrow(host, &session->db, PATIENCE, failure, pool);
}

static void finish(session_t *session)
{
    session->host->give_back(session->host, session->db);
}

static apr_status_t prepare(chaos_host_t *host, const chaos_args_t *args,
                            apr_pool_t *pool)
{
    chaos_failure_t failure;
    session_t session;
    apr_status_t rv = begin(&session, host, &failure, pool);

    if (rv == APR_SUCCESS) {
        rv = make_table(&session, chaos_args_int(args, "rows"));
        finish(&session);
    }
    return rv;
}

static apr_status_t recover(chaos_host_t *host, apr_pool_t *pool)
{
    chaos_failure_t failure;
    session_t session;
    apr_status_t rv = begin(&session, host, &failure, pool);

    if (rv == APR_SUCCESS) {
        rv = execute(&session, drop_table);
        finish(&session);
    }
    return rv;
}

static void take_author(void *baton, int columns, const char *const *values)
{
    session_t *session = baton;

    if (columns > 0 && values[0] != NULL) {
        APR_ARRAY_PUSH(session->authors, apr_int64_t) =
            apr_atoi64(values[0]);
    }
}

static void take_name(void *baton, int columns, const char *const *values)
{
    session_t *session = baton;

    session->found += columns > 1 && values[0] != NULL;
}

/* The list and, one by one, its authors.  A database with fewer posts than
 * were asked for makes no difference: nobody is as hard to find. */
static apr_status_t look_up(session_t *session, int posts)
{
    chaos_host_t *host = session->host;
    apr_status_t rv;
    int i;

    session->authors = apr_array_make(session->pool, posts,
                                      sizeof(apr_int64_t));
    rv = host->query(host, session->db, apr_psprintf(
        session->pool, "SELECT user_id FROM posts "
        "ORDER BY created_at DESC, id DESC LIMIT %d", posts),
        take_author, session);
    for (i = 0; rv == APR_SUCCESS && i < posts; i++) {
        apr_int64_t author = i < session->authors->nelts
                             ? APR_ARRAY_IDX(session->authors, i, apr_int64_t)
                             : APR_INT32_MAX - i;

        rv = host->pause(host, 0);
        if (rv == APR_SUCCESS) {
            rv = host->query(host, session->db, apr_psprintf(
                session->pool, "SELECT email, name FROM " TABLE
                " WHERE user_id = %" APR_INT64_T_FMT, author),
                take_name, session);
        }
    }
    return rv;
}

/* Makes the table, lists the posts and takes the table away again, whatever
 * happened in between. */
static apr_status_t list(session_t *session, const chaos_args_t *args,
                         apr_interval_time_t *elapsed)
{
    chaos_host_t *host = session->host;
    int posts = (int)chaos_args_int(args, "posts");
    apr_status_t dropped;
    apr_status_t rv = make_table(session, chaos_args_int(args, "rows"));

    if (rv == APR_SUCCESS) {
        apr_time_t start = host->now(host);

        rv = look_up(session, posts);
        *elapsed = host->now(host) - start;
    }
    if (rv == APR_SUCCESS) {
        host->queried(host, posts + 1, *elapsed);
    }
    dropped = execute(session, drop_table);
    finish(session);
    if (dropped != APR_SUCCESS) {
        recover(host, session->pool);   /* on another connection, then */
    }
    return rv;
}

static apr_status_t run(chaos_host_t *host, const chaos_args_t *args,
                        chaos_report_t *report, apr_pool_t *pool)
{
    chaos_failure_t failure = { NULL, NULL };
    apr_interval_time_t elapsed = 0;
    session_t session;
    apr_status_t rv;

    chaos_report_word(report, "scenario", chaos_slow_query.title);
    rv = begin(&session, host, &failure, pool);
    if (rv == APR_SUCCESS) {
        rv = list(&session, args, &elapsed);
    }
    if (rv != APR_SUCCESS) {
        chaos_report_word(report, "error",
                          rv == APR_EINTR ? "stopped"
                          : failure.error != NULL ? failure.error
                          : "the database did not answer a query");
        return rv == APR_EINTR ? rv : APR_EGENERAL;
    }
    chaos_report_int(report, "totalQueries",
                     chaos_args_int(args, "posts") + 1);
    chaos_report_ms(report, "totalTime", elapsed);
    if (elapsed < SLOW) {
        chaos_report_word(report, "error", "that is not slow");
        return APR_EGENERAL;
    }
    return APR_SUCCESS;
}

static int felt(const chaos_figures_t *before, const chaos_figures_t *during,
                const chaos_args_t *args, const char **why, apr_pool_t *pool)
{
    (void)before;
    (void)args;
    (void)pool;
    if (during->felt > 0) {
        return 1;
    }
    *why = during->bitten == 0 ? "nobody asked for the list of posts"
                               : "no list of posts took long";
    return 0;
}

static const chaos_param_t params[] = {
    { .name = "posts", .kind = CHAOS_INT, .once_only = 1,
      .fallback = 100, .min = 1, .cap = 500,
      .help = "how many posts the list has, each with a query for its "
              "author; of a one-shot alone: in an incident users say it" },
    { .name = "rows", .kind = CHAOS_INT,
      .fallback = 120000, .min = 1000, .cap = 500000,
      .help = "how many rows each of these queries has to read" },
    { .name = NULL }
};

static const char *const symptoms[] = { "PERFORMANCE ERROR", NULL };

const chaos_scenario_t chaos_slow_query = {
    .name = "slow-query",
    .title = "Slow Query (N+1)",
    .summary = "Looks up the author of each post by itself, without an "
               "index.",
    .signal = "log: PERFORMANCE ERROR with Query execution time",
    .symptoms = symptoms,
    .params = params,
    .label = "slow-query",
    .severity = "medium",
    .diagnosis_en = "use a JOIN query",
    .diagnosis_ko = "JOIN 쿼리 사용 권장",
    .run = run,
    .fault = CHAOS_FAULT_LIST,
    .prepare = prepare,
    .recover = recover,
    .felt = felt
};
