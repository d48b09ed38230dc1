/*
 * task.c - which task of ECS this server is.
 */
#include "task.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <httpd.h>
#include <http_config.h>
#include <jansson.h>

#include "upstream.h"

/* Set by ECS in each container; the version 4 of the endpoint is there on
 * Fargate (1.4.0) and on EC2. */
#define ENDPOINT "ECS_CONTAINER_METADATA_URI_V4"

#define PATIENCE apr_time_from_sec(1)
#define ANSWER_MAX 65536

#define ID_MAX 64
#define ID_CHARACTERS "abcdefghijklmnopqrstuvwxyz" \
                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

typedef struct kept_t {
    int was_asked;
    char id[ID_MAX + 1];        /* "" if there is none */
} kept_t;

/* "arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID", the older form without
 * CLUSTER too. */
static void copy_id(char *id, const char *arn)
{
    const char *slash = arn ? strrchr(arn, '/') : NULL;
    apr_size_t len = slash ? strspn(slash + 1, ID_CHARACTERS) : 0;

    if (len > 0 && len <= ID_MAX && slash[1 + len] == '\0') {
        memcpy(id, slash + 1, len + 1);
    }
}

static void ask(char *id, const char *endpoint, apr_pool_t *pool)
{
    char *answer = apr_palloc(pool, ANSWER_MAX);
    upstream_result_t result;
    json_t *task;

    if (upstream_read(&result, answer, ANSWER_MAX,
                      apr_pstrcat(pool, endpoint, "/task", NULL), PATIENCE,
                      pool) != APR_SUCCESS || result.status != 200) {
        return;
    }
    task = json_loads(answer, 0, NULL);
    copy_id(id, json_string_value(json_object_get(task, "TaskARN")));
    json_decref(task);
}

const char *task_find(apr_pool_t *pool)
{
    static const char key[] = "mod_patient.task";
    kept_t *kept = ap_retained_data_get(key);
    const char *endpoint = getenv(ENDPOINT);

    if (kept == NULL) {
        kept = ap_retained_data_create(key, sizeof(*kept));
    }
    if (!kept->was_asked && endpoint != NULL && *endpoint
        && upstream_start() == APR_SUCCESS) {
        kept->was_asked = 1;
        ask(kept->id, endpoint, pool);
    }
    return kept->id[0] ? kept->id : NULL;
}
