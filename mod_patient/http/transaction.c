/*
 * transaction.c - what every request leaves behind: a line and a count.
 */
#include "http/transaction.h"

#include "board.h"
#include "http/request.h"
#include "incident.h"
#include "log/context.h"
#include "log/errorlog.h"
#include "vitals.h"

void transaction_end(request_rec *r, const char *path)
{
    const patient_request_t *request = context_request(r);
    apr_interval_time_t duration = vitals_now() - request->begun;
    event_t event;

    /* A connection that ended before it sent a request is none. */
    if (r->the_request == NULL || *r->the_request == '\0') {
        return;
    }
    board_request(request->has_route ? request->route : BOARD_ROUTES_MAX - 1,
                  r->status, duration);
    if (request->mark != 0) {
        incident_request_end(request->mark, r->status, request->is_slow);
    }
    if (request->is_quiet) {
        return;
    }
    errorlog_open_for(&event, EVENT_INFO, "REQUEST", r);
    event_str(&event, "method", r->method);
    event_str(&event, "path", path ? path : request_path(r));
    event_int(&event, "status", r->status);
    event_real(&event, "durationMs", (double)duration / 1000);
    event_int(&event, "bytes", (apr_int64_t)r->bytes_sent);
    event_str(&event, "client", r->useragent_ip);
    event_str(&event, "userAgent", apr_table_get(r->headers_in,
                                                 "User-Agent"));
    errorlog_write_for(&event, r);
}
