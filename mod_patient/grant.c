/*
 * grant.c - what the kernel grants this process: memory and CPUs.
 */
#include "grant.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

/* The first line of a small file. @return 0 if there is none */
static int read_line(char *line, int size, const char *path)
{
    FILE *file = fopen(path, "re");
    int done;

    if (file == NULL) {
        return 0;
    }
    done = fgets(line, size, file) != NULL;
    fclose(file);
    return done;
}

static apr_uint64_t read_number(const char *path)
{
    char line[64];

    return read_line(line, sizeof(line), path) && strncmp(line, "max", 3) != 0
        ? (apr_uint64_t)apr_atoi64(line) : 0;
}

apr_uint64_t grant_memory(void)
{
    apr_uint64_t machine = (apr_uint64_t)sysconf(_SC_PHYS_PAGES)
        * (apr_uint64_t)sysconf(_SC_PAGESIZE);
    apr_uint64_t limit = read_number("/sys/fs/cgroup/memory.max");

    if (limit == 0) {
        limit = read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    }
    return limit > 0 && limit < machine ? limit : machine;
}

/* CPU time per period that the cgroup may use; 0 without a quota. */
static double quota(void)
{
    char line[64];
    long long max, period;

    if (read_line(line, sizeof(line), "/sys/fs/cgroup/cpu.max")) {
        return sscanf(line, "%lld %lld", &max, &period) == 2 && period > 0
            ? (double)max / (double)period : 0;
    }
    if (!read_line(line, sizeof(line),
                   "/sys/fs/cgroup/cpu/cpu.cfs_quota_us")) {
        return 0;
    }
    max = apr_atoi64(line);
    period = (long long)read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    return max > 0 && period > 0 ? (double)max / (double)period : 0;
}

double grant_cpus(void)
{
    cpu_set_t set;
    double cpus = sched_getaffinity(0, sizeof(set), &set) == 0
        ? CPU_COUNT(&set) : (double)sysconf(_SC_NPROCESSORS_ONLN);
    double granted = quota();

    if (granted > 0 && granted < cpus) {
        cpus = granted;
    }
    return cpus < 0.01 ? 0.01 : cpus;
}
