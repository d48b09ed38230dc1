/*
 * host_grant.h - what a run without a server may use, as its environment says.
 */
#ifndef CHAOS_CLI_HOST_GRANT_H
#define CHAOS_CLI_HOST_GRANT_H

#include <apr_pools.h>

/**
 * Takes over PATIENT_MEMORY_MB and PATIENT_CPUS, as a server does.
 * @param why set on failure: what is wrong, with the variable's name
 * @return APR_SUCCESS or APR_EINVAL
 */
apr_status_t host_grant_environment(const char **why, apr_pool_t *pool);

/** On ECS, takes over what its metadata says of this task; waits for a second
 * at most.  After upstream_start(). */
void host_grant_task(apr_pool_t *pool);

#endif
