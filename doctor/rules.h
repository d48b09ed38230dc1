/*
 * rules.h - what each illness looks like in a log, and what to do about it.
 */
#ifndef DOCTOR_RULES_H
#define DOCTOR_RULES_H

#include <jansson.h>

/** One illness. The lists end with NULL. */
typedef struct rule_t {
    const char *label;          /* "db-failure", as the ledger calls it */
    const char *title;          /* "DB Connection Failure" */
    const char *severity;       /* "critical", "high", "medium" */
    const char *resource;       /* what it affects */
    const char *diagnosis_en;
    const char *diagnosis_ko;
    const char *const *types;   /* a line of such a "type" tells of it */
    const char *const *patterns;    /* and one with such words in "error",
                                     * "message" or "parent" */
    const char *const *names;   /* how people call it: lower case, with single
                                 * spaces for all that is no letter or digit */
} rule_t;

/** All of them, ended by a NULL label. */
extern const rule_t rules[];

/** The illness that a line of the log tells of, or NULL. */
const rule_t *rule_of_line(const json_t *line);

/** The illness that some text names: by its label, one of its names, or the
 * words of the log; or NULL. */
const rule_t *rule_named(const char *text);

/** How severe that is: 0 for "none", 3 for "critical". */
int rule_rank(const char *severity);

#endif
