/*
 * context.h - whose request a line belongs to.
 *
 * A thread works for one request at a time; what it logs meanwhile, and what
 * others (mod_dbd) log on it, carries that request's ids.
 */
#ifndef PATIENT_LOG_CONTEXT_H
#define PATIENT_LOG_CONTEXT_H

#include "patient.h"

struct event_t;

/** Bytes of a request id that is taken over from the client. */
#define CONTEXT_ID_MAX 64

/**
 * The module's record of a request, made at the first call: its ids are read
 * from the headers, so the first call comes after these.  From r->pool.
 */
patient_request_t *context_request(request_rec *r);

/** The one that the client sent, of those that httpd made of it. */
const request_rec *context_first(const request_rec *r);

/** The record if there is one yet, else NULL. */
const patient_request_t *context_peek(const request_rec *r);

/** This thread works for r until context_leave(). */
void context_enter(request_rec *r);
void context_leave(void);

/** The request that this thread works for, or NULL. */
request_rec *context_current(void);

/** Adds request_id and trace_id; of an operator's, no request_id that came
 * with it. r may be NULL. */
void context_describe(const request_rec *r, struct event_t *event);

#endif
