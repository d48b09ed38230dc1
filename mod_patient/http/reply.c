/*
 * reply.c - what goes back: JSON, always.
 */
#include "http/reply.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <http_protocol.h>
#include <util_filter.h>

#include "drain.h"
#include "http/json.h"
#include "http/persist.h"
#include "http/request.h"
#include "log/context.h"

#define JSON_TYPE "application/json; charset=utf-8"

/* Seconds after which a client may try again. */
#define RETRY_AFTER "2"

static ap_filter_rec_t *error_filter;

/* What a client must have sent before it can read the whole answer: headers
 * alone, too. */
static void take_rest(request_rec *r)
{
    if (r->connection->master != NULL) {
        request_discard(r);
    }
}

/* Before the stop, and in a child that a restart has replaced, an answer is
 * the last on its connection, and says so.  A connection of HTTP/2 is told by
 * the stop itself: it says there which request was the last, so none is
 * lost. */
static void take_leave(request_rec *r)
{
    if (drain_began() && persist_is_http1(r)) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
}

int reply_text(call_t *call, const char *type, const char *text,
               apr_size_t len)
{
    take_leave(call->r);
    if (!call->has_read_all) {
        take_rest(call->r);
    }
    ap_set_content_type(call->r, type);
    ap_set_content_length(call->r, (apr_off_t)len);
    ap_rwrite(text, (int)len, call->r);
    return OK;
}

int reply_json(call_t *call, int status, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15));

    json_decref(body);
    if (text == NULL) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    take_leave(call->r);
    if (call->has_read_all) {
        persist_status(call->r, status);
    }
    else {
        call->r->status = status;
    }
    reply_text(call, JSON_TYPE, text, strlen(text));
    free(text);
    return OK;
}

int reply_error(call_t *call, int status, const char *message)
{
    return reply_json(call, status, json_pack(
        "{s:o}", "error", json_text(message, call->pool)));
}

int reply_unavailable(call_t *call, const char *message)
{
    apr_table_setn(call->r->err_headers_out, "Retry-After", RETRY_AFTER);
    return reply_error(call, HTTP_SERVICE_UNAVAILABLE, message);
}

int reply_misfit(call_t *call, const char *what, apr_status_t why)
{
    return reply_error(call, HTTP_BAD_REQUEST, apr_pstrcat(
        call->pool, what, why == APR_EINVAL
        ? " has a character that the database's character set lacks"
        : " is longer than the database's column", NULL));
}

int reply_challenge(call_t *call, const char *flaw, json_t *body)
{
    apr_table_setn(call->r->err_headers_out, "WWW-Authenticate",
                   flaw ? apr_pstrcat(call->pool, "Bearer realm=\"patient\", "
                                      "error=\"", flaw, "\"", NULL)
                        : "Bearer realm=\"patient\"");
    return reply_json(call, HTTP_UNAUTHORIZED, body);
}

int reply_empty(call_t *call, int status)
{
    take_leave(call->r);
    if (!call->has_read_all) {
        take_rest(call->r);
    }
    call->r->status = status;
    return OK;
}

/* ---- headers of every answer ---- */

/* Whether an Origin is one of a list apart by commas. */
static int is_listed(const char *list, const char *origin)
{
    apr_size_t len = strlen(origin);

    while (*list) {
        apr_size_t item;

        list += strspn(list, ", \t");
        item = strcspn(list, ", \t");
        if (item == len && len > 0 && strncmp(list, origin, len) == 0) {
            return 1;
        }
        list += item;
    }
    return 0;
}

static void allow_origin(request_rec *r, const char *allowed)
{
    const char *origin = apr_table_get(r->headers_in, "Origin");

    if (strcmp(allowed, "*") == 0) {
        apr_table_setn(r->err_headers_out, "Access-Control-Allow-Origin",
                       "*");
        return;
    }
    apr_table_mergen(r->err_headers_out, "Vary", "Origin");
    if (origin != NULL && is_listed(allowed, origin)) {
        apr_table_setn(r->err_headers_out, "Access-Control-Allow-Origin",
                       origin);
    }
}

void reply_dress(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "X-Request-Id",
                   context_request(r)->id);
}

/* httpd would cut any answer of 200 to what these ask for. */
static void refuse_ranges(request_rec *r)
{
    apr_table_unset(r->headers_in, "Range");
    apr_table_unset(r->headers_in, "Request-Range");
    apr_table_unset(r->headers_in, "If-Range");
    apr_table_setn(r->err_headers_out, "Accept-Ranges", "none");
}

void reply_share(request_rec *r)
{
    static const char expose[] = "Access-Control-Expose-Headers";

    if (apr_table_get(r->err_headers_out, expose) != NULL) {
        return;                 /* an error while it was being answered */
    }
    apr_table_setn(r->err_headers_out, expose, "X-Request-Id");
    refuse_ranges(r);
    allow_origin(r, patient_conf(r->server)->cors_origin);
}

/* ---- errors that httpd makes ---- */

/* "Request Timeout" of "408 Request Timeout" */
static const char *status_text(int status)
{
    const char *line = ap_get_status_line(status);

    return strlen(line) > 4 ? line + 4 : line;
}

static const char *error_body(request_rec *r)
{
    json_t *body = json_pack("{s:o}", "error",
                             json_text(status_text(r->status), r->pool));
    const char *copy;
    char *text;

    if (r->status == HTTP_NOT_FOUND) {
        json_object_set_new(body, "path",
                            json_text(request_path(r), r->pool));
        json_object_set_new(body, "method", json_text(r->method, r->pool));
    }
    text = json_dumps(body, JSON_COMPACT);
    copy = text ? apr_pstrdup(r->pool, text) : "{}";
    free(text);
    json_decref(body);
    return copy;
}

/* Drops the page that httpd wrote, and puts our object in its place. */
static apr_status_t replace_page(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    request_rec *r = f->r;
    apr_bucket *bucket = APR_BRIGADE_FIRST(brigade);
    const char *body;

    while (bucket != APR_BRIGADE_SENTINEL(brigade)
           && !APR_BUCKET_IS_EOS(bucket)) {
        apr_bucket *next = APR_BUCKET_NEXT(bucket);

        if (!APR_BUCKET_IS_METADATA(bucket)) {
            apr_bucket_delete(bucket);
        }
        bucket = next;
    }
    if (bucket == APR_BRIGADE_SENTINEL(brigade)) {
        return ap_pass_brigade(f->next, brigade);
    }
    body = error_body(r);
    ap_set_content_type(r, JSON_TYPE);
    apr_table_unset(r->err_headers_out, "Content-Language");
    apr_table_unset(r->headers_out, "Content-Language");
    ap_set_content_length(r, (apr_off_t)strlen(body));
    APR_BUCKET_INSERT_BEFORE(bucket, apr_bucket_pool_create(
        body, strlen(body), r->pool, f->c->bucket_alloc));
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, brigade);
}

void reply_register(void)
{
    error_filter = ap_register_output_filter("PATIENT_ERROR", replace_page,
                                             NULL, AP_FTYPE_RESOURCE);
}

void reply_cover_error(request_rec *r)
{
    reply_dress(r);
    reply_share(r);
    if (r->status != HTTP_REQUEST_TIME_OUT) {
        take_rest(r);
    }
    ap_add_output_filter_handle(error_filter, NULL, r, r->connection);
}
