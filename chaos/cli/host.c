/*
 * host.c - a scenario's surroundings when there is no server: the client
 * library, the clock, signals, and stderr for the log.
 */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <apr_atomic.h>
#include <apr_general.h>
#include <apr_strings.h>

#include "auth/token.h"
#include "host_db.h"
#include "host_grant.h"
#include "host_machine.h"
#include "log/event.h"
#include "log/symptom.h"
#include "upstream.h"
#include "vitals.h"

/* How often a run that takes its time says so to who watches. */
#define NOTE_EVERY apr_time_from_sec(5)

typedef struct self_t {
    apr_time_t started;
    int watched;                /* stderr is a terminal */
    volatile apr_uint32_t notes;
    host_db_t db;
    host_machine_t machine;
    token_key_t key;
    unsigned char random[32];
} self_t;

/* A signal handler has no argument to find these by. The pipe is never
 * drained: once a signal came, every pause of every thread ends at once. */
static atomic_int caught;
static int wake[2];

static void on_signal(int number)
{
    int before = errno;         /* of what the signal came into */

    caught = number;
    if (write(wake[1], "", 1) <= 0) {
        /* Full is as good: whoever waits is woken. */
        errno = before;
    }
}

int host_signal(void)
{
    return caught;
}

int host_wake(void)
{
    return wake[0];
}

/* One write per line, so that it stays whole among those of others. */
void host_write(event_t *event)
{
    const char *line = event_close(event);
    struct iovec parts[2];

    parts[0].iov_base = (void *)line;
    parts[0].iov_len = strlen(line);
    parts[1].iov_base = (void *)"\n";
    parts[1].iov_len = 1;
    if (writev(STDERR_FILENO, parts, 2) < 0) {
        /* Nowhere left to say so. */
        return;
    }
}

host_db_t *host_db_of(chaos_host_t *host)
{
    self_t *self = host->self;

    return &self->db;
}

host_machine_t *host_machine_of(chaos_host_t *host)
{
    self_t *self = host->self;

    return &self->machine;
}

/* ---- time ---- */

static apr_time_t now(chaos_host_t *host)
{
    (void)host;
    return vitals_now();
}

static void note_progress(self_t *self)
{
    apr_interval_time_t elapsed = vitals_now() - self->started;
    apr_uint32_t notes = (apr_uint32_t)(elapsed / NOTE_EVERY);

    /* Of many threads that pause, one takes the note. */
    if (self->watched && apr_atomic_xchg32(&self->notes, notes) < notes) {
        fprintf(stderr, "patient-chaos: %d s\n",
                (int)apr_time_sec(elapsed));
    }
}

static apr_status_t pause_for(chaos_host_t *host, apr_interval_time_t span)
{
    self_t *self = host->self;
    apr_time_t end = vitals_now() + span;

    for (;;) {
        struct pollfd stop = { .fd = wake[0], .events = POLLIN };
        apr_interval_time_t left = end - vitals_now();

        if (caught) {
            return APR_EINTR;
        }
        if (host->deadline && vitals_now() >= host->deadline) {
            return APR_TIMEUP;
        }
        if (left <= 0) {
            return APR_SUCCESS;
        }
        if (left > apr_time_from_sec(1)) {
            left = apr_time_from_sec(1);
        }
        poll(&stop, 1, (int)((left + 999) / 1000));
        note_progress(self);
    }
}

/* ---- calls and tokens ---- */

static apr_status_t call(chaos_host_t *host, const char *url,
                         apr_interval_time_t timeout,
                         apr_interval_time_t *elapsed,
                         chaos_failure_t *failure, apr_pool_t *pool)
{
    upstream_result_t result;
    apr_status_t rv = upstream_call(&result, url, timeout, pool);
    event_t event;

    (void)host;
    *elapsed = result.elapsed;
    if (rv != APR_SUCCESS) {
        event_open(&event, EVENT_ERROR, SYMPTOM_UPSTREAM, apr_time_now());
        symptom_upstream(&event, result.reason, result.code, url, timeout,
                         result.elapsed);
        host_write(&event);
        failure->error = result.reason;
        failure->code = result.code;
    }
    return rv;
}

static apr_status_t sign(chaos_host_t *host, int lifetime_s,
                         const char **token, apr_pool_t *pool)
{
    self_t *self = host->self;
    apr_int64_t issued = apr_time_sec(apr_time_now());
    token_claims_t claims = {
        .id = 0, .email = "nobody@localhost", .iat = issued,
        .exp = issued + lifetime_s
    };

    return token_sign(token, &self->key, &claims, pool);
}

static apr_status_t verify(chaos_host_t *host, const char *token,
                           chaos_failure_t *failure, apr_pool_t *pool)
{
    self_t *self = host->self;
    token_claims_t *claims;
    token_flaw_e flaw;
    event_t event;
    apr_status_t rv = token_verify(&claims, &flaw, &self->key, token,
                                   apr_time_now(), pool);

    if (rv == APR_TIMEUP) {
        event_open(&event, EVENT_ERROR, SYMPTOM_EXPIRED, apr_time_now());
        symptom_expired(&event, claims->exp);
        host_write(&event);
        failure->error = SYMPTOM_EXPIRED_ERROR;
        failure->code = SYMPTOM_EXPIRED_CODE;
    }
    return rv;
}

/* The patient's key if it is there, else one for this run alone. */
static apr_status_t find_key(self_t *self)
{
    const char *secret = getenv("JWT_SECRET");

    if (secret != NULL && *secret != '\0') {
        self->key.bytes = (const unsigned char *)secret;
        self->key.len = (int)strlen(secret);
        return APR_SUCCESS;
    }
    self->key.bytes = self->random;
    self->key.len = sizeof(self->random);
    return apr_generate_random_bytes(self->random, sizeof(self->random));
}

/* ---- the host ---- */

static apr_status_t catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal };

    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0) {
        return apr_get_os_error();
    }
    action.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGINT, &action, NULL) != 0
        || sigaction(SIGTERM, &action, NULL) != 0) {
        return apr_get_os_error();
    }
    return APR_SUCCESS;
}

apr_status_t host_create(chaos_host_t **host, const char *endpoint_name,
                         int endpoint_port, apr_pool_t *pool)
{
    chaos_host_t *made = apr_pcalloc(pool, sizeof(*made));
    self_t *self = apr_pcalloc(pool, sizeof(*self));
    apr_status_t rv;

    self->started = vitals_now();
    self->watched = isatty(STDERR_FILENO);
    made->self = self;
    made->endpoint_host = endpoint_name;
    made->endpoint_port = endpoint_port;
    made->now = now;
    made->pause = pause_for;
    made->call = call;
    made->sign = sign;
    made->verify = verify;
    *host = made;
    if ((rv = upstream_start()) != APR_SUCCESS) {
        return rv;
    }
    host_grant_task(pool);
    if ((rv = host_db_fill(made, &self->db, pool)) != APR_SUCCESS
        || (rv = host_machine_fill(made, &self->machine, pool))
           != APR_SUCCESS
        || (rv = find_key(self)) != APR_SUCCESS) {
        return rv;
    }
    return catch_signals();
}
