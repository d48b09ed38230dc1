/*
 * drain.c - a server that is about to stop takes no new connections, and
 * takes leave of those that it has.
 */
#include "drain.h"

#include <limits.h>
#include <signal.h>
#include <sys/socket.h>

#include <ap_listen.h>
#include <ap_mpm.h>
#include <apr_portable.h>
#include <apr_signal.h>
#include <scoreboard.h>

#include "shared.h"

#define LISTENERS_MAX 16

/* For all children, and for the signal handler. */
static volatile sig_atomic_t *began;
static int listeners[LISTENERS_MAX];
static int listener_count;

/* Binds the listening socket to a network interface that does not exist.  Who
 * connects now is refused, as if it were closed; but what has come in stays
 * in its queue, and handshakes that are under way end well.  It takes no
 * privilege to bind a socket that was not bound before.  A kernel that cannot
 * do it (Linux before 5.7) leaves us with httpd's own stop. */
static void close_door(int listener)
{
#ifdef SO_BINDTOIFINDEX
    int nowhere = INT_MAX;

    (void)setsockopt(listener, SOL_SOCKET, SO_BINDTOIFINDEX, &nowhere,
                     sizeof(nowhere));
#else
    (void)listener;
#endif
}

/* The signal handler: setsockopt() is among the calls that it may make. */
static void begin(int signal_number)
{
    int i;

    (void)signal_number;
    *began = 1;
    for (i = 0; i < listener_count; i++) {
        close_door(listeners[i]);
    }
}

/* This module may be unloaded next. */
static apr_status_t ignore_signal(void *unused)
{
    (void)unused;
    apr_signal(SIGUSR2, SIG_IGN);
    return APR_SUCCESS;
}

apr_status_t drain_open(server_rec *s, apr_pool_t *pconf)
{
    void *memory;
    int is_new;
    const ap_listen_rec *listener;
    apr_status_t rv = shared_open(&memory, &is_new, "mod_patient.drain",
                                  sizeof(*began), s);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    began = memory;
    listener_count = 0;
    for (listener = ap_listeners; listener != NULL; listener = listener->next) {
        int descriptor;

        if (listener_count < LISTENERS_MAX && listener->sd != NULL
            && apr_os_sock_get(&descriptor, listener->sd) == APR_SUCCESS) {
            listeners[listener_count++] = descriptor;
        }
    }
    apr_signal(SIGUSR2, begin);
    apr_pool_cleanup_register(pconf, NULL, ignore_signal,
                              apr_pool_cleanup_null);
    return APR_SUCCESS;
}

static int is_replaced(void)
{
    int own;

    return ap_mpm_query(AP_MPMQ_GENERATION, &own) == APR_SUCCESS
        && ap_scoreboard_image->global->running_generation != own;
}

int drain_began(void)
{
    return *began != 0 || is_replaced();
}
