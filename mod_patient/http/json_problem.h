/*
 * json_problem.h - what is wrong with JSON, for who does not know jansson.
 */
#ifndef PATIENT_HTTP_JSON_PROBLEM_H
#define PATIENT_HTTP_JSON_PROBLEM_H

#include <apr_pools.h>
#include <jansson.h>

/**
 * Says in our words why text could not be read, and where.
 * @return one sentence, from pool
 */
const char *json_problem(const json_error_t *error, apr_pool_t *pool);

#endif
