/*
 * chaos_order.c - what the operator asks for, read from a request.
 */
#include "api/chaos_order.h"

#include <string.h>

#include <apr_strings.h>

#include "host.h"
#include "http/reply.h"
#include "http/request.h"

/* The word of an incident's body that no scenario has for itself. */
#define DURATION "duration_s"

/* One member of the body as a scenario's argument.
 * @return APR_EINVAL: neither number, truth nor text */
static apr_status_t read_value(chaos_value_t *value, const char *name,
                               json_t *member)
{
    value->name = name;
    switch (json_typeof(member)) {
    case JSON_INTEGER:
        value->kind = CHAOS_INT;
        value->number = json_integer_value(member);
        return APR_SUCCESS;
    case JSON_TRUE:
    case JSON_FALSE:
        value->kind = CHAOS_BOOL;
        value->number = json_is_true(member);
        return APR_SUCCESS;
    case JSON_STRING:
        value->kind = CHAOS_WORD;
        value->word = json_string_value(member);
        return APR_SUCCESS;
    default:
        return APR_EINVAL;
    }
}

/* @return APR_SUCCESS, APR_EINVAL or CHAOS_ERANGE */
static apr_status_t read_duration(chaos_order_t *order, json_t *member,
                                  const char **why, const call_t *call)
{
    *why = apr_psprintf(call->pool, DURATION " must be a whole number from 1 "
                        "to %" APR_INT64_T_FMT,
                        call->conf->chaos_max_duration);
    if (!json_is_integer(member)) {
        return APR_EINVAL;
    }
    order->duration_s = json_integer_value(member);
    return order->duration_s < 1
        || order->duration_s > call->conf->chaos_max_duration
        ? CHAOS_ERANGE : APR_SUCCESS;
}

/* Whether this server allows, and this machine can give, what is asked. */
static apr_status_t check_caps(const chaos_order_t *order, const char **why,
                               const call_t *call)
{
    const chaos_param_t *param = order->scenario->params;

    for (; param != NULL && param->name != NULL; param++) {
        apr_int64_t cap = host_cap(param->role, call->conf);
        apr_int64_t spare = host_spare(param->role);
        apr_int64_t most = spare < cap ? spare : cap;

        if (param->role != CHAOS_ROLE_NONE
            && chaos_args_role(order->args, param->role, 0) > most) {
            *why = apr_psprintf(call->pool, "%s must be at most %"
                                APR_INT64_T_FMT " %s", param->name, most,
                                spare < cap
                                ? "now: this machine has no more to give"
                                : "on this server");
            return CHAOS_ERANGE;
        }
    }
    return APR_SUCCESS;
}

static apr_status_t read_member(chaos_order_t *order, const char *name,
                                json_t *member, const char **why,
                                const call_t *call)
{
    chaos_value_t value;
    apr_status_t rv;

    if (strcmp(name, DURATION) == 0) {
        return read_duration(order, member, why, call);
    }
    rv = read_value(&value, name, member);
    if (rv != APR_SUCCESS) {
        *why = apr_psprintf(call->pool, "%s must be a whole number, a text, "
                            "true or false", name);
        return rv;
    }
    return chaos_args_set(order->args, &value, why);
}

/* What would have no effect is refused. */
static apr_status_t check_form(const chaos_order_t *order, json_t *body,
                               const char **why, const call_t *call)
{
    const char *name;
    json_t *member;

    json_object_foreach(body, name, member) {
        const chaos_param_t *param = chaos_param_find(order->scenario, name);

        if (order->duration_s > 0 && param != NULL && param->once_only) {
            *why = apr_psprintf(call->pool, "%s is for a one-shot, which has "
                                "no " DURATION, param->name);
            return APR_EINVAL;
        }
    }
    return APR_SUCCESS;
}

apr_status_t chaos_order_read(chaos_order_t *order, int *answer,
                              call_t *call)
{
    apr_status_t rv;
    const char *name, *why;
    json_t *body, *member;

    memset(order, 0, sizeof(*order));
    order->scenario = chaos_find(call->segment);
    if (order->scenario == NULL) {
        *answer = reply_error(call, HTTP_NOT_FOUND, "No such scenario");
        return APR_NOTFOUND;
    }
    rv = request_body(&body, answer, call);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    order->args = chaos_args_create(order->scenario, call->pool);
    json_object_foreach(body, name, member) {
        if (rv == APR_SUCCESS) {
            rv = read_member(order, name, member, &why, call);
        }
    }
    if (rv == APR_SUCCESS) {
        rv = check_form(order, body, &why, call);
    }
    if (rv == APR_SUCCESS) {
        rv = check_caps(order, &why, call);
    }
    if (rv != APR_SUCCESS) {
        *answer = reply_error(call, rv == CHAOS_ERANGE
                              ? HTTP_UNPROCESSABLE_ENTITY : HTTP_BAD_REQUEST,
                              why);
    }
    return rv;
}
