/*
 * ward.h - in each child, somebody starts and ends the work of incidents.
 */
#ifndef PATIENT_WARD_H
#define PATIENT_WARD_H

#include <httpd.h>

struct db_t;

/** Begins; db is what incidents borrow from. In child_init. */
void ward_start(struct db_t *db, server_rec *s, apr_pool_t *pchild);

/** One round, as mod_watchdog calls for it. In each child, on one thread. */
apr_status_t ward_round(int state, void *data, apr_pool_t *pool);

#endif
