/*
 * reply.h - what goes back: JSON, always.
 *
 * Every function writes the whole answer and returns what the handler is to
 * return.
 */
#ifndef PATIENT_HTTP_REPLY_H
#define PATIENT_HTTP_REPLY_H

#include <jansson.h>

#include "http/call.h"

/** Sends body and drops the caller's reference to it. */
int reply_json(call_t *call, int status, json_t *body);

/** Sends {"error": message}. */
int reply_error(call_t *call, int status, const char *message);

/** 503 with Retry-After: the database was not to be had. */
int reply_unavailable(call_t *call, const char *message);

/** 400: the database's tables cannot take what was sent.
 * @param what "Title or content"
 * @param why APR_EINVAL: it has characters that they lack; APR_ENAMETOOLONG */
int reply_misfit(call_t *call, const char *what, apr_status_t why);

/** 401 with the challenge of RFC 6750. @param flaw "invalid_token", or NULL
 * when no token was sent */
int reply_challenge(call_t *call, const char *flaw, json_t *body);

/** Sends text of another type. */
int reply_text(call_t *call, const char *type, const char *text,
               apr_size_t len);

/** Sends a status without a body. */
int reply_empty(call_t *call, int status);

/** Gives every answer its X-Request-Id, errors of httpd itself included. As
 * early as the request's headers are there. */
void reply_dress(request_rec *r);

/** Sets the CORS headers, and that there are no ranges: on what the patient
 * answers and on errors, but not on what another handler of the same server
 * has to say. */
void reply_share(request_rec *r);

/** From now on, an error that httpd itself answers has a JSON body: in
 * register_hooks, and for each such error. */
void reply_register(void);
void reply_cover_error(request_rec *r);

#endif
