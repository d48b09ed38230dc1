/*
 * vitals.c - asks the kernel.
 */
#include "vitals.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Two readings that lie closer together than this say nothing. */
#define SPAN_MIN apr_time_from_msec(1)

/* By hand, without stdio: it is read while memory is short. */
apr_uint64_t vitals_rss(void)
{
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    char line[128];             /* size resident shared ..., in pages */
    char *resident;
    ssize_t len;

    if (file < 0) {
        return 0;
    }
    len = read(file, line, sizeof(line) - 1);
    close(file);
    line[len > 0 ? len : 0] = '\0';
    strtoull(line, &resident, 10);
    return strtoull(resident, NULL, 10)
        * (apr_uint64_t)sysconf(_SC_PAGESIZE);
}

static apr_interval_time_t span_of(const struct timeval *time)
{
    return apr_time_from_sec(time->tv_sec) + time->tv_usec;
}

void vitals_cpu(vitals_cpu_t *now)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    now->at = vitals_now();
    now->user = span_of(&usage.ru_utime);
    now->system = span_of(&usage.ru_stime);
}

void vitals_share(double *user, double *system, const vitals_cpu_t *from,
                  const vitals_cpu_t *to, double cpus)
{
    apr_interval_time_t span = to->at - from->at;
    double granted = (double)span * cpus;

    *user = 0;
    *system = 0;
    if (span < SPAN_MIN || cpus <= 0) {
        return;
    }
    *user = (double)(to->user - from->user) * 100 / granted;
    *system = (double)(to->system - from->system) * 100 / granted;
}

apr_time_t vitals_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return apr_time_from_sec(time.tv_sec) + time.tv_nsec / 1000;
}
