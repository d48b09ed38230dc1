/*
 * schema.h - whether the tables hold what the patient puts into them.
 *
 * Tables that another program has made may have times without a zone, and
 * texts in a character set that lacks most characters.  Both work, and both
 * want somebody to know: one warning each, once in the life of the server,
 * over all children and restarts.
 */
#ifndef PATIENT_STORE_SCHEMA_H
#define PATIENT_STORE_SCHEMA_H

#include <httpd.h>

struct db_t;
struct db_session_t;

/** Maps the memory that tells whether it was done. In the parent, in
 * post_config. @return APR_SUCCESS or why there is none */
apr_status_t schema_open(server_rec *s);

/** Looks, over a connection that was just borrowed, unless it was done. */
void schema_look(struct db_session_t *session);

/** Borrows a connection for that, once in the life of the server: otherwise
 * the first request would be the first to look. Blocks for 2 s at most. */
void schema_look_first(struct db_t *db, apr_pool_t *pool);

#endif
