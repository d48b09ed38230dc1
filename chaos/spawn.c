/*
 * spawn.c - threads of a run: made together, waited for together.
 */
#include "chaos.h"

#include <apr_thread_proc.h>

/* Enough for a database client with TLS and a log line under way, and little
 * enough for hundreds of threads. */
#define STACK ((apr_size_t)256 * 1024)

typedef struct worker_t {
    apr_thread_t *thread;
    apr_pool_t *pool;           /* with an allocator of its own, so that no
                                 * two threads meet in one */
    void (*body)(void *baton, int index, apr_pool_t *pool);
    void *baton;
    int index;
} worker_t;

static void *APR_THREAD_FUNC work(apr_thread_t *thread, void *data)
{
    worker_t *worker = data;

    (void)thread;
    worker->body(worker->baton, worker->index, worker->pool);
    return NULL;
}

static apr_status_t start(worker_t *worker, apr_threadattr_t *attributes,
                          apr_pool_t *pool)
{
    apr_status_t rv = apr_pool_create_unmanaged_ex(&worker->pool, NULL, NULL);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_thread_create(&worker->thread, attributes, work, worker, pool);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(worker->pool);
    }
    return rv;
}

apr_status_t chaos_spawn(int threads,
                         void (*body)(void *baton, int index,
                                      apr_pool_t *pool),
                         void *baton, apr_pool_t *pool)
{
    worker_t *workers = apr_pcalloc(pool,
                                   (apr_size_t)threads * sizeof(*workers));
    apr_threadattr_t *attributes;
    apr_status_t ended;
    apr_status_t rv = apr_threadattr_create(&attributes, pool);
    int made = 0;

    if (rv == APR_SUCCESS) {
        rv = apr_threadattr_stacksize_set(attributes, STACK);
    }
    while (rv == APR_SUCCESS && made < threads) {
        workers[made].body = body;
        workers[made].baton = baton;
        workers[made].index = made;
        rv = start(&workers[made], attributes, pool);
        made += rv == APR_SUCCESS;
    }
    while (made > 0) {
        made--;
        apr_thread_join(&ended, workers[made].thread);
        apr_pool_destroy(workers[made].pool);
    }
    return rv;
}
