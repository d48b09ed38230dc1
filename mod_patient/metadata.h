/*
 * metadata.h - what ECS says of this container and its task.
 *
 * No httpd in here.
 */
#ifndef PATIENT_METADATA_H
#define PATIENT_METADATA_H

#include <apr_pools.h>
#include <apr_time.h>

#include "grant.h"

#define METADATA_ID_MAX 64

typedef struct metadata_t {
    char id[METADATA_ID_MAX + 1];   /* the last part of the task's ARN, or "" */
    grant_t grant;              /* the smaller of the container's and the
                                 * task's limits */
} metadata_t;

/** Where ECS says so, as the environment has it in each container.
 * @return NULL: this is none */
const char *metadata_endpoint(void);

/**
 * Asks the endpoint, twice at most; what it does not say stays empty.
 * Whoever calls has called upstream_start().
 * @param timeout for both answers together
 */
void metadata_read(metadata_t *metadata, const char *endpoint,
                   apr_interval_time_t timeout, apr_pool_t *pool);

#endif
