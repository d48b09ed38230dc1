/*
 * main.c - patient-doctor: diagnoses from the log alone, and grades whoever
 * does.
 */
#include <stdio.h>
#include <stdlib.h>

#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <jansson.h>

#include "claim.h"
#include "diagnosis.h"
#include "grade.h"
#include "input.h"
#include "options.h"
#include "page.h"
#include "rules.h"
#include "truth.h"
#include "version.h"

/* The exit status, as the documentation and --help promise it. */
enum { HEALTHY = 0, ILL = 1, PERFECT = 0, IMPERFECT = 1, MISUSED = 2 };

static void help(void)
{
    puts("Usage: patient-doctor [OPTION]... [FILE]...\n"
         "       patient-doctor grade [OPTION]... LEDGER DIAGNOSIS...\n"
         "       patient-doctor grade --help\n"
         "       patient-doctor --list | --help | --version\n"
         "\n"
         "Reads a log, takes the page that CloudWatch's FilterLogEvents "
         "would give\n"
         "of it, and says which illnesses that page tells of, since when, by "
         "which\n"
         "lines, and what to do. It reads JSON, one object a line, or what\n"
         "`aws logs filter-log-events` prints; without a FILE, or for -, "
         "stdin.\n"
         "\n"
         "  --filter WORDS     lines with any of these, upper and lower case "
         "apart\n"
         "                     (default: \"" PAGE_WORDS "\")\n"
         "  --limit N          so many events, the oldest first (default: "
         "100)\n"
         "  --window MINUTES   of so long a time (default: 30)\n"
         "  --until TIME       that ends then (default: the newest line's "
         "timestamp)\n"
         "  --evidence N       print so many lines of each illness (default: "
         "3)\n"
         "  --json             answer as JSON: detected_issues, severity, "
         "summary,\n"
         "                     recommendations, affected_resources\n"
         "  --list             what it looks for, and what it says then\n"
         "\n"
         "Exit status: 0 healthy, 1 ill, 2 unreadable input or wrong usage.");
}

static void grade_help(void)
{
    puts("Usage: patient-doctor grade [OPTION]... LEDGER DIAGNOSIS...\n"
         "\n"
         "Holds what a doctor says against the patient's ledger. A DIAGNOSIS "
         "is a file\n"
         "with one answer or many, of patient-doctor --json or of an AI: an "
         "object\n"
         "whose \"detected_issues\" are names of illnesses, or objects with a "
         "\"label\"\n"
         "(or \"issue\", \"type\", \"name\", ...) and, if known, \"since\", "
         "\"until\" and\n"
         "\"detected_at\". - is stdin.\n"
         "\n"
         "  --tolerance SECONDS   by which times may differ (default: 10)\n"
         "  --since TIME          grade the incidents that began from then "
         "on,\n"
         "  --until TIME          and up to then (default: what the pages "
         "of the\n"
         "                        diagnoses span, if all of them tell; else "
         "all)\n"
         "  --json                answer as JSON\n"
         "\n"
         "An incident is found if an issue has its label and their times "
         "overlap,\n"
         "give or take the tolerance. An issue without times overlaps with "
         "any, and\n"
         "one issue may find several incidents of its label. An issue that "
         "finds no\n"
         "incident is a false alarm, also one that is none of --list; those "
         "of one\n"
         "label whose times overlap are one. Incidents that ended as "
         "\"invalid\" or\n"
         "began outside the period are not asked for; naming them is no "
         "false alarm.\n"
         "\n"
         "precision = found / (found + false alarms), recall = found / "
         "(found +\n"
         "missed), F1 = 2 found / (2 found + false alarms + missed); each is "
         "1 where\n"
         "that would be 0 / 0: nothing to find, or nothing claimed.\n"
         "\n"
         "Exit status: 0 nothing missed and no false alarm, 1 otherwise,\n"
         "2 unreadable input or wrong usage.");
}

static void print_list(const char *title, const char *const *list)
{
    printf("  %-9s", title);
    for (; *list != NULL; list++) {
        printf("%s%s", *list, list[1] != NULL ? "; " : "\n");
    }
}

static void list_rules(void)
{
    const rule_t *rule;

    for (rule = rules; rule->label != NULL; rule++) {
        printf("%s: %s, %s\n", rule->label, rule->title, rule->severity);
        print_list("type", rule->types);
        print_list("words", rule->patterns);
        printf("  says     %s (%s)\n"
               "  affects  %s\n",
               rule->diagnosis_en, rule->diagnosis_ko, rule->resource);
    }
}

/* ---- what both commands need ---- */

static int complain(const char *name, const char *why)
{
    fprintf(stderr, "patient-doctor: %s %s\n", name, why);
    return MISUSED;
}

static apr_status_t open_file(apr_file_t **file, const char *name,
                              apr_pool_t *pool)
{
    char reason[120];
    apr_status_t rv;

    if (name == options_stdin) {
        return apr_file_open_stdin(file, pool);
    }
    rv = apr_file_open(file, name, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT,
                       pool);
    if (rv != APR_SUCCESS) {
        complain(name, apr_psprintf(pool, "cannot be opened: %s",
                                     apr_strerror(rv, reason,
                                                  sizeof(reason))));
    }
    return rv;
}

/* @return whether all of it went out */
static int finish(json_t *answer)
{
    int failed = 0;

    if (answer != NULL) {
        failed = json_dumpf(answer, stdout, JSON_INDENT(2)
                            | JSON_REAL_PRECISION(6)) != 0
            || putchar('\n') == EOF;
        json_decref(answer);
    }
    if (fflush(stdout) != 0 || ferror(stdout) || failed) {
        fputs("patient-doctor: the answer could not be written\n", stderr);
        return 0;
    }
    return 1;
}

/* ---- diagnose ---- */

static apr_status_t read_log(page_t *page, input_count_t *count,
                             const char *name, apr_pool_t *pool)
{
    const char *why;
    apr_file_t *file;
    apr_pool_t *own;
    apr_status_t rv;

    apr_pool_create(&own, pool);
    rv = open_file(&file, name, own);
    if (rv == APR_SUCCESS) {
        rv = input_read(page, count, file, &why, own);
        if (rv != APR_SUCCESS) {
            complain(name, why);
        }
    }
    apr_pool_destroy(own);
    return rv;
}

static int diagnose(const options_t *options, apr_pool_t *pool)
{
    static const char *const standard[] = { options_stdin, NULL };
    const char *const *file = options->files[0] ? options->files : standard;
    page_t *page = page_create(&options->query, pool);
    input_count_t count = { 0, 0, 0, 0 };
    const diagnosis_t *diagnosis;
    json_t *answer = NULL;

    for (; *file != NULL; file++) {
        if (read_log(page, &count, *file, pool) != APR_SUCCESS) {
            return MISUSED;
        }
    }
    if (count.lines > 0
        && count.not_json + count.timeless + count.too_long == count.lines) {
        return complain("the input", "holds no line that is a JSON object "
                        "with a timestamp");
    }
    page_close(page);
    diagnosis = diagnosis_make(page, pool);
    if (options->is_json) {
        answer = diagnosis_json(diagnosis, &count, pool);
    }
    else {
        diagnosis_print(diagnosis, &count, options->evidence, stdout, pool);
    }
    return !finish(answer) ? MISUSED
        : diagnosis->issues->nelts > 0 ? ILL : HEALTHY;
}

/* ---- grade ---- */

static int grade(const options_t *options, apr_pool_t *pool)
{
    const char *const *name = options->files;
    claims_t *claims = claims_create(pool);
    apr_array_header_t *truths;
    const grade_t *marks;
    json_t *answer = NULL;
    apr_file_t *file;
    const char *why;

    if (open_file(&file, *name, pool) != APR_SUCCESS) {
        return MISUSED;
    }
    if (truth_read(&truths, file, &why, pool) != APR_SUCCESS) {
        return complain(*name, why);
    }
    while (*++name != NULL) {
        if (open_file(&file, *name, pool) != APR_SUCCESS) {
            return MISUSED;
        }
        if (claims_read(claims, file, *name, &why, pool) != APR_SUCCESS) {
            return complain(*name, why);
        }
        apr_file_close(file);
    }
    marks = grade_make(truths, claims, &options->terms, pool);
    if (options->is_json) {
        answer = grade_json(marks);
    }
    else {
        grade_print(marks, stdout, pool);
    }
    return !finish(answer) ? MISUSED
        : marks->missed || marks->false_alarms->nelts ? IMPERFECT : PERFECT;
}

/* ---- the beginning and the end ---- */

static int out_of_memory(int retcode)
{
    fputs("patient-doctor: out of memory\n", stderr);
    exit(MISUSED);
    return retcode;
}

int main(int argc, const char *const *argv)
{
    options_t options = { .wish = OPTIONS_DIAGNOSE };
    apr_pool_t *pool;
    const char *why;

    apr_app_initialize(&argc, &argv, NULL);
    atexit(apr_terminate);
    apr_pool_create_ex(&pool, NULL, out_of_memory, NULL);
    if (options_read(&options, argc, argv, &why, pool) != APR_SUCCESS) {
        fprintf(stderr, "patient-doctor: %s (see --help)\n", why);
        return MISUSED;
    }
    switch (options.wish) {
    case OPTIONS_DIAGNOSE:
        return diagnose(&options, pool);
    case OPTIONS_GRADE:
        return grade(&options, pool);
    case OPTIONS_HELP:
        help();
        break;
    case OPTIONS_GRADE_HELP:
        grade_help();
        break;
    case OPTIONS_LIST:
        list_rules();
        break;
    case OPTIONS_VERSION:
        puts("patient-doctor " PATIENT_VERSION);
        break;
    }
    return finish(NULL) ? 0 : MISUSED;
}
