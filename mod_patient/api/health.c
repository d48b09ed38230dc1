/*
 * health.c - is it alive, is it ready, how is it.
 */
#include "api/api.h"

#include "board.h"
#include "grant.h"
#include "http/json.h"
#include "http/reply.h"
#include "patient.h"
#include "store/db.h"
#include "vitals.h"

/* How long the database has to answer. */
#define DATABASE_PATIENCE apr_time_from_sec(2)

static json_t *megabytes(apr_uint64_t bytes)
{
    return json_sprintf("%.2fMB", (double)bytes / (1024 * 1024));
}

/* GET / */
static int show_service(call_t *call)
{
    return reply_json(call, HTTP_OK, json_pack(
        "{s:s, s:s, s:s, s:o, s:o}",
        "service", PATIENT_SERVICE,
        "status", "healthy",
        "version", PATIENT_VERSION,
        "timestamp", json_time(apr_time_now()),
        "environment", json_text(call->conf->environment, call->pool)));
}

/* GET /livez */
static int show_life(call_t *call)
{
    return reply_json(call, HTTP_OK, json_pack("{s:s}", "status", "ok"));
}

/* A database that is read-only answers; whether that is good enough is up to
 * the route. */
static json_t *describe(call_t *call, apr_status_t database, int is_ok,
                        apr_time_t start)
{
    apr_time_t now = vitals_now();
    const board_sums_t *sums = board_sum(call->pool);
    json_t *body;

    body = json_pack(
        "{s:s, s:o, s:f, s:{s:b, s:o}, s:{s:o, s:o}, s:o}",
        "status", is_ok ? "ok" : "error",
        "timestamp", json_time(apr_time_now()),
        "uptime", (double)apr_time_as_msec(now - sums->started) / 1000,
        "database",
        "connected", database == APR_SUCCESS || database == DB_READ_ONLY,
        "host", json_text(call->conf->database_host, call->pool),
        "memory",
        "used", megabytes(sums->rss),
        "total", megabytes(grant_memory()),
        "responseTime", json_milliseconds(now - start));
    if (database == DB_READ_ONLY) {
        json_object_set_new(json_object_get(body, "database"), "writable",
                            json_false());
    }
    if (!is_ok) {
        json_object_set_new(body, "error", json_string(
            database == DB_READ_ONLY ? "The database takes no writes"
                                     : "The database does not answer"));
    }
    return body;
}

/* GET /health */
static int show_health(call_t *call)
{
    apr_time_t start = vitals_now();
    apr_status_t rv = db_check(call->db, DATABASE_PATIENCE, call->pool);
    int is_ok = rv == APR_SUCCESS || rv == DB_READ_ONLY;

    return reply_json(call, is_ok ? HTTP_OK : (int)call->conf->health_status,
                      describe(call, rv, is_ok, start));
}

/* GET /readyz */
static int show_readiness(call_t *call)
{
    apr_time_t start = vitals_now();
    apr_status_t rv = db_check(call->db, DATABASE_PATIENCE, call->pool);

    return rv == APR_SUCCESS
        ? show_life(call)
        : reply_json(call, HTTP_SERVICE_UNAVAILABLE,
                     describe(call, rv, 0, start));
}

const route_t health_routes[] = {
    { M_GET, "/", ROUTE_ANYONE, show_service, 0 },
    { M_GET, "/livez", ROUTE_ANYONE, show_life,
      ROUTE_QUIET | ROUTE_VITAL },
    { M_GET, "/readyz", ROUTE_ANYONE, show_readiness, ROUTE_QUIET },
    { M_GET, "/health", ROUTE_ANYONE, show_health, ROUTE_QUIET },
    ROUTE_END
};
