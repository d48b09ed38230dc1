/*
 * task.c - which task of ECS this server is, and what that may use.
 */
#include "task.h"

#include <httpd.h>
#include <http_config.h>

#include "upstream.h"

#define TIMEOUT apr_time_from_sec(1)

typedef struct kept_t {
    int was_asked;
    metadata_t metadata;
} kept_t;

const metadata_t *task_find(apr_pool_t *pool)
{
    static const char key[] = "mod_patient.task";
    kept_t *kept = ap_retained_data_get(key);
    const char *endpoint = metadata_endpoint();

    if (kept == NULL) {
        kept = ap_retained_data_create(key, sizeof(*kept));
    }
    if (!kept->was_asked && endpoint != NULL
        && upstream_start() == APR_SUCCESS) {
        kept->was_asked = 1;
        metadata_read(&kept->metadata, endpoint, TIMEOUT, pool);
    }
    return &kept->metadata;
}
