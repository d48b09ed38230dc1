/*
 * host_machine.h - memory and CPUs of a host without a server: this process's.
 */
#ifndef CHAOS_CLI_HOST_MACHINE_H
#define CHAOS_CLI_HOST_MACHINE_H

#include "chaos/chaos.h"
#include "vitals.h"

struct cache_t;

typedef struct host_machine_t {
    struct cache_t *cache;
    vitals_cpu_t cpu;           /* when it was last measured */
    apr_time_t said;            /* steady time of the last line; 0: none */
} host_machine_t;

/** Fills in what has to do with them. */
apr_status_t host_machine_fill(chaos_host_t *host, host_machine_t *machine,
                               apr_pool_t *pool);

/** That of a host (host.c knows where it is). */
host_machine_t *host_machine_of(chaos_host_t *host);

#endif
