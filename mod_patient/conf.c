/*
 * conf.c - the settings: made, merged, completed, checked.
 */
#include "conf.h"

#include <string.h>

#include <ap_mpm.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <http_core.h>

#include "patient.h"

/* RFC 7518 §3.2: a key as long as the hash's output, or longer. */
#define JWT_SECRET_MIN_BYTES 32

const patient_conf_t *patient_conf(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &patient_module);
}

const patient_place_t *patient_place(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &patient_module);
}

int patient_conf_is_production(const patient_conf_t *conf)
{
    return strcmp(conf->environment, "production") == 0;
}

server_rec *patient_home(server_rec *main_server)
{
    server_rec *s;

    for (s = main_server; s != NULL; s = s->next) {
        if (patient_conf(s)->engine == 1) {
            return s;
        }
    }
    return NULL;
}

/* ---- life of a record ---- */

void *patient_conf_create(apr_pool_t *pool, server_rec *s)
{
    patient_conf_t *conf = apr_pcalloc(pool, sizeof(*conf));

    (void)s;
    conf->engine = PATIENT_UNSET;
    conf->database_port = PATIENT_UNSET;
    conf->token_lifetime = PATIENT_UNSET;
    conf->health_status = PATIENT_UNSET;
    conf->max_body = PATIENT_UNSET;
    conf->pool_acquire = PATIENT_UNSET;
    conf->pool_waiters = PATIENT_UNSET;
    conf->metrics_interval = PATIENT_UNSET;
    conf->log_pulse = PATIENT_UNSET;
    conf->memory = PATIENT_UNSET;
    conf->chaos_mode = PATIENT_UNSET;
    conf->chaos_max_duration = PATIENT_UNSET;
    conf->chaos_max_memory = PATIENT_UNSET;
    conf->chaos_max_cpu = PATIENT_UNSET;
    conf->chaos_max_incidents = PATIENT_UNSET;
    return conf;
}

static void fill_unset_chaos(patient_conf_t *conf, const patient_conf_t *from)
{
    if (conf->chaos_mode == PATIENT_UNSET) {
        conf->chaos_mode = from->chaos_mode;
    }
    if (conf->chaos_token == NULL) {
        conf->chaos_token = from->chaos_token;
    }
    if (conf->chaos_endpoint_host == NULL) {
        conf->chaos_endpoint_host = from->chaos_endpoint_host;
        conf->chaos_endpoint_port = from->chaos_endpoint_port;
    }
    if (conf->chaos_upstream == NULL) {
        conf->chaos_upstream = from->chaos_upstream;
    }
    if (conf->chaos_max_duration == PATIENT_UNSET) {
        conf->chaos_max_duration = from->chaos_max_duration;
    }
    if (conf->chaos_max_memory == PATIENT_UNSET) {
        conf->chaos_max_memory = from->chaos_max_memory;
    }
    if (conf->chaos_max_cpu == PATIENT_UNSET) {
        conf->chaos_max_cpu = from->chaos_max_cpu;
    }
    if (conf->chaos_max_incidents == PATIENT_UNSET) {
        conf->chaos_max_incidents = from->chaos_max_incidents;
    }
    if (conf->ledger == NULL) {
        conf->ledger = from->ledger;
    }
}

/* Settings that nobody made, taken from elsewhere: from the enclosing server
 * or from the defaults. */
static void fill_unset(patient_conf_t *conf, const patient_conf_t *from)
{
    if (conf->engine == PATIENT_UNSET) {
        conf->engine = from->engine;
    }
    if (conf->environment == NULL) {
        conf->environment = from->environment;
    }
    if (conf->database_host == NULL) {
        conf->database_host = from->database_host;
    }
    if (conf->database_port == PATIENT_UNSET) {
        conf->database_port = from->database_port;
    }
    if (conf->database_zone == NULL) {
        conf->database_zone = from->database_zone;
    }
    if (conf->database_home == NULL) {
        conf->database_home = from->database_home;
    }
    if (conf->jwt_secret == NULL) {
        conf->jwt_secret = from->jwt_secret;
    }
    if (conf->token_lifetime == PATIENT_UNSET) {
        conf->token_lifetime = from->token_lifetime;
    }
    if (conf->cors_origin == NULL) {
        conf->cors_origin = from->cors_origin;
    }
    if (conf->health_status == PATIENT_UNSET) {
        conf->health_status = from->health_status;
    }
    if (conf->max_body == PATIENT_UNSET) {
        conf->max_body = from->max_body;
    }
    if (conf->pool_acquire == PATIENT_UNSET) {
        conf->pool_acquire = from->pool_acquire;
    }
    if (conf->pool_waiters == PATIENT_UNSET) {
        conf->pool_waiters = from->pool_waiters;
    }
    if (conf->metrics_interval == PATIENT_UNSET) {
        conf->metrics_interval = from->metrics_interval;
    }
    if (conf->log_pulse == PATIENT_UNSET) {
        conf->log_pulse = from->log_pulse;
    }
    if (conf->memory == PATIENT_UNSET) {
        conf->memory = from->memory;
    }
    if (conf->cpus <= 0) {
        conf->cpus = from->cpus;
    }
    fill_unset_chaos(conf, from);
}

void *patient_conf_merge(apr_pool_t *pool, void *base, void *add)
{
    patient_conf_t *conf = apr_pmemdup(pool, add, sizeof(*conf));

    fill_unset(conf, base);
    return conf;
}

void *patient_place_create(apr_pool_t *pool, char *place)
{
    patient_place_t *conf = apr_pcalloc(pool, sizeof(*conf));

    (void)place;
    conf->chaos = PATIENT_UNSET;
    return conf;
}

void *patient_place_merge(apr_pool_t *pool, void *base, void *add)
{
    const patient_place_t *outer = base;
    patient_place_t *conf = apr_pmemdup(pool, add, sizeof(*conf));

    if (conf->chaos == PATIENT_UNSET) {
        conf->chaos = outer->chaos;
    }
    return conf;
}

/* Outside production a key may be missing: a random one, kept over restarts
 * so that tokens stay valid, but not over the life of this process. */
static const char *make_secret(void)
{
    static const char key[] = "mod_patient.secret";
    char *secret = ap_retained_data_get(key);
    unsigned char random[JWT_SECRET_MIN_BYTES];

    if (secret == NULL) {
        if (apr_generate_random_bytes(random, sizeof(random))
            != APR_SUCCESS) {
            return NULL;
        }
        secret = ap_retained_data_create(key, 2 * sizeof(random) + 1);
        ap_bin2hex(random, sizeof(random), secret);
    }
    return secret;
}

static apr_status_t check_secret(const char **problem, patient_conf_t *conf,
                                 apr_pool_t *pool)
{
    apr_size_t secret = conf->jwt_secret ? strlen(conf->jwt_secret) : 0;

    if (patient_conf_is_production(conf) && secret < JWT_SECRET_MIN_BYTES) {
        *problem = secret
            ? apr_psprintf(pool, "JWT_SECRET (PatientJwtSecret) has %"
                           APR_SIZE_T_FMT " bytes; NODE_ENV=production "
                           "needs at least %d", secret, JWT_SECRET_MIN_BYTES)
            : "JWT_SECRET (PatientJwtSecret) is not set; "
              "NODE_ENV=production needs one of at least 32 bytes";
        return APR_EINVAL;
    }
    if (secret == 0 && (conf->jwt_secret = make_secret()) == NULL) {
        *problem = "JWT_SECRET (PatientJwtSecret) is not set, and there "
                   "are no random bytes to make one from";
        return APR_EINVAL;
    }
    return APR_SUCCESS;
}

static int is_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The directive of what there is only one of, where two servers differ. */
static const char *find_conflict(const patient_conf_t *a,
                                 const patient_conf_t *b)
{
    if (!is_same(a->database_host, b->database_host)) {
        return "PatientDatabaseHost";
    }
    if (a->database_port != b->database_port) {
        return "PatientDatabasePort";
    }
    if (!is_same(a->database_zone, b->database_zone)) {
        return "PatientDatabaseTimezone";
    }
    if (!is_same(a->database_home, b->database_home)) {
        return "PatientDatabaseHome";
    }
    if (a->pool_acquire != b->pool_acquire) {
        return "PatientPoolAcquire";
    }
    if (a->pool_waiters != b->pool_waiters) {
        return "PatientPoolWaiters";
    }
    if (a->metrics_interval != b->metrics_interval) {
        return "PatientMetricsInterval";
    }
    if (a->log_pulse != b->log_pulse) {
        return "PatientLogPulse";
    }
    if (a->memory != b->memory) {
        return "PatientMemory";
    }
    if (a->cpus < b->cpus || a->cpus > b->cpus) {
        return "PatientCpus";
    }
    if (!is_same(a->chaos_endpoint_host, b->chaos_endpoint_host)
        || a->chaos_endpoint_port != b->chaos_endpoint_port) {
        return "PatientChaosDbEndpoint";
    }
    if (!is_same(a->chaos_upstream, b->chaos_upstream)) {
        return "PatientChaosUpstream";
    }
    return is_same(a->ledger, b->ledger) ? NULL : "PatientLedger";
}

static apr_status_t check_one(const char **problem, server_rec *s,
                              const server_rec *home, apr_pool_t *pool)
{
    const char *conflict = find_conflict(patient_conf(s), patient_conf(home));

    if (conflict != NULL) {
        *problem = apr_psprintf(
            pool, "%s is not the same in %s:%u and %s:%u; an httpd is one "
            "patient: set it once, outside of <VirtualHost>", conflict,
            home->defn_name ? home->defn_name : "the main server",
            home->defn_line_number, s->defn_name, s->defn_line_number);
        return APR_EINVAL;
    }
    return check_secret(problem, ap_get_module_config(s->module_config,
                                                      &patient_module), pool);
}

static const char *find_obstacle(void)
{
    int threaded;

    if (ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) != APR_SUCCESS
        || threaded == AP_MPMQ_NOT_SUPPORTED) {
        return "PatientEngine needs an MPM with threads: load mpm_event in "
               "place of this one";
    }
    return ap_find_linked_module("mod_dbd.c")
        ? NULL : "PatientEngine needs mod_dbd: load dbd_module";
}

apr_status_t patient_conf_check(const char **problem, server_rec *main_server,
                                apr_pool_t *pool)
{
    static const patient_conf_t defaults = {
        .environment = "development",
        .database_host = "localhost",
        .database_port = 3306,
        .token_lifetime = 86400,
        .cors_origin = "*",
        .health_status = HTTP_SERVICE_UNAVAILABLE,
        .max_body = 524288,
        .pool_acquire = APR_TIME_C(30) * APR_USEC_PER_SEC,
        .pool_waiters = 96,
        .metrics_interval = apr_time_from_sec(60),
        .log_pulse = apr_time_from_sec(25),
        .chaos_max_duration = 600,
        .chaos_max_memory = 1024,
        .chaos_max_cpu = 100,
        .chaos_max_incidents = 7,
    };
    server_rec *home, *s;

    for (s = main_server; s != NULL; s = s->next) {
        fill_unset(ap_get_module_config(s->module_config, &patient_module),
                   &defaults);
    }
    home = patient_home(main_server);
    if (home != NULL && (*problem = find_obstacle()) != NULL) {
        return APR_EINVAL;
    }
    for (s = home; s != NULL; s = s->next) {
        if (patient_conf(s)->engine == 1) {
            apr_status_t rv = check_one(problem, s, home, pool);

            if (rv != APR_SUCCESS) {
                return rv;
            }
        }
    }
    return APR_SUCCESS;
}
