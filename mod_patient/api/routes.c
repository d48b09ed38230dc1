/*
 * routes.c - the resources, and how a request gets to one.
 */
#include "api/api.h"

#include <string.h>

#include <ap_mpm.h>
#include <apr_strings.h>

#include "board.h"
#include "chaos/chaos.h"
#include "http/json.h"
#include "http/reply.h"
#include "http/request.h"
#include "log/context.h"
#include "log/errorlog.h"
#include "log/symptom.h"
#include "store/db.h"

/* Workers of a child that are kept for routes that must answer: so many, but
 * no more than a quarter. */
#define RESERVED_WORKERS 8

/* Seconds for which a browser may keep the answer to a preflight. */
#define PREFLIGHT_AGE "600"

/* What the paths of the operator's part of the API have in them. */
#define OPERATOR_WORD "chaos"

route_tables_t api_tables = {
    health_routes,
    metrics_routes,
    auth_routes,
    posts_routes,
    chaos_routes,
    NULL
};

static int names_operation(const char *path)
{
    const chaos_scenario_t *const *scenario;

    if (ap_strcasestr(path, OPERATOR_WORD) != NULL) {
        return 1;
    }
    for (scenario = chaos_all(); *scenario != NULL; scenario++) {
        if (ap_strcasestr(path, (*scenario)->name) != NULL) {
            return 1;
        }
    }
    return 0;
}

/* As it is, or unescaped, as far as it can be. */
static int is_telling(char *path)
{
    if (names_operation(path)) {
        return 1;
    }
    if (strchr(path, '%') == NULL) {
        return 0;
    }
    ap_unescape_url(path);
    return names_operation(path);
}

static int is_users_route(const route_t *route, request_rec *r)
{
    (void)r;
    return route->access != ROUTE_OPERATOR;
}

/* Goes by what was sent, for httpd may have refused it before it came to
 * anything else: the path, or, where even that is missing, the line. */
int api_is_operation(request_rec *r)
{
    const char *sent = r->unparsed_uri ? r->unparsed_uri : r->the_request;
    route_match_t match = { .allowed = 0 };
    char *path;

    if (sent == NULL) {
        return 0;
    }
    path = apr_pstrmemdup(r->pool, sent, strcspn(sent, "?"));
    if (!is_telling(path)) {
        return 0;
    }
    if (r->uri != NULL) {
        route_match(&match, api_tables, r, is_users_route);
    }
    return match.allowed == 0;
}

int api_is_operators(request_rec *r)
{
    return patient_conf(r->server)->chaos_mode
        && patient_place(r)->chaos != 0 && api_is_operation(r);
}

static int answer_unknown(call_t *call)
{
    return reply_json(call, HTTP_NOT_FOUND, json_pack(
        "{s:s, s:o, s:o}", "error", "Not Found",
        "path", json_text(request_path(call->r), call->pool),
        "method", json_text(call->r->method, call->pool)));
}

static int answer_preflight(call_t *call, const char *allow)
{
    apr_table_t *headers = call->r->err_headers_out;

    apr_table_setn(headers, "Allow", allow);
    apr_table_setn(headers, "Access-Control-Allow-Methods", allow);
    apr_table_setn(headers, "Access-Control-Allow-Headers",
                   "Authorization, Content-Type, X-Request-Id");
    apr_table_setn(headers, "Access-Control-Max-Age", PREFLIGHT_AGE);
    return reply_empty(call, HTTP_NO_CONTENT);
}

static int answer_wrong_method(call_t *call, const char *allow)
{
    apr_table_setn(call->r->err_headers_out, "Allow", allow);
    return reply_error(call, HTTP_METHOD_NOT_ALLOWED, apr_pstrcat(
        call->pool, "Method not allowed; allowed are ", allow, NULL));
}

/* Users don't get the last workers: those answer what tells that the patient
 * lives, and what makes it well again. */
static int is_too_busy(const route_t *route)
{
    int threads, reserve;

    if (route->flags & ROUTE_VITAL
        || ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS) {
        return 0;
    }
    reserve = threads / 4 < RESERVED_WORKERS ? threads / 4 : RESERVED_WORKERS;
    return board_inflight_here() > threads - reserve;
}

static int answer_busy(call_t *call)
{
    event_t event;

    errorlog_open(&event, EVENT_WARNING, "LOAD WARNING");
    event_str(&event, "message", "all workers but the reserve are busy");
    errorlog_write(&event);
    return reply_unavailable(call, "Server is busy");
}

/* Runs the handler, and looks what it asked of the database. */
static int run_handler(call_t *call)
{
    apr_interval_time_t elapsed;
    event_t event;
    int queries, answer;

    db_take_statistics(&queries, &elapsed);
    answer = call->route->handler(call);
    db_take_statistics(&queries, &elapsed);
    if (symptom_is_slow(queries, elapsed)) {
        errorlog_open(&event, EVENT_ERROR, SYMPTOM_SLOW);
        symptom_slow(&event, queries, elapsed);
        errorlog_write(&event);
        context_request(call->r)->is_slow = 1;
    }
    return answer;
}

int api_answer(request_rec *r, struct db_t *db)
{
    patient_request_t *request = context_request(r);
    call_t call = {
        .r = r, .pool = r->pool, .conf = patient_conf(r->server), .db = db,
        .has_read_all = !request_has_body(r)
    };
    route_match_t match;
    const char *allow;
    int answer;

    route_match(&match, api_tables, r, guard_is_open);
    if (match.allowed == 0) {
        return r->method_number == M_OPTIONS
            ? answer_preflight(&call, route_allow(~0u, r->pool))
            : answer_unknown(&call);
    }
    if (match.route == NULL) {
        allow = route_allow(match.allowed, r->pool);
        return r->method_number == M_OPTIONS
            ? answer_preflight(&call, allow)
            : answer_wrong_method(&call, allow);
    }
    request->has_route = 1;
    request->route = match.index;
    request->is_quiet = match.route->flags & ROUTE_QUIET;
    call.route = match.route;
    call.segment = match.segment;
    if (is_too_busy(match.route)) {
        return answer_busy(&call);
    }
    if (guard_admit(&answer, &call) != APR_SUCCESS
        || (match.route->method != M_GET
            && request_check_encoding(&answer, &call) != APR_SUCCESS)) {
        return answer;
    }
    return run_handler(&call);
}
