/*
 * breaker.c - one tries, the others are told; and idle connections are
 * counted right.
 */
#include "store/breaker.h"

#include <apr_general.h>

#include "tap.h"
#include "vitals.h"

static apr_pool_t *pool;

static apr_time_t soon(void)
{
    return vitals_now() + apr_time_from_sec(10);
}

static breaker_t *make_breaker(void)
{
    breaker_t *breaker = NULL;
    dberror_t reason;

    dberror_parse(&reason, "nobody has tried yet", "db.example", 3306, pool);
    if (breaker_create(&breaker, &reason, pool) != APR_SUCCESS) {
        tap_ok(0, "a breaker can be made");
    }
    return breaker;
}

static void settle(breaker_t *breaker, breaker_role_e role, int is_open,
                   int took_idle)
{
    breaker_outcome_t outcome = {
        .is_open = is_open, .took_idle = took_idle
    };

    breaker_settle(breaker, role, 0, &outcome);
}

static void fail(breaker_t *breaker, breaker_role_e role, const char *words)
{
    dberror_t error;
    breaker_outcome_t outcome = { .error = &error };

    dberror_parse(&error, words, "db.example", 3306, pool);
    breaker_settle(breaker, role, 0, &outcome);
}

static void fail_at(breaker_t *breaker, int place)
{
    dberror_t error;
    breaker_outcome_t outcome = { .error = &error };

    dberror_parse(&error, "Unknown server host 'x' (-2)", "x", 3306, pool);
    breaker_settle(breaker, BREAKER_MAKE_NEW, place, &outcome);
}

static void test_counting(void)
{
    breaker_t *breaker = make_breaker();

    tap_is(breaker_take(breaker, 0, soon()), BREAKER_MAKE_NEW,
           "the first to ask makes a connection");
    settle(breaker, BREAKER_MAKE_NEW, 1, 0);
    breaker_returned(breaker, 1);
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_USE_IDLE,
           "one that was returned is used again");
    settle(breaker, BREAKER_USE_IDLE, 1, 1);
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_MAKE_NEW,
           "while it is lent, the next one makes another");
    tap_is(breaker_take(breaker, 0, vitals_now()), BREAKER_TOLD,
           "who has no time left is told");
    settle(breaker, BREAKER_MAKE_NEW, 1, 0);
    breaker_returned(breaker, 1);
    settle(breaker, breaker_take(breaker, 0, soon()), 0, 1);
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_MAKE_NEW,
           "an idle one that was dead is counted out");
}

static void test_swap(void)
{
    breaker_t *breaker = make_breaker();

    settle(breaker, breaker_take(breaker, 0, soon()), 1, 0);
    breaker_returned(breaker, 1);
    /* Reserved an idle one, but another thread was faster and took it. */
    settle(breaker, breaker_take(breaker, 0, soon()), 1, 0);
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_USE_IDLE,
           "who found the idle one taken leaves one behind for another");
}

static void test_breaking(void)
{
    breaker_t *breaker = make_breaker();
    dberror_t reason;

    fail(breaker, breaker_take(breaker, 0, soon()),
         "Can't connect to server on 'db.example' (111)");
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_TOLD,
           "after a failure, others are told at once");
    breaker_reason(&reason, breaker, 0, pool);
    tap_is_str(reason.code, "ECONNREFUSED", "and why");
    tap_is(breaker_take(breaker, 1, soon()), BREAKER_MAKE_NEW,
           "what was learned of one place says nothing of another");
    fail_at(breaker, 1);
    breaker_reason(&reason, breaker, 1, pool);
    tap_is_str(reason.code, "ENOTFOUND", "why there");
    breaker_reason(&reason, breaker, 0, pool);
    tap_is_str(reason.code, "ECONNREFUSED", "why here");
    breaker_reason(&reason, breaker, BREAKER_ANYWHERE, pool);
    tap_is_str(reason.code, "ENOTFOUND", "why, the last time");
}

/* Whoever still tries elsewhere, when all others are back. */
static void test_stragglers(void)
{
    breaker_t *breaker = make_breaker();

    settle(breaker, breaker_take(breaker, 0, soon()), 1, 0);
    tap_is(breaker_take(breaker, 1, soon()), BREAKER_MAKE_NEW,
           "one tries elsewhere");
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_MAKE_NEW,
           "who is back need not wait for that one");
    settle(breaker, BREAKER_MAKE_NEW, 1, 0);
    breaker_returned(breaker, 1);
    fail_at(breaker, 1);
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_USE_IDLE,
           "nor is told of its failure");
    tap_is(breaker_take(breaker, 1, soon()), BREAKER_TOLD,
           "which others there are");
    tap_is(breaker_take(breaker, 2, soon()), BREAKER_MAKE_NEW,
           "a third place is another again");
    fail_at(breaker, 1);
    tap_is(breaker_take(breaker, 2, vitals_now() + 1000), BREAKER_TOLD,
           "where one tries at a time, whoever comes late from the second");
    fail_at(breaker, 2);
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_MAKE_NEW,
           "and here all is well");
}

static void test_probing(void)
{
    breaker_t *breaker = make_breaker();
    breaker_role_e role = BREAKER_TOLD;
    apr_time_t end;

    settle(breaker, breaker_take(breaker, 0, soon()), 1, 0);
    breaker_returned(breaker, 1);
    settle(breaker, breaker_take(breaker, 0, soon()), 1, 1);
    fail(breaker, breaker_take(breaker, 0, soon()),
         "Can't connect to server on 'db.example' (111)");
    breaker_returned(breaker, 1);
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_TOLD,
           "an idle connection is not trusted while the database is away");
    for (end = soon(); role == BREAKER_TOLD && vitals_now() < end; ) {
        role = breaker_take(breaker, 0, soon());
    }
    tap_is(role, BREAKER_PROBE_IDLE, "after a while, one thread probes it");
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_TOLD,
           "and only one: the others are told meanwhile");
    settle(breaker, role, 1, 1);
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_MAKE_NEW,
           "when it lives, everybody may ask again");
}

/* Nobody else gets in, and a connection that was made may be left behind. */
static int find_closed(breaker_t *breaker, breaker_role_e role, int left_dead)
{
    dberror_t error;
    breaker_outcome_t outcome = {
        .is_closed = 1, .left_dead = left_dead, .error = &error
    };

    dberror_parse(&error, "Too many connections", "db.example", 3306, pool);
    if (left_dead) {
        breaker_returned(breaker, 0);
    }
    return breaker_settle(breaker, role, 0, &outcome);
}

static void test_closed(void)
{
    breaker_t *breaker = make_breaker();
    breaker_role_e role;

    settle(breaker, breaker_take(breaker, 0, soon()), 1, 0);
    role = breaker_take(breaker, 0, soon());
    tap_is(find_closed(breaker, role, 0), 1,
           "nobody else gets in: there is hope while a connection is open");
    tap_is(breaker_take(breaker, 0, vitals_now() + 1000), BREAKER_TOLD,
           "nobody tries again at once");
    breaker_returned(breaker, 1);
    role = breaker_take(breaker, 0, soon());
    tap_is(role, BREAKER_USE_IDLE, "one that comes back is used");
    settle(breaker, role, 1, 1);
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_MAKE_NEW,
           "after a while, one thread tries again");
    breaker_returned(breaker, 1);
    tap_is(find_closed(breaker, BREAKER_MAKE_NEW, 0), 1,
           "which may have come back meanwhile");
    role = breaker_take(breaker, 0, soon());
    settle(breaker, role, 0, 1);
    role = breaker_take(breaker, 0, soon());
    tap_is(role, BREAKER_MAKE_NEW, "but if it has died");
    tap_is(find_closed(breaker, role, 0), 0, "there is none");
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_TOLD,
           "and others are told");
}

static void test_closed_to_made(void)
{
    breaker_t *breaker = make_breaker();
    breaker_role_e role = breaker_take(breaker, 0, soon());

    tap_is(find_closed(breaker, role, 1), 0,
           "one that was made and is no good gives no hope");

    breaker = make_breaker();
    settle(breaker, breaker_take(breaker, 0, soon()), 1, 0);
    role = breaker_take(breaker, 0, soon());
    tap_is(find_closed(breaker, role, 1), 1,
           "nor does it take the hope of another one");
    settle(breaker, breaker_take(breaker, 0, soon()), 0, 1);
    tap_is(breaker_take(breaker, 0, vitals_now() + 1000), BREAKER_TOLD,
           "which is waited for when the dead one is gone");
}

/* Two threads that take each other's connection are counted right, whoever
 * says so first. */
static void test_cross(void)
{
    breaker_t *breaker = make_breaker();

    settle(breaker, breaker_take(breaker, 0, soon()), 1, 0);
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_MAKE_NEW, "one makes");
    breaker_returned(breaker, 1);
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_USE_IDLE,
           "another one has reserved what came back");
    settle(breaker, BREAKER_MAKE_NEW, 1, 1);
    settle(breaker, BREAKER_USE_IDLE, 1, 0);
    tap_is(breaker_take(breaker, 0, soon()), BREAKER_MAKE_NEW,
           "each took the other's, and none is left");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_counting();
    test_swap();
    test_breaking();
    test_stragglers();
    test_probing();
    test_closed();
    test_closed_to_made();
    test_cross();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
