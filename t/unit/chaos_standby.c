/*
 * chaos_standby.c - threads that are there before they are needed.
 */
#include "chaos/standby.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <apr_atomic.h>
#include <apr_general.h>
#include <apr_time.h>

#include "tap.h"

#define PATIENCE apr_time_from_sec(20)

static apr_pool_t *pool;
static apr_uint32_t gate_is_open, inside;

/* @return how many threads this process has; low: those that are nice */
static int count_threads(int *low)
{
    DIR *threads = opendir("/proc/self/task");
    const struct dirent *each;
    int n = 0;

    *low = 0;
    if (threads == NULL) {
        return 0;
    }
    /* cppcheck-suppress readdirCalled; one thread reads this directory */
    while ((each = readdir(threads)) != NULL) {
        id_t thread = (id_t)strtol(each->d_name, NULL, 10);

        n += thread != 0;
        *low += thread != 0 && getpriority(PRIO_PROCESS, thread) > 0;
    }
    closedir(threads);
    return n;
}

static void stay(void *baton)
{
    int *priority = baton;

    *priority = getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
    apr_atomic_inc32(&inside);
    while (!apr_atomic_read32(&gate_is_open)) {
        apr_sleep(apr_time_from_msec(2));
    }
}

/* Begins so many, which stay until the gate opens. */
static void begin(standby_task_t *tasks, int *priorities, int count, int low)
{
    int i;

    for (i = 0; i < count; i++) {
        tasks[i].body = stay;
        tasks[i].baton = &priorities[i];
        tasks[i].is_low = low;
        tap_is(standby_begin(&tasks[i], pool), APR_SUCCESS, "it begins");
    }
}

static int all_are_inside(apr_uint32_t count)
{
    apr_time_t until = apr_time_now() + PATIENCE;

    while (apr_atomic_read32(&inside) < count && apr_time_now() < until) {
        apr_sleep(apr_time_from_msec(2));
    }
    return apr_atomic_read32(&inside) == count;
}

static void join(standby_task_t *tasks, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        standby_join(&tasks[i]);
    }
}

/* Who was joined may still be listed for a moment. */
static void is_count(int wanted, const char *sentence)
{
    apr_time_t end = apr_time_now() + PATIENCE;
    int low;

    while (count_threads(&low) != wanted && apr_time_now() < end) {
        apr_sleep(apr_time_from_msec(2));
    }
    tap_is(count_threads(&low), wanted, sentence);
}

/* Three ordinary and two of low priority at once. */
static void five_at_once(const char *who, int threads_more)
{
    standby_task_t tasks[5] = { { .body = NULL } };
    int priorities[5] = { 0 };
    int low, before = count_threads(&low);

    apr_atomic_set32(&inside, 0);
    apr_atomic_set32(&gate_is_open, 0);
    begin(tasks, priorities, 3, 0);
    begin(tasks + 3, priorities + 3, 2, 1);
    tap_ok(all_are_inside(5), "%s: all are at work at once", who);
    is_count(before + threads_more, "... threads more");
    apr_atomic_set32(&gate_is_open, 1);
    join(tasks, 5);
    tap_ok(priorities[0] == 0 && priorities[2] == 0, "... ordinary ones");
    tap_ok(priorities[3] > 0 && priorities[4] > 0, "... and low ones");
    is_count(before, "... and then as many threads as before");
}

/* Address space for no more than a few threads' stacks. */
static void limit_memory(rlim_t more)
{
    struct rlimit limit;
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");

    if (statm == NULL || fscanf(statm, "%lu", &pages) != 1) {
        pages = 0;
    }
    if (statm != NULL) {
        fclose(statm);
    }
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = more ? pages * (rlim_t)sysconf(_SC_PAGESIZE) + more
                          : limit.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
}

/* Of a hundred, some cannot be made. */
static void few(void)
{
    apr_pool_t *own;
    int low, made, before = count_threads(&low);

    apr_pool_create(&own, NULL);
    limit_memory(4 << 20);
    tap_is(standby_open(98, 2, own), APR_SUCCESS,
           "a hundred are too many, but some wait");
    limit_memory(0);
    made = count_threads(&low) - before;
    tap_ok(made >= 3 && made < 98, "... so many: %d", made);
    five_at_once("where some are missing", 2);
    apr_pool_destroy(own);
    is_count(before, "the pool's end is theirs");
}

int main(void)
{
    apr_pool_t *own;
    int low, before;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    five_at_once("none waits", 5);
    before = count_threads(&low);
    tap_is(low, 0, "they are gone");

    apr_pool_create(&own, NULL);
    tap_is(standby_open(3, 2, own), APR_SUCCESS, "five wait");
    is_count(before + 5, "... and are there");
    five_at_once("as many as wait", 0);
    count_threads(&low);
    tap_is(low, 2, "two of them are low");
    five_at_once("again", 0);
    apr_pool_destroy(own);
    is_count(before, "the pool's end is theirs");

    apr_pool_create(&own, NULL);
    tap_is(standby_open(1, 1, own), APR_SUCCESS, "two wait");
    five_at_once("more than wait", 3);
    apr_pool_destroy(own);
    is_count(before, "the pool's end is theirs");
    few();
    return tap_done();
}
