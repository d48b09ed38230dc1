/*
 * chaos_args.c - arguments against a table of every kind, and the promises
 * that every scenario's own table has to keep.
 */
#include "chaos/chaos.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_general.h>

#include "tap.h"

static const char *const words[] = { "slow", "quick", "never", NULL };

static const chaos_param_t params[] = {
    { .name = "limit_mb", .kind = CHAOS_INT, .role = CHAOS_ROLE_MEMORY_MB,
      .fallback = 64, .min = 8, .cap = 512, .help = "a number" },
    { .name = "crash", .kind = CHAOS_BOOL, .fallback = 0, .help = "a flag" },
    { .name = "pace", .kind = CHAOS_WORD, .role = CHAOS_ROLE_PLACE,
      .words = words, .help = "a word" },
    { .name = NULL }
};

static const chaos_scenario_t sample = { .name = "sample", .params = params };
static const chaos_scenario_t bare = { .name = "bare" };

static apr_pool_t *pool;

static void defaults(void)
{
    chaos_args_t *args = chaos_args_create(&sample, pool);

    tap_is(chaos_args_int(args, "limit_mb"), 64, "a number has its default");
    tap_is(chaos_args_bool(args, "crash"), 0, "a flag has its default");
    tap_is_str(chaos_args_word(args, "pace"), "slow",
               "a word's default is the first of its words");
}

static void accepted(void)
{
    static const struct { const char *text; int number; } good[] = {
        { "8", 8 }, { "512", 512 }, { "0100", 100 }
    };
    chaos_args_t *args = chaos_args_create(&sample, pool);
    const char *why = NULL;
    char passing[6] = "quick";
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        tap_ok(chaos_args_parse(args, "limit_mb", good[i].text, &why)
               == APR_SUCCESS
               && chaos_args_int(args, "limit_mb") == good[i].number,
               "%s is taken as %d", good[i].text, good[i].number);
    }
    tap_ok(chaos_args_parse(args, "limit-mb", "9", &why) == APR_SUCCESS
           && chaos_args_int(args, "limit_mb") == 9,
           "a hyphen in a name stands for an underscore");
    tap_ok(chaos_args_parse(args, "crash", "true", &why) == APR_SUCCESS
           && chaos_args_bool(args, "crash") == 1, "true sets a flag");
    tap_ok(chaos_args_parse(args, "crash", "false", &why) == APR_SUCCESS
           && chaos_args_bool(args, "crash") == 0, "false clears it");
    chaos_args_parse(args, "pace", passing, &why);
    memset(passing, 'x', 5);
    tap_is_str(chaos_args_word(args, "pace"), "quick",
               "a word outlives the text that it came from");
    tap_ok(why == NULL, "nothing is complained of");
}

static void roles(void)
{
    chaos_args_t *args = chaos_args_create(&sample, pool);
    const char *why;

    chaos_args_parse(args, "pace", "never", &why);
    tap_is(chaos_args_role(args, CHAOS_ROLE_MEMORY_MB, -1), 64,
           "a number is found by its role");
    tap_is(chaos_args_role(args, CHAOS_ROLE_PLACE, -1), 2,
           "a word is its index");
    tap_is(chaos_args_role(args, CHAOS_ROLE_CPU_PERCENT, -1), -1,
           "a role that no parameter has is absent");
    tap_ok(chaos_param_in_role(&sample, CHAOS_ROLE_MEMORY_MB) == &params[0]
           && chaos_param_in_role(&bare, CHAOS_ROLE_DEATH) == NULL,
           "so is the parameter itself");
}

static void refused(void)
{
    static const struct {
        const char *name, *text;
        apr_status_t status;
    } bad[] = {
        { "limit_mb", "7", CHAOS_ERANGE },
        { "limit_mb", "513", CHAOS_ERANGE },
        { "limit_mb", "-8", CHAOS_ERANGE },
        { "limit_mb", "99999999999999999999", CHAOS_ERANGE },
        { "limit_mb", "-99999999999999999999", CHAOS_ERANGE },
        { "limit_mb", "", APR_EINVAL },
        { "limit_mb", "-", APR_EINVAL },
        { "limit_mb", " 64", APR_EINVAL },
        { "limit_mb", "64 ", APR_EINVAL },
        { "limit_mb", "+64", APR_EINVAL },
        { "limit_mb", "0x40", APR_EINVAL },
        { "limit_mb", "64MB", APR_EINVAL },
        { "limit_mb", "6.4", APR_EINVAL },
        { "crash", "1", APR_EINVAL },
        { "crash", "True", APR_EINVAL },
        { "crash", "", APR_EINVAL },
        { "pace", "", APR_EINVAL },
        { "pace", "qui", APR_EINVAL },
        { "pace", "Quick", APR_EINVAL },
        { "", "1", APR_NOTFOUND },
        { "limit", "64", APR_NOTFOUND },
        { "LIMIT_MB", "64", APR_NOTFOUND }
    };
    chaos_args_t *args = chaos_args_create(&sample, pool);
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *why = NULL;
        apr_status_t rv = chaos_args_parse(args, bad[i].name, bad[i].text,
                                           &why);

        tap_ok(rv == bad[i].status && why != NULL,
               "%s=\"%s\" is refused: %s", bad[i].name, bad[i].text,
               why ? why : "(nothing)");
    }
    tap_ok(chaos_args_int(args, "limit_mb") == 64
           && chaos_args_bool(args, "crash") == 0
           && strcmp(chaos_args_word(args, "pace"), "slow") == 0,
           "what was refused changed nothing");
}

static void explained(void)
{
    chaos_args_t *args = chaos_args_create(&sample, pool);
    const char *why = NULL;

    chaos_args_parse(args, "limit_mb", "7", &why);
    tap_is_str(why, "limit_mb must be a whole number from 8 to 512",
               "a number out of range is told the range");
    chaos_args_parse(args, "pace", "fast", &why);
    tap_is_str(why, "pace must be slow, quick or never",
               "a wrong word is told the right ones");
    chaos_args_parse(args, "crash", "yes", &why);
    tap_is_str(why, "crash must be true or false", "a flag likewise");
    chaos_args_parse(args, "speed", "1", &why);
    tap_is_str(why, "unknown parameter \"speed\"; sample takes limit_mb, "
               "crash, pace", "an unknown name is told those that there are");
    chaos_args_parse(chaos_args_create(&bare, pool), "speed", "1", &why);
    tap_is_str(why, "unknown parameter \"speed\"; bare takes none",
               "a scenario without parameters says so");
}

static void kinds(void)
{
    static const chaos_value_t wrong[] = {
        { "limit_mb", CHAOS_REAL, 0, 64.0, NULL },
        { "limit_mb", CHAOS_BOOL, 64, 0, NULL },
        { "limit_mb", CHAOS_WORD, 0, 0, "64" },
        { "crash", CHAOS_INT, 1, 0, NULL },
        { "crash", CHAOS_WORD, 0, 0, "true" },
        { "pace", CHAOS_INT, 0, 0, NULL },
        { "pace", CHAOS_BOOL, 1, 0, NULL }
    };
    static const chaos_value_t right = { "limit_mb", CHAOS_INT, 65, 0, NULL };
    chaos_args_t *args = chaos_args_create(&sample, pool);
    const char *why = NULL;
    size_t i;

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        tap_ok(chaos_args_set(args, &wrong[i], &why) == APR_EINVAL,
               "%s does not take a value of kind %d", wrong[i].name,
               wrong[i].kind);
    }
    tap_ok(chaos_args_set(args, &right, &why) == APR_SUCCESS
           && chaos_args_int(args, "limit_mb") == 65,
           "a value of the right kind is taken as it is");
}

static void packed(void)
{
    apr_int64_t numbers[CHAOS_PARAMS_MAX];
    chaos_args_t *args = chaos_args_create(&sample, pool);
    const char *why = NULL;
    int i, zero = 1;

    chaos_args_parse(args, "limit_mb", "77", &why);
    chaos_args_parse(args, "crash", "true", &why);
    chaos_args_parse(args, "pace", "never", &why);
    memset(numbers, 0xff, sizeof(numbers));
    chaos_args_pack(args, numbers);
    tap_ok(numbers[0] == 77 && numbers[1] == 1 && numbers[2] == 2,
           "packed, arguments are numbers, a word by its place");
    for (i = 3; i < CHAOS_PARAMS_MAX; i++) {
        zero = zero && numbers[i] == 0;
    }
    tap_ok(zero, "and the rest is zero");
    args = chaos_args_unpack(&sample, numbers, pool);
    tap_ok(chaos_args_int(args, "limit_mb") == 77
           && chaos_args_bool(args, "crash") == 1
           && strcmp(chaos_args_word(args, "pace"), "never") == 0,
           "unpacked, they are what they were");
    numbers[2] = 3;
    tap_is_str(chaos_args_word(chaos_args_unpack(&sample, numbers, pool),
                               "pace"), "slow",
               "a word that there is not is the default");
    chaos_args_pack(chaos_args_create(&bare, pool), numbers);
    tap_ok(numbers[0] == 0
           && chaos_args_unpack(&bare, numbers, pool) != NULL,
           "no arguments can be packed as well");
}

/* Asks in a child process for a value that the scenario does not declare. */
static int aborts(const char *name)
{
    static const struct rlimit none = { 0, 0 };
    chaos_args_t *args = chaos_args_create(&sample, pool);
    pid_t child;
    int status;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &none);
        chaos_args_int(args, name);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* The seven that the ledger's readers know. */
static const char *const labels[] = {
    "db-failure", "pool-exhaustion", "memory-leak", "slow-query",
    "api-timeout", "jwt-expiry", "high-cpu"
};

static int is_one_of(const char *word, const char *const *known, size_t n)
{
    while (n > 0) {
        n--;
        if (word != NULL && strcmp(word, known[n]) == 0) {
            return 1;
        }
    }
    return 0;
}

/* What the ledger says of a scenario. */
static void ledger(const chaos_scenario_t *each)
{
    static const char *const severities[] = { "critical", "high", "medium" };

    tap_ok(is_one_of(each->label, labels, 7), "%s has a label: %s",
           each->name, each->label ? each->label : "(none)");
    tap_ok(is_one_of(each->severity, severities, 3), "%s has a severity",
           each->name);
    tap_ok(each->diagnosis_en != NULL && each->diagnosis_en[0] != '\0'
           && each->diagnosis_ko != NULL
           && (strstr(each->diagnosis_ko, "필요") != NULL
               || strstr(each->diagnosis_ko, "권장") != NULL
               || strstr(each->diagnosis_ko, "증가") != NULL
               || strstr(each->diagnosis_ko, "512MB → 1GB") != NULL),
           "%s has a diagnosis in two languages", each->name);
}

/* What makes an incident of a scenario. */
static void incidents(const chaos_scenario_t *each)
{
    const chaos_figures_t calm = { .requests = 0 };
    const char *why = NULL;

    int bends = each->fault != CHAOS_FAULT_NONE
        && each->fault != CHAOS_FAULT_POOL;     /* that one only counts */

    tap_ok(bends != (each->where != CHAOS_NOWHERE)
           && each->fault >= CHAOS_FAULT_NONE && each->fault < CHAOS_FAULTS,
           "%s either bends a path or works", each->name);
    tap_ok((each->where != CHAOS_NOWHERE) == (each->work != NULL),
           "%s has work if it is done anywhere", each->name);
    tap_ok(each->prepare == NULL || each->recover != NULL,
           "%s takes away what it prepares", each->name);
    tap_ok(each->once_s == 0 || each->message != NULL,
           "%s goes on in the background if it goes on for long",
           each->name);
    tap_ok(each->felt != NULL, "%s knows whether it was felt", each->name);
    if (each->felt != NULL) {
        tap_ok(!each->felt(&calm, &calm, chaos_args_create(each, pool), &why,
                           pool) && why != NULL && why[0] != '\0',
               "%s was not felt when nothing happened: %s", each->name,
               why ? why : "(no reason)");
    }
}

static void all_labels(void)
{
    const chaos_scenario_t *const *all = chaos_all();
    unsigned found = 0;
    size_t i, label;

    for (i = 0; all[i] != NULL; i++) {
        for (label = 0; label < 7; label++) {
            if (strcmp(all[i]->label, labels[label]) == 0) {
                found |= 1u << label;
            }
        }
    }
    tap_ok(i == 7 && found == 0x7f, "each of the seven labels is used");
}

static int is_made_of(const char *name, const char *letters)
{
    return name != NULL && name[0] != '\0'
        && name[strspn(name, letters)] == '\0';
}

/* Words that the hosts use themselves. */
static int is_taken(const char *name)
{
    static const char *const taken[] = {
        "endpoint", "help", "duration_s", "upstream"
    };

    return is_one_of(name, taken, sizeof(taken) / sizeof(taken[0]));
}

static int has_sound_values(const chaos_param_t *param)
{
    switch (param->kind) {
    case CHAOS_INT:
        return param->min >= 0 && param->min <= param->fallback
            && param->fallback <= param->cap && param->cap < APR_INT64_MAX;
    case CHAOS_BOOL:
        return param->fallback == 0 || param->fallback == 1;
    case CHAOS_WORD:
        return param->words[0] != NULL && param->words[1] != NULL;
    case CHAOS_REAL:
        break;
    }
    return 0;
}

/* Of the kind that its role asks for, and the only one in it. */
static int fits_role(const chaos_scenario_t *each, const chaos_param_t *param)
{
    chaos_kind_e kind = param->role == CHAOS_ROLE_DEATH ? CHAOS_BOOL
        : param->role == CHAOS_ROLE_PLACE ? CHAOS_WORD : CHAOS_INT;

    return param->role == CHAOS_ROLE_NONE
        || (param->kind == kind
            && chaos_param_in_role(each, param->role) == param);
}

static void parameters(const chaos_scenario_t *each)
{
    const chaos_param_t *param = each->params;

    for (; param != NULL && param->name != NULL; param++) {
        tap_ok(is_made_of(param->name, "abcdefghijklmnopqrstuvwxyz_")
               && chaos_param_find(each, param->name) == param,
               "%s: %s is a unique name for JSON", each->name, param->name);
        tap_ok(param->help != NULL && param->help[0] != '\0',
               "%s: %s is explained", each->name, param->name);
        tap_ok(!is_taken(param->name),
               "%s: %s is no name that the hosts use themselves",
               each->name, param->name);
        tap_ok(has_sound_values(param),
               "%s: %s has a choice, and its default among it", each->name,
               param->name);
        tap_ok(fits_role(each, param), "%s: %s is what its role asks for",
               each->name, param->name);
        tap_ok(param - each->params < CHAOS_PARAMS_MAX,
               "%s: %s can be packed", each->name, param->name);
    }
}

static void tables(void)
{
    const chaos_scenario_t *const *all = chaos_all();
    int i;

    tap_ok(all[0] != NULL, "there are scenarios");
    for (i = 0; all[i] != NULL; i++) {
        const chaos_scenario_t *each = all[i];

        tap_ok(is_made_of(each->name, "abcdefghijklmnopqrstuvwxyz0123456789-"),
               "scenario %d has a name that fits a URL: %s", i, each->name);
        tap_ok(chaos_find(each->name) == each,
               "%s is found by its name, so that is unique", each->name);
        tap_ok(each->title != NULL && each->title[0] != '\0'
               && each->summary != NULL && each->summary[0] != '\0'
               && each->signal != NULL && each->signal[0] != '\0',
               "%s says what it is called, does and shows", each->name);
        tap_ok(each->run != NULL, "%s can be run", each->name);
        ledger(each);
        incidents(each);
        parameters(each);
    }
    tap_ok(chaos_find("no-such") == NULL && chaos_find("") == NULL
           && chaos_find("DB-FAIL") == NULL,
           "no scenario is found by another name");
}

static void reports(void)
{
    chaos_report_t *report = chaos_report_create(pool);
    char passing[8] = "passing";
    char names[12][2];
    int i, ordered = 1;

    chaos_report_word(report, "word", passing);
    memset(passing, 'x', 7);
    for (i = 0; i < 12; i++) {
        names[i][0] = (char)('a' + i);
        names[i][1] = '\0';
        chaos_report_int(report, names[i], i);
    }
    for (i = 0; i < 12; i++) {
        const chaos_value_t *value =
            &APR_ARRAY_IDX(report->values, i + 1, chaos_value_t);

        ordered = ordered && value->kind == CHAOS_INT && value->number == i
                  && strcmp(value->name, names[i]) == 0;
    }
    chaos_report_ms(report, "span", apr_time_from_msec(3001) + 999);
    tap_is_str(chaos_report_get(report, "span")->word, "3001ms",
               "a time is shown in whole milliseconds");
    tap_ok(ordered && report->values->nelts == 14,
           "a report keeps the order in which it was made");
    tap_is_str(chaos_report_get(report, "word")->word, "passing",
               "a report keeps a copy of a word");
    tap_ok(chaos_report_get(report, "z") == NULL,
           "a report has only what was put into it");
}

/* Paths below /api/chaos that are no scenario's. */
static void names(void)
{
    static const char *const taken[] = {
        "incidents", "ledger", "page", "halt", NULL
    };
    const char *const *name;
    const chaos_scenario_t *const *all;

    for (name = taken; *name != NULL; name++) {
        tap_ok(chaos_find(*name) == NULL, "no scenario is called %s", *name);
    }
    for (all = chaos_all(); *all != NULL; all++) {
        tap_ok((*all)->symptoms != NULL && (*all)->symptoms[0] != NULL,
               "%s shows in lines of the log", (*all)->name);
        for (name = (*all)->symptoms; *name != NULL; name++) {
            tap_ok(strstr(*name, "ERROR") || strstr(*name, "WARNING")
                   || strstr(*name, "CRITICAL"),
                   "a filter for failures finds %s", *name);
        }
    }
}

int main(int argc, const char *const *argv)
{
    apr_app_initialize(&argc, &argv, NULL);
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    defaults();
    accepted();
    roles();
    refused();
    explained();
    kinds();
    tap_ok(aborts("speed"), "asking for an undeclared parameter aborts");
    tap_ok(aborts("pace"), "asking for a word as a number aborts");
    tables();
    all_labels();
    names();
    packed();
    reports();
    return tap_done();
}
