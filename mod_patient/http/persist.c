/*
 * persist.c - a connection that outlives the answer to a bad request.
 *
 * Whether a connection goes on is decided by r->status alone, where httpd
 * writes the header (ap_set_keepalive, in the HTTP_HEADER filter).  So the
 * header is made under a status of the same class that keeps connections,
 * and a filter right behind puts the true one into the status line and back
 * into r->status, before anything leaves and before anybody counts.
 */
#include "http/persist.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <http_protocol.h>
#include <util_filter.h>

/* Statuses that no answer of ours has, and httpd has no opinion on. */
#define STAND_IN_4XX HTTP_UNPROCESSABLE_ENTITY
#define STAND_IN_5XX HTTP_INSUFFICIENT_STORAGE

/* "HTTP/1.1 " */
#define VERSION_LEN 9

static ap_filter_rec_t *status_filter;

static apr_status_t put_status(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    int status = (int)(apr_uintptr_t)f->ctx;
    apr_bucket *bucket = APR_BRIGADE_FIRST(brigade);
    apr_bucket *rest;
    const char *line;

    if (bucket == APR_BRIGADE_SENTINEL(brigade)) {
        return ap_pass_brigade(f->next, brigade);
    }
    if (apr_brigade_partition(brigade, VERSION_LEN, &bucket) == APR_SUCCESS
        && apr_brigade_partition(brigade, VERSION_LEN + (apr_off_t)strlen(
               ap_get_status_line(f->r->status)), &rest) == APR_SUCCESS) {
        while (bucket != rest) {
            apr_bucket *next = APR_BUCKET_NEXT(bucket);

            apr_bucket_delete(bucket);
            bucket = next;
        }
        line = ap_get_status_line(status);
        APR_BUCKET_INSERT_BEFORE(rest, apr_bucket_immortal_create(
            line, strlen(line), f->c->bucket_alloc));
    }
    f->r->status = status;
    f->r->status_line = NULL;
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, brigade);
}

void persist_register(void)
{
    /* Behind HTTP_HEADER, which is of type PROTOCOL. */
    status_filter = ap_register_output_filter("PATIENT_STATUS", put_status,
                                              NULL, AP_FTYPE_TRANSCODE);
}

void persist_status(request_rec *r, int status)
{
    if (!ap_status_drops_connection(status) || r->assbackwards) {
        r->status = status;
        return;
    }
    r->status = status < 500 ? STAND_IN_4XX : STAND_IN_5XX;
    ap_add_output_filter_handle(status_filter,
                                (void *)(apr_uintptr_t)status, r,
                                r->connection);
}
