/*
 * task.h - which task of ECS this server is.
 */
#ifndef PATIENT_TASK_H
#define PATIENT_TASK_H

#include <apr_pools.h>

/**
 * Asks the metadata endpoint that ECS names in the environment, once in the
 * life of this process, and waits for a second at most.  In the parent, in
 * post_config, which no request waits for.
 * @return the last part of the task's ARN, 64 characters at most, which lives
 *         as long as the process; NULL: there is no such endpoint, or it
 *         gave no such answer
 */
const char *task_find(apr_pool_t *pool);

#endif
