/*
 * user.c - the users of the patient: all SQL on them.
 */
#include "store/user.h"

#include <string.h>

#include "store/db.h"

/* The times come from here, as they did from the original: so the answer
 * needs no second trip.  Whole seconds, as the columns have them. */
static const db_statement_t insert_user = {
    "user_insert",
    "INSERT INTO users (email, password, name, created_at, updated_at) "
    "VALUES (%s, %s, %s, FROM_UNIXTIME(%lld), FROM_UNIXTIME(%lld))"
};

static const db_statement_t select_user = {
    "user_by_email",
    "SELECT id, email, name, password, CAST(created_at AS CHAR), "
    "CAST(updated_at AS CHAR) FROM users WHERE email = %s"
};

typedef struct search_t {
    user_t *user;               /* NULL until it is found */
    apr_pool_t *pool;
} search_t;

static void take_user(void *baton, const db_row_t *row)
{
    search_t *search = baton;
    user_t *user = apr_pcalloc(search->pool, sizeof(*user));

    user->id = db_int(row, 0);
    user->email = db_copy(row, 1, search->pool);
    user->name = db_copy(row, 2, search->pool);
    user->password = db_copy(row, 3, search->pool);
    user->created_at = db_time(row, 4);
    user->updated_at = db_time(row, 5);
    search->user = user;
}

apr_status_t user_find_by_email(user_t **user, struct db_t *db,
                                const char *email, apr_pool_t *pool)
{
    search_t search = { NULL, pool };
    const void *args[] = { email };
    apr_status_t rv = db_read(db, &select_user, args, take_user, &search,
                              pool);

    if (rv == APR_EINVAL) {     /* nobody can have such an address */
        return APR_NOTFOUND;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *user = search.user;
    return search.user ? APR_SUCCESS : APR_NOTFOUND;
}

/* The connection was lost while the row was written: a hash has a salt of its
 * own, so the row is ours exactly if its hash is. @return APR_NOTFOUND: it is
 * not written */
static apr_status_t find_written(user_t *user, struct db_t *db,
                                 apr_pool_t *pool)
{
    user_t *stored = NULL;
    apr_status_t rv = user_find_by_email(&stored, db, user->email, pool);

    if (rv == APR_SUCCESS) {
        if (strcmp(stored->password, user->password) != 0) {
            return APR_EEXIST;
        }
        user->id = stored->id;
    }
    return rv;
}

/* @return APR_NOTFOUND: it was sent, and is certainly not written */
static apr_status_t write_user(db_written_t *written, user_t *user,
                               struct db_t *db, apr_pool_t *pool)
{
    apr_int64_t now = apr_time_sec(apr_time_now());
    const void *args[] = {
        user->email, user->password, user->name, &now, &now
    };
    apr_status_t rv = db_write(db, &insert_user, args, written, pool);

    user->created_at = user->updated_at = apr_time_from_sec(now);
    if (rv == APR_SUCCESS) {
        user->id = written->insert_id;
    }
    return rv == APR_INCOMPLETE ? find_written(user, db, pool) : rv;
}

apr_status_t user_create(user_t *user, struct db_t *db, apr_pool_t *pool)
{
    db_written_t written;
    apr_status_t rv = write_user(&written, user, db, pool);

    if (rv == APR_NOTFOUND && !written.was_slow) {
        rv = write_user(&written, user, db, pool);
    }
    return rv == APR_NOTFOUND ? APR_EGENERAL : rv;
}
