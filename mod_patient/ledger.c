/*
 * ledger.c - the truth about each incident, for who grades a diagnosis.
 */
#include "ledger.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_file_io.h>
#include <apr_portable.h>
#include <apr_strings.h>

#include "http/json.h"

static apr_file_t *file;

/* What a server left behind that died while it wrote: the next line is to be
 * one of its own. */
static void end_torn_line(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char last = '\n';

    if (size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n') {
        apr_file_putc('\n', file);
    }
}

apr_status_t ledger_open(const char *path, apr_pool_t *pconf)
{
    apr_os_file_t fd;
    apr_status_t rv;

    file = NULL;
    if (path == NULL) {
        return APR_SUCCESS;
    }
    rv = apr_file_open(&file, path,
                       APR_FOPEN_READ | APR_FOPEN_WRITE | APR_FOPEN_CREATE
                       | APR_FOPEN_APPEND,
                       APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_GREAD,
                       pconf);
    if (rv == APR_SUCCESS && apr_os_file_get(&fd, file) == APR_SUCCESS) {
        end_torn_line(fd);
    }
    return rv;
}

static json_t *figures_json(const chaos_figures_t *figures)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}",
        "requests", (json_int_t)figures->requests,
        "status4xx", (json_int_t)figures->status_4xx,
        "status5xx", (json_int_t)figures->status_5xx,
        "poolTimeouts", (json_int_t)figures->pool_timeouts,
        "waitingPeak", (json_int_t)figures->waiting_peak,
        "met", (json_int_t)figures->bitten,
        "felt", (json_int_t)figures->felt,
        "p95Ms", (double)figures->p95 / 1000,
        "rssMB", (double)figures->rss / (1024 * 1024),
        "cpuPercent", figures->cpu_percent);
}

json_t *ledger_evidence(const incident_t *incident)
{
    json_t *evidence = json_pack(
        "{s:o, s:o}",
        "before", figures_json(&incident->before),
        "during", figures_json(&incident->during));

    if (incident->why[0] != '\0') {
        json_object_set_new(evidence, "why", json_string(incident->why));
    }
    return evidence;
}

json_t *ledger_parameters(const incident_t *incident, apr_pool_t *pool)
{
    const chaos_param_t *param = incident_scenario(incident)->params;
    chaos_args_t *args = incident_args(incident, pool);
    json_t *object = json_object();

    for (; param != NULL && param->name != NULL; param++) {
        json_object_set_new(
            object, param->name,
            param->kind == CHAOS_WORD
            ? json_string(chaos_args_word(args, param->name))
            : param->kind == CHAOS_BOOL
            ? json_boolean(chaos_args_bool(args, param->name))
            : json_integer((json_int_t)chaos_args_int(args, param->name)));
    }
    return object;
}

static json_t *moment_json(const incident_t *incident, apr_uint64_t moment)
{
    return moment ? json_time(incident_time(incident, moment)) : json_null();
}

/* A line of the log may tell what was felt before the monitor comes round to
 * look. */
static apr_uint64_t first_witness(const incident_t *incident)
{
    return incident->told && incident->told < incident->witnessed
        ? incident->told : incident->witnessed;
}

void ledger_add_times(json_t *object, const incident_t *incident)
{
    json_object_set_new(object, "armedAt", json_time(incident->armed));
    json_object_set_new(object, "injectedAt",
                        moment_json(incident, incident->injected));
    json_object_set_new(object, "witnessedAt",
                        moment_json(incident, first_witness(incident)));
    json_object_set_new(object, "toldAt",
                        moment_json(incident, incident->told));
    json_object_set_new(object, "endedAt",
                        moment_json(incident, incident->ended));
}

static json_t *entry_json(const incident_t *incident, apr_pool_t *pool)
{
    const chaos_scenario_t *scenario = incident_scenario(incident);
    json_t *entry = json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:o, s:{s:s, s:s}}",
        "id", incident->id,
        "label", scenario->label,
        "kind", incident->once ? "one-shot" : "incident",
        "state", incident_state_name(incident),
        "start", json_time(incident->armed),
        "end", json_time(incident_time(incident, incident->ended)),
        "parameters", ledger_parameters(incident, pool),
        "severity", scenario->severity,
        "evidence", ledger_evidence(incident),
        "diagnosis",
        "en", scenario->diagnosis_en,
        "ko", scenario->diagnosis_ko);

    ledger_add_times(entry, incident);
    return entry;
}

/* @return from pool; NULL: no memory */
static const char *entry_line(const incident_t *incident, apr_pool_t *pool)
{
    json_t *entry = entry_json(incident, pool);
    char *text = json_dumps(entry, JSON_COMPACT | JSON_REAL_PRECISION(6));
    const char *line = text ? apr_pstrcat(pool, text, "\n", NULL) : NULL;

    free(text);
    json_decref(entry);
    return line;
}

void ledger_add(const incident_t *incident)
{
    apr_pool_t *pool;
    const char *line;

    if (file == NULL || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return;
    }
    line = entry_line(incident, pool);
    if (line != NULL) {
        apr_file_write_full(file, line, strlen(line), NULL);
    }
    apr_pool_destroy(pool);
}

/* ---- reading ---- */

/* So much of the file is read, from its end. */
#define READ_MAX ((off_t)1024 * 1024)

static int is_object(const char *text, apr_size_t len)
{
    json_t *value = json_loadb(text, len, 0, NULL);
    int is = json_is_object(value);

    json_decref(value);
    return is;
}

/* Moves the lines that are whole to the beginning. @return their length */
static apr_size_t keep_whole_lines(char *text, apr_size_t len)
{
    char *from = text, *to = text, *end = text + len, *newline;

    while ((newline = memchr(from, '\n', (apr_size_t)(end - from))) != NULL) {
        apr_size_t line = (apr_size_t)(newline + 1 - from);

        if (is_object(from, line)) {
            memmove(to, from, line);
            to += line;
        }
        from = newline + 1;
    }
    return (apr_size_t)(to - text);
}

/* The last lines of a file: the first of them may be cut, another process may
 * be writing, and a server that died may have left half a line.  The handle
 * came from the parent: a child may have no right to open the file, and its
 * place in it is shared. @return 0: it cannot be read */
static int read_tail(const char **text, apr_size_t *len, int fd,
                     off_t size, apr_pool_t *pool)
{
    off_t from = size > READ_MAX ? size - READ_MAX : 0;
    char *buffer = apr_palloc(pool, (apr_size_t)(size - from) + 1);
    ssize_t got = pread(fd, buffer, (size_t)(size - from), from);

    *text = buffer;
    *len = got > 0 ? keep_whole_lines(buffer, (apr_size_t)got) : 0;
    return got >= 0;
}

static int ended_first(const void *a, const void *b)
{
    const incident_t *const *left = a, *const *right = b;

    return (*left)->ended < (*right)->ended ? -1
        : (*left)->ended > (*right)->ended;
}

static void read_memory(const char **text, apr_size_t *len, apr_pool_t *pool)
{
    incident_t *over[INCIDENT_SLOTS] = { NULL };
    incident_t *slots = incident_slots();
    apr_array_header_t *lines = apr_array_make(pool, INCIDENT_SLOTS,
                                               sizeof(const char *));
    int i, count = 0;

    for (i = 0; i < INCIDENT_SLOTS; i++) {
        if (apr_atomic_read32(&slots[i].state) >= INCIDENT_RECOVERED) {
            over[count++] = &slots[i];
        }
    }
    qsort(over, (size_t)count, sizeof(incident_t *), ended_first);
    for (i = 0; i < count; i++) {
        APR_ARRAY_PUSH(lines, const char *) = entry_line(over[i], pool);
    }
    *text = apr_array_pstrcat(pool, lines, '\0');
    *len = strlen(*text);
}

void ledger_read(const char **text, apr_size_t *len, apr_pool_t *pool)
{
    struct stat status;
    apr_os_file_t fd;

    if (file == NULL || apr_os_file_get(&fd, file) != APR_SUCCESS
        || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)
        || !read_tail(text, len, fd, status.st_size, pool)) {
        read_memory(text, len, pool);
    }
}
