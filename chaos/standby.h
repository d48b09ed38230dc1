/*
 * standby.h - threads that are there before they are needed.
 *
 * How many threads a process has, and of which priority, anybody can see who
 * may look into /proc: those that came with a failure would tell which it is.
 * So a server makes them when it starts, and they wait; a run takes what it
 * needs of them, and where these are not enough, or where none were made (in
 * the tool), new ones are made for it.
 */
#ifndef CHAOS_STANDBY_H
#define CHAOS_STANDBY_H

#include <apr_pools.h>
#include <apr_thread_proc.h>

/** What a thread is to do. The caller's, until standby_join(). */
typedef struct standby_task_t {
    void (*body)(void *baton);
    void *baton;
    int is_low;                 /* of low priority: others come first */
    /* standby.c alone */
    apr_thread_t *thread;       /* made for it; NULL: one that waited */
    int is_done;
    struct standby_task_t *next;
} standby_task_t;

/**
 * Makes threads that wait, for this process: once.
 * @param ordinary and low: how many of each priority, at most: where there can
 *        be no more, the rest are made when they are needed
 * @param pool when it is cleared, the threads end: all tasks have been joined
 *        by then
 * @return APR_SUCCESS, or why none could wait
 */
apr_status_t standby_open(int ordinary, int low, apr_pool_t *pool);

/**
 * Has a task done. From any thread; doesn't block.
 * @param pool for a thread that is made; used by the caller alone
 * @return APR_SUCCESS; otherwise nothing is done, and nothing to be joined
 */
apr_status_t standby_begin(standby_task_t *task, apr_pool_t *pool);

/** Waits until it is done. Once for each that began. */
void standby_join(standby_task_t *task);

#endif
