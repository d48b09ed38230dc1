/*
 * request.h - what a request brings: body, bearer token, query.
 *
 * A function that returns an HTTP status returns OK, or what the handler has
 * to return in its turn: the answer was already given.
 */
#ifndef PATIENT_HTTP_REQUEST_H
#define PATIENT_HTTP_REQUEST_H

#include <jansson.h>

#include "http/call.h"

/**
 * Turns away a body that has a Content-Encoding, other than identity, or a
 * Transfer-Encoding beside chunked, which httpd does not undo.
 * @param answer set on failure: the handler's return value
 * @return APR_SUCCESS; APR_EINVAL: answered with 415
 */
apr_status_t request_check_encoding(int *answer, call_t *call);

/**
 * Reads the body, bounded by PatientMaxBody, as JSON object or form; an empty
 * body is an empty object.  A byte order mark before it is passed over.
 * @param body owned by the call's pool
 * @param answer set on failure: the handler's return value
 * @return APR_SUCCESS; APR_EINVAL: answered with 400, 413 or 415
 */
apr_status_t request_body(json_t **body, int *answer, call_t *call);

/** Whether a body comes with the request, whatever its method. */
int request_has_body(request_rec *r);

/**
 * Reads what is left of the body, and throws it away, within reason.  A stream
 * of HTTP/2 whose body nobody read is reset when the request is done, and what
 * was not sent by then of the answer never is (mod_http2 2.0.42).  httpd itself
 * discards only where a connection of HTTP/1 would go on.
 */
void request_discard(request_rec *r);

/** The token of "Authorization: Bearer <token>", or NULL. */
const char *request_bearer(const call_t *call);

typedef struct query_int_t {
    const char *name;
    apr_int64_t min;
    apr_int64_t max;
} query_int_t;

/**
 * A whole number of the query string, which is percent-decoded.
 * @param value left alone when the query has no such name
 * @param problem set on failure, as a sentence
 * @return APR_SUCCESS; APR_EINVAL: the query is malformed, or the name stands
 *         there twice, or with no decimal number from min to max
 */
apr_status_t request_query_int(apr_int64_t *value, const char **problem,
                               const query_int_t *wanted, const call_t *call);

/** :id of the path, a positive number; 0 if it is none. */
apr_int64_t request_id(const call_t *call);

/** The path as the client wrote it, without the query. */
const char *request_path(const request_rec *r);

#endif
