/*
 * host_query.h - asks the database, and has it stop when the run is to.
 */
#ifndef CHAOS_CLI_HOST_QUERY_H
#define CHAOS_CLI_HOST_QUERY_H

#include "chaos/chaos.h"

/** Fills in what has to do with queries. */
void host_query_fill(chaos_host_t *host);

#endif
