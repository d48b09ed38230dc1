/*
 * host.c - httpd as a scenario's host: time, memory, tokens, calls.
 */
#include "host.h"

#include <math.h>
#include <string.h>

#include <ap_mpm.h>
#include <apr_strings.h>

#include "auth/token.h"
#include "cache.h"
#include "chaos/standby.h"
#include "decoy.h"
#include "grant.h"
#include "host_db.h"
#include "log/errorlog.h"
#include "log/symptom.h"
#include "store/db.h"
#include "upstream.h"
#include "vitals.h"

/* How often a pause looks whether it is to end. */
#define PAUSE_STEP apr_time_from_msec(100)

/* This child's, whichever run fills it. */
static cache_t *cache;

/* Threads of all runs that there can be at once, beside those that crowd
 * before the pool and those that compute. */
#define RUNNERS 9

/* Who crowds, unless told otherwise: as many, in a one-shot, or one for each
 * connection. */
#define CROWD 100

apr_status_t host_start(const struct db_t *db, apr_pool_t *pchild)
{
    apr_status_t rv = upstream_start();
    int crowd;

    if (rv == APR_SUCCESS) {
        rv = cache_create(&cache, pchild);
    }
    if (rv == APR_SUCCESS && db != NULL) {
        crowd = db_max(db) > CROWD ? db_max(db) : CROWD;
        rv = standby_open(RUNNERS + crowd, (int)ceil(grant_cpus()) + 1,
                          pchild);
    }
    return rv;
}

/* ---- the end ---- */

static apr_uint32_t stopping;

int host_is_stopping(void)
{
    int state;

    return apr_atomic_read32(&stopping)
        || (ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS
            && state == AP_MPMQ_STOPPING);
}

void host_stop(void)
{
    apr_atomic_set32(&stopping, 1);
}

/* ---- time ---- */

static apr_time_t now(chaos_host_t *host)
{
    (void)host;
    return vitals_now();
}

static apr_status_t look(chaos_host_t *host)
{
    const host_self_t *self = host->self;

    if (host_is_stopping()
        || (self->incident && apr_atomic_read32(&self->incident->stop))) {
        return APR_EINTR;
    }
    return host->deadline && vitals_now() >= host->deadline
        ? APR_TIMEUP : APR_SUCCESS;
}

static apr_status_t pause_for(chaos_host_t *host, apr_interval_time_t span)
{
    apr_time_t end = vitals_now() + span;
    apr_interval_time_t left;
    apr_status_t rv;

    while ((rv = look(host)) == APR_SUCCESS
           && (left = end - vitals_now()) > 0) {
        apr_sleep(left < PAUSE_STEP ? left : PAUSE_STEP);
    }
    return rv;
}

/* ---- memory ---- */

static apr_status_t grow(chaos_host_t *host, apr_size_t bytes,
                         apr_uint64_t budget)
{
    symptom_memory_e mark;
    apr_status_t rv = cache_grow(cache, &mark, bytes, budget);
    event_t event;

    (void)host;
    if (mark != SYMPTOM_MEMORY_NONE) {
        errorlog_open(&event, symptom_memory_level(mark),
                      symptom_memory_type(mark));
        symptom_memory(&event, mark, vitals_rss(), cache_used(cache),
                       budget);
        errorlog_write(&event);
    }
    return rv;
}

static void drop(chaos_host_t *host)
{
    (void)host;
    cache_drop(cache);
}

apr_uint64_t host_memory_budget(const patient_conf_t *conf)
{
    apr_uint64_t cap = (apr_uint64_t)conf->chaos_max_memory << 20;
    apr_uint64_t room = grant_room();

    return room < cap ? room : cap;
}

apr_int64_t host_cap(chaos_role_e role, const patient_conf_t *conf)
{
    switch (role) {
    case CHAOS_ROLE_MEMORY_MB:
        return conf->chaos_max_memory;
    case CHAOS_ROLE_CPU_PERCENT:
        return conf->chaos_max_cpu;
    default:
        return APR_INT64_MAX;
    }
}

apr_int64_t host_spare(chaos_role_e role)
{
    return role == CHAOS_ROLE_MEMORY_MB ? (apr_int64_t)(grant_room() >> 20)
                                        : APR_INT64_MAX;
}

/* ---- CPU ---- */

static apr_interval_time_t cpu_used(chaos_host_t *host)
{
    vitals_cpu_t cpu;

    (void)host;
    vitals_cpu(&cpu);
    return cpu.user + cpu.system;
}

/* Nothing to say: in a server, somebody watches the CPUs all the time. */
static void cpu_measured(chaos_host_t *host, double percent, int wanted)
{
    (void)host;
    (void)percent;
    (void)wanted;
}

/* ---- calls and tokens ---- */

static apr_status_t call(chaos_host_t *host, const char *url,
                         apr_interval_time_t timeout,
                         apr_interval_time_t *elapsed,
                         chaos_failure_t *failure, apr_pool_t *pool)
{
    upstream_result_t result;
    apr_status_t rv = upstream_call(&result, url, timeout, pool);

    (void)host;
    *elapsed = result.elapsed;
    if (rv != APR_SUCCESS) {
        host_log_upstream(&result, url, timeout);
        failure->error = result.reason;
        failure->code = result.code;
    }
    return rv;
}

void host_log_upstream(const upstream_result_t *result, const char *url,
                       apr_interval_time_t timeout)
{
    event_t event;

    errorlog_open(&event, EVENT_ERROR, SYMPTOM_UPSTREAM);
    symptom_upstream(&event, result->reason, result->code, url, timeout,
                     result->elapsed);
    errorlog_write(&event);
}

static token_key_t key_of(const chaos_host_t *host)
{
    const host_self_t *self = host->self;
    token_key_t key = {
        (const unsigned char *)self->conf->jwt_secret,
        (int)strlen(self->conf->jwt_secret)
    };

    return key;
}

static apr_status_t sign(chaos_host_t *host, int lifetime_s,
                         const char **token, apr_pool_t *pool)
{
    token_key_t key = key_of(host);
    apr_int64_t issued = apr_time_sec(apr_time_now());
    token_claims_t claims = {
        .id = 0, .email = "nobody@localhost", .iat = issued,
        .exp = issued + lifetime_s
    };

    return token_sign(token, &key, &claims, pool);
}

static apr_status_t verify(chaos_host_t *host, const char *token,
                           chaos_failure_t *failure, apr_pool_t *pool)
{
    token_key_t key = key_of(host);
    token_claims_t *claims;
    token_flaw_e flaw;
    event_t event;
    apr_status_t rv = token_verify(&claims, &flaw, &key, token,
                                   apr_time_now(), pool);

    if (rv == APR_TIMEUP) {
        errorlog_open(&event, EVENT_ERROR, SYMPTOM_EXPIRED);
        symptom_expired(&event, claims->exp);
        errorlog_write(&event);
        failure->error = SYMPTOM_EXPIRED_ERROR;
        failure->code = SYMPTOM_EXPIRED_CODE;
    }
    return rv;
}

/* ---- the host ---- */

chaos_host_t *host_create(const patient_conf_t *conf, struct db_t *db,
                          incident_t *incident, apr_pool_t *pool)
{
    chaos_host_t *host = apr_pcalloc(pool, sizeof(*host));
    host_self_t *self = apr_pcalloc(pool, sizeof(*self));

    self->conf = conf;
    self->db = db;
    self->incident = incident;
    host->self = self;
    /* A port that came with a run would tell which it is. */
    decoy_silence(&host->endpoint_host, &host->endpoint_port);
    host->upstream_url = decoy_upstream();
    host->cpus = grant_cpus();
    host->memory_budget = incident ? incident->memory_budget
                                   : host_memory_budget(conf);
    host->deadline = incident ? incident->until : 0;
    host->now = now;
    host->pause = pause_for;
    host->cache_grow = grow;
    host->cache_drop = drop;
    host->cpu_used = cpu_used;
    host->cpu_measured = cpu_measured;
    host->call = call;
    host->sign = sign;
    host->verify = verify;
    host_db_fill(host, pool);
    return host;
}
