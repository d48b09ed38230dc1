/*
 * chaos_db_fail.c - db-fail before a host that looks closely at the endpoint
 * it is sent to, and before the command line's, which really connects.
 */
#include "chaos/chaos.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_network_io.h>
#include <apr_strings.h>
#include <jansson.h>

#include "chaos/cli/host.h"
#include "tap.h"

static apr_pool_t *pool;

/* ---- a host with a clock of its own ---- */

typedef struct fake_t {
    apr_time_t clock;
    int connects;
    char name[64];
    int port;
    apr_interval_time_t timeout;
    int accepted;               /* a client of ours got through */
    int silent;                 /* ... and was told nothing */
    int taken;                  /* nobody else can have the port */
    apr_status_t status;        /* what connect returns */
} fake_t;

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET };

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((unsigned short)port);
    return address;
}

static void look(fake_t *fake)
{
    struct sockaddr_in address = loopback(fake->port);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    int rival = socket(AF_INET, SOCK_STREAM, 0);
    struct pollfd answer = { .fd = client, .events = POLLIN };

    fake->accepted = connect(client, (struct sockaddr *)&address,
                             sizeof(address)) == 0;
    fake->silent = fake->accepted && poll(&answer, 1, 100) == 0;
    fake->taken = bind(rival, (struct sockaddr *)&address,
                       sizeof(address)) != 0;
    close(client);
    close(rival);
}

static apr_status_t fake_connect(chaos_host_t *host, const char *name,
                                 int port, apr_interval_time_t timeout,
                                 chaos_failure_t *failure, apr_pool_t *p)
{
    fake_t *fake = host->self;

    (void)p;
    fake->connects++;
    apr_cpystrn(fake->name, name, sizeof(fake->name));
    fake->port = port;
    fake->timeout = timeout;
    if (strcmp(name, "127.0.0.1") == 0) {
        look(fake);
    }
    fake->clock += timeout;
    if (fake->status != APR_SUCCESS) {
        failure->error = "SequelizeConnectionError: connect ETIMEDOUT";
        failure->code = "ETIMEDOUT";
    }
    return fake->status;
}

static apr_time_t fake_now(chaos_host_t *host)
{
    return ((fake_t *)host->self)->clock;
}

static apr_status_t fake_pause(chaos_host_t *host, apr_interval_time_t span)
{
    ((fake_t *)host->self)->clock += span;
    return APR_SUCCESS;
}

static fake_t seen;
static chaos_host_t fake_host = {
    .self = &seen, .connect = fake_connect, .now = fake_now,
    .pause = fake_pause
};

/* ---- helpers ---- */

static const chaos_scenario_t *scenario;

static apr_status_t run(chaos_host_t *host, chaos_report_t **report,
                        const char *mode, const char *timeout)
{
    chaos_args_t *args = chaos_args_create(scenario, pool);
    const char *why;

    if (mode != NULL
        && chaos_args_parse(args, "mode", mode, &why) != APR_SUCCESS) {
        tap_ok(0, "mode %s: %s", mode, why);
    }
    if (timeout != NULL
        && chaos_args_parse(args, "timeout_ms", timeout, &why)
           != APR_SUCCESS) {
        tap_ok(0, "timeout %s: %s", timeout, why);
    }
    *report = chaos_report_create(pool);
    return scenario->run(host, args, *report, pool);
}

/* "scenario=..., error=..., code=..." */
static const char *shown(const chaos_report_t *report)
{
    const char *text = "";
    int i;

    for (i = 0; i < report->values->nelts; i++) {
        const chaos_value_t *value =
            &APR_ARRAY_IDX(report->values, i, chaos_value_t);

        text = apr_pstrcat(pool, text, i == 0 ? "" : ", ", value->name, "=",
                           value->word, NULL);
    }
    return text;
}

static void reset(void)
{
    memset(&seen, 0, sizeof(seen));
    seen.clock = apr_time_from_sec(1000);
    seen.status = APR_EGENERAL;
}

/* ---- what it does ---- */

static void silence(void)
{
    chaos_report_t *report;

    reset();
    tap_is(run(&fake_host, &report, NULL, NULL), APR_SUCCESS,
           "the failure that was asked for is a success");
    tap_is_str(shown(report), "scenario=DB Connection Failure, "
               "error=SequelizeConnectionError: connect ETIMEDOUT, "
               "code=ETIMEDOUT", "the report has its keys in order");
    tap_is(seen.connects, 1, "one connection is opened");
    tap_is_str(seen.name, "127.0.0.1", "by default on the loopback");
    tap_ok(seen.accepted && seen.silent,
           "where a client gets through and hears nothing");
    tap_is(seen.timeout, apr_time_from_sec(2), "for two seconds");
    tap_is(seen.clock, apr_time_from_sec(1002),
           "the run takes that long and no longer");
    look(&seen);
    tap_ok(!seen.accepted && !seen.taken,
           "after the run nothing listens there any more");
}

static void refusal(void)
{
    chaos_report_t *report;

    reset();
    tap_is(run(&fake_host, &report, "refused", "3000"), APR_SUCCESS,
           "mode refused happens");
    tap_ok(!seen.accepted, "nobody listens where it connects");
    tap_ok(seen.taken, "and nobody else can come to listen meanwhile");
    tap_is(seen.timeout, apr_time_from_sec(3), "the timeout is that asked");
    look(&seen);
    tap_ok(!seen.taken, "after the run the port is free again");
}

static void unknown_name(void)
{
    const char *dot;
    chaos_report_t *report;

    reset();
    tap_is(run(&fake_host, &report, "dns", NULL), APR_SUCCESS,
           "mode dns happens");
    dot = strstr(seen.name, ".invalid.");
    tap_ok(dot != NULL && dot[9] == '\0',
           "it asks for a name that cannot exist, under no search domain");
    tap_ok(strstr(seen.name, "chaos") == NULL
           && strstr(seen.name, "fail") == NULL
           && strstr(seen.name, "patient") == NULL,
           "and that does not tell why: %s", seen.name);
}

static void named_endpoint(void)
{
    chaos_args_t *args = chaos_args_create(scenario, pool);
    chaos_report_t *report = chaos_report_create(pool);
    const char *why;

    reset();
    fake_host.endpoint_host = "db.example";
    fake_host.endpoint_port = 3399;
    scenario->run(&fake_host, args, report, pool);
    tap_ok(strcmp(seen.name, "db.example") == 0 && seen.port == 3399,
           "an endpoint that the operator named is the one that is missed");
    chaos_args_parse(args, "mode", "refused", &why);
    scenario->run(&fake_host, args, report, pool);
    tap_is_str(seen.name, "127.0.0.1",
               "but a refusal is only sure on a port of our own");
    fake_host.endpoint_host = NULL;
}

static void no_failure(void)
{
    chaos_report_t *report;
    const chaos_value_t *error;

    reset();
    seen.status = APR_SUCCESS;
    tap_is(run(&fake_host, &report, NULL, NULL), APR_EGENERAL,
           "a connection that succeeds is no failure");
    error = chaos_report_get(report, "error");
    tap_ok(error != NULL && strstr(error->word, "answered") != NULL
           && chaos_report_get(report, "code") == NULL,
           "and the report says so: %s", error ? error->word : "(nothing)");
}

static int count_descriptors(void)
{
    int fd, n = 0;

    for (fd = 0; fd < 256; fd++) {
        n += fcntl(fd, F_GETFD) != -1;
    }
    return n;
}

static void tidy(void)
{
    static const char *const modes[] = { "timeout", "refused", "dns" };
    chaos_report_t *report;
    int before = count_descriptors();
    int i;

    reset();
    for (i = 0; i < 30; i++) {
        run(&fake_host, &report, modes[i % 3], NULL);
    }
    tap_is(count_descriptors(), before,
           "thirty runs leave no descriptor open, though the pool lives on");
}

/* ---- with the real client ---- */

/* What the host writes to stderr while it runs. */
static const char *lines(chaos_host_t *host, chaos_report_t **report,
                         apr_status_t *status, const char *mode)
{
    char path[] = "/tmp/chaos_db_fail.XXXXXX";
    char *text = apr_pcalloc(pool, 8192);
    int file = mkstemp(path);
    int stderr_copy = dup(STDERR_FILENO);

    unlink(path);
    dup2(file, STDERR_FILENO);
    *status = run(host, report, mode, "1000");
    dup2(stderr_copy, STDERR_FILENO);
    close(stderr_copy);
    if (pread(file, text, 8191, 0) < 0) {
        text[0] = '\0';
    }
    close(file);
    return text;
}

static const char *field(const json_t *line, const char *key)
{
    const char *value = json_string_value(json_object_get(line, key));

    return value != NULL ? value : "";
}

static void really(chaos_host_t *host, const char *mode, const char *code,
                   const char *error)
{
    chaos_report_t *report;
    apr_status_t status;
    const char *text = lines(host, &report, &status, mode);
    const chaos_value_t *reported;
    json_t *line = json_loads(text, 0, NULL);

    tap_is(status, APR_SUCCESS, apr_pstrcat(pool, "really ", mode,
                                            ": it happens", NULL));
    reported = chaos_report_get(report, "code");
    tap_is_str(reported ? reported->word : NULL, code,
               "... with the code that the log's reader knows");
    reported = chaos_report_get(report, "error");
    tap_ok(reported != NULL
           && strncmp(reported->word, error, strlen(error)) == 0,
           "... and the error: %s", reported ? reported->word : "(none)");
    if (!tap_ok(line != NULL && strchr(text, '\n') == strrchr(text, '\n'),
                "... one line is written, of valid JSON")) {
        printf("# %s\n", text);
        return;
    }
    tap_is_str(field(line, "type"), "DB CONNECTION ERROR", "... its type");
    tap_is_str(field(line, "level"), "error", "... its level");
    tap_is_str(field(line, "error"), reported ? reported->word : NULL,
               "... its error is that of the report");
    tap_is_str(field(line, "code"), code, "... its code likewise");
    tap_ok(strstr(text, "SequelizeConnectionError") != NULL,
           "... the Doctor's pattern is in it");
    tap_ok(json_object_get(line, "mysql_errno") != NULL,
           "... beside the client's own number");
    tap_ok(strcasestr(text, "chaos") == NULL
           && strcasestr(text, "scenario") == NULL
           && strcasestr(text, "db-fail") == NULL
           && strcasestr(text, "db_fail") == NULL,
           "... and nothing that tells why");
    json_decref(line);
}

/* Without one, a name is not known to be unknown. */
static int resolver_answers(void)
{
    struct addrinfo *found;

    return getaddrinfo("db.invalid.", NULL, NULL, &found) == EAI_NONAME;
}

static void lasting(chaos_host_t *host)
{
    apr_time_t begin = apr_time_now();
    apr_interval_time_t elapsed;
    chaos_report_t *report;
    apr_status_t status;

    lines(host, &report, &status, "timeout");
    elapsed = apr_time_now() - begin;
    tap_ok(elapsed >= apr_time_from_msec(900)
           && elapsed < apr_time_from_msec(4000),
           "a timeout of one second takes about one: %d ms",
           (int)apr_time_as_msec(elapsed));
}

static void pauses(chaos_host_t *host)
{
    apr_time_t begin = apr_time_now();

    tap_is(host->pause(host, apr_time_from_msec(50)), APR_SUCCESS,
           "a pause ends by itself");
    tap_ok(apr_time_now() - begin >= apr_time_from_msec(50),
           "not before its time");
    kill(getpid(), SIGTERM);
    begin = apr_time_now();
    tap_is(host->pause(host, apr_time_from_sec(60)), APR_EINTR,
           "after a signal it ends at once");
    tap_is(host->pause(host, apr_time_from_sec(60)), APR_EINTR,
           "and so does every later one");
    tap_ok(apr_time_now() - begin < apr_time_from_sec(10),
           "without waiting");
    tap_is(host_signal(), SIGTERM, "and it is known which signal it was");
}

int main(int argc, const char *const *argv)
{
    chaos_host_t *host;

    apr_app_initialize(&argc, &argv, NULL);
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    scenario = chaos_find("db-fail");
    if (!tap_ok(scenario != NULL, "db-fail is a scenario")) {
        return tap_done();
    }
    silence();
    refusal();
    unknown_name();
    named_endpoint();
    no_failure();
    tidy();

    if (host_create(&host, NULL, 0, pool) != APR_SUCCESS) {
        tap_ok(0, "the command line has a host");
        return tap_done();
    }
    really(host, "timeout", "ETIMEDOUT",
           "SequelizeConnectionError: connect ETIMEDOUT");
    really(host, "refused", "ECONNREFUSED",
           "SequelizeConnectionRefusedError: connect ECONNREFUSED 127.0.0.1:");
    if (resolver_answers()) {
        really(host, "dns", "ENOTFOUND",
               "SequelizeHostNotFoundError: getaddrinfo ENOTFOUND "
               "db.invalid");
    }
    else {
        tap_skip("really dns", "no resolver answers on this machine");
    }
    lasting(host);
    pauses(host);
    return tap_done();
}
