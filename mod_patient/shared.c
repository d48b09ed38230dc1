/*
 * shared.c - memory that all child processes share, kept over restarts.
 */
#include "shared.h"

#include <string.h>

#include <apr_atomic.h>
#include <apr_shm.h>
#include <http_config.h>

typedef struct kept_t {
    void *memory;
    apr_size_t size;
} kept_t;

apr_status_t shared_open(void **memory, int *is_new, const char *key,
                         apr_size_t size, server_rec *s)
{
    kept_t *kept = ap_retained_data_get(key);
    apr_shm_t *shm;
    apr_status_t rv;

    if (kept == NULL) {
        kept = ap_retained_data_create(key, sizeof(*kept));
    }
    *is_new = kept->memory == NULL || kept->size != size;
    if (*is_new) {
        /* From the process's pool, which outlives restarts; a mapping of
         * another size is left to the children that still write to it. */
        rv = apr_shm_create(&shm, size, NULL, s->process->pool);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        kept->memory = apr_shm_baseaddr_get(shm);
        kept->size = size;
        memset(kept->memory, 0, size);
    }
    *memory = kept->memory;
    return APR_SUCCESS;
}

void shared_raise(apr_uint64_t *word, apr_uint64_t value)
{
    apr_uint64_t there = apr_atomic_read64(word);

    while (there < value) {
        apr_uint64_t found = apr_atomic_cas64(word, value, there);

        if (found == there) {
            return;
        }
        there = found;
    }
}
