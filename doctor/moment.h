/*
 * moment.h - points in time, as logs and diagnoses write them.
 */
#ifndef DOCTOR_MOMENT_H
#define DOCTOR_MOMENT_H

#include <apr_pools.h>
#include <apr_time.h>
#include <jansson.h>

/** No time: none was given, or it was none. */
#define MOMENT_NONE (-1)

/** Reads "2024-12-10T10:30:45.123Z"; the fraction may be missing, a space may
 * stand for the T, and an offset ("+09:00") for the Z.
 * @return MOMENT_NONE: it is something else */
apr_time_t moment_parse(const char *text);

/** Reads a JSON value: text as above, or the milliseconds since 1970 that
 * CloudWatch counts. @return MOMENT_NONE: it is something else, or NULL */
apr_time_t moment_read(const json_t *value);

/** As text, with milliseconds and Z. */
const char *moment_text(apr_time_t moment, apr_pool_t *pool);

/** A new JSON string; null for MOMENT_NONE. */
json_t *moment_json(apr_time_t moment);

#endif
