/*
 * upstream.h - a call to another service over HTTP (libcurl).
 *
 * Any thread may call, but upstream_start() once, before any other thread
 * runs.  No httpd in here.
 */
#ifndef PATIENT_UPSTREAM_H
#define PATIENT_UPSTREAM_H

#include <apr_pools.h>
#include <apr_time.h>

typedef struct upstream_result_t {
    apr_interval_time_t elapsed;
    long status;                /* HTTP's, when it answered */
    const char *reason;         /* "Error: connect ETIMEDOUT", from pool */
    const char *code;           /* "ETIMEDOUT", "ECONNREFUSED", ... */
} upstream_result_t;

/** Once a process. */
apr_status_t upstream_start(void);

/**
 * GET of a URL (http or https), no redirects, no proxy, body thrown away.
 * @param timeout for the whole call
 * @return APR_SUCCESS: any answer; APR_TIMEUP; APR_EGENERAL: could not be
 *         reached; reason and code are set unless APR_SUCCESS
 */
apr_status_t upstream_call(upstream_result_t *result, const char *url,
                           apr_interval_time_t timeout, apr_pool_t *pool);

/**
 * The same, and keeps the body.
 * @param text gets it, NUL-terminated; one of size bytes or more is a failure
 */
apr_status_t upstream_read(upstream_result_t *result, char *text,
                           apr_size_t size, const char *url,
                           apr_interval_time_t timeout, apr_pool_t *pool);

/**
 * Listens on a loopback port and never answers: whoever connects waits.
 * @param fd closed with pool
 * @param url "http://127.0.0.1:PORT/", from pool
 */
apr_status_t upstream_silence(int *fd, const char **url, apr_pool_t *pool);

#endif
