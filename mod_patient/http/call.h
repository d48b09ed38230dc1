/*
 * call.h - one request on its way through the API.
 */
#ifndef PATIENT_HTTP_CALL_H
#define PATIENT_HTTP_CALL_H

#include <httpd.h>

#include "conf.h"

struct db_t;
struct route_t;
struct token_claims_t;

/** Lives in r->pool; one thread. */
typedef struct call_t {
    request_rec *r;
    apr_pool_t *pool;               /* r->pool */
    const patient_conf_t *conf;
    const struct route_t *route;
    const char *segment;            /* what :name in the pattern stood for */
    const struct token_claims_t *member;    /* who asks, if that is known */
    struct db_t *db;
    int has_read_all;               /* there is no body, or none left */
} call_t;

#endif
