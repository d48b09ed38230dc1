/*
 * password.h - bcrypt hashes: made here, or by the Node original before.
 *
 * Each call costs tens of milliseconds of CPU by design; the caller bounds
 * how many run at once.  Any thread may call.
 */
#ifndef PATIENT_AUTH_PASSWORD_H
#define PATIENT_AUTH_PASSWORD_H

#include <apr_pools.h>

#define PASSWORD_MIN_CHARACTERS 6
#define PASSWORD_MAX_BYTES 72   /* bcrypt ignores what follows */

/**
 * Hashes a password with cost 10 and a fresh random salt.
 * @param hash "$2y$10$...", allocated from pool
 * @return APR_SUCCESS, or what the random source or bcrypt reported
 */
apr_status_t password_hash(const char **hash, const char *password,
                           apr_pool_t *pool);

/**
 * Compares a password with a stored hash ($2a$, $2b$ or $2y$).
 * @param hash NULL for a user that does not exist: the same work is done on
 *        a hash that nothing matches, so that the answer takes the same time
 * @return APR_SUCCESS on a match, APR_EMISMATCH on anything else
 */
apr_status_t password_verify(const char *password, const char *hash);

#endif
