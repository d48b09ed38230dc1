/*
 * symptom.h - what each failure looks like in the log.
 *
 * The type and the fields of every line that a reader of the log knows a
 * failure by, apart from those of the database (store/dberror.h), in one
 * place: the server and the command line tool write the same.  The caller
 * opens the event with the level and type named here, and writes it.  No
 * httpd in here.
 */
#ifndef PATIENT_LOG_SYMPTOM_H
#define PATIENT_LOG_SYMPTOM_H

#include <apr_errno.h>
#include <apr_time.h>

#include "log/event.h"

struct gate_stats_t;

/** The pool's deadline has passed (APR_TIMEUP), or too many wait already
 * (APR_EBUSY). EVENT_ERROR. */
#define SYMPTOM_POOL "POOL ERROR"
void symptom_pool(event_t *event, apr_status_t why,
                  const struct gate_stats_t *stats,
                  apr_interval_time_t waited);
/** The field "error" of that line. */
const char *symptom_pool_error(apr_status_t why);

/** Somebody has waited for a connection for long, and waits still.
 * EVENT_WARNING. */
#define SYMPTOM_WAITING "POOL WARNING"
#define SYMPTOM_WAITING_AFTER apr_time_from_sec(5)
void symptom_waiting(event_t *event, const struct gate_stats_t *stats,
                     apr_interval_time_t waited);

/** Queries for one request took long. EVENT_ERROR. */
#define SYMPTOM_SLOW "PERFORMANCE ERROR"
void symptom_slow(event_t *event, int queries, apr_interval_time_t elapsed);
/** Whether they did: a second, or, for a request that asked for its rows one
 * by one, a tenth of that. */
int symptom_is_slow(int queries, apr_interval_time_t elapsed);

/** Another service did not answer. EVENT_ERROR.
 * @param reason "Error: connect ETIMEDOUT" */
#define SYMPTOM_UPSTREAM "API TIMEOUT ERROR"
void symptom_upstream(event_t *event, const char *reason, const char *code,
                      const char *url, apr_interval_time_t timeout,
                      apr_interval_time_t elapsed);

/** A token of ours is expired. EVENT_ERROR. */
#define SYMPTOM_EXPIRED "JWT ERROR"
#define SYMPTOM_EXPIRED_ERROR "TokenExpiredError: jwt expired"
#define SYMPTOM_EXPIRED_CODE "TOKEN_EXPIRED"
/** @param exp seconds since the epoch */
void symptom_expired(event_t *event, apr_int64_t exp);

/** How full the memory is. */
typedef enum {
    SYMPTOM_MEMORY_NONE,
    SYMPTOM_MEMORY_WARNING,     /* 80 %, EVENT_WARNING */
    SYMPTOM_MEMORY_CRITICAL,    /* 90 %, EVENT_ERROR */
    SYMPTOM_MEMORY_FULL         /* EVENT_FATAL */
} symptom_memory_e;
/** "MEMORY WARNING", "MEMORY CRITICAL", "MEMORY ERROR" */
const char *symptom_memory_type(symptom_memory_e mark);
event_level_e symptom_memory_level(symptom_memory_e mark);
/** @param rss of the process, bytes; used and limit of what fills up */
void symptom_memory(event_t *event, symptom_memory_e mark, apr_uint64_t rss,
                    apr_uint64_t used, apr_uint64_t limit);

/** The CPUs are busy. EVENT_ERROR. "CPU usage: 98%"
 * @param user and system percent of the CPUs granted, their sum is said */
#define SYMPTOM_CPU "CPU ERROR"
void symptom_cpu(event_t *event, double user, double system, double cpus);

#endif
