/*
 * grant.h - what the kernel grants this process: memory and CPUs.
 *
 * The cgroup's limits (version 1 or 2) where there are any, else the
 * machine's.  Read afresh at each call.  No httpd in here.
 */
#ifndef PATIENT_GRANT_H
#define PATIENT_GRANT_H

#include <apr.h>

/** Bytes of memory. */
apr_uint64_t grant_memory(void);

/** CPUs, at least a hundredth; 0.25 is Fargate's smallest task. */
double grant_cpus(void);

#endif
