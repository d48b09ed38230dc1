/*
 * password.c - bcrypt, as apr-util has it.
 */
#include "auth/password.h"

#include <string.h>

#include <apr_general.h>
#include <apr_md5.h>
#include <apr_strings.h>

#define COST 10
#define SALT_BYTES 16
#define HASH_CHARS 60           /* $2y$10$, 22 of salt, 31 of digest */

/* The hash of 72 random bytes that nobody kept: as much work as any other of
 * this cost, and no password is known for it. */
static const char nobodys_hash[] =
    "$2y$10$g8iYVIzFQ9VuoAKKIGV8ce1LHi9Z9ZKQsuXKa/Zul.0XSkXTQ8Juy";

apr_status_t password_hash(const char **hash, const char *password,
                           apr_pool_t *pool)
{
    unsigned char salt[SALT_BYTES];
    char text[HASH_CHARS + 4];
    apr_status_t rv = apr_generate_random_bytes(salt, sizeof(salt));

    *hash = NULL;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_bcrypt_encode(password, COST, salt, sizeof(salt), text,
                           sizeof(text));
    if (rv == APR_SUCCESS) {
        *hash = apr_pstrdup(pool, text);
    }
    return rv;
}

/* apr_password_validate() knows weaker kinds too, plain text among them; what
 * is no bcrypt hash must not get that far. */
static int is_bcrypt(const char *hash)
{
    return strlen(hash) == HASH_CHARS && memcmp(hash, "$2", 2) == 0
           && strchr("aby", hash[2]) != NULL && hash[3] == '$';
}

/* The three prefixes name one and the same algorithm, but not one code path:
 * "$2b$" would go to the slower crypt(), and "$2a$" to a variant that guards
 * against an old bug of crypt_blowfish and differs from everyone else's for
 * some passwords outside ASCII.  As "$2y$" all take the same path, and the
 * same time. */
apr_status_t password_verify(const char *password, const char *hash)
{
    char same[HASH_CHARS + 1];
    int known = hash != NULL && is_bcrypt(hash);
    apr_status_t rv;

    memcpy(same, known ? hash : nobodys_hash, sizeof(same));
    same[2] = 'y';
    rv = apr_password_validate(password, same);
    return known && rv == APR_SUCCESS ? APR_SUCCESS : APR_EMISMATCH;
}
