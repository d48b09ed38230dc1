/*
 * post.c - the posts of the patient: all SQL on them.
 */
#include "store/post.h"

#include "incident_impact.h"
#include "store/db.h"
#include "store/twins.h"

#define POST_COLUMNS \
    "p.id, p.user_id, p.title, p.content, CAST(p.created_at AS CHAR), " \
    "CAST(p.updated_at AS CHAR), u.id, u.email, u.name"

/* The page's ids first, from the index alone: otherwise the optimizer likes
 * to begin with the users and to sort all posts. */
static const db_statement_t select_page = {
    "post_page",
    "SELECT " POST_COLUMNS " FROM "
    "(SELECT id FROM posts ORDER BY created_at DESC, id DESC "
    "LIMIT %lld OFFSET %lld) page "
    "JOIN posts p ON p.id = page.id LEFT JOIN users u ON u.id = p.user_id "
    "ORDER BY p.created_at DESC, p.id DESC"
};

/* The same page without authors, and one author at a time: what a list does
 * that asks for its rows one by one. */
static const db_statement_t select_bare_page = {
    "post_bare_page",
    "SELECT p.id, p.user_id, p.title, p.content, "
    "CAST(p.created_at AS CHAR), CAST(p.updated_at AS CHAR), NULL, NULL, "
    "NULL FROM (SELECT id FROM posts ORDER BY created_at DESC, id DESC "
    "LIMIT %lld OFFSET %lld) page JOIN posts p ON p.id = page.id "
    "ORDER BY p.created_at DESC, p.id DESC"
};

/* A table without a key, which is there while authors are looked up the slow
 * way. */
static const db_statement_t select_author = {
    "post_author",
    "SELECT email, name FROM author_directory WHERE user_id = %lld"
};

/* Who came later than that table. */
static const db_statement_t select_new_author = {
    "post_new_author",
    "SELECT email, name FROM users WHERE id = %lld"
};

static const db_statement_t select_post = {
    "post_by_id",
    "SELECT " POST_COLUMNS " FROM posts p LEFT JOIN users u "
    "ON u.id = p.user_id WHERE p.id = %lld"
};

/* From users, so that it writes nothing for a user who is gone; the times
 * come from here, as they did from the original: the answer needs no second
 * trip.  Whole seconds, as the columns have them. */
static const db_statement_t insert_post = {
    "post_insert",
    "INSERT INTO posts (user_id, title, content, created_at, updated_at) "
    "SELECT id, %s, %s, FROM_UNIXTIME(%lld), FROM_UNIXTIME(%lld) "
    "FROM users WHERE id = %lld"
};

static const db_statement_t select_written = {
    "post_written",
    "SELECT id FROM posts WHERE user_id = %lld "
    "AND created_at = FROM_UNIXTIME(%lld) "
    "AND CAST(CONVERT(title USING utf8mb4) AS BINARY) = CAST(%s AS BINARY) "
    "AND CAST(CONVERT(content USING utf8mb4) AS BINARY) "
    "<=> CAST(%s AS BINARY) "
    "ORDER BY id LIMIT 1000"
};

static const db_statement_t delete_post = {
    "post_delete",
    "DELETE FROM posts WHERE id = %lld AND user_id = %lld"
};

typedef struct page_t {
    apr_array_header_t *posts;
    apr_pool_t *pool;
} page_t;

static void take_post(void *baton, const db_row_t *row)
{
    page_t *page = baton;
    post_t *post = apr_array_push(page->posts);

    post->id = db_int(row, 0);
    post->user_id = db_int(row, 1);
    post->title = db_copy(row, 2, page->pool);
    post->content = db_copy(row, 3, page->pool);
    post->created_at = db_time(row, 4);
    post->updated_at = db_time(row, 5);
    post->was_read = 1;
    post->author_id = db_int(row, 6);
    post->author_email = db_copy(row, 7, page->pool);
    post->author_name = db_copy(row, 8, page->pool);
}

static void take_id(void *baton, const db_row_t *row)
{
    *(apr_int64_t *)apr_array_push(baton) = db_int(row, 0);
}

typedef struct author_t {
    post_t *post;
    apr_pool_t *pool;
} author_t;

static void take_author(void *baton, const db_row_t *row)
{
    author_t *author = baton;

    author->post->author_id = author->post->user_id;
    author->post->author_email = db_copy(row, 0, author->pool);
    author->post->author_name = db_copy(row, 1, author->pool);
}

static apr_status_t find_author(post_t *post, struct db_t *db,
                                apr_pool_t *pool)
{
    author_t author = { post, pool };
    const void *args[] = { &post->user_id };
    apr_status_t rv = db_read(db, &select_author, args, take_author, &author,
                              pool);

    if (rv == APR_SUCCESS && post->author_id == 0) {
        rv = db_read(db, &select_new_author, args, take_author, &author,
                     pool);
    }
    return rv;
}

static apr_status_t list_one_by_one(page_t *page, struct db_t *db,
                                    const void **args)
{
    apr_status_t rv = db_read(db, &select_bare_page, args, take_post, page,
                              page->pool);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page->posts->nelts; i++) {
        rv = find_author(&APR_ARRAY_IDX(page->posts, i, post_t), db,
                         page->pool);
    }
    return rv;
}

apr_status_t post_list(apr_array_header_t **posts, struct db_t *db,
                       apr_int64_t limit, apr_int64_t offset,
                       apr_pool_t *pool)
{
    page_t page = { apr_array_make(pool, (int)limit, sizeof(post_t)), pool };
    const void *args[] = { &limit, &offset };
    incident_t *incident = incident_at(CHAOS_FAULT_LIST);

    *posts = page.posts;
    if (incident != NULL && incident_work(incident, 1)) {
        /* While this works on it, what it needs is not taken away. */
        apr_status_t rv = APR_EINTR;

        if (!incident_is_over(incident)) {
            incident_bite(incident);
            rv = list_one_by_one(&page, db, args);
        }
        incident_work(incident, -1);
        if (rv != APR_EINTR) {
            return rv;
        }
    }
    return db_read(db, &select_page, args, take_post, &page, pool);
}

apr_status_t post_find(post_t **post, struct db_t *db, apr_int64_t id,
                       apr_pool_t *pool)
{
    page_t page = { apr_array_make(pool, 1, sizeof(post_t)), pool };
    const void *args[] = { &id };
    apr_status_t rv = db_read(db, &select_post, args, take_post, &page, pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (page.posts->nelts == 0) {
        return APR_NOTFOUND;
    }
    *post = &APR_ARRAY_IDX(page.posts, 0, post_t);
    return APR_SUCCESS;
}

/* A post that is being written. */
typedef struct writing_t {
    post_t *post;
    apr_int64_t now;            /* seconds */
    twin_t twin;
    db_written_t written;
} writing_t;

/* The connection was lost while the row was written: it has the same user's
 * same words of the same second, and nobody else has written it.
 * @return APR_NOTFOUND: it is not written */
static apr_status_t find_written(writing_t *writing, struct db_t *db,
                                 apr_pool_t *pool)
{
    post_t *post = writing->post;
    const void *args[] = {
        &post->user_id, &writing->now, post->title, post->content
    };
    apr_array_header_t *rows = apr_array_make(pool, 1, sizeof(apr_int64_t));
    apr_status_t rv;
    int tries = 0;

    twins_doubt(&writing->twin);
    twins_await(&writing->twin);
    do {
        apr_array_clear(rows);
        rv = db_read(db, &select_written, args, take_id, rows, pool);
    } while (rv == APR_SUCCESS && twins_await(&writing->twin) && ++tries < 3);
    post->id = rv == APR_SUCCESS ? twins_choose(&writing->twin, rows) : 0;
    return rv == APR_SUCCESS && post->id == 0 ? APR_NOTFOUND : rv;
}

/* @return APR_INCOMPLETE: it was sent, and is certainly not written */
static apr_status_t write_post(writing_t *writing, struct db_t *db,
                               apr_pool_t *pool)
{
    post_t *post = writing->post;
    const void *args[] = {
        post->title, post->content, &writing->now, &writing->now,
        &post->user_id
    };
    apr_status_t rv;

    writing->now = apr_time_sec(apr_time_now());
    post->created_at = post->updated_at = apr_time_from_sec(writing->now);
    twins_begin(&writing->twin, post->user_id, writing->now, post->title,
                post->content);
    rv = db_write(db, &insert_post, args, &writing->written, pool);
    if (rv == APR_INCOMPLETE) {
        rv = find_written(writing, db, pool);
        rv = rv == APR_NOTFOUND ? APR_INCOMPLETE : rv;
    }
    else if (rv == APR_SUCCESS) {
        post->id = writing->written.insert_id;
        rv = writing->written.rows > 0 ? APR_SUCCESS : APR_NOTFOUND;
    }
    twins_end(&writing->twin, rv == APR_SUCCESS ? post->id : 0);
    return rv;
}

apr_status_t post_create(post_t *post, struct db_t *db, apr_pool_t *pool)
{
    writing_t writing = { .post = post };
    apr_status_t rv = write_post(&writing, db, pool);

    if (rv == APR_INCOMPLETE && !writing.written.was_slow) {
        rv = write_post(&writing, db, pool);
    }
    return rv == APR_INCOMPLETE ? APR_EGENERAL : rv;
}

apr_status_t post_delete(struct db_t *db, apr_int64_t id, apr_int64_t user_id,
                         apr_pool_t *pool)
{
    const void *args[] = { &id, &user_id };
    db_written_t written = { 0 };
    post_t *post;
    int in_doubt;
    apr_status_t rv = db_write(db, &delete_post, args, &written, pool);

    in_doubt = rv == APR_INCOMPLETE;
    if (in_doubt) {
        rv = db_write(db, &delete_post, args, &written, pool);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (written.rows > 0) {
        return APR_SUCCESS;
    }
    rv = post_find(&post, db, id, pool);
    if (rv == APR_NOTFOUND && in_doubt) {
        return APR_SUCCESS;     /* the first attempt did it */
    }
    return rv == APR_SUCCESS ? APR_EACCES : rv;
}
