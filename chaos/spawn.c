/*
 * spawn.c - threads of a run: begun together, waited for together.
 */
#include "chaos.h"

#include "standby.h"

typedef struct worker_t {
    standby_task_t task;
    apr_pool_t *pool;           /* with an allocator of its own, so that no
                                 * two threads meet in one */
    void (*body)(void *baton, int index, apr_pool_t *pool);
    void *baton;
    int index;
} worker_t;

static void work(void *data)
{
    worker_t *worker = data;

    worker->body(worker->baton, worker->index, worker->pool);
}

static apr_status_t start(worker_t *worker, apr_pool_t *pool)
{
    apr_status_t rv = apr_pool_create_unmanaged_ex(&worker->pool, NULL, NULL);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    worker->task.body = work;
    worker->task.baton = worker;
    rv = standby_begin(&worker->task, pool);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(worker->pool);
    }
    return rv;
}

/* @param worker what all of them have in common */
static apr_status_t spawn(int threads, const worker_t *worker,
                          apr_pool_t *pool)
{
    worker_t *workers = apr_pcalloc(pool,
                                   (apr_size_t)threads * sizeof(*workers));
    apr_status_t rv = APR_SUCCESS;
    int made = 0;

    while (rv == APR_SUCCESS && made < threads) {
        workers[made] = *worker;
        workers[made].index = made;
        rv = start(&workers[made], pool);
        made += rv == APR_SUCCESS;
    }
    while (made > 0) {
        made--;
        standby_join(&workers[made].task);
        apr_pool_destroy(workers[made].pool);
    }
    return rv;
}

apr_status_t chaos_spawn(int threads,
                         void (*body)(void *baton, int index,
                                      apr_pool_t *pool),
                         void *baton, apr_pool_t *pool)
{
    const worker_t worker = { .body = body, .baton = baton };

    return spawn(threads, &worker, pool);
}

apr_status_t chaos_spawn_low(int threads,
                             void (*body)(void *baton, int index,
                                          apr_pool_t *pool),
                             void *baton, apr_pool_t *pool)
{
    const worker_t worker = {
        .body = body, .baton = baton, .task.is_low = 1
    };

    return spawn(threads, &worker, pool);
}
