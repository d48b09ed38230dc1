/*
 * transaction.c - what every request leaves behind: a line and a count; an
 * operator's, neither.
 */
#include "http/transaction.h"

#include <apr_strings.h>
#include <scoreboard.h>

#include "board.h"
#include "http/request.h"
#include "incident_impact.h"
#include "log/context.h"
#include "log/errorlog.h"
#include "vitals.h"

/* What is shown in its place, by mod_status and "%r" of an access log. */
#define ANY_REQUEST "GET /livez "

/* httpd copies it more than once. */
static char *any_request(const request_rec *r)
{
    int is_http2 = r->connection->master != NULL;

    return apr_pstrcat(r->pool, ANY_REQUEST, is_http2 ? "HTTP/2.0" : "HTTP/1.1",
                       NULL);
}

void transaction_begin(request_rec *r, int is_operators)
{
    patient_request_t *request = context_request(r);

    request->is_known = 1;
    request->is_operators = is_operators;
    if (is_operators) {
        r->the_request = any_request(r);
        ap_update_child_status(r->connection->sbh, SERVER_BUSY_WRITE, r);
    }
}

/* Its size and its duration would tell what was asked for. */
static void write_operators(request_rec *r, const char *path)
{
    event_t event;

    errorlog_open_for(&event, EVENT_DEBUG, "REQUEST", r);
    event_str(&event, "method", r->method);
    event_str(&event, "path", path ? path : request_path(r));
    event_int(&event, "status", r->status);
    event_str(&event, "client", r->useragent_ip);
    errorlog_write_for(&event, r);
}

void transaction_end(request_rec *r, const char *path)
{
    patient_request_t *request = context_request(r);
    apr_interval_time_t duration = vitals_now() - request->begun;
    event_t event;

    /* A connection that ended before it sent a request is none. */
    if (r->the_request == NULL || *r->the_request == '\0') {
        return;
    }
    if (request->is_operators) {
        write_operators(r, path);
        return;
    }
    incident_note_duration(duration);
    board_request(request->has_route ? request->route : BOARD_ROUTES_MAX - 1,
                  r->status, duration);
    incident_request_end(request, r->status);
    if (request->is_quiet) {
        return;
    }
    errorlog_open_for(&event, EVENT_INFO, "REQUEST", r);
    event_str(&event, "method", r->method);
    event_str(&event, "path", path ? path : request_path(r));
    event_int(&event, "status", r->status);
    event_real(&event, "durationMs", (double)duration / 1000);
    event_int(&event, "bytes",
              r->header_only ? 0 : (apr_int64_t)r->bytes_sent);
    event_str(&event, "client", r->useragent_ip);
    event_str(&event, "userAgent", apr_table_get(r->headers_in,
                                                 "User-Agent"));
    errorlog_write_for(&event, r);
}
