/*
 * user.h - the users of the patient: all SQL on them.
 */
#ifndef PATIENT_STORE_USER_H
#define PATIENT_STORE_USER_H

#include <apr_pools.h>
#include <apr_time.h>

struct db_t;

typedef struct user_t {
    apr_int64_t id;
    const char *email;
    const char *name;           /* NULL if the row has none */
    const char *password;       /* the hash; never leaves the server */
    apr_time_t created_at;      /* or DATETIME_NONE, like the next */
    apr_time_t updated_at;
} user_t;

/**
 * Stores a user.
 * @param user email, name and password are given; id and times are set
 * @return APR_SUCCESS: it is stored; APR_EEXIST: the email is taken;
 *         APR_EINVAL, APR_ENAMETOOLONG: a column cannot take a text; anything
 *         else: it is not known to be stored (logged)
 */
apr_status_t user_create(user_t *user, struct db_t *db, apr_pool_t *pool);

/** @return APR_SUCCESS; APR_NOTFOUND; anything else: logged */
apr_status_t user_find_by_email(user_t **user, struct db_t *db,
                                const char *email, apr_pool_t *pool);

#endif
