/*
 * mod_patient.c - the module record and its hooks.
 *
 * The one place that is wired into httpd: each hook is a line or two that
 * hands on to the room whose business it is.
 */
#include <malloc.h>

#include <httpd.h>
#include <ap_expr.h>
#include <ap_mpm.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <apr_strings.h>
#include <jansson.h>
#include <mpm_common.h>
#include <unixd.h>

#include "api/api.h"
#include "board.h"
#include "conf.h"
#include "decoy.h"
#include "drain.h"
#include "emf.h"
#include "host.h"
#include "http/persist.h"
#include "http/reply.h"
#include "http/transaction.h"
#include "incident.h"
#include "incident_impact.h"
#include "ledger.h"
#include "log/context.h"
#include "log/errorlog.h"
#include "log/recent.h"
#include "patient.h"
#include "status.h"
#include "store/db.h"
#include "store/schema.h"
#include "store/twins.h"
#include "succession.h"
#include "task.h"
#include "ward.h"
#include "watch.h"

/* NOTE_OURS is set where the configuration gives a request to us, and for
 * "OPTIONS *". */
#define NOTE_OURS "patient-handler"

/* From so many bytes on, memory that is freed goes back to the system. */
#define LARGE_BLOCK (128 * 1024)

/* The server that is the patient; NULL: none is, and nothing is done. */
static server_rec *home;

/* This child's way to the database. */
static db_t *database;

static int is_patient(const request_rec *r)
{
    return patient_conf(r->server)->engine == 1;
}

/* ---- the start ---- */

static int refuse_start(const char *problem)
{
    event_t event;

    errorlog_open(&event, EVENT_FATAL, "CONFIGURATION ERROR");
    event_str(&event, "error", problem);
    errorlog_write(&event);
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* Also run by "httpd -t". */
static int check_config(apr_pool_t *pconf, apr_pool_t *plog,
                        apr_pool_t *ptemp, server_rec *s)
{
    const char *problem;

    (void)pconf;
    (void)plog;
    errorlog_server(s);
    home = NULL;
    if (patient_conf_check(&problem, s, ptemp) != APR_SUCCESS) {
        return refuse_start(problem);
    }
    home = patient_home(s);
    if (home != NULL) {
        errorlog_server(home);
    }
    return OK;
}

/* "httpd -t -D DUMP_PATIENT" */
static void print_config(apr_pool_t *pconf, server_rec *s)
{
    apr_file_t *out;

    if (!ap_exists_config_define("DUMP_PATIENT")
        || apr_file_open_stdout(&out, pconf) != APR_SUCCESS) {
        return;
    }
    for (; s != NULL; s = s->next) {
        apr_file_puts(s->defn_name
                      ? apr_psprintf(pconf, "Patient settings of %s:%u\n",
                                     s->defn_name, s->defn_line_number)
                      : "Patient settings of the main server\n", out);
        patient_conf_print(out, s, pconf);
    }
}

/* Whether operator routes are open on any server, or, so it is asked, without
 * a token. */
static int is_open(int without_token)
{
    server_rec *s;

    for (s = home; s != NULL; s = s->next) {
        const patient_conf_t *conf = patient_conf(s);

        if (conf->engine == 1 && conf->chaos_mode
            && !(without_token && conf->chaos_token != NULL)) {
            return 1;
        }
    }
    return 0;
}

static void announce(void)
{
    event_t event;

    if (is_open(1)) {
        errorlog_open(&event, EVENT_WARNING, "CONFIGURATION WARNING");
        event_str(&event, "message", "operator routes are open: no token is "
                  "set for them");
        errorlog_write(&event);
    }
}

/* What else is known of what this server may use, before a child needs it. */
static void note_grant(const metadata_t *metadata)
{
    const patient_conf_t *conf = patient_conf(home);
    grant_t told = { (apr_uint64_t)conf->memory << 20, conf->cpus };

    grant_add(NULL);
    grant_add(&told);
    grant_add(&metadata->grant);
    errorlog_task(metadata->id[0] ? metadata->id : NULL);
}

static void make_room(void)
{
    int ended = succession_make_room();
    event_t event;

    if (ended > 0) {
        errorlog_open(&event, EVENT_WARNING, "SERVER WARNING");
        event_str(&event, "message", "so many restarts while requests lasted "
                  "that the oldest of these were given up");
        event_int(&event, "processes", ended);
        errorlog_write(&event);
    }
}

/* Every ten seconds or sooner, in the parent. */
static int look_after(apr_pool_t *p, server_rec *s)
{
    event_t event;
    int ended;

    (void)p;
    (void)s;
    ended = home ? succession_end_left_behind() : 0;
    if (ended > 0) {
        errorlog_open(&event, EVENT_INFO, "SERVER");
        event_str(&event, "message", "processes that a restart has left "
                  "behind were ended");
        event_int(&event, "processes", ended);
        errorlog_write(&event);
    }
    return DECLINED;
}

static int open_shared(apr_pool_t *pconf, apr_pool_t *plog,
                       apr_pool_t *ptemp, server_rec *s)
{
    apr_status_t rv;

    (void)plog;
    if (home == NULL
        || ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;              /* the configuration will be read once more */
    }
    if ((rv = recent_open(s)) != APR_SUCCESS) {
        return refuse_start(apr_psprintf(ptemp, "no shared memory: %pm",
                                         &rv));
    }
    note_grant(task_find(ptemp));
    if (route_count(api_tables) >= BOARD_ROUTES_MAX) {
        return refuse_start("more routes than BOARD_ROUTES_MAX");
    }
    if ((rv = board_open(s)) != APR_SUCCESS
        || (rv = incident_open(s)) != APR_SUCCESS
        || (rv = drain_open(s, pconf)) != APR_SUCCESS
        || (rv = emf_open(s)) != APR_SUCCESS
        || (rv = schema_open(s)) != APR_SUCCESS
        || (rv = twins_open(s)) != APR_SUCCESS) {
        return refuse_start(apr_psprintf(ptemp, "no shared memory: %pm",
                                         &rv));
    }
    board_log_pulse(patient_conf(home)->log_pulse);
    if ((rv = watch_open(home, pconf)) != APR_SUCCESS) {
        return refuse_start("mod_watchdog is not loaded");
    }
    if (is_open(0)
        && (rv = decoy_open(patient_conf(home), pconf)) != APR_SUCCESS) {
        return refuse_start(apr_psprintf(ptemp, "no loopback port: %pm",
                                         &rv));
    }
    rv = ledger_open(patient_conf(home)->ledger, pconf);
    if (rv != APR_SUCCESS) {
        return refuse_start(apr_psprintf(
            ptemp, "PatientLedger: %s cannot be written: %pm",
            patient_conf(home)->ledger, &rv));
    }
    errorlog_observe(incident_tell);
    status_open(home);
    make_room();
    announce();
    return OK;
}

/* Before mod_dbd's own, which may connect at once. */
static void prepare_child(apr_pool_t *pchild, server_rec *s)
{
    (void)pchild;
    (void)s;
    if (home != NULL) {
        db_find_options(home);
    }
}

/* Left to itself, malloc takes a large block that was freed for a sign that it
 * may keep such blocks, in each thread's arena: a few lists of long posts, and
 * the process would never be small again. */
static void keep_memory_small(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
}

static void start_child(apr_pool_t *pchild, server_rec *s)
{
    apr_status_t rv;

    (void)s;
    if (home == NULL) {
        return;
    }
    json_object_seed(0);
    keep_memory_small();
    board_child_enter(pchild);
    rv = db_create(&database, home, (int)patient_conf(home)->pool_waiters,
                   pchild);
    if (rv == APR_SUCCESS) {
        rv = api_start(pchild);
    }
    if (rv == APR_SUCCESS) {
        rv = host_start(is_open(0) ? database : NULL, pchild);
    }
    if (rv != APR_SUCCESS) {
        refuse_start(rv == APR_ENOTIMPL
                     ? "mod_dbd is not loaded"
                     : apr_psprintf(pchild, "child not ready: %pm", &rv));
        return;
    }
    ward_start(database, home, pchild);
}

/* httpd says nothing of a child that was killed, as the kernel does when
 * memory runs out. */
static void report_death(pid_t pid)
{
    event_t event;
    int state;

    if (ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS
        && state == AP_MPMQ_STOPPING) {
        return;                 /* whoever is late is helped along */
    }
    errorlog_open(&event, EVENT_ERROR, "PROCESS ERROR");
    event_str(&event, "error", "a server process died; another takes over");
    event_int(&event, "childPid", pid);
    errorlog_write(&event);
}

static void note_child(server_rec *s, pid_t pid, ap_generation_t generation,
                       int slot, mpm_child_status status)
{
    (void)s;
    (void)generation;
    (void)slot;
    if (status == MPM_CHILD_EXITED) {
        int died = board_child_leave(pid);

        incident_child_leave(pid, died);
        if (died) {
            report_death(pid);
        }
    }
}

/* ---- a request ---- */

static int dress(request_rec *r)
{
    if (is_patient(r)) {
        reply_dress(r);
    }
    return DECLINED;
}

/* What "SetHandler" says for the request's location, or NULL. */
static const char *handler_of(request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    const char *problem = NULL;
    const char *name = core->handler;

    if (core->expr_handler != NULL) {
        name = ap_expr_str_exec(r, core->expr_handler, &problem);
    }
    return problem ? NULL : name;
}

/* "OPTIONS *" asks about the server as a whole, and is in no location. */
static int is_about_server(const request_rec *r)
{
    return r->method_number == M_OPTIONS && r->uri != NULL
        && strcmp(r->uri, "*") == 0;
}

/* Asked here, because map_to_storage sees nothing of locations, and before
 * anybody says anything about the request. */
static int note_ours(request_rec *r)
{
    const char *name = is_patient(r) ? handler_of(r) : NULL;
    int is_ours;

    if (is_patient(r) && is_about_server(r)) {
        r->handler = name = PATIENT_HANDLER;
    }
    is_ours = name != NULL && strcmp(name, PATIENT_HANDLER) == 0;
    if (is_ours) {
        apr_table_setn(r->notes, NOTE_OURS, "1");
    }
    if (is_patient(r) && ap_is_initial_req(r)) {
        context_request(r)->is_elsewhere = !is_ours;
        transaction_begin(r, is_ours && api_is_operators(r));
    }
    return DECLINED;
}

/* What httpd refuses by itself, too long or malformed, does not get there. */
static void begin_early(request_rec *r)
{
    if (!context_request(r)->is_known) {
        transaction_begin(r, api_is_operators(r));
    }
}

/* Nor shall httpd look whether a file's name could be so long. */
static int name_no_file(request_rec *r)
{
    if (apr_table_get(r->notes, NOTE_OURS) == NULL) {
        return DECLINED;
    }
    r->filename = apr_pstrdup(r->pool, r->uri);
    return OK;
}

/* What we answer is not in the file system: don't look there. */
static int skip_files(request_rec *r)
{
    return apr_table_get(r->notes, NOTE_OURS) ? OK : DECLINED;
}

static int answer(request_rec *r)
{
    void (*count)(int step);
    int status;

    if (r->handler == NULL || strcmp(r->handler, PATIENT_HANDLER) != 0
        || !is_patient(r)) {
        return DECLINED;
    }
    if (database == NULL) {
        return HTTP_SERVICE_UNAVAILABLE;
    }
    count = context_request(r)->is_operators ? board_inflight_unseen
                                             : board_inflight;
    context_enter(r);
    reply_share(r);
    count(1);
    status = api_answer(r, database);
    count(-1);
    context_leave();
    return status;
}

static void cover_error(request_rec *r)
{
    if (is_patient(r) && ap_is_HTTP_ERROR(r->status)) {
        begin_early(r);
        reply_cover_error(r);
    }
}

/* Whether no line is to have its path in it, as httpd's own lines do.  What
 * another handler answers is no business of ours. */
static int is_unspeakable(request_rec *r)
{
    const patient_request_t *request = context_peek(r);

    if (!is_patient(r) || (request != NULL && request->is_elsewhere)) {
        return 0;
    }
    return (request != NULL && request->is_operators) || api_is_operation(r);
}

static int end_request(request_rec *r)
{
    if (is_patient(r)) {
        begin_early(r);
        transaction_end(r, is_unspeakable(r) ? API_OPERATION : NULL);
    }
    return OK;
}

/* ---- the module ---- */

static void register_hooks(apr_pool_t *p)
{
    errorlog_register(p);
    errorlog_leave_out(is_unspeakable);
    db_register();
    reply_register();
    persist_register();
    status_register();
    ap_hook_optional_fn_retrieve(db_find_functions, NULL, NULL,
                                 APR_HOOK_MIDDLE);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(print_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(open_shared, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(prepare_child, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_child_init(start_child, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_monitor(look_after, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_status(note_child, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(dress, NULL, NULL, APR_HOOK_LAST);
    ap_hook_translate_name(note_ours, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_translate_name(name_no_file, NULL, NULL, APR_HOOK_LAST);
    ap_hook_map_to_storage(skip_files, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_handler(answer, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_insert_error_filter(cover_error, NULL, NULL, APR_HOOK_LAST);
    ap_hook_log_transaction(end_request, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(patient) = {
    STANDARD20_MODULE_STUFF,
    patient_place_create,
    patient_place_merge,
    patient_conf_create,
    patient_conf_merge,
    patient_directives,
    register_hooks,
    AP_MODULE_FLAG_NONE
};
