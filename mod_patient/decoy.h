/*
 * decoy.h - places where nobody answers.
 *
 * Two loopback ports that the parent keeps for as long as it serves: on one
 * nobody ever speaks, on the other nobody listens.
 */
#ifndef PATIENT_DECOY_H
#define PATIENT_DECOY_H

#include <apr_pools.h>
#include <apr_time.h>

#include "chaos/chaos.h"
#include "conf.h"

/** Takes the ports. In the parent, in post_config. */
apr_status_t decoy_open(const patient_conf_t *conf, apr_pool_t *pconf);

/**
 * Lets go of whoever has called the silent port: that end stays open after the
 * caller has hung up. Only when nobody waits for an answer from there any
 * more. In any process; does not wait.
 * @param pool takes what the calls need, until it is cleared
 */
void decoy_tidy(apr_pool_t *pool);

/**
 * Where the database is wrongly looked for.
 * @param args say in which way (CHAOS_ROLE_PLACE), and how long to wait
 *        (CHAOS_ROLE_TIMEOUT_MS)
 */
void decoy_endpoint(const char **host, int *port,
                    apr_interval_time_t *timeout, const chaos_args_t *args);

/** Where somebody listens and never speaks. */
void decoy_silence(const char **host, int *port);

/** The URL of a service that does not answer. */
const char *decoy_upstream(void);

#endif
