/*
 * board.h - the memory that all child processes share: what they count, and
 * what each of them is doing.
 *
 * Mapped by the parent before it forks, and kept over restarts, so that
 * counters never go backwards and any child can answer for all.  All figures
 * are atomic words: every function may be called from any thread of any
 * child, and none of them blocks.
 */
#ifndef PATIENT_BOARD_H
#define PATIENT_BOARD_H

#include <httpd.h>
#include <apr_time.h>

/** Routes that are told apart; further ones count as the last. */
#define BOARD_ROUTES_MAX 48

/** 2xx, 3xx, 4xx, 5xx; 1xx never ends a request. */
#define BOARD_CLASSES 4

/** Upper bounds, in microseconds, of the duration buckets but the last. */
#define BOARD_BUCKETS 15
extern const apr_interval_time_t board_bounds[BOARD_BUCKETS - 1];

/** Durations of the requests of one route and status class. */
typedef struct board_histogram_t {
    apr_uint64_t buckets[BOARD_BUCKETS];    /* not cumulative */
    apr_uint64_t sum;                       /* microseconds */
} board_histogram_t;

/** What a child says about its database pool. */
typedef struct board_pool_t {
    apr_uint32_t max, in_use, waiting;
} board_pool_t;

/** Everything, added up at one moment. */
typedef struct board_sums_t {
    board_histogram_t requests[BOARD_ROUTES_MAX][BOARD_CLASSES];
    apr_interval_time_t longest;    /* duration of a request, at most */
    apr_uint64_t pool_timeouts;
    apr_uint64_t pool_refused;
    apr_uint64_t db_failures;
    apr_uint64_t inflight;          /* requests being served */
    board_pool_t pool;
    int children;
    apr_uint64_t rss;               /* bytes resident, children and parent */
    apr_uint64_t data;              /* bytes mapped for heap and stacks */
    apr_uint64_t anonymous;         /* bytes of rss that are heap or stack */
    apr_uint64_t cpu_user;          /* microseconds since the start, those */
    apr_uint64_t cpu_system;        /* of children that ended included */
    apr_time_t started;             /* steady: when the server first did */
} board_sums_t;

/** Windows of time of which the longest duration is kept: since the last
 * METRICS line, and since the last memory of figures. */
typedef enum {
    BOARD_WINDOW_METRICS,
    BOARD_WINDOW_MEMORY,
    BOARD_WINDOWS
} board_window_e;

typedef enum {
    BOARD_POOL_TIMEOUTS,
    BOARD_POOL_REFUSED,
    BOARD_DB_FAILURES,
    BOARD_COUNTERS
} board_counter_e;

/**
 * Maps the board, or finds that of before a restart again.  In the parent.
 * @return APR_SUCCESS or why there is no memory
 */
apr_status_t board_open(server_rec *s);

/** Takes a place for this process among the children.  In child_init. */
void board_child_enter(apr_pool_t *pchild);

/** Frees the place of a child that ended, however it ended.  In the parent.
 * @return 1: it had not done so itself, as a child that ends orderly does */
int board_child_leave(pid_t pid);

/** Whether this child is the one that watches for all: it becomes that if no
 * other is. A child that ends in any way gives it up. */
int board_watch_take(void);

/** Gives it up before that. */
void board_watch_leave(void);

void board_count(board_counter_e counter);

/** The bucket that a duration belongs in. */
int board_bucket(apr_interval_time_t duration);

/** One request ended. */
void board_request(int route, int status, apr_interval_time_t duration);

/** The longest duration in a window so far; and the same, beginning a new
 * window, for the one who keeps it. */
apr_interval_time_t board_longest(board_window_e window);
apr_interval_time_t board_longest_take(board_window_e window);

/** One request of a user's began (+1) or ended (-1) in this child. */
void board_inflight(int step);

/** The same of an operator's: it takes a worker, but no sum shows it. */
void board_inflight_unseen(int step);

/** How many are being served in this child, seen or not. */
int board_inflight_here(void);

/** This child's database pool: how many connections it may have; one more
 * (+1) or less (-1) in use; one request more or less that waits. */
void board_pool_max(int max);
void board_pool_use(int step);
void board_pool_wait(int step);

/** Whether somebody may say that requests wait: once in a stretch, which ends
 * when nobody waits any more, in any child. */
int board_waiting_tell(void);

/** A stretch of waiting that goes on may be told again. */
void board_waiting_forget(void);

/** Adds everything up; reads /proc for memory and CPU of each child.
 * @param pool has the sums: they are too large for a stack, which a thread
 *        never gives back */
board_sums_t *board_sum(apr_pool_t *pool);

/** How many requests ended in one status class, on all routes. */
apr_uint64_t board_count_class(const board_sums_t *sums, int status_class);

/** How often failures that go on are logged, in all processes forked from now
 * on; 0: each time. In the parent. */
void board_log_pulse(apr_interval_time_t pulse);

/**
 * Whether a failure of this kind may be logged now, over all children
 * together: see ratelimit.h.
 * @param type and code (which may be NULL) make two failures the same
 * @param suppressed set to how many were held back since the last line
 */
int board_may_log(const char *type, const char *code,
                  apr_uint64_t *suppressed);

/** From now on every failure of this type is a first one again. */
void board_forget_failures(const char *type);

#endif
