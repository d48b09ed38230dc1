/*
 * token.c - only what was signed here, with all its claims, is trusted.
 */
#include "auth/token.h"

#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <jwt.h>

#include "tap.h"

#define NOW 1733826645
#define LIFETIME 86400

static const char secret[] = "a secret of the original, 32 bytes long";

/* Byte for byte what Node's jsonwebtoken makes of these claims, in the order
 * in which the original names them; signed with another library. */
static const char node_token[] =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    ".eyJpZCI6NDIsImVtYWlsIjoia2ltQGV4YW1wbGUuY29tIiwiaWF0IjoxNzMzODI2NjQ1"
    "LCJleHAiOjE3MzM5MTMwNDV9"
    ".n5RcBWzPM7vo4SNKfjrNWiFNJvpUTkX9AZ_PKgcExK0";

static const token_key_t key = {
    (const unsigned char *)secret, sizeof(secret) - 1
};

static apr_pool_t *pool;

static apr_status_t verify_at(const char *token, apr_int64_t now,
                              token_claims_t **claims, token_flaw_e *flaw)
{
    return token_verify(claims, flaw, &key, token, apr_time_from_sec(now),
                        pool);
}

/* The token has to be turned down for this reason. */
static int is_flawed(const char *token, token_flaw_e expected)
{
    token_claims_t *claims = NULL;
    token_flaw_e flaw;
    apr_status_t rv = verify_at(token, NOW, &claims, &flaw);

    if (rv != APR_EINVAL || flaw != expected || claims != NULL) {
        printf("# status %d, flaw %s: %s\n", rv, token_flaw_name(flaw),
               token);
        return 0;
    }
    return 1;
}

static char *sign_own(apr_int64_t iat)
{
    token_claims_t claims = { 7, "lee@example.com", iat, iat + LIFETIME };
    const char *token = NULL;

    token_sign(&token, &key, &claims, pool);
    return apr_pstrdup(pool, token);
}

/* A token with the right signature but any header and claims. */
static const char *forge(jwt_alg_t alg, const char *header, const char *claims)
{
    jwt_t *jwt;
    char *text;
    const char *token;

    jwt_new(&jwt);
    jwt_add_grants_json(jwt, claims);
    if (header != NULL) {
        jwt_add_headers_json(jwt, header);
    }
    jwt_set_alg(jwt, alg, alg == JWT_ALG_NONE ? NULL : key.bytes,
                alg == JWT_ALG_NONE ? 0 : key.len);
    text = jwt_encode_str(jwt);
    token = apr_pstrdup(pool, text);
    free(text);
    jwt_free(jwt);
    return token;
}

static const char good_claims[] =
    "{\"id\":7,\"email\":\"lee@example.com\",\"iat\":1733826645,"
    "\"exp\":1733913045}";

static void test_round_trip(void)
{
    token_claims_t *claims;
    token_flaw_e flaw;

    tap_is(verify_at(sign_own(NOW), NOW, &claims, &flaw), APR_SUCCESS,
           "a token of our own is good");
    tap_ok(claims != NULL && claims->id == 7 && claims->iat == NOW
           && claims->exp == NOW + LIFETIME, "its numbers are as signed");
    tap_is_str(claims ? claims->email : NULL, "lee@example.com",
               "and so is its address");
    tap_is(flaw, TOKEN_FLAW_NONE, "it has no flaw");
}

static void test_node_token(void)
{
    token_claims_t *claims;
    token_flaw_e flaw;

    tap_is(verify_at(node_token, NOW, &claims, &flaw), APR_SUCCESS,
           "a token of the Node original's form is good");
    tap_ok(claims != NULL && claims->id == 42
           && strcmp(claims->email, "kim@example.com") == 0,
           "and so are its claims");
}

static void test_lifetime(void)
{
    const char *token = sign_own(NOW);
    token_claims_t *claims;
    token_flaw_e flaw;

    tap_is(verify_at(token, NOW + LIFETIME - 1, &claims, &flaw), APR_SUCCESS,
           "a token is good in its last second");
    tap_is(verify_at(token, NOW + LIFETIME, &claims, &flaw), APR_TIMEUP,
           "and expired in the next one");
    tap_ok(claims != NULL && claims->exp == NOW + LIFETIME,
           "an expired token still tells when");
    tap_is(flaw, TOKEN_FLAW_NONE, "to have expired is no flaw");
}

static void test_sign_refusals(void)
{
    token_claims_t claims = { 1, "lee@example.com", NOW, NOW + 1 };
    token_claims_t nobody = { 1, NULL, NOW, NOW + 1 };
    token_claims_t broken = { 1, "\xff\xfe", NOW, NOW + 1 };
    token_key_t empty = { (const unsigned char *)"", 0 };
    token_claims_t *read;
    token_flaw_e flaw;
    const char *token = "unset";

    tap_is(token_sign(&token, &empty, &claims, pool), APR_EINVAL,
           "an empty key signs nothing");
    tap_ok(token == NULL, "and leaves no token");
    tap_is(token_sign(&token, &key, &nobody, pool), APR_EINVAL,
           "a token needs an address");
    tap_is(token_sign(&token, &key, &broken, pool), APR_EGENERAL,
           "an address that is no UTF-8 is not signed");
    tap_is(token_verify(&read, &flaw, &empty, sign_own(NOW),
                        apr_time_from_sec(NOW), pool), APR_EINVAL,
           "an empty key verifies nothing");
    tap_is(token_verify(&read, &flaw, &empty, forge(JWT_ALG_NONE, NULL,
                                                     good_claims),
                        apr_time_from_sec(NOW), pool), APR_EINVAL,
           "not even what is not signed");
}

/* Any one character of the token changed, left out, or said twice. */
static void test_tampering(void)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+";
    const char *token = sign_own(NOW);
    apr_size_t len = strlen(token);
    apr_size_t i;
    int accepted = 0;

    for (i = 0; i < len; i++) {
        char *changed = apr_pstrdup(pool, token);
        token_claims_t *claims;
        token_flaw_e flaw;
        const char *letter;

        for (letter = letters; *letter != '\0'; letter++) {
            changed[i] = *letter;
            accepted += *letter != token[i]
                        && verify_at(changed, NOW, &claims, &flaw)
                           != APR_EINVAL;
        }
        changed = apr_pstrcat(pool, apr_pstrmemdup(pool, token, i),
                              token + i + 1, NULL);
        accepted += verify_at(changed, NOW, &claims, &flaw) != APR_EINVAL;
        changed = apr_pstrcat(pool, apr_pstrmemdup(pool, token, i + 1),
                              token + i, NULL);
        accepted += verify_at(changed, NOW, &claims, &flaw) != APR_EINVAL;
        changed = apr_pstrmemdup(pool, token, i);
        accepted += verify_at(changed, NOW, &claims, &flaw) != APR_EINVAL;
    }
    tap_is(accepted, 0, "no token with one character changed is accepted");
}

static void test_algorithms(void)
{
    tap_ok(is_flawed(forge(JWT_ALG_NONE, NULL, good_claims),
                     TOKEN_FLAW_ALGORITHM), "algorithm none is turned down");
    tap_ok(is_flawed(forge(JWT_ALG_HS384, NULL, good_claims),
                     TOKEN_FLAW_ALGORITHM), "HS384 with the same key too");
    tap_ok(is_flawed(forge(JWT_ALG_HS512, NULL, good_claims),
                     TOKEN_FLAW_ALGORITHM), "and HS512");
    tap_ok(is_flawed("eyJhbGciOiJSUzI1NiJ9.e30.AAAA", TOKEN_FLAW_ALGORITHM),
           "and RS256");
    tap_ok(is_flawed("eyJhbGciOiJIUzI1NiJ9.e30.AAAA", TOKEN_FLAW_SIGNATURE),
           "a wrong signature is called that");
    tap_ok(is_flawed(forge(JWT_ALG_HS256, "{\"crit\":[\"exp\"]}",
                           good_claims), TOKEN_FLAW_MALFORMED),
           "a header that demands the unknown is turned down");
}

static void test_malformed(void)
{
    static const char *const broken[] = {
        "", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "e30.e30.e30",
        "eyJhbGciOiJIUzI1NiJ9..", "eyJhbGciOiJIUzI1NiJ9.AAAA.AAAA",
        "eyJhbGciOiJIUzI1NiJ9.e30", ".e30.AAAA", "W10.W10.W10",
        "\xff.\xfe.\xfd", "eyJhbGciOjF9.e30.AAAA", "Bearer x", " . . ",
        "eyJhbGciOiJIUzI1NiJ9.e30.AAAA.AAAA"
    };
    char *endless = apr_palloc(pool, 100001);
    apr_size_t i;
    int wrong = 0;

    for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        wrong += !is_flawed(broken[i], TOKEN_FLAW_MALFORMED);
    }
    tap_is(wrong, 0, "what is no token is called malformed");
    memset(endless, 'A', 100000);
    endless[100000] = '\0';
    tap_ok(is_flawed(endless, TOKEN_FLAW_MALFORMED),
           "so is one of any length");
    tap_ok(is_flawed(NULL, TOKEN_FLAW_MALFORMED), "so is none");
}

/* libjwt 1.10 takes some of these for base64, and writes past the end of a
 * buffer for an empty part, which valgrind would tell. */
static void test_hostile_base64(void)
{
    static const char *const forms[] = {
        "=%s.e30.AAAA", "!%s.e30.AAAA", "%s=%s.e30.AAAA", "e30.=%s.AAAA",
        "eyJhbGciOiJIUzI1NiJ9.!%s.AAAA", "eyJhbGciOiJIUzI1NiJ9.e30.=%s",
        ".%s.AAAA", "%s..AAAA", "%s.e30.",
        "A.%s.AAAA", "%sA.e30.AAAA", "+%s.e30.AAAA", "\xff%s.\xff%s.\xff%s"
    };
    char filling[2001];
    apr_size_t i;
    int wrong = 0;

    memset(filling, 'A', sizeof(filling) - 1);
    filling[sizeof(filling) - 1] = '\0';
    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const char *at = forms[i];
        const char *token = "";
        const char *hole;
        token_claims_t *claims;
        token_flaw_e flaw;

        while ((hole = strstr(at, "%s")) != NULL) {
            token = apr_pstrcat(pool, token,
                                apr_pstrmemdup(pool, at, hole - at), filling,
                                NULL);
            at = hole + 2;
        }
        token = apr_pstrcat(pool, token, at, NULL);
        wrong += verify_at(token, NOW, &claims, &flaw) != APR_EINVAL;
    }
    tap_is(wrong, 0, "base64 that is none never gets as far as libjwt");
}

static void test_claim_types(void)
{
    static const char *const broken[] = {
        "{}",
        "{\"id\":7,\"email\":\"a\",\"iat\":1}",
        "{\"id\":7,\"email\":\"a\",\"exp\":9999999999}",
        "{\"id\":7,\"iat\":1,\"exp\":9999999999}",
        "{\"email\":\"a\",\"iat\":1,\"exp\":9999999999}",
        "{\"id\":\"7\",\"email\":\"a\",\"iat\":1,\"exp\":9999999999}",
        "{\"id\":7.0,\"email\":\"a\",\"iat\":1,\"exp\":9999999999}",
        "{\"id\":null,\"email\":\"a\",\"iat\":1,\"exp\":9999999999}",
        "{\"id\":true,\"email\":\"a\",\"iat\":1,\"exp\":9999999999}",
        "{\"id\":7,\"email\":1,\"iat\":1,\"exp\":9999999999}",
        "{\"id\":7,\"email\":[\"a\"],\"iat\":1,\"exp\":9999999999}",
        "{\"id\":7,\"email\":\"a\",\"iat\":\"1\",\"exp\":9999999999}",
        "{\"id\":7,\"email\":\"a\",\"iat\":1,\"exp\":\"9999999999\"}",
        "{\"id\":7,\"email\":\"a\",\"iat\":1,\"exp\":9999999999.5}",
        "{\"id\":7,\"email\":\"a\",\"iat\":1,\"exp\":{}}",
        "{\"id\":7,\"email\":\"a\",\"iat\":1,\"exp\":9,\"nbf\":\"1\"}"
    };
    apr_size_t i;
    int wrong = 0;

    for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        wrong += !is_flawed(forge(JWT_ALG_HS256, NULL, broken[i]),
                            TOKEN_FLAW_MALFORMED);
    }
    tap_is(wrong, 0, "a claim that is missing or mistyped is malformed");
}

static void test_not_before(void)
{
    static const char later[] =
        "{\"id\":7,\"email\":\"a\",\"iat\":1,\"exp\":9999999999,"
        "\"nbf\":1733826646}";
    token_claims_t *claims;
    token_flaw_e flaw;
    const char *token = forge(JWT_ALG_HS256, NULL, later);

    tap_ok(is_flawed(token, TOKEN_FLAW_NOT_ACTIVE),
           "a token is not good before its time");
    tap_is(verify_at(token, NOW + 1, &claims, &flaw), APR_SUCCESS,
           "and good from then on");
}

static void test_names(void)
{
    tap_ok(strcmp(token_flaw_name(TOKEN_FLAW_MALFORMED), "malformed") == 0
           && strcmp(token_flaw_name(TOKEN_FLAW_ALGORITHM), "algorithm") == 0
           && strcmp(token_flaw_name(TOKEN_FLAW_SIGNATURE), "signature") == 0
           && strcmp(token_flaw_name(TOKEN_FLAW_NOT_ACTIVE),
                     "not active") == 0, "each flaw has its name");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_round_trip();
    test_node_token();
    test_lifetime();
    test_sign_refusals();
    test_tampering();
    test_algorithms();
    test_malformed();
    test_hostile_base64();
    test_claim_types();
    test_not_before();
    test_names();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
