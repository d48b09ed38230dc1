/*
 * clock_shift.c - the time of day, set by whom a test pleases: preloaded, it
 * adds the seconds in the file that CLOCK_SHIFT names. To steady time, which
 * nobody can set, it adds those in CLOCK_AGE.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long seconds_in(const char *variable)
{
    const char *name = getenv(variable);
    FILE *file = name ? fopen(name, "re") : NULL;
    long seconds = 0;

    if (file != NULL) {
        if (fscanf(file, "%ld", &seconds) != 1) {
            seconds = 0;
        }
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    int rc;

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    }
    rc = real(clock, now);
    if (rc == 0 && clock == CLOCK_REALTIME) {
        now->tv_sec += seconds_in("CLOCK_SHIFT");
    }
    if (rc == 0 && clock == CLOCK_MONOTONIC) {
        now->tv_sec += seconds_in("CLOCK_AGE");
    }
    return rc;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (result != NULL) {
        *result = now.tv_sec;
    }
    return now.tv_sec;
}
