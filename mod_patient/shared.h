/*
 * shared.h - memory that all child processes share, kept over restarts.
 */
#ifndef PATIENT_SHARED_H
#define PATIENT_SHARED_H

#include <httpd.h>

/**
 * Maps zeroed memory, or finds that of before a restart again if it has the
 * same size.  In the parent, in post_config.
 * @param key names it; must outlive the process
 * @param is_new set to whether it was mapped just now
 * @return APR_SUCCESS or why there is no memory
 */
apr_status_t shared_open(void **memory, int *is_new, const char *key,
                         apr_size_t size, server_rec *s);

/** Raises a word to value, if it is lower. Any thread of any process. */
void shared_raise(apr_uint64_t *word, apr_uint64_t value);

#endif
