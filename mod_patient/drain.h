/*
 * drain.h - a server that is about to stop takes no new connections, and
 * takes leave of those that it has.
 *
 * httpd's graceful stop closes its listening sockets, and with them resets
 * the connections that the kernel has accepted and httpd not yet; and it
 * closes the connections that are kept open, perhaps while the next request
 * is on its way.  Those requests are lost.  So the launcher sends SIGUSR2
 * first: from then on the kernel lets nobody new in, those who are in are
 * served, and each answer says that it is the last on its connection.  A
 * moment later there is nobody left whom the stop could hurt.  There is no
 * way back.
 */
#ifndef PATIENT_DRAIN_H
#define PATIENT_DRAIN_H

#include <httpd.h>

/**
 * From here on SIGUSR2 begins the drain.  In the parent, in post_config, when
 * the listeners are open.
 * @return APR_SUCCESS or why there is no memory
 */
apr_status_t drain_open(server_rec *s, apr_pool_t *pconf);

/** Whether it has begun, or a restart has replaced this child, whose
 * connections had better go to others; from any thread of any child. */
int drain_began(void);

#endif
