/*
 * standby.c - threads that are there before they are needed.
 */
#include "standby.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

/* Enough for a database client with TLS and a log line under way, and little
 * enough for hundreds of threads. */
#define STACK ((apr_size_t)256 * 1024)

/* So much less than others do those of low priority press. */
#define NICE 5

/* All who wait; index 1 is of low priority. */
static struct {
    apr_thread_mutex_t *mutex;  /* NULL: nobody waits; guards the rest */
    apr_thread_cond_t *wanted[2];   /* one of these is to look */
    apr_thread_cond_t *done;        /* a task is */
    int idle[2];                /* that no task is meant for */
    standby_task_t *waiting[2]; /* tasks that an idle one takes next */
    int is_over;
    apr_thread_t **threads;
    int count;
} standby;

static void lower(int is_low)
{
    if (is_low) {
        setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    }
}

/* ---- those who wait ---- */

/* @return NULL: it is over */
static standby_task_t *await_task(int is_low)
{
    standby_task_t *task;

    while ((task = standby.waiting[is_low]) == NULL && !standby.is_over) {
        apr_thread_cond_wait(standby.wanted[is_low], standby.mutex);
    }
    if (task != NULL) {
        standby.waiting[is_low] = task->next;
    }
    return task;
}

static void *APR_THREAD_FUNC wait_and_work(apr_thread_t *thread, void *data)
{
    int is_low = data != NULL;
    standby_task_t *task;

    (void)thread;
    lower(is_low);
    apr_thread_mutex_lock(standby.mutex);
    while ((task = await_task(is_low)) != NULL) {
        apr_thread_mutex_unlock(standby.mutex);
        task->body(task->baton);
        apr_thread_mutex_lock(standby.mutex);
        task->is_done = 1;
        standby.idle[is_low]++;
        apr_thread_cond_broadcast(standby.done);
    }
    apr_thread_mutex_unlock(standby.mutex);
    return NULL;
}

static apr_status_t make(apr_thread_t **thread, apr_thread_start_t body,
                         void *data, apr_pool_t *pool)
{
    apr_threadattr_t *attributes;
    apr_status_t rv = apr_threadattr_create(&attributes, pool);

    if (rv == APR_SUCCESS) {
        rv = apr_threadattr_stacksize_set(attributes, STACK);
    }
    return rv == APR_SUCCESS
        ? apr_thread_create(thread, attributes, body, data, pool) : rv;
}

static apr_status_t close_all(void *unused)
{
    apr_status_t ended;

    (void)unused;
    apr_thread_mutex_lock(standby.mutex);
    standby.is_over = 1;
    apr_thread_cond_broadcast(standby.wanted[0]);
    apr_thread_cond_broadcast(standby.wanted[1]);
    apr_thread_mutex_unlock(standby.mutex);
    while (standby.count > 0) {
        apr_thread_join(&ended, standby.threads[--standby.count]);
    }
    standby.mutex = NULL;
    return APR_SUCCESS;
}

apr_status_t standby_open(int ordinary, int low, apr_pool_t *pool)
{
    apr_status_t rv = apr_thread_mutex_create(
        &standby.mutex, APR_THREAD_MUTEX_DEFAULT, pool);

    if (rv == APR_SUCCESS) {
        rv = apr_thread_cond_create(&standby.wanted[0], pool);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_thread_cond_create(&standby.wanted[1], pool);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_thread_cond_create(&standby.done, pool);
    }
    if (rv != APR_SUCCESS) {
        standby.mutex = NULL;
        return rv;
    }
    standby.is_over = 0;
    standby.count = 0;
    standby.threads = apr_palloc(
        pool, (apr_size_t)(ordinary + low) * sizeof(apr_thread_t *));
    standby.idle[0] = standby.idle[1] = 0;
    apr_pool_pre_cleanup_register(pool, NULL, close_all);
    while (rv == APR_SUCCESS && standby.count < ordinary + low) {
        int is_low = standby.count >= ordinary;

        rv = make(&standby.threads[standby.count], wait_and_work,
                  is_low ? &standby : NULL, pool);
        if (rv == APR_SUCCESS) {
            standby.count++;
            apr_thread_mutex_lock(standby.mutex);
            standby.idle[is_low]++;
            apr_thread_mutex_unlock(standby.mutex);
        }
    }
    return APR_SUCCESS;
}

/* ---- tasks ---- */

static void *APR_THREAD_FUNC work(apr_thread_t *thread, void *data)
{
    standby_task_t *task = data;

    (void)thread;
    lower(task->is_low);
    task->body(task->baton);
    return NULL;
}

/* @return whether one who waited takes it */
static int hand_over(standby_task_t *task)
{
    int is_low = task->is_low != 0, taken;

    if (standby.mutex == NULL) {
        return 0;
    }
    apr_thread_mutex_lock(standby.mutex);
    taken = standby.idle[is_low] > 0;
    if (taken) {
        standby.idle[is_low]--;
        task->next = standby.waiting[is_low];
        standby.waiting[is_low] = task;
        apr_thread_cond_signal(standby.wanted[is_low]);
    }
    apr_thread_mutex_unlock(standby.mutex);
    return taken;
}

apr_status_t standby_begin(standby_task_t *task, apr_pool_t *pool)
{
    task->thread = NULL;
    task->is_done = 0;
    return hand_over(task) ? APR_SUCCESS
                           : make(&task->thread, work, task, pool);
}

void standby_join(standby_task_t *task)
{
    apr_status_t ended;

    if (task->thread != NULL) {
        apr_thread_join(&ended, task->thread);
        return;
    }
    apr_thread_mutex_lock(standby.mutex);
    while (!task->is_done) {
        apr_thread_cond_wait(standby.done, standby.mutex);
    }
    apr_thread_mutex_unlock(standby.mutex);
}
