/*
 * errorlog.c - every line of Apache's error log, the module's and all
 * others', as one JSON object.
 *
 * httpd builds a line in one buffer on one thread: the items before %M, the
 * message (escaped by ap_escape_errorlog_item), the items after it.  The item
 * %{b}J marks where the line begins; %{e}J takes the message back, undoes the
 * escaping, which is injective, and puts a JSON object in its place.
 */
#include "log/errorlog.h"

#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>

#include "board.h"
#include "log/context.h"
#include "log/recent.h"
#include "patient.h"

APLOG_USE_MODULE(patient);

/* Set by %{b}J for %{e}J: where in httpd's buffer the line begins. */
static __thread char *line_start;

/* The module's own finished line, while httpd is writing it. */
static __thread const char *own_line;

/* What errorlog_catch() asked for. */
static __thread struct {
    const char *module;
    char *text;
    apr_size_t size;
} caught;

static server_rec *log_server;

/* What each line says of where it comes from, or NULL. */
static const char *log_task;

/* Who wants to know what was written, or NULL. */
static void (*log_observer)(const char *type);

/* Of which requests httpd's lines are not written, or NULL. */
static int (*log_leaves_out)(request_rec *r);

void errorlog_observe(void (*observer)(const char *type))
{
    log_observer = observer;
}

void errorlog_leave_out(int (*is_left_out)(request_rec *r))
{
    log_leaves_out = is_left_out;
}

void errorlog_server(server_rec *s)
{
    log_server = s;
}

void errorlog_task(const char *task)
{
    log_task = task;
}

const char *errorlog_task_name(void)
{
    return log_task;
}

/* Ends a line that is certain to be written. One below a warning holds no
 * word of a filter (see event.h), so there is nothing to look for in it. */
static const char *close_line(event_t *event)
{
    const char *line = event_close(event);

    if (event->level >= EVENT_WARNING) {
        recent_keep(line);
    }
    return line;
}

/* ---- levels ---- */

static event_level_e level_of(int aplog)
{
    switch (aplog & APLOG_LEVELMASK) {
    case APLOG_EMERG:
    case APLOG_ALERT:
    case APLOG_CRIT:
        return EVENT_FATAL;
    case APLOG_ERR:
        return EVENT_ERROR;
    case APLOG_WARNING:
        return EVENT_WARNING;
    case APLOG_NOTICE:
    case APLOG_INFO:
        return EVENT_INFO;
    default:
        return EVENT_DEBUG;
    }
}

static int aplog_of(event_level_e level)
{
    static const int levels[] = {
        APLOG_DEBUG, APLOG_INFO, APLOG_WARNING, APLOG_ERR, APLOG_CRIT
    };

    return levels[level];
}

/* Lines of httpd whose level doesn't say whose doing it was: a visitor's
 * malformed request is no failure of the server, a child's death is one. */
static const struct {
    const char *tag;
    event_level_e level;
} regraded[] = {
    { "AH10244", EVENT_INFO },  /* invalid URI path */
    { "AH00126", EVENT_INFO },  /* invalid URI in request */
    { "AH00127", EVENT_INFO },  /* cannot map to file */
    { "AH10159", EVENT_INFO },  /* MinSpareThreads hold all that there are */
    { "AH00051", EVENT_ERROR }, /* child exit signal, possible coredump */
    { "AH00052", EVENT_ERROR }, /* child exit signal */
};

static event_level_e regrade(event_level_e level, const char *tag)
{
    apr_size_t i;

    for (i = 0; tag && i < sizeof(regraded) / sizeof(regraded[0]); i++) {
        if (strcmp(tag, regraded[i].tag) == 0) {
            return regraded[i].level;
        }
    }
    return level;
}

/* ---- httpd's lines ---- */

static int hex_digit(char c)
{
    return apr_isdigit(c) ? c - '0' : apr_tolower(c) - 'a' + 10;
}

/* Undoes ap_escape_errorlog_item(); to is at least as long as the text, or
 * begins before it in the same place. */
static apr_size_t unescape(char *to, const char *from, const char *end)
{
    static const char names[] = "bnrtv";
    static const char bytes[] = "\b\n\r\t\v";
    const char *name;
    char *start = to;

    while (from < end) {
        if (*from != '\\' || from + 1 == end) {
            *to++ = *from++;
        }
        else if (from[1] == 'x') {
            if (end - from < 4 || !apr_isxdigit(from[2])
                || !apr_isxdigit(from[3])) {
                break;          /* cut by httpd's limit on a line */
            }
            *to++ = (char)(hex_digit(from[2]) << 4 | hex_digit(from[3]));
            from += 4;
        }
        else {
            name = strchr(names, from[1]);
            *to++ = name ? bytes[name - names] : from[1];
            from += 2;
        }
    }
    *to = '\0';
    return (apr_size_t)(to - start);
}

/* "AH00489: text" has a tag of its own: returns the text, copies the tag. */
static const char *split_tag(char *tag, apr_size_t size, const char *message)
{
    const char *colon = strchr(message, ':');

    tag[0] = '\0';
    if (strncmp(message, "AH", 2) != 0 || colon == NULL
        || (apr_size_t)(colon - message) >= size
        || strspn(message + 2, "0123456789")
           != (apr_size_t)(colon - message) - 2) {
        return message;
    }
    memcpy(tag, message, (apr_size_t)(colon - message));
    tag[colon - message] = '\0';
    return colon[1] == ' ' ? colon + 2 : colon + 1;
}

static int is_caught(const ap_errorlog_info *info)
{
    return caught.module != NULL
        && info->module_index != APLOG_NO_MODULE
        && strcmp(ap_find_module_short_name(info->module_index),
                  caught.module) == 0;
}

static int is_left_out(const request_rec *r)
{
    return r != NULL && log_leaves_out != NULL
        && log_leaves_out((request_rec *)context_first(r));
}

/* One line of httpd or of another module.
 * @param message some byte, and then the text, up to end: overwritten
 * @return NULL: not to be written */
static const char *foreign_line(event_t *event, const ap_errorlog_info *info,
                                char *message, const char *end)
{
    char reason[160], tag[16];
    const request_rec *r = info->r ? info->r : context_current();
    apr_size_t len = unescape(message, message + 1, end);
    const char *text = split_tag(tag, sizeof(tag), message);
    event_level_e level = regrade(level_of(info->level), tag);
    apr_uint64_t suppressed = 0;

    if (is_caught(info)) {
        if (caught.text[0] == '\0') {
            apr_cpystrn(caught.text, text, caught.size);
        }
        return NULL;
    }
    if (is_left_out(info->r)) {
        return NULL;
    }
    /* A line without a tag is known by its format: what it says may come from
     * a visitor, who would have a kind for each request. */
    if (level >= EVENT_WARNING
        && !board_may_log("HTTPD", *tag ? tag : info->format, &suppressed)) {
        return NULL;
    }
    errorlog_open_for(event, level, "HTTPD", r);
    if (info->module_index != APLOG_NO_MODULE) {
        event_str(event, "module",
                  ap_find_module_short_name(info->module_index));
    }
    if (*tag) {
        event_code(event, tag);
    }
    if (suppressed) {
        event_int(event, "suppressed", (apr_int64_t)suppressed);
    }
    event_strn(event, "message", text, len - (apr_size_t)(text - message));
    if (info->status != APR_SUCCESS) {
        event_str(event, "reason",
                  apr_strerror(info->status, reason, sizeof(reason)));
    }
    if (info->r != NULL) {
        event_str(event, "client", info->r->useragent_ip);
    }
    else if (info->c != NULL) {
        event_str(event, "client", info->c->client_ip);
    }
    return close_line(event);
}

/* ---- the format items ---- */

static int begin_line(char *buf, int buflen)
{
    if (buflen < EVENT_LINE_MAX + 2) {
        return 0;               /* there are other items: not our format */
    }
    line_start = buf;
    buf[0] = '{';               /* an empty item would end the field */
    return 1;
}

/* @param line NULL: none is to be written */
static int put_line(const char *line, char *start, const char *buf)
{
    apr_size_t len;

    if (line == NULL) {
        *start = '\0';          /* httpd doesn't write an empty line */
        return 1;
    }
    len = strlen(line);
    memcpy(start, line, len);
    if (start + len == buf) {
        start[len++] = ' ';     /* 0 would mean that nothing is here */
    }
    /* What httpd adds to the length so far: less than nothing when the line
     * got shorter. */
    return (int)(start + len - buf);
}

/* Apart from the rest, so that a line of our own takes no room on the stack for
 * one of httpd's: of a stack, a thread gives nothing back. */
__attribute__((noinline))
static int put_foreign_line(const ap_errorlog_info *info, char *start,
                            const char *buf)
{
    event_t event;

    return put_line(foreign_line(&event, info, start, buf), start, buf);
}

static int end_line(const ap_errorlog_info *info, const char *buf)
{
    char *start = line_start;

    line_start = NULL;
    return own_line ? put_line(own_line, start, buf)
                    : put_foreign_line(info, start, buf);
}

static int json_item(const ap_errorlog_info *info, const char *arg, char *buf,
                     int buflen)
{
    if (arg != NULL && *arg == 'b') {
        return begin_line(buf, buflen);
    }
    if (line_start == NULL || buf < line_start) {
        return 0;
    }
    return end_line(info, buf);
}

void errorlog_register(apr_pool_t *pconf)
{
    ap_register_errorlog_handler(pconf, "J", json_item, 0);
}

void errorlog_catch(const char *name, char *text, apr_size_t size)
{
    text[0] = '\0';
    caught.module = name;
    caught.text = text;
    caught.size = size;
}

void errorlog_release(void)
{
    caught.module = NULL;
}

/* ---- the module's own lines ---- */

void errorlog_open_for(event_t *event, event_level_e level, const char *type,
                       const request_rec *r)
{
    event_open(event, level, type, apr_time_now());
    event_str(event, "task", log_task);
    context_describe(r, event);
}

void errorlog_open(event_t *event, event_level_e level, const char *type)
{
    errorlog_open_for(event, level, type, context_current());
}

/* What httpd is given as the message: a word, for our format puts the line
 * in its place; the line itself where no format is set. */
static const char *message_of(const event_t *event, const server_rec *s)
{
    const core_server_config *core =
        ap_get_core_module_config(s->module_config);

    return core->error_log_format ? event->type : event->line;
}

/* Whether LogLevel lets it through. Not APLOG_IS_LEVEL(), which says yes to all
 * that is a warning or worse, whatever httpd does with it then. */
static int is_wanted(int level, const request_rec *r)
{
    return log_server == NULL
        || level <= (r ? ap_get_request_module_loglevel(r, APLOG_MODULE_INDEX)
                       : ap_get_server_module_loglevel(log_server,
                                                       APLOG_MODULE_INDEX));
}

void errorlog_write_for(event_t *event, request_rec *r)
{
    int level = aplog_of(event->level);
    apr_uint64_t suppressed = 0;

    if (!is_wanted(level, r)) {
        return;
    }
    if (event->level >= EVENT_WARNING
        && !board_may_log(event->type, event->code, &suppressed)) {
        return;
    }
    if (suppressed) {
        event_int(event, "suppressed", (apr_int64_t)suppressed);
    }
    own_line = close_line(event);
    if (r != NULL) {
        ap_log_rerror(APLOG_MARK, level, 0, r, "%s",
                      message_of(event, r->server));
    }
    else {
        ap_log_error(APLOG_MARK, level, 0, log_server, "%s",
                     message_of(event, log_server));
    }
    own_line = NULL;
    if (log_observer != NULL) {
        log_observer(event->type);
    }
}

void errorlog_write(event_t *event)
{
    errorlog_write_for(event, context_current());
}

/* httpd writes a notice at any LogLevel; the line says its own level. */
void errorlog_write_always(event_t *event)
{
    own_line = close_line(event);
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, log_server, "%s",
                 message_of(event, log_server));
    own_line = NULL;
}
