/*
 * errorlog.h - every line of Apache's error log, the module's and all
 * others', as one JSON object.
 *
 * httpd formats each line by ErrorLogFormat; with
 *
 *     ErrorLogFormat "%{b}J%M%{e}J"
 *
 * both %J items are ours, and the second rewrites the whole line.  Any
 * thread may call.
 */
#ifndef PATIENT_LOG_ERRORLOG_H
#define PATIENT_LOG_ERRORLOG_H

#include <httpd.h>

#include "log/event.h"

/** Registers %J. In pre_config, before the configuration is read. */
void errorlog_register(apr_pool_t *pconf);

/** Of a request of which this says so, no line of httpd's is written, nor of
 * another module's. In register_hooks. */
void errorlog_leave_out(int (*is_left_out)(request_rec *r));

/** Lines that belong to no request go by this server's LogLevel. */
void errorlog_server(server_rec *s);

/** From now on, each line names this task. @param task must outlive all
 * lines; NULL: none */
void errorlog_task(const char *task);

/** That name, or NULL. */
const char *errorlog_task_name(void);

/** Begins an event of this thread's request, if it works for one: the
 * request's ids are on it. */
void errorlog_open(event_t *event, event_level_e level, const char *type);

/**
 * Ends the event and writes it, if LogLevel lets it through; a warning or
 * worse that goes on is written in the pulse of the log (see ratelimit.h), the
 * next line saying how many were held back.
 */
void errorlog_write(event_t *event);

/** The same as errorlog_open() and errorlog_write() for a request that no
 * thread works for any more. */
void errorlog_open_for(event_t *event, event_level_e level, const char *type,
                       const request_rec *r);
void errorlog_write_for(event_t *event, request_rec *r);

/** Has observer called for each of the module's own lines that was really
 * written, with its type, on the thread that wrote it. In post_config. */
void errorlog_observe(void (*observer)(const char *type));

/** Ends an event below EVENT_WARNING that is no message but a feed of figures,
 * and writes it whatever LogLevel says. */
void errorlog_write_always(event_t *event);

/**
 * From now on keeps what a module logs on this thread, instead of writing
 * it: the caller will say it better.
 * @param name the module's short name, "dbd"
 * @param text gets the first line kept, NUL-terminated; "" if none came
 */
void errorlog_catch(const char *name, char *text, apr_size_t size);
void errorlog_release(void);

#endif
