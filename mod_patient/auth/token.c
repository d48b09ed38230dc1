/*
 * token.c - signs and verifies JSON Web Tokens with libjwt.
 */
#include "auth/token.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <jwt.h>

#include <apr_encode.h>
#include <apr_strings.h>

/* Ours are a few hundred bytes.  libjwt copies what it parses to the stack,
 * so that length must have a bound, whoever called. */
#define TOKEN_BYTES_MAX 8192

#define BASE64URL "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" \
                  "0123456789-_"

static int add_claims(jwt_t *jwt, const token_claims_t *claims)
{
    return jwt_add_grant_int(jwt, "id", claims->id) != 0
           || jwt_add_grant(jwt, "email", claims->email) != 0
           || jwt_add_grant_int(jwt, "iat", claims->iat) != 0
           || jwt_add_grant_int(jwt, "exp", claims->exp) != 0;
}

apr_status_t token_sign(const char **token, const token_key_t *key,
                        const token_claims_t *claims, apr_pool_t *pool)
{
    jwt_t *jwt;
    char *encoded = NULL;

    *token = NULL;
    if (key->len <= 0 || claims->email == NULL || *claims->email == '\0') {
        return APR_EINVAL;
    }
    if (jwt_new(&jwt) != 0) {
        return APR_EGENERAL;
    }
    if (add_claims(jwt, claims) == 0
        && jwt_set_alg(jwt, JWT_ALG_HS256, key->bytes, key->len) == 0) {
        encoded = jwt_encode_str(jwt);
    }
    jwt_free(jwt);
    if (encoded == NULL) {
        return APR_EGENERAL;
    }
    *token = apr_pstrdup(pool, encoded);
    free(encoded);
    return APR_SUCCESS;
}

/* libjwt's own getters cannot tell a missing claim from one of another type,
 * so they are read with jansson. */
static json_t *read_grants(jwt_t *jwt)
{
    char *text = jwt_get_grants_json(jwt, NULL);
    json_t *grants = text == NULL ? NULL : json_loads(text, 0, NULL);

    free(text);
    return grants;
}

static int has_type(const json_t *value, json_type type)
{
    return value != NULL && json_typeof(value) == type;
}

static token_claims_t *copy_claims(const json_t *grants, apr_pool_t *pool)
{
    const json_t *id = json_object_get(grants, "id");
    const json_t *email = json_object_get(grants, "email");
    const json_t *iat = json_object_get(grants, "iat");
    const json_t *exp = json_object_get(grants, "exp");
    token_claims_t *claims;

    if (!has_type(id, JSON_INTEGER) || !has_type(email, JSON_STRING)
        || !has_type(iat, JSON_INTEGER) || !has_type(exp, JSON_INTEGER)) {
        return NULL;
    }
    claims = apr_palloc(pool, sizeof(*claims));
    claims->id = json_integer_value(id);
    claims->email = apr_pstrdup(pool, json_string_value(email));
    claims->iat = json_integer_value(iat);
    claims->exp = json_integer_value(exp);
    return claims;
}

static apr_status_t check_claims(token_claims_t **claims, token_flaw_e *flaw,
                                 const json_t *grants, apr_int64_t now,
                                 apr_pool_t *pool)
{
    const json_t *not_before = json_object_get(grants, "nbf");
    token_claims_t *read = copy_claims(grants, pool);

    if (read == NULL || (not_before != NULL && !json_is_integer(not_before))) {
        *flaw = TOKEN_FLAW_MALFORMED;
        return APR_EINVAL;
    }
    if (not_before != NULL && json_integer_value(not_before) > now) {
        *flaw = TOKEN_FLAW_NOT_ACTIVE;
        return APR_EINVAL;
    }
    *claims = read;
    return now >= read->exp ? APR_TIMEUP : APR_SUCCESS;
}

/* Decodes one of the three parts, of len characters. */
static json_t *decode_part(const char *part, apr_size_t len, apr_pool_t *pool)
{
    apr_size_t size;
    const char *text = apr_pdecode_base64(pool, part, (apr_ssize_t)len,
                                          APR_ENCODE_BASE64URL, &size);
    json_t *json = text == NULL ? NULL : json_loadb(text, size, 0, NULL);

    if (!json_is_object(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* What is wrong with a token that has been turned down already: libjwt says
 * the same of every one.  Nothing that is read here is ever trusted. */
static token_flaw_e find_flaw(const char *token, apr_pool_t *pool)
{
    const char *payload = strchr(token, '.');
    const char *signature = payload ? strchr(payload + 1, '.') : NULL;
    token_flaw_e flaw = TOKEN_FLAW_MALFORMED;
    json_t *header, *claims;
    const char *alg;

    if (signature == NULL || strchr(signature + 1, '.') != NULL) {
        return TOKEN_FLAW_MALFORMED;
    }
    header = decode_part(token, payload - token, pool);
    claims = decode_part(payload + 1, signature - payload - 1, pool);
    alg = json_string_value(json_object_get(header, "alg"));
    if (alg != NULL && claims != NULL) {
        flaw = strcmp(alg, "HS256") == 0 ? TOKEN_FLAW_SIGNATURE
                                         : TOKEN_FLAW_ALGORITHM;
    }
    json_decref(header);
    json_decref(claims);
    return flaw;
}

/* A token that says "crit" demands what we do not know, and libjwt does not
 * look (RFC 7515, 4.1.11). */
static int has_critical_header(jwt_t *jwt)
{
    char *value = jwt_get_headers_json(jwt, "crit");
    int found = value != NULL;

    free(value);
    return found;
}

static apr_status_t check_token(token_claims_t **claims, token_flaw_e *flaw,
                                jwt_t *jwt, apr_int64_t now, apr_pool_t *pool)
{
    json_t *grants;
    apr_status_t rv;

    /* libjwt takes the algorithm from the token: the same key would pass for
     * HS384 and HS512. */
    if (jwt_get_alg(jwt) != JWT_ALG_HS256) {
        *flaw = TOKEN_FLAW_ALGORITHM;
        return APR_EINVAL;
    }
    if (has_critical_header(jwt)) {
        *flaw = TOKEN_FLAW_MALFORMED;
        return APR_EINVAL;
    }
    grants = read_grants(jwt);
    rv = check_claims(claims, flaw, grants, now, pool);
    json_decref(grants);
    return rv;
}

/* Three parts of base64url, none of which ends within a byte.  libjwt is less
 * strict (it skips what is no base64), and for an empty part it writes past
 * the end of a buffer of no bytes, before any signature is looked at. */
static int has_form(const char *token)
{
    int part;

    for (part = 1; part <= 3; part++) {
        apr_size_t len = strspn(token, BASE64URL);

        if (len == 0 || len % 4 == 1
            || token[len] != (part == 3 ? '\0' : '.')) {
            return 0;
        }
        token += len + 1;
    }
    return 1;
}

apr_status_t token_verify(token_claims_t **claims, token_flaw_e *flaw,
                          const token_key_t *key, const char *token,
                          apr_time_t now, apr_pool_t *pool)
{
    jwt_t *jwt = NULL;
    apr_status_t rv;

    *claims = NULL;
    *flaw = TOKEN_FLAW_NONE;
    if (token == NULL || strlen(token) > TOKEN_BYTES_MAX) {
        *flaw = TOKEN_FLAW_MALFORMED;
        return APR_EINVAL;
    }
    /* Without a key, jwt_decode() would accept any token unverified. */
    if (key->len <= 0 || !has_form(token)
        || jwt_decode(&jwt, token, key->bytes, key->len) != 0) {
        *flaw = find_flaw(token, pool);
        return APR_EINVAL;
    }
    rv = check_token(claims, flaw, jwt, apr_time_sec(now), pool);
    jwt_free(jwt);
    return rv;
}

const char *token_flaw_name(token_flaw_e flaw)
{
    static const char *const names[] = {
        "none", "malformed", "algorithm", "signature", "not active"
    };

    return names[flaw];
}
