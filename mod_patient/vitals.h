/*
 * vitals.h - what the kernel says of this process: memory and CPU time.
 *
 * No httpd in here.  Any thread may call.
 */
#ifndef PATIENT_VITALS_H
#define PATIENT_VITALS_H

#include <apr_time.h>

/** Resident bytes; 0 if /proc doesn't say. */
apr_uint64_t vitals_rss(void);

typedef struct vitals_cpu_t {
    apr_time_t at;              /* steady time */
    apr_interval_time_t user, system;   /* used so far, all threads */
} vitals_cpu_t;

void vitals_cpu(vitals_cpu_t *now);

/** Share of the CPUs granted that was used between two readings, in percent;
 * 0 for readings that lie less than a millisecond apart. */
void vitals_share(double *user, double *system, const vitals_cpu_t *from,
                  const vitals_cpu_t *to, double cpus);

/** Steady time in microseconds: the same in all processes, never set back. */
apr_time_t vitals_now(void);

#endif
