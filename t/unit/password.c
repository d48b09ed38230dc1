/*
 * password.c - our own hashes and the original's, and the cost of a user who
 * does not exist.
 */
#include "auth/password.h"

#include <time.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

static apr_pool_t *pool;

/* bcrypt's published test vectors, cost 5, under each of the names that the
 * original's versions of bcryptjs gave the algorithm. */
static const struct vector_t {
    const char *password;
    const char *salt_and_digest;
} vectors[] = {
    { "U*U", "05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" },
    { "U*U*", "05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK" },
    { "U*U*U", "05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a" },
    { "", "05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy" },
    { "\xff\xff\xa3",
      "05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e" },
    { "\xa3", "05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq" }
};

#define VECTORS (sizeof(vectors) / sizeof(vectors[0]))

static void test_round_trip(void)
{
    const char *hash = NULL, *again = NULL;

    tap_is(password_hash(&hash, "correct horse", pool), APR_SUCCESS,
           "a password can be hashed");
    password_hash(&again, "correct horse", pool);
    if (hash == NULL || again == NULL) {
        tap_ok(0, "both hashes are there");
        return;
    }
    tap_ok(strncmp(hash, "$2y$10$", 7) == 0
           && strlen(hash) == 60, "the hash is bcrypt's, of cost 10");
    tap_ok(strcmp(hash, again) != 0,
           "the same password never gives the same hash");
    tap_is(password_verify("correct horse", hash), APR_SUCCESS,
           "the password matches its hash");
    tap_is(password_verify("correct horsf", hash), APR_EMISMATCH,
           "another does not");
    tap_is(password_verify("", hash), APR_EMISMATCH, "nor does none");
}

static void test_vectors(void)
{
    const char *kind;

    for (kind = "aby"; *kind != '\0'; kind++) {
        apr_size_t i;
        int missed = 0, fooled = 0;

        for (i = 0; i < VECTORS; i++) {
            const char *hash = apr_psprintf(pool, "$2%c$%s", *kind,
                                            vectors[i].salt_and_digest);

            missed += password_verify(vectors[i].password, hash)
                      != APR_SUCCESS;
            fooled += password_verify("U*V", hash) != APR_EMISMATCH;
        }
        tap_ok(missed == 0 && fooled == 0,
               "hashes that begin with $2%c$ match their passwords", *kind);
    }
}

static void test_length(void)
{
    char password[PASSWORD_MAX_BYTES + 9];
    const char *hash = NULL;

    memset(password, 'p', sizeof(password));
    password[PASSWORD_MAX_BYTES] = '\0';
    password_hash(&hash, password, pool);
    tap_is(password_verify(password, hash), APR_SUCCESS,
           "a password of 72 bytes matches");
    password[PASSWORD_MAX_BYTES - 1] = 'q';
    tap_is(password_verify(password, hash), APR_EMISMATCH,
           "its last byte matters");
    password[PASSWORD_MAX_BYTES - 1] = 'p';
    memset(password + PASSWORD_MAX_BYTES, 'x', 8);
    password[PASSWORD_MAX_BYTES + 8] = '\0';
    tap_is(password_verify(password, hash), APR_SUCCESS,
           "what follows does not, as in the original");
}

static void test_no_hashes(void)
{
    static const char *const others[] = {
        "", "secret", "$2y$", "$2", "$1$abcdefgh$", "{SHA}5en6G6MezRroT3XKqk",
        "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/", "rqXexS6ZhobKA",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
        "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWW",
        "$2y$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2y$05$!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
        "$2y$05-CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
    };
    apr_size_t i;
    int fooled = 0;

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        fooled += password_verify("secret", others[i]) != APR_EMISMATCH;
        fooled += password_verify(others[i], others[i]) != APR_EMISMATCH;
        fooled += password_verify("U*U", others[i]) != APR_EMISMATCH;
    }
    tap_is(fooled, 0, "what is no bcrypt hash matches nothing, not itself");
    tap_is(password_verify("secret", NULL), APR_EMISMATCH,
           "nobody's hash matches nothing");
    tap_is(password_verify("", NULL), APR_EMISMATCH, "not even no password");
}

/* CPU time of the fastest of a few runs: what else runs on the machine only
 * makes some slower. */
static double fastest(const char *hash)
{
    double best = 0;
    int run;

    for (run = 0; run < 5; run++) {
        clock_t from = clock();
        double spent;

        password_verify("a password", hash);
        spent = (double)(clock() - from);
        best = run == 0 || spent < best ? spent : best;
    }
    return best;
}

static void test_time(void)
{
    const char *hash = NULL;
    const char *original;
    double known, unknown, b;

    password_hash(&hash, "another password", pool);
    original = apr_pstrcat(pool, "$2b", hash + 3, NULL);
    known = fastest(hash);
    b = fastest(original);
    unknown = fastest(NULL);
    printf("# known %.0f, from the original %.0f, unknown %.0f\n", known, b,
           unknown);
    tap_ok(unknown > known / 2 && unknown < known * 2,
           "a user who does not exist takes the time of one who does");
    tap_ok(b > known / 2 && b < known * 2,
           "and so does one whom the original registered");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_round_trip();
    test_vectors();
    test_length();
    test_no_hashes();
    test_time();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
