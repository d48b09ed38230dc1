/*
 * host.h - a scenario's surroundings when there is no server: this process.
 */
#ifndef CHAOS_CLI_HOST_H
#define CHAOS_CLI_HOST_H

#include "chaos/chaos.h"

/**
 * Makes the host.  From now on SIGINT and SIGTERM end a pause early; a second
 * one ends the process at once, as by default.
 * @param endpoint_name where to miss the database, or NULL
 */
apr_status_t host_create(chaos_host_t **host, const char *endpoint_name,
                         int endpoint_port, apr_pool_t *pool);

/** The signal that asked the process to stop, or 0. */
int host_signal(void);

#endif
