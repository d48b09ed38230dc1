/*
 * options.c - reads the command line.
 */
#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_getopt.h>
#include <apr_strings.h>

#include "moment.h"

#define EVIDENCE 3

/* CloudWatch gives no larger page, and a week is no half hour any more. */
#define LIMIT_MAX 10000
#define MINUTES_MAX (7 * 24 * 60)
#define TOLERANCE_MAX 3600
#define EVIDENCE_MAX LIMIT_MAX

enum {
    FILTER = 256, LIMIT, WINDOW, SINCE, UNTIL, EVIDENCE_LINES, TOLERANCE,
    AS_JSON, LIST, VERSION, HELP
};

static const apr_getopt_option_t diagnose_options[] = {
    { "filter", FILTER, 1, NULL },
    { "limit", LIMIT, 1, NULL },
    { "window", WINDOW, 1, NULL },
    { "until", UNTIL, 1, NULL },
    { "evidence", EVIDENCE_LINES, 1, NULL },
    { "json", AS_JSON, 0, NULL },
    { "list", LIST, 0, NULL },
    { "version", VERSION, 0, NULL },
    { "help", HELP, 0, NULL },
    { NULL, 'h', 0, NULL },
    { NULL, 0, 0, NULL }
};

static const apr_getopt_option_t grade_options[] = {
    { "tolerance", TOLERANCE, 1, NULL },
    { "since", SINCE, 1, NULL },
    { "until", UNTIL, 1, NULL },
    { "json", AS_JSON, 0, NULL },
    { "help", HELP, 0, NULL },
    { NULL, 'h', 0, NULL },
    { NULL, 0, 0, NULL }
};

const char options_stdin[] = "stdin";

/* What options_read() works on. */
typedef struct reading_t {
    options_t *options;
    const char *why;
    apr_pool_t *pool;
} reading_t;

/* apr_getopt's own words for what is wrong; its first value is the name of
 * the program, which is said elsewhere. */
static void note(void *arg, const char *format, ...)
{
    reading_t *reading = arg;
    va_list values;
    char *text;

    va_start(values, format);
    text = apr_pvsprintf(reading->pool, format, values);
    va_end(values);
    text[strcspn(text, "\n")] = '\0';
    reading->why = strncmp(text, ": ", 2) == 0 ? text + 2 : text;
}

static apr_status_t number(reading_t *reading, int *value, const char *option,
                           const char *text, int min, int max)
{
    char *end;
    apr_int64_t given = apr_strtoi64(text, &end, 10);

    if (end == text || *end != '\0' || given < min || given > max) {
        reading->why = apr_psprintf(
            reading->pool, "--%s must be a whole number from %d to %d, not "
            "\"%s\"", option, min, max, text);
        return APR_EINVAL;
    }
    *value = (int)given;
    return APR_SUCCESS;
}

static apr_status_t moment(reading_t *reading, apr_time_t *value,
                           const char *option, const char *text)
{
    *value = moment_parse(text);
    if (*value == MOMENT_NONE) {
        reading->why = apr_psprintf(
            reading->pool, "--%s must be a time such as "
            "2024-12-10T10:30:45Z, not \"%s\"", option, text);
        return APR_EINVAL;
    }
    return APR_SUCCESS;
}

static apr_status_t filter(reading_t *reading, const char *text)
{
    const char *const *words = page_words(text, reading->pool);

    if (words == NULL) {
        reading->why = "--filter must hold a word, such as \"?ERROR ?error\"";
        return APR_EINVAL;
    }
    reading->options->query.words = words;
    return APR_SUCCESS;
}

static apr_status_t take(reading_t *reading, int option, const char *text)
{
    options_t *options = reading->options;
    apr_status_t rv;
    int value;

    switch (option) {
    case FILTER:
        return filter(reading, text);
    case LIMIT:
        return number(reading, &options->query.limit, "limit", text, 1,
                      LIMIT_MAX);
    case WINDOW:
        rv = number(reading, &value, "window", text, 1, MINUTES_MAX);
        if (rv == APR_SUCCESS) {
            options->query.window = apr_time_from_sec(value * 60);
        }
        return rv;
    case SINCE:
        return moment(reading, &options->terms.since, "since", text);
    case UNTIL:
        rv = moment(reading, &options->terms.until, "until", text);
        options->query.until = options->terms.until;
        return rv;
    case EVIDENCE_LINES:
        return number(reading, &options->evidence, "evidence", text, 0,
                      EVIDENCE_MAX);
    case TOLERANCE:
        rv = number(reading, &value, "tolerance", text, 0, TOLERANCE_MAX);
        if (rv == APR_SUCCESS) {
            options->terms.tolerance = apr_time_from_sec(value);
        }
        return rv;
    case AS_JSON:
        options->is_json = 1;
        return APR_SUCCESS;
    case LIST:
        options->wish = OPTIONS_LIST;
        return APR_EOF;
    case VERSION:
        options->wish = OPTIONS_VERSION;
        return APR_EOF;
    default:
        options->wish = options->wish == OPTIONS_GRADE ? OPTIONS_GRADE_HELP
                                                       : OPTIONS_HELP;
        return APR_EOF;
    }
}

static void set_defaults(options_t *options, apr_pool_t *pool)
{
    memset(options, 0, sizeof(*options));
    options->query.words = page_words(PAGE_WORDS, pool);
    options->query.limit = PAGE_LIMIT;
    options->query.window = apr_time_from_sec(PAGE_MINUTES * 60);
    options->query.until = MOMENT_NONE;
    options->evidence = EVIDENCE;
    options->terms.tolerance = apr_time_from_sec(GRADE_TOLERANCE);
    options->terms.since = MOMENT_NONE;
    options->terms.until = MOMENT_NONE;
}

/* apr_getopt takes "-" for an option without a letter. */
static void hide_stdin(apr_getopt_t *getopt)
{
    int i;

    for (i = 1; i < getopt->argc; i++) {
        if (strcmp(getopt->argv[i], "-") == 0) {
            getopt->argv[i] = options_stdin;
        }
    }
}

/* What is no option: the files. */
static const char *const *files_of(const apr_getopt_t *getopt,
                                   apr_pool_t *pool)
{
    int count = getopt->argc - getopt->ind;
    const char **files = apr_pcalloc(pool, (apr_size_t)(count + 1)
                                     * sizeof(*files));

    memcpy(files, getopt->argv + getopt->ind,
           (size_t)count * sizeof(*files));
    return files;
}

apr_status_t options_read(options_t *options, int argc,
                          const char *const *argv, const char **why,
                          apr_pool_t *pool)
{
    reading_t reading = { options, NULL, pool };
    int is_grade = argc > 1 && strcmp(argv[1], "grade") == 0;
    apr_getopt_t *getopt;
    const char *text;
    int option;
    apr_status_t rv;

    set_defaults(options, pool);
    options->wish = is_grade ? OPTIONS_GRADE : OPTIONS_DIAGNOSE;
    apr_getopt_init(&getopt, pool, argc - is_grade, argv + is_grade);
    getopt->interleave = 1;
    getopt->errfn = note;
    getopt->errarg = &reading;
    getopt->argv[0] = "";
    hide_stdin(getopt);
    do {
        rv = apr_getopt_long(getopt, is_grade ? grade_options
                                              : diagnose_options,
                             &option, &text);
        if (rv == APR_SUCCESS) {
            rv = take(&reading, option, text);
        }
    } while (rv == APR_SUCCESS);
    if (rv == APR_EOF) {
        options->files = files_of(getopt, pool);
        rv = APR_SUCCESS;
        if (options->wish == OPTIONS_GRADE
            && (options->files[0] == NULL || options->files[1] == NULL)) {
            reading.why = "grade needs a ledger and a diagnosis";
            rv = APR_EINVAL;
        }
    }
    *why = reading.why;
    return rv == APR_SUCCESS ? rv : APR_EINVAL;
}
