/*
 * cgroup.h - the limits that control groups set this process.
 *
 * Versions 1 and 2, and both side by side.  A limit of any group above holds
 * as well, as far up as this process sees them.  Only /proc and the mounted
 * hierarchies are read.  No httpd in here.
 */
#ifndef PATIENT_CGROUP_H
#define PATIENT_CGROUP_H

#include <apr.h>

#define CGROUP_PATH_MAX 1024
#define CGROUP_TEXT_MAX 16384

typedef enum {
    CGROUP_UNIFIED,             /* version 2 */
    CGROUP_MEMORY,              /* version 1 */
    CGROUP_CPU,                 /* version 1 */
    CGROUP_HIERARCHIES
} cgroup_hierarchy_e;

/** Where this process is in each hierarchy. */
typedef struct cgroup_t {
    struct {
        char dir[CGROUP_PATH_MAX];  /* its own group; "": there is none */
        apr_size_t top;         /* length of the mount point's part of it */
    } in[CGROUP_HIERARCHIES];
    char text[CGROUP_TEXT_MAX]; /* room to read files: too large for a stack */
} cgroup_t;

typedef struct cgroup_limits_t {
    apr_uint64_t memory;        /* bytes, of the closest limit; 0: none */
    apr_uint64_t room;          /* bytes left below all limits; set if memory
                                 * is.  What files occupy is free to take. */
    double cpus;                /* 0: no limit */
} cgroup_limits_t;

/** Looks where this process is.
 * @param root "" for the machine's own /proc and /sys; in a test, a directory
 *        that has others */
void cgroup_find(cgroup_t *cgroup, const char *root);

/** Reads the limits as they are now. */
void cgroup_read(cgroup_limits_t *limits, cgroup_t *cgroup);

#endif
