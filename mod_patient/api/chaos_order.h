/*
 * chaos_order.h - what the operator asks for, read from a request.
 */
#ifndef PATIENT_API_CHAOS_ORDER_H
#define PATIENT_API_CHAOS_ORDER_H

#include "chaos/chaos.h"
#include "http/call.h"

typedef struct chaos_order_t {
    const chaos_scenario_t *scenario;
    chaos_args_t *args;
    apr_int64_t duration_s;     /* 0: a one-shot */
} chaos_order_t;

/**
 * Reads the scenario from the path and its arguments from the body.
 * @param order filled from call->pool
 * @param answer set on failure: the handler's return value
 * @return APR_SUCCESS; anything else: answered
 */
apr_status_t chaos_order_read(chaos_order_t *order, int *answer,
                              call_t *call);

#endif
