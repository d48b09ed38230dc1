/*
 * urlencoded.h - "key=value&key=value", as forms and query strings have it.
 */
#ifndef PATIENT_HTTP_URLENCODED_H
#define PATIENT_HTTP_URLENCODED_H

#include <apr_pools.h>

/** One pair on its way through a text. */
typedef struct urlencoded_t {
    const char *text;           /* given; may hold NUL bytes */
    apr_size_t len;             /* given */
    apr_size_t next;            /* 0 before the first pair */
    apr_size_t offset;          /* where this pair begins */
    const char *key;            /* decoded, from pool */
    const char *value;          /* "" if there is none */
} urlencoded_t;

/**
 * Goes on to the next pair; empty ones are passed over.
 * @param problem set on failure: what is wrong and where
 * @return APR_SUCCESS; APR_EOF: there is none; APR_EINVAL
 */
apr_status_t urlencoded_next(urlencoded_t *pair, const char **problem,
                             apr_pool_t *pool);

#endif
