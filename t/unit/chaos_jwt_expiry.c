/*
 * chaos_jwt_expiry.c - jwt-expiry before a signer that takes the time by the
 * fake clock.
 */
#include "chaos_fake.h"

#include <apr_general.h>

static apr_pool_t *pool;
static const chaos_scenario_t *scenario;

static struct {
    int signs, verifies, lifetime;
    apr_time_t expires, verified;
    apr_status_t sign_status;
    int broken;                 /* verify() says no good */
} seal;

/* Tokens count in whole seconds. */
static apr_status_t sign(chaos_host_t *host, int lifetime_s,
                         const char **token, apr_pool_t *p)
{
    (void)host;
    seal.signs++;
    seal.lifetime = lifetime_s;
    seal.expires = apr_time_from_sec(apr_time_sec(fake.clock) + lifetime_s);
    *token = apr_pstrdup(p, "a.b.c");
    return seal.sign_status;
}

static apr_status_t verify(chaos_host_t *host, const char *token,
                           chaos_failure_t *failure, apr_pool_t *p)
{
    (void)host;
    (void)p;
    seal.verifies++;
    seal.verified = fake.clock;
    if (seal.broken || strcmp(token, "a.b.c") != 0) {
        return APR_EINVAL;
    }
    if (fake.clock <= seal.expires) {
        return APR_SUCCESS;
    }
    failure->error = "TokenExpiredError: jwt expired";
    failure->code = "TOKEN_EXPIRED";
    return APR_TIMEUP;
}

static chaos_host_t host = {
    .now = fake_now, .pause = fake_pause, .sign = sign, .verify = verify
};

static apr_status_t run(chaos_report_t **report, const char *lifetime)
{
    *report = chaos_report_create(pool);
    return scenario->run(&host, fake_args(scenario,
                                          lifetime ? "lifetime_s" : NULL,
                                          lifetime, pool), *report, pool);
}

static void reset(void)
{
    fake_reset();
    fake.clock += apr_time_from_msec(990);
    memset(&seal, 0, sizeof(seal));
}

static void expiry(void)
{
    chaos_report_t *report;

    reset();
    tap_is(run(&report, NULL), APR_SUCCESS, "it happens");
    tap_is(seal.lifetime, 1, "a token is good for a second");
    tap_is(fake.clock, FAKE_BEGIN + apr_time_from_msec(2990),
           "it is verified two seconds later");
    tap_ok(seal.signs == 1 && seal.verifies == 1, "once");
    tap_is_str(fake_shown(report, pool), "scenario=JWT Expiry, "
               "error=TokenExpiredError: jwt expired, expiresIn=1s",
               "the report has what was found");
    reset();
    tap_ok(run(&report, "60") == APR_SUCCESS && seal.lifetime == 60
           && seal.verified > seal.expires,
           "a longer lifetime is waited for, too");
}

static void otherwise(void)
{
    chaos_report_t *report;

    reset();
    seal.broken = 1;
    tap_ok(run(&report, NULL) == APR_EGENERAL
           && chaos_report_get(report, "error") != NULL,
           "a token that is no good is not an expired one");
    reset();
    seal.sign_status = APR_EGENERAL;
    tap_ok(run(&report, NULL) == APR_EGENERAL && seal.verifies == 0
           && chaos_report_get(report, "error") != NULL,
           "one that can't be signed is not verified");
    reset();
    fake.stop_at = fake.clock + apr_time_from_msec(100);
    tap_ok(run(&report, NULL) == APR_EINTR && seal.verifies == 0
           && fake.clock == fake.stop_at, "a stop is heard at once");
}

static void felt(void)
{
    chaos_args_t *args = fake_args(scenario, NULL, NULL, pool);
    chaos_figures_t before = { .requests = 1 };
    chaos_figures_t during = { .requests = 9, .bitten = 1, .felt = 1 };

    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool), NULL,
               "a user who was refused felt it");
    during.felt = 0;
    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool),
               "nobody used such a token after its time",
               "a token that was not used again was not felt");
    during.bitten = 0;
    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool),
               "nobody logged in", "nor one that nobody has");
}

int main(int argc, const char *const *argv)
{
    apr_app_initialize(&argc, &argv, NULL);
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    scenario = chaos_find("jwt-expiry");
    if (!tap_ok(scenario != NULL, "jwt-expiry is a scenario")) {
        return tap_done();
    }
    expiry();
    otherwise();
    felt();
    return tap_done();
}
