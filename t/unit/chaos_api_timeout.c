/*
 * chaos_api_timeout.c - api-timeout before a caller that looks closely at
 * the service it is sent to.
 */
#include "chaos_fake.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_general.h>

static apr_pool_t *pool;
static const chaos_scenario_t *scenario;

static struct {
    int calls;
    char url[128];
    apr_interval_time_t timeout;
    int accepted, silent;
    apr_status_t status;
} seen;

/* Whether it takes a request, and whether it answers. */
static void look(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct pollfd answer = { .fd = client, .events = POLLIN };

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((unsigned short)port);
    seen.accepted = connect(client, (struct sockaddr *)&address,
                            sizeof(address)) == 0
                    && send(client, "GET / HTTP/1.0\r\n\r\n", 18,
                            MSG_NOSIGNAL) == 18;
    seen.silent = seen.accepted && poll(&answer, 1, 100) == 0;
    close(client);
}

static int port_of(const char *url)
{
    const char *prefix = "http://127.0.0.1:";

    if (strncmp(url, prefix, strlen(prefix)) != 0) {
        return 0;
    }
    return (int)strtol(url + strlen(prefix), NULL, 10);
}

static apr_status_t call(chaos_host_t *host, const char *url,
                         apr_interval_time_t timeout,
                         apr_interval_time_t *elapsed,
                         chaos_failure_t *failure, apr_pool_t *p)
{
    (void)host;
    (void)p;
    seen.calls++;
    seen.timeout = timeout;
    apr_cpystrn(seen.url, url, sizeof(seen.url));
    if (port_of(url) != 0) {
        look(port_of(url));
    }
    *elapsed = timeout + apr_time_from_msec(1);
    if (seen.status == APR_EGENERAL) {
        failure->error = "Error: connect ECONNREFUSED";
        failure->code = "ECONNREFUSED";
    }
    return seen.status;
}

static chaos_host_t host = {
    .now = fake_now, .pause = fake_pause, .call = call
};

static apr_status_t run(chaos_report_t **report, const char *timeout)
{
    *report = chaos_report_create(pool);
    return scenario->run(&host, fake_args(scenario,
                                          timeout ? "timeout_ms" : NULL,
                                          timeout, pool), *report, pool);
}

static void reset(void)
{
    fake_reset();
    memset(&seen, 0, sizeof(seen));
    seen.status = APR_TIMEUP;
}

static void silence(void)
{
    chaos_report_t *report;

    reset();
    tap_is(run(&report, NULL), APR_SUCCESS, "it happens");
    tap_is_str(fake_shown(report, pool), "scenario=API Timeout, "
               "timeout=3000ms, elapsed=3001ms",
               "the report has its keys in order");
    tap_ok(seen.calls == 1 && seen.timeout == apr_time_from_sec(3),
           "one call is made, for three seconds");
    tap_ok(seen.accepted && seen.silent,
           "to a service on the loopback that takes it and says nothing: %s",
           seen.url);
    look(port_of(seen.url));
    tap_ok(!seen.accepted, "which is gone after the run");
    reset();
    run(&report, "100");
    tap_ok(seen.timeout == apr_time_from_msec(100)
           && strstr(fake_shown(report, pool), "timeout=100ms") != NULL,
           "the timeout is that asked");
}

static void named_service(void)
{
    chaos_report_t *report;

    reset();
    host.upstream_url = "http://service.example/slow";
    run(&report, NULL);
    tap_is_str(seen.url, "http://service.example/slow",
               "a service that the operator named is called instead");
    host.upstream_url = NULL;
}

static void no_timeout(void)
{
    chaos_report_t *report;

    reset();
    seen.status = APR_SUCCESS;
    tap_ok(run(&report, NULL) == APR_EGENERAL
           && strstr(chaos_report_get(report, "error")->word, "answered"),
           "a service that answers is no timeout");
    reset();
    seen.status = APR_EGENERAL;
    tap_ok(run(&report, NULL) == APR_EGENERAL
           && strstr(chaos_report_get(report, "error")->word,
                     "ECONNREFUSED") != NULL,
           "nor is one that refuses");
    reset();
    seen.status = APR_EINTR;
    tap_is(run(&report, NULL), APR_EINTR, "a stop is passed on");
}

static void felt(void)
{
    chaos_args_t *args = fake_args(scenario, NULL, NULL, pool);
    chaos_figures_t before = { .requests = 1 };
    chaos_figures_t during = { .requests = 9, .bitten = 1, .felt = 1 };

    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool), NULL,
               "a user whose post failed felt it");
    during.bitten = during.felt = 0;
    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool),
               "nobody created a post", "without a post nobody did");
}

int main(int argc, const char *const *argv)
{
    apr_app_initialize(&argc, &argv, NULL);
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    scenario = chaos_find("api-timeout");
    if (!tap_ok(scenario != NULL, "api-timeout is a scenario")) {
        return tap_done();
    }
    silence();
    named_service();
    no_timeout();
    felt();
    return tap_done();
}
