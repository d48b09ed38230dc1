/*
 * context.c - whose request a line belongs to.
 */
#include "log/context.h"

#include <string.h>

#include <apr_general.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "log/event.h"
#include "vitals.h"

#define TRACE_DIGITS 32

static __thread request_rec *current;

void context_enter(request_rec *r)
{
    current = r;
}

void context_leave(void)
{
    current = NULL;
}

request_rec *context_current(void)
{
    return current;
}

/* ---- request id ---- */

/* A token that is safe in a header, a log line and a shell. */
static int is_plain(const char *id)
{
    apr_size_t n;

    for (n = 0; id[n]; n++) {
        if (n == CONTEXT_ID_MAX
            || !(apr_isalnum(id[n]) || strchr("-_.:=+@/", id[n]))) {
            return 0;
        }
    }
    return n > 0;
}

static const char *make_id(request_rec *r)
{
    const char *unique = apr_table_get(r->subprocess_env, "UNIQUE_ID");
    unsigned char random[12];
    char *id;

    if (unique != NULL) {       /* mod_unique_id */
        return unique;
    }
    if (r->log_id != NULL) {    /* what httpd calls it in its own lines */
        return r->log_id;
    }
    if (apr_generate_random_bytes(random, sizeof(random)) != APR_SUCCESS) {
        return "-";
    }
    id = apr_palloc(r->pool, 2 * sizeof(random) + 1);
    ap_bin2hex(random, sizeof(random), id);
    return id;
}

static const char *find_id(request_rec *r)
{
    const char *given = apr_table_get(r->headers_in, "X-Request-Id");

    return given && is_plain(given) ? given : make_id(r);
}

/* ---- trace id ---- */

/* Copies hex digits in lower case; 0 unless exactly so many are there. */
static int copy_hex(char *to, const char *from, apr_size_t digits)
{
    apr_size_t i;

    for (i = 0; i < digits; i++) {
        if (!apr_isxdigit(from[i])) {
            return 0;
        }
        to[i] = apr_tolower(from[i]);
    }
    return !apr_isxdigit(from[digits]);
}

/* "Self=...;Root=1-67891233-abcdef012345678912345678;..." of an ALB */
static int amazon_trace(char *to, const char *header)
{
    const char *root = header ? strstr(header, "Root=1-") : NULL;

    return root != NULL
        && copy_hex(to, root + 7, 8)
        && root[15] == '-'
        && copy_hex(to + 8, root + 16, 24);
}

/* "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" of W3C */
static int w3c_trace(char *to, const char *header)
{
    return header != NULL
        && apr_isxdigit(header[0]) && apr_isxdigit(header[1])
        && header[2] == '-'
        && copy_hex(to, header + 3, TRACE_DIGITS)
        && header[3 + TRACE_DIGITS] == '-'
        && strspn(to, "0") != TRACE_DIGITS;
}

static const char *find_trace(request_rec *r)
{
    char *id = apr_pcalloc(r->pool, TRACE_DIGITS + 1);

    if (amazon_trace(id, apr_table_get(r->headers_in, "X-Amzn-Trace-Id"))
        || w3c_trace(id, apr_table_get(r->headers_in, "traceparent"))) {
        return id;
    }
    return NULL;
}

/* ---- the record ---- */

/* What httpd lets a client take for its header, at most (mod_reqtimeout). */
#define HEADER_TIME_MAX apr_time_from_sec(60)

/* httpd notes the time of day, which may be set meanwhile: it counts for the
 * short while between a request's first line and its record alone. */
static apr_time_t find_begin(const request_rec *r)
{
    apr_interval_time_t age = apr_time_now() - r->request_time;

    return vitals_now()
        - (age < 0 || age > HEADER_TIME_MAX ? 0 : age);
}

const request_rec *context_first(const request_rec *r)
{
    while (r->prev != NULL || r->main != NULL) {
        r = r->prev ? r->prev : r->main;
    }
    return r;
}

patient_request_t *context_request(request_rec *r)
{
    patient_request_t *request;

    r = (request_rec *)context_first(r);
    request = ap_get_module_config(r->request_config, &patient_module);
    if (request == NULL) {
        request = apr_pcalloc(r->pool, sizeof(*request));
        request->id = find_id(r);
        request->trace_id = find_trace(r);
        request->begun = find_begin(r);
        ap_set_module_config(r->request_config, &patient_module, request);
    }
    return request;
}

const patient_request_t *context_peek(const request_rec *r)
{
    r = context_first(r);
    return r->request_config
        ? ap_get_module_config(r->request_config, &patient_module) : NULL;
}

/* An operator may call a request by what it is to do. */
static int is_telling(const patient_request_t *request, const request_rec *r)
{
    return request->is_operators
        && request->id == apr_table_get(r->headers_in, "X-Request-Id");
}

void context_describe(const request_rec *r, event_t *event)
{
    const patient_request_t *request;

    if (r == NULL) {
        return;
    }
    request = context_peek(r);
    if (request == NULL || !is_telling(request, r)) {
        event_str(event, "request_id", request ? request->id : r->log_id);
    }
    event_str(event, "trace_id", request ? request->trace_id : NULL);
}
