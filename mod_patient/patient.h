/*
 * patient.h - what every file of the module that knows httpd agrees on.
 */
#ifndef PATIENT_PATIENT_H
#define PATIENT_PATIENT_H

#include <httpd.h>
#include <http_config.h>

#include "version.h"

#define PATIENT_SERVICE "Cloud Doctor Patient Backend"

/** The handler's name, as in "SetHandler patient". */
#define PATIENT_HANDLER "patient"

/** The module's own record of a request; see log/context.h. */
typedef struct patient_request_t {
    const char *id;             /* X-Request-Id: taken over, or made */
    const char *trace_id;       /* 32 hex digits, or NULL */
    apr_time_t begun;           /* steady: when its first line had come */
    int has_route;
    int route;                  /* its number over all tables */
    int is_quiet;               /* leaves no line in the log */
    int is_operators;           /* of who is in charge: no line but at debug,
                                 * and in no figure */
    int is_slow;                /* the log says that its queries were */
    apr_uint32_t mark;          /* incident.h: which it met; 0: none */
} patient_request_t;

/* The one symbol that the .so shows; all else is hidden by the compiler. */
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif
extern module AP_MODULE_DECLARE_DATA patient_module;
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
