/*
 * api.h - the patient's API: the resources, and how a request gets to one.
 */
#ifndef PATIENT_API_API_H
#define PATIENT_API_API_H

#include "http/call.h"
#include "http/route.h"

/** A resource each: its routes, ending with ROUTE_END. */
extern const route_t health_routes[];
extern const route_t metrics_routes[];
extern const route_t auth_routes[];
extern const route_t posts_routes[];
extern const route_t chaos_routes[];

/** All of them, in this order. */
extern route_tables_t api_tables;

/** Prepares what the resources need in a child. In child_init. */
apr_status_t api_start(apr_pool_t *pchild);

/**
 * Answers a request.
 * @return what the handler hook is to return
 */
int api_answer(request_rec *r, struct db_t *db);

/** Whether its path, mistyped or malformed as it may be, would tell those who
 * read it what an operator does. At any moment: the request line may be all
 * that there is. */
int api_is_operation(request_rec *r);

/** Whether it is such a request, and may be an operator's: nothing that others
 * can read tells of it, whatever it is answered. Where the routes are closed,
 * or that one's toggle is Off, it is as any other on an unknown path. */
int api_is_operators(request_rec *r);

/** What the log calls the path of such a request: its readers shall find out
 * for themselves what is wrong. */
#define API_OPERATION "/api/operations"

/* ---- who may (guard.c) ---- */

/** Whether a route is there at all for this request. */
int guard_is_open(const route_t *route, request_rec *r);

/**
 * Lets the caller in whom the route is for; call->member is set then.
 * @param answer set on failure: the handler's return value
 * @return APR_SUCCESS; APR_EACCES: answered
 */
apr_status_t guard_admit(int *answer, call_t *call);

/**
 * Reads the caller's token.
 * @return APR_SUCCESS: call->member is set; APR_ENOENT: there is none;
 *         APR_TIMEUP: it is expired, call->member is set and it was logged;
 *         APR_EINVAL: it is no good, logged
 */
apr_status_t guard_identify(call_t *call);

#endif
