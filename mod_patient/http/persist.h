/*
 * persist.h - a connection that outlives the answer to a bad request.
 *
 * Over HTTP/1 httpd ends the connection after a status of 400, 413 or 503,
 * among others, because it cannot know whether the request's body was read.
 * Our handlers do: they have read it, and the next request may follow.
 */
#ifndef PATIENT_HTTP_PERSIST_H
#define PATIENT_HTTP_PERSIST_H

#include <httpd.h>

/** Registers the filters. In register_hooks. */
void persist_register(void);

/** Whether the answer goes out as HTTP/1: with a status line, and with a word
 * on whether the connection goes on.  So it is neither on a stream of HTTP/2
 * nor for who speaks HTTP/0.9. */
int persist_is_http1(const request_rec *r);

/**
 * Sets the status of an answer after which the connection goes on, if it
 * otherwise may.  The whole body has been read.  What else would end the
 * connection has been said before.
 */
void persist_status(request_rec *r, int status);

#endif
