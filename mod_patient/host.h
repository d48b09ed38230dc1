/*
 * host.h - httpd as a scenario's host.
 */
#ifndef PATIENT_HOST_H
#define PATIENT_HOST_H

#include <apr_pools.h>

#include "chaos/chaos.h"
#include "conf.h"
#include "incident.h"

struct db_t;
struct upstream_result_t;

/**
 * Makes what all runs of this child share. In child_init.
 * @param db that they may use; NULL: none will ever run here
 */
apr_status_t host_start(const struct db_t *db, apr_pool_t *pchild);

/** Whether this child is ending, so that no run must go on. */
int host_is_stopping(void);

/** From now on it is. */
void host_stop(void);

/**
 * A host for one run, from pool; the threads of that run may share it.
 * @param incident whose run it is: its end is the run's; NULL: none's
 */
chaos_host_t *host_create(const patient_conf_t *conf, struct db_t *db,
                          incident_t *incident, apr_pool_t *pool);

/** Bytes that a run that begins now may fill at most: what can be given, and
 * PatientChaosMaxMemory. */
apr_uint64_t host_memory_budget(const patient_conf_t *conf);

/** The most that a parameter in a role may be on this server, whatever its
 * scenario allows. */
apr_int64_t host_cap(chaos_role_e role, const patient_conf_t *conf);

/** The most that this machine can give now for a parameter in a role. */
apr_int64_t host_spare(chaos_role_e role);

/** Logs a call to another service that failed. */
void host_log_upstream(const struct upstream_result_t *result,
                       const char *url, apr_interval_time_t timeout);

#endif
