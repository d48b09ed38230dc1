/*
 * main.c - patient-chaos: runs one scenario without a server.
 *
 * The report goes to stdout as one JSON object; what the failure leaves in
 * the log goes to stderr, the same lines as from the server.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <jansson.h>

#include "chaos/chaos.h"
#include "host.h"
#include "host_grant.h"
#include "options.h"
#include "version.h"

/* The exit status, as README and --help promise it. */
enum { HAPPENED = 0, DID_NOT_HAPPEN = 1, MISUSED = 2 };

static int list(void)
{
    const chaos_scenario_t *const *each;

    for (each = chaos_all(); *each != NULL; each++) {
        printf("%-16s %s\n", (*each)->name, (*each)->summary);
    }
    return 0;
}

static int help(void)
{
    puts("Usage: patient-chaos SCENARIO [--OPTION VALUE | --OPTION=VALUE]...\n"
         "       patient-chaos SCENARIO --help\n"
         "       patient-chaos --list | --help | --version\n"
         "\n"
         "Makes one failure really happen, in this process, without a "
         "server.\n"
         "The report is one JSON object on stdout; the log lines that the\n"
         "failure causes are on stderr. Ctrl-C ends a run early.\n"
         "\n"
         "Exit status: 0 the failure happened, 1 it did not, 2 wrong "
         "usage.\n"
         "\n"
         "Scenarios:");
    return list();
}

static const char *fallback(const chaos_param_t *param, apr_pool_t *pool)
{
    switch (param->kind) {
    case CHAOS_WORD:
        return param->words[0];
    case CHAOS_BOOL:
        return param->fallback ? "true" : "false";
    default:
        return apr_psprintf(pool, "%" APR_INT64_T_FMT, param->fallback);
    }
}

static int explain(const chaos_scenario_t *scenario, apr_pool_t *pool)
{
    const chaos_param_t *param = scenario->params;
    const options_own_t *own;
    int i;

    printf("%s: %s\n%s\nWhat is to be seen: %s\n\nOptions:\n",
           scenario->name, scenario->title, scenario->summary,
           scenario->signal);
    for (; param != NULL && param->name != NULL; param++) {
        printf("  %s VALUE\n      %s\n      %s (default: %s)\n",
               options_spell(param, pool), param->help,
               chaos_param_range(param, pool), fallback(param, pool));
    }
    for (i = 0; (own = options_own(scenario, i)) != NULL; i++) {
        printf("  --%s %s\n      %s\n", own->name, own->value, own->help);
    }
    return 0;
}

static json_t *to_json(const chaos_value_t *value)
{
    switch (value->kind) {
    case CHAOS_INT:
        return json_integer(value->number);
    case CHAOS_BOOL:
        return json_boolean(value->number);
    case CHAOS_REAL:
        return json_real(value->real);
    case CHAOS_WORD:
        break;
    }
    return json_string(value->word);
}

static void print_report(const chaos_report_t *report)
{
    json_t *object = json_object();
    int i;

    for (i = 0; i < report->values->nelts; i++) {
        const chaos_value_t *value =
            &APR_ARRAY_IDX(report->values, i, chaos_value_t);

        json_object_set_new(object, value->name, to_json(value));
    }
    if (json_dumpf(object, stdout, JSON_COMPACT) != 0
        || putchar('\n') == EOF || fflush(stdout) != 0) {
        fputs("patient-chaos: the report could not be written\n", stderr);
    }
    json_decref(object);
}

/* Ends as a process does that the signal ended, so that a shell loop or make
 * around it ends too. */
static int end_by_signal(int number)
{
    signal(number, SIG_DFL);
    raise(number);
    return 128 + number;        /* still here: as process 1 of a container */
}

/* Never silently less than what was asked for. */
static int can_give(const options_t *options, const chaos_host_t *host,
                    apr_pool_t *pool)
{
    apr_int64_t room = (apr_int64_t)(host->memory_budget >> 20);

    if (chaos_args_role(options->args, CHAOS_ROLE_MEMORY_MB, 0) <= room) {
        return 1;
    }
    fprintf(stderr, "patient-chaos: %s must be at most %" APR_INT64_T_FMT
            " now: this machine has no more to give\n",
            options_spell(chaos_param_in_role(options->scenario,
                                              CHAOS_ROLE_MEMORY_MB), pool),
            room);
    return 0;
}

static int run(const options_t *options, apr_pool_t *pool)
{
    chaos_report_t *report = chaos_report_create(pool);
    chaos_host_t *host;
    const char *why;
    apr_status_t rv;

    if (host_grant_environment(&why, pool) != APR_SUCCESS) {
        fprintf(stderr, "patient-chaos: %s\n", why);
        return MISUSED;
    }
    rv = host_create(&host, options->endpoint_host, options->endpoint_port,
                     pool);
    if (rv != APR_SUCCESS) {
        char text[120];

        fprintf(stderr, "patient-chaos: %s\n",
                apr_strerror(rv, text, sizeof(text)));
        return DID_NOT_HAPPEN;
    }
    if (!can_give(options, host, pool)) {
        return MISUSED;
    }
    host->upstream_url = options->upstream;
    if (options->duration_s > 0) {
        host->deadline = host->now(host)
                         + apr_time_from_sec(options->duration_s);
    }
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "patient-chaos: %s is running, Ctrl-C ends it\n",
                options->scenario->name);
    }
    rv = options->scenario->run(host, options->args, report, pool);
    print_report(report);
    if (host_signal() != 0) {
        apr_pool_destroy(pool); /* takes leave of the database */
        return end_by_signal(host_signal());
    }
    return rv == APR_SUCCESS ? HAPPENED : DID_NOT_HAPPEN;
}

int main(int argc, const char *const *argv)
{
    options_t options;
    apr_pool_t *pool;
    const char *why;

    apr_app_initialize(&argc, &argv, NULL);
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    if (options_read(&options, argc, argv, &why, pool) != APR_SUCCESS) {
        fprintf(stderr, "patient-chaos: %s (see --help)\n", why);
        return MISUSED;
    }
    switch (options.wish) {
    case OPTIONS_HELP:
        return options.scenario != NULL ? explain(options.scenario, pool)
                                        : help();
    case OPTIONS_LIST:
        return list();
    case OPTIONS_VERSION:
        puts("patient-chaos " PATIENT_VERSION);
        return 0;
    case OPTIONS_RUN:
        break;
    }
    return run(&options, pool);
}
