/*
 * silence.h - a loopback port where nobody answers.
 */
#ifndef CHAOS_SILENCE_H
#define CHAOS_SILENCE_H

#include <apr_errno.h>
#include <apr_network_io.h>
#include <apr_pools.h>

typedef struct silence_t {
    const char *host;
    int port;
    apr_socket_t *socket;       /* NULL: nothing of ours */
} silence_t;

/**
 * Takes a port until silence_leave().
 *
 * Bound without listening, it refuses every connection and nobody else can
 * come to listen on it.  Listening, the kernel accepts connections for it and
 * nobody ever speaks on them: the client waits until its time is over.
 */
apr_status_t silence_take(silence_t *silence, int listening,
                          apr_pool_t *pool);

/** Idempotent. */
void silence_leave(silence_t *silence);

/** What to report when there was no port to be had. */
const char *silence_error(apr_status_t status, apr_pool_t *pool);

#endif
