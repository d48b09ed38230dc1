/*
 * guard.c - who may call what.
 */
#include "api/api.h"

#include <string.h>

#include <apr_crypto.h>
#include <apr_strings.h>

#include "auth/token.h"
#include "http/json.h"
#include "http/reply.h"
#include "http/request.h"
#include "incident_impact.h"
#include "log/errorlog.h"
#include "log/symptom.h"
#include "vitals.h"

int guard_is_open(const route_t *route, request_rec *r)
{
    return route->access != ROUTE_OPERATOR
        || (patient_conf(r->server)->chaos_mode
            && patient_place(r)->chaos == 1);
}

/* An expired token is the server's to worry about: its lifetime may be too
 * short.  Any other that is no good is the sender's own doing. */
static void log_expired(const token_claims_t *claims)
{
    event_t event;

    errorlog_open(&event, EVENT_ERROR, SYMPTOM_EXPIRED);
    symptom_expired(&event, claims->exp);
    errorlog_write(&event);
}

static void log_rejected(token_flaw_e flaw)
{
    event_t event;

    errorlog_open(&event, EVENT_INFO, "TOKEN REJECTED");
    event_str(&event, "reason", token_flaw_name(flaw));
    errorlog_write(&event);
}

/* When an incident began, in the time of day that tokens have: the machine's
 * clock may have been set since, and of both answers the earlier holds. */
static apr_time_t begin_of(const incident_t *incident)
{
    apr_time_t now = apr_time_now() - (vitals_now() - incident->begun);

    return now < incident->armed ? now : incident->armed;
}

/* A token issued while tokens are short-lived, and already expired: somebody
 * is locked out by it, also when that time is over by now. */
static void note_lockout(const token_claims_t *claims)
{
    incident_t *incident = incident_about(CHAOS_FAULT_LIFETIME);

    if (incident != NULL && !incident->once
        && claims->iat >= apr_time_sec(begin_of(incident))) {
        incident_felt(incident);
    }
}

apr_status_t guard_identify(call_t *call)
{
    const char *secret = call->conf->jwt_secret;
    token_key_t key = { (const unsigned char *)secret, (int)strlen(secret) };
    const char *token = request_bearer(call);
    token_claims_t *claims = NULL;
    token_flaw_e flaw;
    apr_status_t rv;

    if (token == NULL) {
        return APR_ENOENT;
    }
    rv = token_verify(&claims, &flaw, &key, token, apr_time_now(),
                      call->pool);
    call->member = claims;
    if (rv == APR_TIMEUP) {
        log_expired(claims);
        note_lockout(claims);
    }
    else if (rv != APR_SUCCESS) {
        log_rejected(flaw);
    }
    return rv;
}

static apr_status_t admit_member(int *answer, call_t *call)
{
    apr_status_t rv = guard_identify(call);

    if (rv == APR_SUCCESS) {
        return APR_SUCCESS;
    }
    *answer = rv == APR_ENOENT
        ? reply_challenge(call, NULL, json_pack(
            "{s:s}", "error", "Authentication required"))
        : reply_challenge(call, "invalid_token", json_pack(
            "{s:s}", "error", "Invalid or expired token"));
    return APR_EACCES;
}

static apr_status_t admit_operator(int *answer, call_t *call)
{
    const char *wanted = call->conf->chaos_token;
    const char *given = request_bearer(call);

    if (wanted == NULL
        || (given != NULL && strlen(given) == strlen(wanted)
            && apr_crypto_equals(given, wanted, strlen(wanted)))) {
        return APR_SUCCESS;
    }
    *answer = reply_challenge(call, given ? "invalid_token" : NULL, json_pack(
        "{s:s}", "error", "Operator token required"));
    return APR_EACCES;
}

apr_status_t guard_admit(int *answer, call_t *call)
{
    switch (call->route->access) {
    case ROUTE_MEMBER:
        return admit_member(answer, call);
    case ROUTE_OPERATOR:
        return admit_operator(answer, call);
    default:
        return APR_SUCCESS;
    }
}
