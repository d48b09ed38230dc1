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

/** What a request has met that is wrong on purpose; see incident_impact.h. */
typedef struct patient_meeting_t {
    apr_uint32_t mark;          /* which incident */
    int has_place;              /* the incident waits for the request */
    int has_felt;               /* the request is counted as one that felt */
} patient_meeting_t;

#define PATIENT_MEETINGS 4

/** The module's own record of a request; see log/context.h. */
typedef struct patient_request_t {
    const char *id;             /* X-Request-Id: taken over, or made */
    const char *trace_id;       /* 32 hex digits, or NULL */
    apr_time_t begun;           /* steady: when its first line had come */
    int has_route;
    int route;                  /* its number over all tables */
    int is_quiet;               /* leaves no line in the log */
    int is_elsewhere;           /* another handler's to answer */
    int is_known;               /* whose it is, which is: */
    int is_operators;           /* of who is in charge: no line but at debug,
                                 * and in no figure */
    int is_slow;                /* the log says that its queries were */
    int met;                    /* how many of these there are: */
    patient_meeting_t meetings[PATIENT_MEETINGS];
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
