/*
 * options.c - the command line, held against the scenarios' own tables.
 *
 * The words of a scenario are only known once it is named, and a wrong one
 * is answered with those that are right; hence no getopt.
 */
#include "options.h"

#include <string.h>

#include <apr_network_io.h>
#include <apr_strings.h>

const char *options_spell(const chaos_param_t *param, apr_pool_t *pool)
{
    char *spelled = apr_pstrcat(pool, "--", param->name, NULL);
    char *c;

    for (c = spelled; *c != '\0'; c++) {
        if (*c == '_') {
            *c = '-';
        }
    }
    return spelled;
}

/* ---- the tool's own ---- */

/* "db.example:3306", "[::1]:3306" */
static apr_status_t read_endpoint(options_t *options, const char *text,
                                  const char **why, apr_pool_t *pool)
{
    char *scope;
    char *host;
    apr_port_t port;
    apr_status_t rv;

    rv = apr_parse_addr_port(&host, &scope, &port, text, pool);
    if (rv != APR_SUCCESS || host == NULL || port == 0 || scope != NULL
        || host[strspn(host, "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789.-_:")] != '\0') {
        *why = apr_psprintf(pool, "--endpoint must be HOST:PORT, such as "
                            "127.0.0.1:3306, not \"%s\"", text);
        return APR_EINVAL;
    }
    options->endpoint_host = host;
    options->endpoint_port = port;
    return APR_SUCCESS;
}

/* As a parameter, so that it is read like the others. */
static const chaos_param_t duration_params[] = {
    { .name = "duration_s", .kind = CHAOS_INT,
      .fallback = 30, .min = 1, .cap = 3600 },
    { .name = NULL }
};
static const chaos_scenario_t duration_only = {
    .name = "patient-chaos", .params = duration_params
};

static apr_status_t read_duration(options_t *options, const char *text,
                                  const char **why, apr_pool_t *pool)
{
    chaos_args_t *args = chaos_args_create(&duration_only, pool);

    if (chaos_args_parse(args, "duration_s", text, why) != APR_SUCCESS) {
        *why = apr_psprintf(pool, "--duration-s must be %s, not \"%s\"",
                            chaos_param_range(duration_params, pool), text);
        return APR_EINVAL;
    }
    options->duration_s = (int)chaos_args_int(args, "duration_s");
    return APR_SUCCESS;
}

static apr_status_t read_upstream(options_t *options, const char *text,
                                  const char **why, apr_pool_t *pool)
{
    if (strncmp(text, "http://", 7) != 0
        && strncmp(text, "https://", 8) != 0) {
        *why = apr_psprintf(pool, "--upstream must be a URL, such as "
                            "http://127.0.0.1:8080/, not \"%s\"", text);
        return APR_EINVAL;
    }
    options->upstream = text;
    return APR_SUCCESS;
}

static int misses_database(const chaos_scenario_t *scenario)
{
    return scenario->fault == CHAOS_FAULT_ENDPOINT;
}

static int calls_service(const chaos_scenario_t *scenario)
{
    return scenario->fault == CHAOS_FAULT_CREATE;
}

static int goes_on(const chaos_scenario_t *scenario)
{
    return scenario->once_s > 0;
}

/* An option of the tool's own, which scenarios it suits, and how its value is
 * read. */
typedef struct own_t {
    options_own_t shown;
    int (*suits)(const chaos_scenario_t *scenario);
    apr_status_t (*read)(options_t *options, const char *text,
                         const char **why, apr_pool_t *pool);
} own_t;

static const own_t own_options[] = {
    { { "endpoint", "HOST:PORT",
        "where to miss the database, instead of a port of our own, as "
        "PatientChaosDbEndpoint does for the server" },
      misses_database, read_endpoint },
    { { "upstream", "URL",
        "the service to call, instead of one of our own that never answers, "
        "as PatientChaosUpstream does for the server" },
      calls_service, read_upstream },
    { { "duration-s", "SECONDS",
        "how long it goes on: a whole number from 1 to 3600 (default: 30)" },
      goes_on, read_duration }
};

#define OWN_OPTIONS ((int)(sizeof(own_options) / sizeof(own_options[0])))

static const own_t *own_option(const chaos_scenario_t *scenario, int n)
{
    int i;

    for (i = 0; i < OWN_OPTIONS; i++) {
        if (own_options[i].suits(scenario) && n-- == 0) {
            return &own_options[i];
        }
    }
    return NULL;
}

const options_own_t *options_own(const chaos_scenario_t *scenario, int n)
{
    const own_t *own = own_option(scenario, n);

    return own != NULL ? &own->shown : NULL;
}

/* ---- all options ---- */

static const char *names_of_scenarios(apr_pool_t *pool)
{
    const chaos_scenario_t *const *all = chaos_all();
    const char *text = "";
    int i;

    for (i = 0; all[i] != NULL; i++) {
        text = apr_pstrcat(pool, text, i == 0 ? "" : ", ", all[i]->name,
                           NULL);
    }
    return text;
}

static const char *names_of_options(const chaos_scenario_t *scenario,
                                    apr_pool_t *pool)
{
    const chaos_param_t *param = scenario->params;
    const options_own_t *own;
    const char *text = "";
    int i;

    for (; param != NULL && param->name != NULL; param++) {
        text = apr_pstrcat(pool, text, options_spell(param, pool), ", ",
                           NULL);
    }
    for (i = 0; (own = options_own(scenario, i)) != NULL; i++) {
        text = apr_pstrcat(pool, text, "--", own->name, ", ", NULL);
    }
    return apr_pstrcat(pool, text, "--help", NULL);
}

/* An option of that name, in either spelling: one of these is set. */
typedef struct option_t {
    const chaos_param_t *param;
    const own_t *own;
} option_t;

static int find(option_t *option, const chaos_scenario_t *scenario,
                const char *name, apr_pool_t *pool)
{
    char *spelled = apr_pstrdup(pool, name);
    const own_t *own;
    char *c;
    int i;

    option->own = NULL;
    for (c = spelled; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
    option->param = chaos_param_find(scenario, spelled);
    for (c = spelled; *c != '\0'; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    for (i = 0; (own = own_option(scenario, i)) != NULL; i++) {
        if (strcmp(own->shown.name, spelled) == 0) {
            option->own = own;
        }
    }
    return option->param != NULL || option->own != NULL;
}

static apr_status_t set(options_t *options, const char *name,
                        const char *value, const char **why,
                        apr_pool_t *pool)
{
    const char *reason = NULL;

    if (chaos_args_parse(options->args, name, value, &reason)
        == APR_SUCCESS) {
        return APR_SUCCESS;
    }
    *why = apr_psprintf(pool, "%s: %s, not \"%s\"", options->scenario->name,
                        reason, value);
    return APR_EINVAL;
}

/* Reads one option, which may take the next argument for its value. */
static apr_status_t read_option(options_t *options, int *at, int argc,
                                const char *const *argv, const char **why,
                                apr_pool_t *pool)
{
    const char *name = argv[*at] + 2;
    const char *value = strchr(name, '=');
    option_t option;

    if (value != NULL) {
        name = apr_pstrmemdup(pool, name, value - name);
        value++;
    }
    if (!find(&option, options->scenario, name, pool)) {
        *why = apr_psprintf(pool, "unknown option --%s; %s takes %s", name,
                            options->scenario->name,
                            names_of_options(options->scenario, pool));
        return APR_EINVAL;
    }
    if (value == NULL && option.param != NULL
        && option.param->kind == CHAOS_BOOL) {
        value = "true";
    }
    if (value == NULL) {
        if (*at + 1 >= argc) {
            *why = apr_psprintf(pool, "--%s needs a value", name);
            return APR_EINVAL;
        }
        *at += 1;
        value = argv[*at];
    }
    return option.own != NULL ? option.own->read(options, value, why, pool)
                              : set(options, name, value, why, pool);
}

/* Whether the argument is one that ends the reading: it asks for text. */
static int is_wish(const char *argument, options_wish_e *wish)
{
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
        *wish = OPTIONS_HELP;
    }
    else if (strcmp(argument, "--list") == 0) {
        *wish = OPTIONS_LIST;
    }
    else if (strcmp(argument, "--version") == 0) {
        *wish = OPTIONS_VERSION;
    }
    else {
        return 0;
    }
    return 1;
}

static apr_status_t read_scenario(options_t *options, const char *name,
                                  const char **why, apr_pool_t *pool)
{
    options->scenario = chaos_find(name);
    if (options->scenario == NULL) {
        *why = apr_psprintf(pool, "unknown %s %s; there are %s",
                            *name == '-' ? "option" : "scenario", name,
                            names_of_scenarios(pool));
        return APR_EINVAL;
    }
    options->args = chaos_args_create(options->scenario, pool);
    options->duration_s = options->scenario->once_s;
    return APR_SUCCESS;
}

apr_status_t options_read(options_t *options, int argc,
                          const char *const *argv, const char **why,
                          apr_pool_t *pool)
{
    int i;

    memset(options, 0, sizeof(*options));
    for (i = 1; i < argc; i++) {
        apr_status_t rv = APR_SUCCESS;

        if (is_wish(argv[i], &options->wish)) {
            return APR_SUCCESS;
        }
        if (options->scenario == NULL) {
            rv = read_scenario(options, argv[i], why, pool);
        }
        else if (strncmp(argv[i], "--", 2) == 0) {
            rv = read_option(options, &i, argc, argv, why, pool);
        }
        else {
            *why = apr_psprintf(pool, "%s is not an option; %s takes %s",
                                argv[i], options->scenario->name,
                                names_of_options(options->scenario, pool));
            rv = APR_EINVAL;
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    if (options->scenario == NULL) {
        *why = apr_psprintf(pool, "name a scenario: %s",
                            names_of_scenarios(pool));
        return APR_EINVAL;
    }
    return APR_SUCCESS;
}
