/*
 * persist.h - a connection that outlives the answer to a bad request.
 *
 * httpd ends the connection after a status of 400, 413 or 503, among others,
 * because it cannot know whether the request's body was read.  Our handlers
 * do: they have read it, and the next request may follow.
 */
#ifndef PATIENT_HTTP_PERSIST_H
#define PATIENT_HTTP_PERSIST_H

#include <httpd.h>

/** Registers the filter. In register_hooks. */
void persist_register(void);

/**
 * Sets the status of an answer after which the connection goes on, if it
 * otherwise may.  The whole body has been read.
 */
void persist_status(request_rec *r, int status);

#endif
