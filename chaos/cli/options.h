/*
 * options.h - what the command line asks for.
 */
#ifndef CHAOS_CLI_OPTIONS_H
#define CHAOS_CLI_OPTIONS_H

#include "chaos/chaos.h"

typedef enum {
    OPTIONS_RUN,
    OPTIONS_HELP,               /* on scenario, or in general */
    OPTIONS_LIST,
    OPTIONS_VERSION
} options_wish_e;

typedef struct options_t {
    options_wish_e wish;
    const chaos_scenario_t *scenario;   /* NULL: none was named */
    chaos_args_t *args;
    const char *endpoint_host;  /* NULL: not given */
    int endpoint_port;
    const char *upstream;       /* NULL: not given */
    int duration_s;             /* 0: until it is done */
} options_t;

/** An option of the tool's own, as --help shows it. */
typedef struct options_own_t {
    const char *name;           /* "endpoint" */
    const char *value;          /* "HOST:PORT" */
    const char *help;
} options_own_t;

/**
 * Reads the command line.
 * @param why set on failure: one line on what is wrong and what is allowed
 * @return APR_SUCCESS or APR_EINVAL
 */
apr_status_t options_read(options_t *options, int argc,
                          const char *const *argv, const char **why,
                          apr_pool_t *pool);

/** The n-th, from 0, of the tool's own options that mean something to the
 * scenario, or NULL. */
const options_own_t *options_own(const chaos_scenario_t *scenario, int n);

/** A parameter's name as an option: "--timeout-ms". */
const char *options_spell(const chaos_param_t *param, apr_pool_t *pool);

#endif
