/*
 * metadata.c - what ECS says of this container and its task.
 */
#include "metadata.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "upstream.h"
#include "vitals.h"

/* Of a task with ten containers and all of their labels, and more. */
#define ANSWER_MAX 262144

#define ID_CHARACTERS "abcdefghijklmnopqrstuvwxyz" \
                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

/* A container's CPUs come in units of 1/1024; 2 are what one gets that asked
 * for none, and limit nothing. */
#define UNITS 1024.0
#define UNITS_UNASKED 2

/* "arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID", the older form without
 * CLUSTER too. */
static void copy_id(char *id, const char *arn)
{
    const char *slash = arn ? strrchr(arn, '/') : NULL;
    apr_size_t len = slash ? strspn(slash + 1, ID_CHARACTERS) : 0;

    if (len > 0 && len <= METADATA_ID_MAX && slash[1 + len] == '\0') {
        memcpy(id, slash + 1, len + 1);
    }
}

const char *metadata_endpoint(void)
{
    /* The newest first; the one before is all that older platforms have, and
     * has the same in it. */
    static const char *const variables[] = {
        "ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI"
    };
    apr_size_t i;

    for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        const char *endpoint = getenv(variables[i]);

        if (endpoint != NULL && *endpoint) {
            return endpoint;
        }
    }
    return NULL;
}

/* @param answer room for ANSWER_MAX bytes
 * @return NULL: no JSON came in time */
static json_t *ask(const char *url, char *answer, apr_time_t deadline,
                   apr_pool_t *pool)
{
    apr_interval_time_t left = deadline - vitals_now();
    upstream_result_t result;

    if (left < apr_time_from_msec(1)
        || upstream_read(&result, answer, ANSWER_MAX, url, left, pool)
           != APR_SUCCESS
        || result.status != 200) {
        return NULL;
    }
    return json_loads(answer, 0, NULL);
}

/* @return 0: there is no such number, or it limits nothing */
static double limit_of(const json_t *about, const char *name)
{
    double limit = json_number_value(json_object_get(
        json_object_get(about, "Limits"), name));

    return isfinite(limit) && limit > 0 && limit < 1e9 ? limit : 0;
}

static void lower(grant_t *grant, double mebibytes, double cpus)
{
    apr_uint64_t memory = (apr_uint64_t)(mebibytes * 1024 * 1024);

    if (memory > 0 && (grant->memory == 0 || memory < grant->memory)) {
        grant->memory = memory;
    }
    if (cpus > 0 && (grant->cpus <= 0 || cpus < grant->cpus)) {
        grant->cpus = cpus;
    }
}

void metadata_read(metadata_t *metadata, const char *endpoint,
                   apr_interval_time_t timeout, apr_pool_t *pool)
{
    apr_time_t deadline = vitals_now() + timeout;
    char *answer = apr_palloc(pool, ANSWER_MAX);
    json_t *task = ask(apr_pstrcat(pool, endpoint, "/task", NULL), answer,
                       deadline, pool);
    json_t *container = ask(endpoint, answer, deadline, pool);
    double units = limit_of(container, "CPU");

    memset(metadata, 0, sizeof(*metadata));
    copy_id(metadata->id,
            json_string_value(json_object_get(task, "TaskARN")));
    lower(&metadata->grant, limit_of(container, "Memory"),
          units > UNITS_UNASKED ? units / UNITS : 0);
    lower(&metadata->grant, limit_of(task, "Memory"),
          limit_of(task, "CPU"));
    json_decref(container);
    json_decref(task);
}
