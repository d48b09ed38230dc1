/*
 * task.h - which task of ECS this server is, and what that may use.
 */
#ifndef PATIENT_TASK_H
#define PATIENT_TASK_H

#include <apr_pools.h>

#include "metadata.h"

/**
 * Asks the metadata endpoint that ECS names in the environment, once in the
 * life of this process, and waits for a second at most.  In the parent, in
 * post_config, which no request waits for.
 * @return lives as long as the process; empty where there is no such
 *         endpoint, or it gave no such answer
 */
const metadata_t *task_find(apr_pool_t *pool);

#endif
