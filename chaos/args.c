/*
 * args.c - the arguments of one run, held against the scenario's table of
 * parameters.
 */
#include "chaos.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

struct chaos_args_t {
    const chaos_scenario_t *scenario;
    chaos_value_t *values;      /* one each, in the table's order */
    apr_pool_t *pool;
};

static int count(const chaos_param_t *params)
{
    int n = 0;

    while (params != NULL && params[n].name != NULL) {
        n++;
    }
    return n;
}

static int count_words(const char *const *words)
{
    int n = 0;

    while (words[n] != NULL) {
        n++;
    }
    return n;
}

chaos_args_t *chaos_args_create(const chaos_scenario_t *scenario,
                                apr_pool_t *pool)
{
    chaos_args_t *args = apr_palloc(pool, sizeof(*args));
    int n = count(scenario->params);
    int i;

    args->scenario = scenario;
    args->pool = pool;
    args->values = apr_pcalloc(pool, (n + 1) * sizeof(*args->values));
    for (i = 0; i < n; i++) {
        const chaos_param_t *param = &scenario->params[i];
        chaos_value_t *value = &args->values[i];

        value->name = param->name;
        value->kind = param->kind;
        if (param->kind == CHAOS_WORD) {
            value->word = param->words[0];
        }
        else {
            value->number = param->fallback;
        }
    }
    return args;
}

const chaos_param_t *chaos_param_find(const chaos_scenario_t *scenario,
                                      const char *name)
{
    const chaos_param_t *param = scenario->params;

    while (param != NULL && param->name != NULL) {
        if (strcmp(param->name, name) == 0) {
            return param;
        }
        param++;
    }
    return NULL;
}

const chaos_param_t *chaos_param_in_role(const chaos_scenario_t *scenario,
                                         chaos_role_e role)
{
    const chaos_param_t *param = scenario->params;

    while (param != NULL && param->name != NULL) {
        if (param->role == role) {
            return param;
        }
        param++;
    }
    return NULL;
}

const char *chaos_param_range(const chaos_param_t *param, apr_pool_t *pool)
{
    const char *text = "";
    int i;

    switch (param->kind) {
    case CHAOS_INT:
        return apr_psprintf(pool, "a whole number from %" APR_INT64_T_FMT
                            " to %" APR_INT64_T_FMT, param->min, param->cap);
    case CHAOS_BOOL:
        return "true or false";
    case CHAOS_WORD:
        for (i = 0; param->words[i] != NULL; i++) {
            text = apr_pstrcat(pool, text,
                               i == 0 ? ""
                               : param->words[i + 1] != NULL ? ", " : " or ",
                               param->words[i], NULL);
        }
        return text;
    case CHAOS_REAL:
        break;
    }
    abort();                    /* no parameter is of that kind */
}

/* What to say about a name that no parameter has: those that there are. */
static const char *unknown(const chaos_args_t *args, const char *name)
{
    const chaos_param_t *param = args->scenario->params;
    const char *text = apr_psprintf(args->pool, "unknown parameter \"%s\"; ",
                                    name);
    int i;

    if (count(param) == 0) {
        return apr_pstrcat(args->pool, text, args->scenario->name,
                           " takes none", NULL);
    }
    text = apr_pstrcat(args->pool, text, args->scenario->name, " takes ",
                       NULL);
    for (i = 0; param[i].name != NULL; i++) {
        text = apr_pstrcat(args->pool, text, i == 0 ? "" : ", ",
                           param[i].name, NULL);
    }
    return text;
}

/* Where the word stands among the parameter's own. */
static int index_of(const chaos_param_t *param, const char *word)
{
    int i = 0;

    while (strcmp(param->words[i], word) != 0) {
        i++;
    }
    return i;
}

/* A value as a plain number. */
static apr_int64_t number_of(const chaos_param_t *param,
                             const chaos_value_t *value)
{
    return param->kind == CHAOS_WORD ? index_of(param, value->word)
                                     : value->number;
}

apr_int64_t chaos_args_role(const chaos_args_t *args, chaos_role_e role,
                            apr_int64_t absent)
{
    const chaos_param_t *param = chaos_param_in_role(args->scenario, role);

    return param != NULL
        ? number_of(param, &args->values[param - args->scenario->params])
        : absent;
}

void chaos_args_pack(const chaos_args_t *args,
                     apr_int64_t packed[CHAOS_PARAMS_MAX])
{
    const chaos_param_t *params = args->scenario->params;
    int n = count(params);
    int i;

    memset(packed, 0, CHAOS_PARAMS_MAX * sizeof(*packed));
    for (i = 0; i < n && i < CHAOS_PARAMS_MAX; i++) {
        packed[i] = number_of(&params[i], &args->values[i]);
    }
}

chaos_args_t *chaos_args_unpack(const chaos_scenario_t *scenario,
                                const apr_int64_t packed[CHAOS_PARAMS_MAX],
                                apr_pool_t *pool)
{
    chaos_args_t *args = chaos_args_create(scenario, pool);
    const chaos_param_t *params = scenario->params;
    int n = count(params);
    int i;

    for (i = 0; i < n && i < CHAOS_PARAMS_MAX; i++) {
        if (params[i].kind != CHAOS_WORD) {
            args->values[i].number = packed[i];
        }
        else if (packed[i] >= 0
                 && packed[i] < count_words(params[i].words)) {
            args->values[i].word = params[i].words[packed[i]];
        }
    }
    return args;
}

/* The one of the parameter's own words that equals this one, or NULL. */
static const char *own_word(const chaos_param_t *param, const char *word)
{
    int i;

    for (i = 0; param->words[i] != NULL; i++) {
        if (strcmp(param->words[i], word) == 0) {
            return param->words[i];
        }
    }
    return NULL;
}

/* Whether the parameter accepts the value. */
static apr_status_t judge(const chaos_param_t *param,
                          const chaos_value_t *value)
{
    if (value->kind != param->kind) {
        return APR_EINVAL;
    }
    if (param->kind == CHAOS_INT
        && (value->number < param->min || value->number > param->cap)) {
        return CHAOS_ERANGE;
    }
    if (param->kind == CHAOS_WORD && own_word(param, value->word) == NULL) {
        return APR_EINVAL;
    }
    return APR_SUCCESS;
}

apr_status_t chaos_args_set(chaos_args_t *args, const chaos_value_t *value,
                            const char **why)
{
    const chaos_param_t *param = chaos_param_find(args->scenario,
                                                  value->name);
    chaos_value_t *own;
    apr_status_t rv;

    if (param == NULL) {
        *why = unknown(args, value->name);
        return APR_NOTFOUND;
    }
    rv = judge(param, value);
    if (rv != APR_SUCCESS) {
        *why = apr_pstrcat(args->pool, param->name, " must be ",
                           chaos_param_range(param, args->pool), NULL);
        return rv;
    }
    own = &args->values[param - args->scenario->params];
    if (param->kind == CHAOS_WORD) {
        own->word = own_word(param, value->word);
    }
    else if (param->kind == CHAOS_BOOL) {
        own->number = value->number != 0;
    }
    else {
        own->number = value->number;
    }
    return APR_SUCCESS;
}

/* A whole number and nothing else: no blanks, no "0x", no "2s".  One that
 * does not fit an integer comes out as the nearest that does, which no range
 * of a parameter reaches. */
static int parse_int(apr_int64_t *number, const char *text)
{
    const char *digits = text + (*text == '-');

    if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0') {
        return 0;
    }
    *number = apr_strtoi64(text, NULL, 10);
    return 1;
}

static int parse_bool(apr_int64_t *number, const char *text)
{
    *number = strcmp(text, "true") == 0;
    return *number || strcmp(text, "false") == 0;
}

apr_status_t chaos_args_parse(chaos_args_t *args, const char *name,
                              const char *text, const char **why)
{
    char *own_name = apr_pstrdup(args->pool, name);
    const chaos_param_t *param;
    chaos_value_t value = { NULL, CHAOS_WORD, 0, 0, NULL };
    char *c;

    for (c = own_name; *c != '\0'; c++) {
        if (*c == '-') {
            *c = '_';
        }
    }
    param = chaos_param_find(args->scenario, own_name);
    if (param == NULL) {
        *why = unknown(args, name);
        return APR_NOTFOUND;
    }
    /* What cannot be read stays a word, which chaos_args_set() then refuses
     * for a number in the same words as from JSON. */
    value.name = own_name;
    value.word = text;
    if ((param->kind == CHAOS_INT && parse_int(&value.number, text))
        || (param->kind == CHAOS_BOOL && parse_bool(&value.number, text))) {
        value.kind = param->kind;
    }
    return chaos_args_set(args, &value, why);
}

static const chaos_value_t *declared(const chaos_args_t *args,
                                     const char *name, chaos_kind_e kind)
{
    const chaos_param_t *param = chaos_param_find(args->scenario, name);

    if (param == NULL || param->kind != kind) {
        abort();
    }
    return &args->values[param - args->scenario->params];
}

apr_int64_t chaos_args_int(const chaos_args_t *args, const char *name)
{
    return declared(args, name, CHAOS_INT)->number;
}

int chaos_args_bool(const chaos_args_t *args, const char *name)
{
    return declared(args, name, CHAOS_BOOL)->number != 0;
}

const char *chaos_args_word(const chaos_args_t *args, const char *name)
{
    return declared(args, name, CHAOS_WORD)->word;
}
