/*
 * cache.c - a list of mappings, each with its own beginning as its entry.
 */
#include "cache.h"

#include <sys/mman.h>
#include <unistd.h>

#include <apr_thread_mutex.h>

#include "vitals.h"

/* Stands in the first page of the chunk that it is about: a cache that grows
 * leaves nothing behind on the heap. */
typedef struct chunk_t {
    struct chunk_t *next;
    apr_size_t size;
} chunk_t;

struct cache_t {
    apr_thread_mutex_t *lock;   /* guards the rest */
    chunk_t *chunks;
    apr_uint64_t used;
    symptom_memory_e reached;
    apr_time_t told;            /* when that was, the last time */
    apr_size_t page;
};

/* With the lock held. */
static void unmap_all(cache_t *cache)
{
    while (cache->chunks != NULL) {
        chunk_t *chunk = cache->chunks;

        cache->chunks = chunk->next;
        munmap(chunk, chunk->size);
    }
    cache->used = 0;
    cache->reached = SYMPTOM_MEMORY_NONE;
}

static apr_status_t destroy_cache(void *data)
{
    unmap_all(data);
    return APR_SUCCESS;
}

apr_status_t cache_create(cache_t **cache, apr_pool_t *pool)
{
    cache_t *created = apr_pcalloc(pool, sizeof(*created));
    apr_status_t rv = apr_thread_mutex_create(&created->lock,
                                              APR_THREAD_MUTEX_DEFAULT, pool);

    *cache = NULL;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    created->page = (apr_size_t)sysconf(_SC_PAGESIZE);
    apr_pool_cleanup_register(pool, created, destroy_cache,
                              apr_pool_cleanup_null);
    *cache = created;
    return APR_SUCCESS;
}

/* Each page gets contents of its own: the kernel may keep pages that are all
 * zero, or all the same, only once. */
static chunk_t *map_chunk(const cache_t *cache, apr_size_t size)
{
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    chunk_t *chunk = (chunk_t *)(void *)memory;
    apr_size_t at;

    if (memory == MAP_FAILED) {
        return NULL;
    }
    for (at = 0; at < size; at += cache->page) {
        *(volatile apr_uint64_t *)(void *)(memory + at)
            = (apr_uint64_t)(apr_uintptr_t)(memory + at);
    }
    chunk->size = size;
    return chunk;
}

static symptom_memory_e mark_at(apr_uint64_t used, apr_uint64_t budget)
{
    double share = (double)used / (double)budget;

    return share >= 0.9 ? SYMPTOM_MEMORY_CRITICAL
         : share >= 0.8 ? SYMPTOM_MEMORY_WARNING : SYMPTOM_MEMORY_NONE;
}

/* With the lock held. @return the mark, if it is to be told: it is new, or
 * was told long ago; one that was passed is not told again */
static symptom_memory_e reach(cache_t *cache, symptom_memory_e mark)
{
    apr_time_t now = vitals_now();

    if (mark < cache->reached
        || (mark == cache->reached && now < cache->told + CACHE_TELL_EVERY)) {
        return SYMPTOM_MEMORY_NONE;
    }
    cache->reached = mark;
    cache->told = now;
    return mark;
}

/* With the lock held. */
static apr_status_t add_chunk(cache_t *cache, symptom_memory_e *mark,
                              apr_size_t size, apr_uint64_t budget)
{
    chunk_t *chunk = NULL;

    if (cache->used <= budget && size <= budget - cache->used) {
        chunk = map_chunk(cache, size);
    }
    if (chunk == NULL) {
        *mark = reach(cache, SYMPTOM_MEMORY_FULL);
        return APR_ENOMEM;
    }
    chunk->next = cache->chunks;
    cache->chunks = chunk;
    cache->used += size;
    *mark = reach(cache, mark_at(cache->used, budget));
    return APR_SUCCESS;
}

apr_status_t cache_grow(cache_t *cache, symptom_memory_e *mark,
                        apr_size_t bytes, apr_uint64_t budget)
{
    apr_size_t rest = bytes % cache->page;
    apr_size_t size = rest ? bytes - rest + cache->page : bytes;
    apr_status_t rv;

    *mark = SYMPTOM_MEMORY_NONE;
    if (bytes == 0) {
        if (budget > 0) {
            apr_thread_mutex_lock(cache->lock);
            *mark = reach(cache, mark_at(cache->used, budget));
            apr_thread_mutex_unlock(cache->lock);
        }
        return APR_SUCCESS;
    }
    if (size < bytes) {
        size = bytes - rest;    /* no whole page more: no machine has that */
    }
    apr_thread_mutex_lock(cache->lock);
    rv = add_chunk(cache, mark, size, budget);
    apr_thread_mutex_unlock(cache->lock);
    return rv;
}

apr_uint64_t cache_used(cache_t *cache)
{
    apr_uint64_t used;

    apr_thread_mutex_lock(cache->lock);
    used = cache->used;
    apr_thread_mutex_unlock(cache->lock);
    return used;
}

void cache_drop(cache_t *cache)
{
    apr_thread_mutex_lock(cache->lock);
    unmap_all(cache);
    apr_thread_mutex_unlock(cache->lock);
}
