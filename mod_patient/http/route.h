/*
 * route.h - from method and path to the function that answers.
 *
 * Knows no endpoint: the tables come from above.
 */
#ifndef PATIENT_HTTP_ROUTE_H
#define PATIENT_HTTP_ROUTE_H

#include "http/call.h"

/** Who may call. */
typedef enum {
    ROUTE_ANYONE,
    ROUTE_MEMBER,               /* with a token of ours */
    ROUTE_OPERATOR              /* who is in charge of this server */
} route_access_e;

typedef enum {
    ROUTE_QUIET = 1,            /* no line in the log: health checks */
    ROUTE_VITAL = 2             /* answered even when all else is busy */
} route_flag_e;

typedef struct route_t {
    int method;                 /* M_GET (HEAD included), M_POST, ... */
    const char *pattern;        /* "/api/posts/:id": one :name at most, and
                                 * that stands for one segment, not empty */
    route_access_e access;
    int (*handler)(call_t *call);
    unsigned int flags;
} route_t;

/** Ends a table. */
#define ROUTE_END { .pattern = NULL }

/** Ends with NULL. */
typedef const route_t *const route_tables_t[];

typedef struct route_match_t {
    const route_t *route;       /* NULL: see allowed */
    int index;                  /* the route's number over all tables */
    const char *segment;        /* from pool, or NULL */
    unsigned int allowed;       /* 1 << M_...: methods that the path knows;
                                 * 0: no such path */
} route_match_t;

/**
 * Finds the route of a request. A slash at the path's end makes no difference.
 * A path that a pattern has word for word is none of a later pattern's :name.
 * @param is_open says whether a route exists for this request; one that
 *        doesn't is passed over as if it were not in the table
 */
void route_match(route_match_t *match, route_tables_t tables, request_rec *r,
                 int (*is_open)(const route_t *route, request_rec *r));

/** How many routes there are in all tables. */
int route_count(route_tables_t tables);

/** The route of that number. */
const route_t *route_at(route_tables_t tables, int index);

/** "GET", "POST", "DELETE". */
const char *route_method(const route_t *route);

/** "GET, HEAD, OPTIONS" */
const char *route_allow(unsigned int allowed, apr_pool_t *pool);

#endif
