/*
 * host_machine.c - memory and CPUs of a host without a server: this process's.
 */
#include "host_machine.h"

#include "cache.h"
#include "grant.h"
#include "host_db.h"
#include "log/event.h"
#include "log/symptom.h"

/* Percent of the CPUs that are worth a line; less when less is wanted. */
#define CPU_HIGH 80.0
#define CPU_MARGIN 8.0

/* The same line again, no sooner. */
#define SAY_EVERY apr_time_from_sec(30)

/* ---- memory ---- */

static apr_status_t grow(chaos_host_t *host, apr_size_t bytes,
                         apr_uint64_t budget)
{
    cache_t *cache = host_machine_of(host)->cache;
    symptom_memory_e mark;
    apr_status_t rv = cache_grow(cache, &mark, bytes, budget);
    event_t event;

    if (mark != SYMPTOM_MEMORY_NONE) {
        event_open(&event, symptom_memory_level(mark),
                   symptom_memory_type(mark), apr_time_now());
        symptom_memory(&event, mark, vitals_rss(), cache_used(cache),
                       budget);
        host_write(&event);
    }
    return rv;
}

static void drop(chaos_host_t *host)
{
    cache_drop(host_machine_of(host)->cache);
}

/* ---- CPUs ---- */

static apr_interval_time_t cpu_used(chaos_host_t *host)
{
    vitals_cpu_t cpu;

    (void)host;
    vitals_cpu(&cpu);
    return cpu.user + cpu.system;
}

static void say_cpu(chaos_host_t *host, double percent, double user,
                    double system)
{
    double all = user + system;
    event_t event;

    /* What was measured is said, in the parts that the kernel tells apart. */
    event_open(&event, EVENT_ERROR, SYMPTOM_CPU, apr_time_now());
    symptom_cpu(&event, all > 0 ? percent * user / all : percent,
                all > 0 ? percent * system / all : 0, host->cpus);
    host_write(&event);
}

/* There is no server that watches the CPUs: this does, each time that the
 * run has measured. */
static void cpu_measured(chaos_host_t *host, double percent, int wanted)
{
    host_machine_t *machine = host_machine_of(host);
    double limit = wanted - CPU_MARGIN < CPU_HIGH ? wanted - CPU_MARGIN
                                                  : CPU_HIGH;
    vitals_cpu_t cpu;
    double user, system;

    vitals_cpu(&cpu);
    vitals_share(&user, &system, &machine->cpu, &cpu, host->cpus);
    machine->cpu = cpu;
    if (percent >= limit
        && (machine->said == 0 || cpu.at - machine->said >= SAY_EVERY)) {
        machine->said = cpu.at;
        say_cpu(host, percent, user, system);
    }
}

apr_status_t host_machine_fill(chaos_host_t *host, host_machine_t *machine,
                               apr_pool_t *pool)
{
    vitals_cpu(&machine->cpu);
    machine->said = 0;
    host->cpus = grant_cpus();
    host->memory_budget = grant_room();
    host->cache_grow = grow;
    host->cache_drop = drop;
    host->cpu_used = cpu_used;
    host->cpu_measured = cpu_measured;
    return cache_create(&machine->cache, pool);
}
