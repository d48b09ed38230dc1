/*
 * host_grant.c - what a run without a server may use, as its environment says.
 */
#include "host_grant.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "grant.h"
#include "metadata.h"

#define MEMORY "PATIENT_MEMORY_MB"
#define CPUS "PATIENT_CPUS"

/* Longer ones than this are too large. */
#define DIGITS_MAX 9

static int is_memory(const char *text, apr_uint64_t *bytes)
{
    apr_size_t len = strspn(text, "0123456789");
    apr_int64_t mib = len > 0 && len <= DIGITS_MAX ? apr_atoi64(text) : 0;

    *bytes = (apr_uint64_t)mib << 20;
    return text[len] == '\0' && mib >= GRANT_MEMORY_MB_MIN
        && mib <= GRANT_MEMORY_MB_MAX;
}

apr_status_t host_grant_environment(const char **why, apr_pool_t *pool)
{
    const char *memory = getenv(MEMORY);
    const char *cpus = getenv(CPUS);
    grant_t known = { 0, 0 };

    if (memory != NULL && *memory && !is_memory(memory, &known.memory)) {
        *why = apr_psprintf(pool, MEMORY " must be a whole number from %d to "
                            "%d, not \"%s\"", GRANT_MEMORY_MB_MIN,
                            GRANT_MEMORY_MB_MAX, memory);
        return APR_EINVAL;
    }
    if (cpus != NULL && *cpus && !grant_parse_cpus(&known.cpus, cpus)) {
        *why = apr_psprintf(pool, CPUS " must be a number from %.2f to %d, such "
                            "as 0.25, not \"%s\"", GRANT_CPUS_MIN,
                            GRANT_CPUS_MAX, cpus);
        return APR_EINVAL;
    }
    grant_add(&known);
    return APR_SUCCESS;
}

void host_grant_task(apr_pool_t *pool)
{
    const char *endpoint = metadata_endpoint();
    metadata_t metadata;

    if (endpoint != NULL) {
        metadata_read(&metadata, endpoint, apr_time_from_sec(1), pool);
        grant_add(&metadata.grant);
    }
}
