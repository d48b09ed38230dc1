/*
 * transaction.h - what every request leaves behind: a line and a count; an
 * operator's, neither.
 */
#ifndef PATIENT_HTTP_TRANSACTION_H
#define PATIENT_HTTP_TRANSACTION_H

#include <httpd.h>

/**
 * Opens the module's record of a request. Before its answer, or, where httpd
 * answers by itself, before that is written.
 * @param is_operators the request is none of a user's: whoever watches the
 *        server shall not see it, not even in mod_status's list of workers
 */
void transaction_begin(request_rec *r, int is_operators);

/**
 * Writes the request's line and counts it. When its answer is on its way, in
 * log_transaction.
 * @param path as the log shall show it; NULL for the request's own
 */
void transaction_end(request_rec *r, const char *path);

#endif
