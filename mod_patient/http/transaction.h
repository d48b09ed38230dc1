/*
 * transaction.h - what every request leaves behind: a line and a count.
 */
#ifndef PATIENT_HTTP_TRANSACTION_H
#define PATIENT_HTTP_TRANSACTION_H

#include <httpd.h>

/**
 * Writes the request's line and counts it. When its answer is on its way, in
 * log_transaction.
 * @param path as the log shall show it; NULL for the request's own
 */
void transaction_end(request_rec *r, const char *path);

#endif
