/*
 * auth.c - accounts: sign up, log in, verify a token.
 */
#include "api/api.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "auth/password.h"
#include "auth/token.h"
#include "gate.h"
#include "grant.h"
#include "http/field.h"
#include "http/json.h"
#include "http/reply.h"
#include "http/request.h"
#include "incident_impact.h"
#include "log/errorlog.h"
#include "store/user.h"

#define EMAIL_MAX_CHARACTERS 255
#define EMAIL_LOCAL_MAX 64
#define NAME_MAX_CHARACTERS 100
#define NAME_DEFAULT "Anonymous"

/* bcrypt burns CPU: as many at once as there are CPUs, and a short line, so
 * that a storm of logins doesn't take every worker from everybody else. */
#define HASH_WAITERS 48
#define HASH_PATIENCE apr_time_from_sec(15)

/* Who comes back later with a token that was good for a moment is not waited
 * for. */
#define RETURN_PATIENCE apr_time_from_sec(5)

static gate_t *hash_gate;

apr_status_t api_start(apr_pool_t *pchild)
{
    int cpus = (int)(grant_cpus() + 0.5);

    return gate_create(&hash_gate, cpus > 0 ? cpus : 1, HASH_WAITERS, pchild);
}

static apr_status_t enter_hashing(void)
{
    apr_status_t rv = gate_enter(hash_gate, HASH_PATIENCE, GATE_BOUNDED);
    event_t event;

    if (rv != APR_SUCCESS) {
        errorlog_open(&event, EVENT_WARNING, "LOAD WARNING");
        event_str(&event, "message",
                  "too many passwords to hash or compare at once");
        errorlog_write(&event);
    }
    return rv;
}

static json_t *user_json(const user_t *user, apr_pool_t *pool)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o}",
                     "id", (json_int_t)user->id,
                     "email", json_text(user->email, pool),
                     "name", json_text(user->name, pool),
                     "createdAt", json_time(user->created_at),
                     "updatedAt", json_time(user->updated_at));
}

/* ---- sign up ---- */

/* The domain: labels of letters, digits and inner hyphens, two at least, the
 * last one of letters and no shorter than two. */
static int is_domain(const char *domain)
{
    const char *label = domain;
    int labels = 0;

    while (1) {
        apr_size_t len = strcspn(label, "."), i;

        if (len == 0 || len > 63 || label[0] == '-'
            || label[len - 1] == '-') {
            return 0;
        }
        for (i = 0; i < len; i++) {
            if (!apr_isalnum(label[i]) && label[i] != '-') {
                return 0;
            }
        }
        labels++;
        if (label[len] == '\0') {
            return labels > 1 && len > 1 && apr_isalpha(label[0]);
        }
        label += len + 1;
    }
}

/* A dot-atom of RFC 5322, or of RFC 6531 with characters beyond ASCII, which
 * is_email() has looked at. */
static int is_local_part(const char *local, apr_size_t len)
{
    apr_size_t i;

    if (len == 0 || len > EMAIL_LOCAL_MAX || local[0] == '.'
        || local[len - 1] == '.') {
        return 0;
    }
    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)local[i];

        if ((c == '.' && local[i + 1] == '.')
            || !(c >= 0x80 || apr_isalnum(c)
                 || strchr(".!#$%&'*+-/=?^_`{|}~", c))) {
            return 0;
        }
    }
    return 1;
}

static int is_email(const char *email)
{
    const char *at = strrchr(email, '@');

    return at != NULL
        && !field_has_blank(email)
        && field_characters(email) <= EMAIL_MAX_CHARACTERS
        && is_local_part(email, (apr_size_t)(at - email))
        && is_domain(at + 1);
}

/* Everything wrong with values that are there, or NULL. */
static const char *judge(const char *email, const char *password,
                         apr_pool_t *pool)
{
    const char *problems = NULL;

    if (!is_email(email)) {
        problems = field_complain(problems, "Invalid email format", pool);
    }
    if (field_characters(password) < PASSWORD_MIN_CHARACTERS
        || strlen(password) > PASSWORD_MAX_BYTES) {
        problems = field_complain(
            problems, "Password must have at least 6 characters and at most "
            "72 bytes", pool);
    }
    return problems;
}

static apr_status_t hash_and_create(user_t *user, const char *password,
                                    call_t *call)
{
    apr_status_t rv = enter_hashing();

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = password_hash(&user->password, password, call->pool);
    gate_leave(hash_gate);
    return rv == APR_SUCCESS ? user_create(user, call->db, call->pool) : rv;
}

#define CREDENTIALS_REQUIRED "Email and password are required"

/* POST /api/auth/register */
static int register_user(call_t *call)
{
    field_t email = { .name = "email", .required = CREDENTIALS_REQUIRED };
    field_t password = { .name = "password",
                         .required = CREDENTIALS_REQUIRED };
    field_t name = { .name = "name", .max_characters = NAME_MAX_CHARACTERS };
    field_t *fields[] = { &email, &password, &name, NULL };
    user_t user = { .id = 0 };
    const char *problems;
    json_t *body;
    apr_status_t rv;
    int answer;

    if (request_body(&body, &answer, call) != APR_SUCCESS) {
        return answer;
    }
    problems = field_read(fields, body, call->pool);
    if (problems == NULL) {
        problems = judge(email.value, password.value, call->pool);
    }
    if (problems != NULL) {
        return reply_error(call, HTTP_BAD_REQUEST, problems);
    }
    user.email = email.value;
    user.name = name.value && !field_is_blank(name.value) ? name.value
                                                          : NAME_DEFAULT;
    rv = hash_and_create(&user, password.value, call);
    if (rv == APR_EEXIST) {
        return reply_error(call, HTTP_CONFLICT, "Email already exists");
    }
    if (rv == APR_EINVAL || rv == APR_ENAMETOOLONG) {
        return reply_misfit(call, "Email or name", rv);
    }
    if (rv != APR_SUCCESS) {
        return reply_unavailable(call, "Failed to create user");
    }
    return reply_json(call, HTTP_CREATED, json_pack(
        "{s:s, s:o}", "message", "User created successfully",
        "user", user_json(&user, call->pool)));
}

/* ---- log in ---- */

/* Compares with a hash in any case, so that an unknown user takes as long. */
static apr_status_t check_password(const user_t *user, const char *password)
{
    apr_status_t rv = enter_hashing();

    if (rv == APR_SUCCESS) {
        rv = password_verify(password, user ? user->password : NULL);
        gate_leave(hash_gate);
    }
    return rv;
}

/* Seconds that a token is good for. */
static apr_int64_t token_lifetime(call_t *call)
{
    incident_t *incident = incident_at(CHAOS_FAULT_LIFETIME);
    apr_int64_t lifetime;

    if (incident == NULL) {
        return call->conf->token_lifetime;
    }
    incident_bite(incident);
    lifetime = chaos_args_role(incident_args(incident, call->pool),
                               CHAOS_ROLE_LIFETIME_S,
                               call->conf->token_lifetime);
    incident_linger(incident, apr_time_from_sec(lifetime) + RETURN_PATIENCE);
    return lifetime;
}

static apr_status_t sign(const char **token, const user_t *user, call_t *call)
{
    const char *secret = call->conf->jwt_secret;
    token_key_t key = { (const unsigned char *)secret, (int)strlen(secret) };
    apr_int64_t now = apr_time_sec(apr_time_now());
    token_claims_t claims = {
        .id = user->id, .email = user->email,
        .iat = now, .exp = now + token_lifetime(call)
    };

    return token_sign(token, &key, &claims, call->pool);
}

/* POST /api/auth/login */
static int log_in(call_t *call)
{
    field_t email = { .name = "email", .required = CREDENTIALS_REQUIRED };
    field_t password = { .name = "password",
                         .required = CREDENTIALS_REQUIRED };
    field_t *fields[] = { &email, &password, NULL };
    const char *problems, *token;
    user_t *user = NULL;
    json_t *body;
    apr_status_t rv;
    int answer;

    if (request_body(&body, &answer, call) != APR_SUCCESS) {
        return answer;
    }
    problems = field_read(fields, body, call->pool);
    if (problems != NULL) {
        return reply_error(call, HTTP_BAD_REQUEST, problems);
    }
    rv = user_find_by_email(&user, call->db, email.value, call->pool);
    if (rv == APR_SUCCESS || rv == APR_NOTFOUND) {
        rv = check_password(user, password.value);
    }
    if (rv == APR_EMISMATCH) {
        return reply_challenge(call, NULL, json_pack(
            "{s:s}", "error", "Invalid email or password"));
    }
    if (rv != APR_SUCCESS || sign(&token, user, call) != APR_SUCCESS) {
        return reply_unavailable(call, "Login failed");
    }
    return reply_json(call, HTTP_OK, json_pack(
        "{s:s, s:s, s:o}", "message", "Login successful", "token", token,
        "user", user_json(user, call->pool)));
}

/* ---- verify ---- */

/* GET /api/auth/verify */
static int verify(call_t *call)
{
    apr_status_t rv = guard_identify(call);

    if (rv == APR_ENOENT) {
        return reply_challenge(call, NULL, json_pack(
            "{s:s}", "error", "No token provided"));
    }
    if (rv == APR_TIMEUP) {
        return reply_challenge(call, "invalid_token", json_pack(
            "{s:s, s:o}", "error", "Token expired", "expiredAt",
            json_time(apr_time_from_sec(call->member->exp))));
    }
    if (rv != APR_SUCCESS) {
        return reply_challenge(call, "invalid_token", json_pack(
            "{s:s}", "error", "Invalid token"));
    }
    return reply_json(call, HTTP_OK, json_pack(
        "{s:b, s:{s:I, s:o, s:I, s:I}}", "valid", 1, "user",
        "id", (json_int_t)call->member->id,
        "email", json_text(call->member->email, call->pool),
        "iat", (json_int_t)call->member->iat,
        "exp", (json_int_t)call->member->exp));
}

const route_t auth_routes[] = {
    { M_POST, "/api/auth/register", ROUTE_ANYONE, register_user, 0 },
    { M_POST, "/api/auth/login", ROUTE_ANYONE, log_in, 0 },
    { M_GET, "/api/auth/verify", ROUTE_ANYONE, verify, 0 },
    ROUTE_END
};
