/*
 * conf.h - the Patient* directives and what they set.
 *
 * Read at start and at each restart, in the parent; read only afterwards, so
 * that any thread may look.
 */
#ifndef PATIENT_CONF_H
#define PATIENT_CONF_H

#include <httpd.h>
#include <http_config.h>
#include <apr_file_io.h>
#include <apr_time.h>

/** What holds where nobody has said. */
#define DATABASE_ZONE_DEFAULT "+00:00"

/** A number or a switch that nobody has set. */
#define PATIENT_UNSET (-1)

/** Settings of a server (virtual host). */
typedef struct patient_conf_t {
    apr_int64_t engine;             /* this server is a patient */
    const char *environment;        /* NODE_ENV: development, test, production */
    const char *database_host;      /* as shown in /health and in the log */
    apr_int64_t database_port;
    const char *database_zone;      /* "+09:00"; NULL: nobody has said */
    const char *database_home;      /* libmariadb's; NULL: as it is */
    const char *jwt_secret;         /* never NULL or empty once complete */
    apr_int64_t token_lifetime;     /* seconds */
    const char *cors_origin;        /* "*", or origins apart by commas */
    apr_int64_t health_status;      /* of /health, the database away */
    apr_int64_t max_body;           /* bytes */
    apr_interval_time_t pool_acquire;
    apr_int64_t pool_waiters;       /* requests that may wait at once */
    apr_interval_time_t metrics_interval;   /* between two lines; 0: none */
    apr_interval_time_t log_pulse;  /* of failures that go on; 0: no limit */
    apr_int64_t memory;             /* MiB that it may use; 0: not said */
    double cpus;                    /* that it may use; 0: not said */
    int chaos_mode;
    const char *chaos_token;        /* NULL: operator routes are open */
    const char *chaos_endpoint_host;    /* NULL: a built-in one */
    int chaos_endpoint_port;
    const char *chaos_upstream;     /* NULL: a built-in one */
    apr_int64_t chaos_max_duration; /* seconds of an incident */
    apr_int64_t chaos_max_memory;   /* MiB that it may fill */
    apr_int64_t chaos_max_cpu;      /* percent of the CPUs granted */
    apr_int64_t chaos_max_incidents;    /* at once */
    const char *ledger;             /* a file; NULL: none is kept */
} patient_conf_t;

/** Settings of a place (Location). */
typedef struct patient_place_t {
    int chaos;                      /* PatientChaos On */
} patient_place_t;

/** Never NULL; complete once patient_conf_check() has run. */
const patient_conf_t *patient_conf(const server_rec *s);

/**
 * The server whose settings, database and log are the patient's. An httpd is
 * one patient, whatever the number of virtual hosts that lead to it: the main
 * server if it is one, else the first virtual host that is.
 * @return NULL: no server is a patient
 */
server_rec *patient_home(server_rec *main_server);

/** Never NULL. */
const patient_place_t *patient_place(const request_rec *r);

/** Production is where a weak secret must stop the start. */
int patient_conf_is_production(const patient_conf_t *conf);

/**
 * Gives every server's unset settings their defaults, and checks what no
 * single directive can: settings of a patient that are missing or don't go
 * together. What other servers have is not looked at.
 * @param problem set on failure: one sentence that names the setting
 * @return APR_SUCCESS or APR_EINVAL
 */
apr_status_t patient_conf_check(const char **problem, server_rec *main_server,
                                apr_pool_t *pool);

void *patient_conf_create(apr_pool_t *pool, server_rec *s);
void *patient_conf_merge(apr_pool_t *pool, void *base, void *add);
void *patient_place_create(apr_pool_t *pool, char *place);
void *patient_place_merge(apr_pool_t *pool, void *base, void *add);

extern const command_rec patient_directives[];

/** Prints what holds for a server, a directive a line, secrets kept. */
void patient_conf_print(apr_file_t *out, const server_rec *s,
                        apr_pool_t *pool);

#endif
