/*
 * attempt.h - one connection of mod_dbd, tried for until there is a living
 * one or none to be had.
 *
 * For pool.c.
 */
#ifndef PATIENT_STORE_ATTEMPT_H
#define PATIENT_STORE_ATTEMPT_H

#include "store/pool.h"

/**
 * Asks until there is a living connection that is not in doubt: each dead
 * idle one costs a try.
 * @param session dbd, mysql and connection are set; its pool is used
 * @param deadline by the clock of the breaker
 * @return APR_SUCCESS or APR_EGENERAL (logged)
 */
apr_status_t attempt_open(db_session_t *session, db_t *db,
                          apr_time_t deadline);

#endif
