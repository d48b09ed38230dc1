/*
 * vitals.c - the kernel's figures, held against others of the kernel's.
 */
#include "vitals.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

#define MB ((apr_uint64_t)1 << 20)

/* VmRSS of /proc/self/status, which is written for people. */
static apr_uint64_t status_rss(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    apr_uint64_t rss = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            rss = strtoull(line + 6, NULL, 10) * 1024;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return rss;
}

static int is_close(apr_uint64_t a, apr_uint64_t b, apr_uint64_t by)
{
    return a <= b + by && b <= a + by;
}

static void memory(void)
{
    apr_uint64_t before = vitals_rss();
    char *memory_of_ours = mmap(NULL, 32 * MB, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    tap_ok(before > 0 && is_close(before, status_rss(), MB),
           "resident memory is what VmRSS says");
    tap_ok(is_close(vitals_rss(), before, MB),
           "memory that nobody touched does not count");
    memset(memory_of_ours, 1, 32 * MB);
    tap_ok(is_close(vitals_rss(), before + 32 * MB, 2 * MB),
           "memory that was touched does");
    munmap(memory_of_ours, 32 * MB);
    tap_ok(is_close(vitals_rss(), before, 2 * MB), "until it is given back");
}

/* Computes until the kernel has counted so much. */
static void burn(double seconds)
{
    clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);

    while (clock() < end) {
        continue;
    }
}

static void cpu(void)
{
    vitals_cpu_t from, to;
    apr_interval_time_t used;
    double user, system;

    vitals_cpu(&from);
    burn(0.3);
    vitals_cpu(&to);
    used = to.user + to.system - from.user - from.system;
    tap_ok(used >= apr_time_from_msec(290) && used < apr_time_from_msec(600),
           "the CPU time that was used is counted");
    vitals_share(&user, &system, &from, &to, 1);
    tap_ok(user + system > 0 && user + system <= 101,
           "one thread takes no more than one CPU");
    to = from;
    to.at += apr_time_from_sec(2);
    to.user += apr_time_from_sec(3);
    to.system += apr_time_from_msec(500);
    vitals_share(&user, &system, &from, &to, 2);
    tap_ok(user > 74.9 && user < 75.1 && system > 12.4 && system < 12.6,
           "the share is of the CPUs granted, and of the time that went by");
    vitals_share(&user, &system, &from, &to, 0.25);
    tap_ok(user > 599 && user < 601, "also of a part of one");
    to.at = from.at + 999;
    vitals_share(&user, &system, &from, &to, 2);
    tap_ok(user == 0 && system == 0, "readings too close say nothing");
}

/* Another process looks at the clock in between. */
static void steady(void)
{
    apr_time_t first = vitals_now();
    apr_time_t second, other = 0;
    int ends[2];
    pid_t child;

    if (pipe(ends) != 0) {
        tap_ok(0, "there is a pipe");
        return;
    }
    child = fork();
    if (child == 0) {
        other = vitals_now();
        _exit(write(ends[1], &other, sizeof(other)) == sizeof(other) ? 0 : 1);
    }
    tap_ok(read(ends[0], &other, sizeof(other)) == sizeof(other)
           && waitpid(child, NULL, 0) == child, "another process looks");
    second = vitals_now();
    tap_ok(first > 0 && first <= other && other <= second,
           "steady time is the same in all processes");
}

int main(void)
{
    memory();
    cpu();
    steady();
    return tap_done();
}
