/*
 * grant.h - what this process may use: memory and CPUs.
 *
 * The smallest of what the operator says, the control groups (cgroup.h), the
 * task's own limits where somebody asked for them (metadata.h), and the
 * machine's.  Limits of control groups may change while it runs: they are
 * read once a second at most.  Any thread.  No httpd in here.
 */
#ifndef PATIENT_GRANT_H
#define PATIENT_GRANT_H

#include <apr.h>

/** What somebody knows; 0: nothing. */
typedef struct grant_t {
    apr_uint64_t memory;        /* bytes */
    double cpus;
} grant_t;

/** What may stand for memory and CPUs in the environment. */
#define GRANT_MEMORY_MB_MIN 16
#define GRANT_MEMORY_MB_MAX 1048576
#define GRANT_CPUS_MIN 0.01
#define GRANT_CPUS_MAX 1024

/** Takes a number of CPUs ("0.25") from text. @return 0: it is none */
int grant_parse_cpus(double *cpus, const char *text);

/** Adds what is known besides control groups, each time the smaller counts;
 * NULL: forgets all that was added.  While there is one thread. */
void grant_add(const grant_t *known);

/** Looks elsewhere for /proc and /sys; for tests. */
void grant_set_root(const char *root);

/** Bytes of memory. */
apr_uint64_t grant_memory(void);

/** Bytes that may be filled without anybody being killed for it: what is left
 * now, less a reserve for the patient's own work and for others.  Read afresh
 * at each call. */
apr_uint64_t grant_room(void);

/** CPUs, at least a hundredth; 0.25 is Fargate's smallest task. */
double grant_cpus(void);

#endif
