/*
 * token.h - the patient's JSON Web Tokens: HS256, nothing else.
 *
 * Any thread may call; nothing is shared but the key, which is read only.
 */
#ifndef PATIENT_AUTH_TOKEN_H
#define PATIENT_AUTH_TOKEN_H

#include <apr_pools.h>
#include <apr_time.h>

typedef struct token_key_t {
    const unsigned char *bytes;
    int len;                    /* never 0: an empty key would accept all */
} token_key_t;

typedef struct token_claims_t {
    apr_int64_t id;             /* the user's */
    const char *email;
    apr_int64_t iat;            /* seconds since the epoch */
    apr_int64_t exp;
} token_claims_t;

/** Why a token was turned down; token_flaw_name() says it for the log. */
typedef enum {
    TOKEN_FLAW_NONE,
    TOKEN_FLAW_MALFORMED,       /* no three parts of base64url JSON, or a
                                 * claim is missing or of a wrong type */
    TOKEN_FLAW_ALGORITHM,       /* "alg" is not HS256 */
    TOKEN_FLAW_SIGNATURE,
    TOKEN_FLAW_NOT_ACTIVE       /* "nbf" lies ahead */
} token_flaw_e;

/**
 * Signs claims.
 * @param token NUL-terminated, allocated from pool
 * @return APR_SUCCESS; APR_EINVAL for an empty key or missing email;
 *         APR_EGENERAL when libjwt fails
 */
apr_status_t token_sign(const char **token, const token_key_t *key,
                        const token_claims_t *claims, apr_pool_t *pool);

/**
 * Verifies a token and reads its claims.
 * @param claims set on APR_SUCCESS and APR_TIMEUP, allocated from pool
 * @param flaw set on APR_EINVAL, else TOKEN_FLAW_NONE
 * @param now compared with exp (a token is expired once now >= exp) and nbf
 * @return APR_SUCCESS; APR_TIMEUP for a token that is genuine but expired;
 *         APR_EINVAL for any other that is not to be trusted
 */
apr_status_t token_verify(token_claims_t **claims, token_flaw_e *flaw,
                          const token_key_t *key, const char *token,
                          apr_time_t now, apr_pool_t *pool);

/** "malformed", "algorithm", "signature", "not active". */
const char *token_flaw_name(token_flaw_e flaw);

#endif
