/*
 * grant.c - what this process may use: memory and CPUs.
 */
#include "grant.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "vitals.h"

#define REREAD apr_time_from_sec(1)

/* Kept free of what is left now. */
#define RESERVE (APR_UINT64_C(64) << 20)
/* The same of a limit about which nobody says how much is left: the patient
 * itself is in it, too. */
#define RESERVE_OF_ALL (APR_UINT64_C(96) << 20)

static struct {
    pthread_mutex_t mutex;
    const char *root;
    cgroup_t cgroup;
    grant_t known;              /* by grant_add() */
    apr_time_t at;              /* when the rest was read; 0: never */
    grant_t now;
    apr_uint64_t room;
} grant = { .mutex = PTHREAD_MUTEX_INITIALIZER, .root = "" };

int grant_parse_cpus(double *cpus, const char *text)
{
    const char *rest = text + strspn(text, "0123456789");

    if (rest == text) {
        return 0;
    }
    if (*rest == '.' && rest[1] != '\0') {
        rest++;
        rest += strspn(rest, "0123456789");
    }
    *cpus = strtod(text, NULL);
    return *rest == '\0' && *cpus >= GRANT_CPUS_MIN && *cpus <= GRANT_CPUS_MAX;
}

/* ---- the machine ---- */

static apr_uint64_t machine_memory(void)
{
    return (apr_uint64_t)sysconf(_SC_PHYS_PAGES)
        * (apr_uint64_t)sysconf(_SC_PAGESIZE);
}

/* Bytes that could be had without swapping. */
static apr_uint64_t machine_room(void)
{
    char path[CGROUP_PATH_MAX], line[128];
    unsigned long long kib = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/proc/meminfo", grant.root);
    file = fopen(path, "re");
    while (file != NULL && kib == 0
           && fgets(line, sizeof(line), file) != NULL) {
        sscanf(line, "MemAvailable: %llu", &kib);
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib ? (apr_uint64_t)kib << 10 : machine_memory();
}

static double machine_cpus(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0
        ? CPU_COUNT(&set) : (double)sysconf(_SC_NPROCESSORS_ONLN);
}

/* ---- all together ---- */

static void lower_memory(apr_uint64_t *memory, apr_uint64_t limit)
{
    if (limit > 0 && limit < *memory) {
        *memory = limit;
    }
}

static void lower_cpus(double *cpus, double limit)
{
    if (limit > 0 && limit < *cpus) {
        *cpus = limit;
    }
}

/* Half of very little is better than nothing. */
static apr_uint64_t less(apr_uint64_t bytes, apr_uint64_t reserve)
{
    return bytes > 2 * reserve ? bytes - reserve : bytes / 2;
}

/* With the mutex. */
static void reread(void)
{
    cgroup_limits_t limits;

    cgroup_find(&grant.cgroup, grant.root);
    cgroup_read(&limits, &grant.cgroup);
    grant.now.memory = machine_memory();
    lower_memory(&grant.now.memory, grant.known.memory);
    lower_memory(&grant.now.memory, limits.memory);
    grant.now.cpus = machine_cpus();
    lower_cpus(&grant.now.cpus, grant.known.cpus);
    lower_cpus(&grant.now.cpus, limits.cpus);
    if (grant.now.cpus < GRANT_CPUS_MIN) {
        grant.now.cpus = GRANT_CPUS_MIN;
    }
    grant.room = less(machine_room(), RESERVE);
    if (grant.known.memory > 0) {
        lower_memory(&grant.room, less(grant.known.memory, RESERVE_OF_ALL));
    }
    if (limits.memory > 0 && less(limits.room, RESERVE) < grant.room) {
        grant.room = less(limits.room, RESERVE);
    }
}

static void lock_fresh(void)
{
    apr_time_t now = vitals_now();

    pthread_mutex_lock(&grant.mutex);
    if (grant.at == 0 || now - grant.at >= REREAD) {
        reread();
        grant.at = now;
    }
}

void grant_add(const grant_t *known)
{
    if (known == NULL) {
        memset(&grant.known, 0, sizeof(grant.known));
    }
    else {
        if (grant.known.memory == 0) {
            grant.known.memory = known->memory;
        }
        lower_memory(&grant.known.memory, known->memory);
        if (grant.known.cpus <= 0) {
            grant.known.cpus = known->cpus;
        }
        lower_cpus(&grant.known.cpus, known->cpus);
    }
    grant.at = 0;
}

void grant_set_root(const char *root)
{
    grant.root = root;
    grant.at = 0;
}

apr_uint64_t grant_memory(void)
{
    apr_uint64_t memory;

    lock_fresh();
    memory = grant.now.memory;
    pthread_mutex_unlock(&grant.mutex);
    return memory;
}

apr_uint64_t grant_room(void)
{
    apr_uint64_t room;

    pthread_mutex_lock(&grant.mutex);
    reread();                   /* it changes all the time */
    room = grant.room;
    pthread_mutex_unlock(&grant.mutex);
    return room;
}

double grant_cpus(void)
{
    double cpus;

    lock_fresh();
    cpus = grant.now.cpus;
    pthread_mutex_unlock(&grant.mutex);
    return cpus;
}
