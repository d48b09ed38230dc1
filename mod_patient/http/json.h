/*
 * json.h - the one place that builds and reads JSON of the API (jansson).
 *
 * Values live in a pool: json_keep() ties a jansson reference to it.
 */
#ifndef PATIENT_HTTP_JSON_H
#define PATIENT_HTTP_JSON_H

#include <apr_pools.h>
#include <apr_time.h>
#include <jansson.h>

#include "datetime.h"

/** Gives the reference to the pool, which drops it in the end. */
json_t *json_keep(json_t *value, apr_pool_t *pool);

/**
 * Reads an object: UTF-8, no key twice, no \u0000.
 * @param problem set on failure: what is wrong and where, as a sentence
 * @return the object, owned by pool; NULL on failure
 */
json_t *json_read_object(const char *text, apr_size_t len,
                         const char **problem, apr_pool_t *pool);

/**
 * Reads application/x-www-form-urlencoded as an object of strings, under the
 * same rules.
 */
json_t *json_read_form(const char *text, apr_size_t len,
                       const char **problem, apr_pool_t *pool);

/** A new reference: the string, with bytes that are not UTF-8 as U+FFFD;
 * null for NULL. */
json_t *json_text(const char *text, apr_pool_t *pool);

/** A new reference: "2024-12-10T10:30:45.123Z"; null for DATETIME_NONE */
json_t *json_time(apr_time_t time);

/** A new reference: "3ms" */
json_t *json_milliseconds(apr_interval_time_t span);

#endif
