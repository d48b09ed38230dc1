/*
 * host_db.h - the database as a scenario's host gives it.
 */
#ifndef PATIENT_HOST_DB_H
#define PATIENT_HOST_DB_H

#include <apr_tables.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

#include "chaos/chaos.h"
#include "conf.h"
#include "incident.h"

struct db_t;

/** What is behind chaos_host_t.self. */
typedef struct host_self_t {
    const patient_conf_t *conf;
    struct db_t *db;
    incident_t *incident;           /* may be NULL */
    apr_thread_mutex_t *mutex;      /* guards threads */
    apr_thread_cond_t *returned;    /* there is one less */
    apr_array_header_t *threads;    /* unsigned long: the server's names of
                                     * the connections that are lent */
} host_self_t;

/** Fills in what has to do with the database. */
void host_db_fill(chaos_host_t *host, apr_pool_t *pool);

#endif
