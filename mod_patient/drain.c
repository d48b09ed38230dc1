/*
 * drain.c - a server that is about to stop takes no new connections, and
 * takes leave of those that it has.
 */
#include "drain.h"

#include <signal.h>
#include <sys/socket.h>
#ifdef SO_ATTACH_FILTER
#include <linux/filter.h>
#endif

#include <ap_listen.h>
#include <apr_portable.h>
#include <apr_signal.h>

#include "shared.h"

#define LISTENERS_MAX 16

/* For all children, and for the signal handler. */
static volatile sig_atomic_t *began;
static int listeners[LISTENERS_MAX];
static int listener_count;

#ifdef SO_ATTACH_FILTER
/* The byte of a TCP header with the flags, and two of these. */
#define TCP_FLAGS 13
#define TCP_SYN 0x02
#define TCP_ACK 0x10

/* Drops what opens a connection (SYN without ACK) and passes all else: a
 * handshake that is under way ends well, and the client whose SYN was dropped
 * sends it again a second later, to be refused when the socket is closed. */
static struct sock_filter no_syn[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TCP_SYN | TCP_ACK),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TCP_SYN, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0),
    BPF_STMT(BPF_RET | BPF_K, 0xffffffff)
};
static const struct sock_fprog no_syn_program = {
    sizeof(no_syn) / sizeof(no_syn[0]), no_syn
};
#endif

/* A kernel that cannot do it leaves us with httpd's own stop. */
static void close_door(int listener)
{
#ifdef SO_ATTACH_FILTER
    (void)setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &no_syn_program,
                     sizeof(no_syn_program));
#endif
}

static void open_door(int listener)
{
#ifdef SO_ATTACH_FILTER
    int unused = 0;

    (void)setsockopt(listener, SOL_SOCKET, SO_DETACH_FILTER, &unused,
                     sizeof(unused));
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
    *began = 0;
    listener_count = 0;
    for (listener = ap_listeners; listener != NULL; listener = listener->next) {
        int descriptor;

        if (listener_count < LISTENERS_MAX && listener->sd != NULL
            && apr_os_sock_get(&descriptor, listener->sd) == APR_SUCCESS) {
            open_door(descriptor);
            listeners[listener_count++] = descriptor;
        }
    }
    apr_signal(SIGUSR2, begin);
    apr_pool_cleanup_register(pconf, NULL, ignore_signal,
                              apr_pool_cleanup_null);
    return APR_SUCCESS;
}

int drain_began(void)
{
    return *began != 0;
}
