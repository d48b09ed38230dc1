/*
 * board.c - the memory that all child processes share: what they count, and
 * what each of them is doing.
 */
#include "board.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <apr_atomic.h>
#include <apr_strings.h>

#include "ratelimit.h"
#include "shared.h"
#include "vitals.h"

#define CHILDREN_MAX 512

#define MSEC APR_TIME_C(1000)
const apr_interval_time_t board_bounds[BOARD_BUCKETS - 1] = {
    1 * MSEC, 2500, 5 * MSEC, 10 * MSEC, 25 * MSEC, 50 * MSEC, 100 * MSEC,
    250 * MSEC, 500 * MSEC, 1000 * MSEC, 2500 * MSEC, 5000 * MSEC,
    10000 * MSEC, 30000 * MSEC
};

typedef struct child_t {
    apr_uint32_t pid;           /* 0: the place is free */
    apr_uint32_t inflight, unseen;
    board_pool_t pool;
} child_t;

typedef struct board_t {
    apr_uint32_t parent;        /* pid */
    apr_uint32_t watcher;       /* pid of the child that watches, or 0 */
    apr_time_t started;
    board_histogram_t requests[BOARD_ROUTES_MAX][BOARD_CLASSES];
    apr_uint64_t counters[BOARD_COUNTERS];
    apr_uint64_t longest;               /* microseconds, ever */
    apr_uint64_t windows[BOARD_WINDOWS];
    apr_uint32_t waiting_told;          /* this stretch of waiting was */
    child_t children[CHILDREN_MAX];
    ratelimit_t failures;
} board_t;

static board_t *board;

/* Between two lines about failures that go on; 0: all are told. */
static apr_interval_time_t log_pulse = RATELIMIT_PULSE;

/* This process's place; until board_child_enter() one that nobody reads. */
static child_t nowhere;
static child_t *self = &nowhere;

apr_status_t board_open(server_rec *s)
{
    void *memory;
    int is_new;
    apr_status_t rv = shared_open(&memory, &is_new, "mod_patient.board",
                                  sizeof(board_t), s);

    if (rv == APR_SUCCESS) {
        board = memory;
        if (is_new) {
            board->parent = (apr_uint32_t)getpid();
            board->started = vitals_now();
        }
    }
    return rv;
}

/* ---- children ---- */

static void leave_watch(apr_uint32_t pid)
{
    apr_atomic_cas32(&board->watcher, 0, pid);
}

static apr_status_t leave(void *unused)
{
    (void)unused;
    self = &nowhere;
    board_child_leave(getpid());
    return APR_SUCCESS;
}

void board_child_enter(apr_pool_t *pchild)
{
    apr_uint32_t pid = (apr_uint32_t)getpid();
    int i;

    for (i = 0; i < CHILDREN_MAX; i++) {
        child_t *child = &board->children[i];

        if (apr_atomic_cas32(&child->pid, pid, 0) == 0) {
            self = child;
            apr_pool_cleanup_register(pchild, NULL, leave,
                                      apr_pool_cleanup_null);
            return;
        }
    }
    /* More children than places: this one's gauges are not shown. */
}

static apr_uint32_t count_waiting(void)
{
    apr_uint32_t count = 0;
    int i;

    for (i = 0; i < CHILDREN_MAX; i++) {
        count += apr_atomic_read32(&board->children[i].pool.waiting);
    }
    return count;
}

static void end_waiting(void)
{
    if (apr_atomic_read32(&board->waiting_told) && count_waiting() == 0) {
        apr_atomic_set32(&board->waiting_told, 0);
    }
}

int board_child_leave(pid_t pid)
{
    int i, found = 0;

    if (board == NULL) {
        return 0;
    }
    leave_watch((apr_uint32_t)pid);
    for (i = 0; i < CHILDREN_MAX; i++) {
        child_t *child = &board->children[i];

        if (apr_atomic_read32(&child->pid) == (apr_uint32_t)pid) {
            apr_atomic_set32(&child->inflight, 0);
            apr_atomic_set32(&child->unseen, 0);
            memset(&child->pool, 0, sizeof(child->pool));
            apr_atomic_set32(&child->pid, 0);
            found = 1;
        }
    }
    end_waiting();
    return found;
}

int board_watch_take(void)
{
    apr_uint32_t pid = (apr_uint32_t)getpid();
    apr_uint32_t watcher = apr_atomic_cas32(&board->watcher, pid, 0);

    return watcher == 0 || watcher == pid;
}

void board_watch_leave(void)
{
    leave_watch((apr_uint32_t)getpid());
}

void board_inflight(int step)
{
    apr_atomic_add32(&self->inflight, (apr_uint32_t)step);
}

void board_inflight_unseen(int step)
{
    apr_atomic_add32(&self->unseen, (apr_uint32_t)step);
}

int board_inflight_here(void)
{
    return (int)(apr_atomic_read32(&self->inflight)
                 + apr_atomic_read32(&self->unseen));
}

void board_pool_max(int max)
{
    apr_atomic_set32(&self->pool.max, (apr_uint32_t)max);
}

void board_pool_use(int step)
{
    apr_atomic_add32(&self->pool.in_use, (apr_uint32_t)step);
}

void board_pool_wait(int step)
{
    apr_atomic_add32(&self->pool.waiting, (apr_uint32_t)step);
    if (step < 0) {
        end_waiting();
    }
}

int board_waiting_tell(void)
{
    return apr_atomic_cas32(&board->waiting_told, 1, 0) == 0;
}

void board_waiting_forget(void)
{
    apr_atomic_set32(&board->waiting_told, 0);
}

/* ---- counters ---- */

void board_count(board_counter_e counter)
{
    apr_atomic_inc64(&board->counters[counter]);
}

static int class_of(int status)
{
    return status < 300 ? 0 : status < 400 ? 1 : status < 500 ? 2 : 3;
}

int board_bucket(apr_interval_time_t duration)
{
    int bucket = 0;

    while (bucket < BOARD_BUCKETS - 1 && duration > board_bounds[bucket]) {
        bucket++;
    }
    return bucket;
}

void board_request(int route, int status, apr_interval_time_t duration)
{
    board_histogram_t *histogram;
    int i;

    if (board == NULL) {
        return;
    }
    if (route < 0 || route >= BOARD_ROUTES_MAX) {
        route = BOARD_ROUTES_MAX - 1;
    }
    histogram = &board->requests[route][class_of(status)];
    /* Before it is counted: who sees the count, sees how long it was. */
    shared_raise(&board->longest, (apr_uint64_t)duration);
    for (i = 0; i < BOARD_WINDOWS; i++) {
        shared_raise(&board->windows[i], (apr_uint64_t)duration);
    }
    apr_atomic_inc64(&histogram->buckets[board_bucket(duration)]);
    apr_atomic_add64(&histogram->sum, (apr_uint64_t)duration);
}

apr_interval_time_t board_longest(board_window_e window)
{
    return (apr_interval_time_t)apr_atomic_read64(&board->windows[window]);
}

apr_interval_time_t board_longest_take(board_window_e window)
{
    return (apr_interval_time_t)apr_atomic_xchg64(&board->windows[window], 0);
}

/* ---- sums ---- */

/* The whole of a small file of /proc, or "" when the process is gone. */
static const char *slurp(char *buffer, size_t size, const char *format,
                         apr_uint32_t pid)
{
    char path[64];
    FILE *file;
    size_t n;

    apr_snprintf(path, sizeof(path), format, pid);
    file = fopen(path, "re");
    if (file == NULL) {
        return "";
    }
    n = fread(buffer, 1, size - 1, file);
    fclose(file);
    buffer[n] = '\0';
    return buffer;
}

/* A figure of /proc/PID/status, in bytes. */
static apr_uint64_t status_bytes(const char *status, const char *name)
{
    const char *line = strstr(status, name);

    return line ? (apr_uint64_t)apr_atoi64(line + strlen(name)) * 1024 : 0;
}

static void add_memory(board_sums_t *sums, apr_uint32_t pid)
{
    char buffer[4096];
    const char *status = slurp(buffer, sizeof(buffer), "/proc/%u/status", pid);

    sums->rss += status_bytes(status, "\nVmRSS:");
    sums->data += status_bytes(status, "\nVmData:");
    sums->anonymous += status_bytes(status, "\nRssAnon:");
}

/* The parent's record counts the children that it has waited for, too. */
static void add_cpu(board_sums_t *sums, apr_uint32_t pid, int with_ended)
{
    char buffer[1024];
    const char *stat = slurp(buffer, sizeof(buffer), "/proc/%u/stat", pid);
    const char *fields = strrchr(stat, ')');    /* the name may hold spaces */
    unsigned long user, system, ended_user, ended_system;
    apr_uint64_t tick = APR_USEC_PER_SEC / (apr_uint64_t)sysconf(_SC_CLK_TCK);

    if (fields == NULL
        || sscanf(fields, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                  "%lu %lu %lu %lu", &user, &system, &ended_user,
                  &ended_system) != 4) {
        return;
    }
    if (with_ended) {
        user += ended_user;
        system += ended_system;
    }
    sums->cpu_user += user * tick;
    sums->cpu_system += system * tick;
}

static void add_requests(board_sums_t *sums)
{
    int route, status, i;

    for (route = 0; route < BOARD_ROUTES_MAX; route++) {
        for (status = 0; status < BOARD_CLASSES; status++) {
            board_histogram_t *from = &board->requests[route][status];
            board_histogram_t *to = &sums->requests[route][status];

            for (i = 0; i < BOARD_BUCKETS; i++) {
                to->buckets[i] = apr_atomic_read64(&from->buckets[i]);
            }
            to->sum = apr_atomic_read64(&from->sum);
        }
    }
}

board_sums_t *board_sum(apr_pool_t *pool)
{
    board_sums_t *sums = apr_pcalloc(pool, sizeof(*sums));
    int i;

    sums->started = board->started;
    sums->pool_timeouts = apr_atomic_read64(
        &board->counters[BOARD_POOL_TIMEOUTS]);
    sums->pool_refused = apr_atomic_read64(
        &board->counters[BOARD_POOL_REFUSED]);
    sums->db_failures = apr_atomic_read64(
        &board->counters[BOARD_DB_FAILURES]);
    add_requests(sums);
    sums->longest = (apr_interval_time_t)apr_atomic_read64(&board->longest);
    add_memory(sums, board->parent);
    add_cpu(sums, board->parent, 1);
    for (i = 0; i < CHILDREN_MAX; i++) {
        child_t *child = &board->children[i];
        apr_uint32_t pid = apr_atomic_read32(&child->pid);

        if (pid == 0) {
            continue;
        }
        sums->children++;
        sums->inflight += apr_atomic_read32(&child->inflight);
        sums->pool.max += apr_atomic_read32(&child->pool.max);
        sums->pool.in_use += apr_atomic_read32(&child->pool.in_use);
        sums->pool.waiting += apr_atomic_read32(&child->pool.waiting);
        add_memory(sums, pid);
        add_cpu(sums, pid, 0);
    }
    return sums;
}

apr_uint64_t board_count_class(const board_sums_t *sums, int status_class)
{
    apr_uint64_t count = 0;
    int route, i;

    for (route = 0; route < BOARD_ROUTES_MAX; route++) {
        for (i = 0; i < BOARD_BUCKETS; i++) {
            count += sums->requests[route][status_class].buckets[i];
        }
    }
    return count;
}

/* ---- how often a failure is logged ---- */

void board_log_pulse(apr_interval_time_t pulse)
{
    log_pulse = pulse;
}

/* By the steady clock: a wall clock that is set back must not silence the
 * log. */
int board_may_log(const char *type, const char *code,
                  apr_uint64_t *suppressed)
{
    *suppressed = 0;
    return board == NULL || log_pulse == 0
        || ratelimit_pass(&board->failures, type, code, vitals_now(),
                          log_pulse, suppressed);
}

void board_forget_failures(const char *type)
{
    ratelimit_forget(&board->failures, type);
}
