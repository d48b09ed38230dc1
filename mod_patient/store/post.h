/*
 * post.h - the posts of the patient: all SQL on them.
 */
#ifndef PATIENT_STORE_POST_H
#define PATIENT_STORE_POST_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

struct db_t;

typedef struct post_t {
    apr_int64_t id;
    apr_int64_t user_id;
    const char *title;
    const char *content;        /* NULL if the row has none */
    apr_time_t created_at;      /* or DATETIME_NONE, like the next */
    apr_time_t updated_at;
    int was_read;               /* its author was looked for: */
    apr_int64_t author_id;      /* 0: the post has outlived him */
    const char *author_email;   /* NULL if the row has none, like the next */
    const char *author_name;
} post_t;

/**
 * Reads a page, newest first.
 * @param posts of post_t, from pool
 * @return APR_SUCCESS; anything else: logged
 */
apr_status_t post_list(apr_array_header_t **posts, struct db_t *db,
                       apr_int64_t limit, apr_int64_t offset,
                       apr_pool_t *pool);

/** @return APR_SUCCESS; APR_NOTFOUND; anything else: logged */
apr_status_t post_find(post_t **post, struct db_t *db, apr_int64_t id,
                       apr_pool_t *pool);

/**
 * Stores a post.
 * @param post user_id, title and content are given; id and times are set
 * @return APR_SUCCESS: it is stored; APR_NOTFOUND: there is no such user;
 *         APR_EINVAL, APR_ENAMETOOLONG: a column cannot take a text;
 *         anything else: it is not known to be stored (logged)
 */
apr_status_t post_create(post_t *post, struct db_t *db, apr_pool_t *pool);

/**
 * Deletes a post of a user.
 * @return APR_SUCCESS: it is gone; APR_NOTFOUND; APR_EACCES: it is another
 *         user's; anything else: logged
 */
apr_status_t post_delete(struct db_t *db, apr_int64_t id, apr_int64_t user_id,
                         apr_pool_t *pool);

#endif
