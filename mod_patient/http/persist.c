/*
 * persist.c - a connection that outlives the answer to a bad request.
 *
 * Whether a connection of HTTP/1 goes on is decided by r->status alone: where
 * httpd discards the rest of the body, and where it writes the header
 * (ap_set_keepalive, in the HTTP_HEADER filter).  So that filter runs under a
 * status of the same class that keeps connections, between two filters of
 * ours: the one before it lends that status and takes it back, the one behind
 * it puts the true one into the status line.  Who comes before HTTP_HEADER,
 * and who counts afterwards, sees the true one.
 *
 * HTTP/2 has no such filter: its streams end one by one, whatever their
 * status, and nothing is done.
 */
#include "http/persist.h"

#include <string.h>

#include <apr_lib.h>
#include <http_protocol.h>
#include <util_filter.h>

/* Statuses that no answer of ours needs, and httpd has no opinion on. */
#define STAND_IN_4XX HTTP_UNPROCESSABLE_ENTITY
#define STAND_IN_5XX HTTP_INSUFFICIENT_STORAGE

/* "HTTP/1.1 " */
#define VERSION_LEN 9
#define STATUS_LINE_MAX 80

static ap_filter_rec_t *lend_filter, *mend_filter;

typedef struct persist_t {
    int status;                 /* the true one */
    int stand_in;
    int is_written;             /* the status line has passed */
    ap_conn_keepalive_e keepalive;  /* until then: nobody objected; after it:
                                     * what the header says */
} persist_t;

static void restore_status(request_rec *r, const persist_t *persist)
{
    r->status = persist->status;
    r->status_line = ap_get_status_line(persist->status);
}

/* Whether a brigade begins with the status line that was asked for. */
static int is_stand_in(apr_bucket_brigade *brigade, int stand_in)
{
    const char *line = ap_get_status_line(stand_in);
    apr_size_t len = VERSION_LEN + strlen(line);
    char start[STATUS_LINE_MAX];
    apr_size_t got = len;

    return len <= sizeof(start)
        && apr_brigade_flatten(brigade, start, &got) == APR_SUCCESS
        && got == len
        && memcmp(start, "HTTP/1.", 7) == 0 && apr_isdigit(start[7])
        && start[8] == ' '
        && memcmp(start + VERSION_LEN, line, len - VERSION_LEN) == 0;
}

static apr_status_t replace_status(apr_bucket_brigade *brigade,
                                   const persist_t *persist,
                                   apr_bucket_alloc_t *allocator)
{
    const char *line = ap_get_status_line(persist->status);
    apr_bucket *bucket, *rest;
    apr_status_t rv = apr_brigade_partition(
        brigade, VERSION_LEN + (apr_off_t)strlen(
            ap_get_status_line(persist->stand_in)), &rest);

    if (rv == APR_SUCCESS) {
        rv = apr_brigade_partition(brigade, VERSION_LEN, &bucket);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    while (bucket != rest) {
        apr_bucket *next = APR_BUCKET_NEXT(bucket);

        apr_bucket_delete(bucket);
        bucket = next;
    }
    APR_BUCKET_INSERT_BEFORE(rest, apr_bucket_immortal_create(
        line, strlen(line), allocator));
    return rv;
}

/* Behind HTTP_HEADER.  What is no such status line passes untouched. */
static apr_status_t mend_status(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    persist_t *persist = f->ctx;
    apr_status_t rv = APR_SUCCESS;

    if (!APR_BRIGADE_EMPTY(brigade)) {
        if (is_stand_in(brigade, persist->stand_in)) {
            rv = replace_status(brigade, persist, f->c->bucket_alloc);
        }
        restore_status(f->r, persist);
        persist->is_written = 1;
        ap_remove_output_filter(f);
    }
    return rv == APR_SUCCESS ? ap_pass_brigade(f->next, brigade) : rv;
}

/* Before HTTP_HEADER.  Each time the connection's fate is first put back, which
 * discarding a body that has been read may have sealed. */
static apr_status_t lend_status(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    persist_t *persist = f->ctx;
    request_rec *r = f->r;
    apr_status_t rv;

    r->connection->keepalive = persist->keepalive;
    if (persist->is_written) {
        return ap_pass_brigade(f->next, brigade);
    }
    r->status = persist->stand_in;
    rv = ap_pass_brigade(f->next, brigade);
    restore_status(r, persist);
    persist->keepalive = r->connection->keepalive;
    return rv;
}

void persist_register(void)
{
    lend_filter = ap_register_output_filter("PATIENT_LEND_STATUS",
                                            lend_status, NULL,
                                            AP_FTYPE_PROTOCOL - 1);
    mend_filter = ap_register_output_filter("PATIENT_MEND_STATUS",
                                            mend_status, NULL,
                                            AP_FTYPE_PROTOCOL + 1);
}

int persist_is_http1(const request_rec *r)
{
    const ap_filter_rec_t *header = ap_get_output_filter_handle("http_header");
    const ap_filter_t *filter;

    if (r->assbackwards || r->connection->master != NULL) {
        return 0;
    }
    for (filter = r->output_filters; filter; filter = filter->next) {
        if (filter->frec == header) {
            return 1;
        }
    }
    return 0;
}

void persist_status(request_rec *r, int status)
{
    persist_t *persist;

    r->status = status;
    if (!ap_status_drops_connection(status) || !persist_is_http1(r)) {
        return;
    }
    persist = apr_pcalloc(r->pool, sizeof(*persist));
    persist->status = status;
    persist->stand_in = status < 500 ? STAND_IN_4XX : STAND_IN_5XX;
    persist->keepalive = r->connection->keepalive;
    ap_add_output_filter_handle(lend_filter, persist, r, r->connection);
    ap_add_output_filter_handle(mend_filter, persist, r, r->connection);
}
