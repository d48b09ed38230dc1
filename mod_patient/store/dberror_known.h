/*
 * dberror_known.h - MySQL's numbers: what each is called, and what it means
 * for the connection.
 *
 * For dberror.c, which makes a failure's names of it.  No httpd in here.
 */
#ifndef PATIENT_STORE_DBERROR_KNOWN_H
#define PATIENT_STORE_DBERROR_KNOWN_H

#define CONNECTION_ERROR "SequelizeConnectionError"
#define REFUSED_ERROR "SequelizeConnectionRefusedError"
#define UNREACHABLE_ERROR "SequelizeHostNotReachableError"
#define DENIED_ERROR "SequelizeAccessDeniedError"
#define DATABASE_ERROR "SequelizeDatabaseError"

typedef enum dberror_kind_e {
    DBERROR_NOT_REACHED,    /* the system's errno, in the words, says why */
    DBERROR_NOT_RESOLVED,   /* the resolver's code, in the words, says why */
    DBERROR_TURNED_AWAY,    /* reached, but the server lets nobody in, or not
                             * us */
    DBERROR_INSECURE,       /* TLS said no, or tells so that the socket is
                             * dead */
    DBERROR_GONE,           /* the connection is gone */
    DBERROR_DECLINED,       /* the server does no such thing now, or not over
                             * this connection; it has done nothing */
    DBERROR_USED_UP,        /* the server has nothing left of what it takes;
                             * another connection gets none either */
    DBERROR_VICTIM,         /* undone, because of what others did at the same
                             * time */
    DBERROR_UNSURE,         /* the server does not know itself whether it is
                             * done */
    DBERROR_FAILED          /* the statement is at fault, or its rows are */
} dberror_kind_e;

typedef struct dberror_known_t {
    unsigned int number;
    dberror_kind_e kind;
    const char *name;       /* NULL: by the errno in the words, or lost */
    const char *code;
    const char *words;      /* tells it where only the words come through */
} dberror_known_t;

/** @return NULL if the number is not known */
const dberror_known_t *dberror_find_number(unsigned int number,
                                           const char *native);

/** @return NULL if no row has words that stand in these */
const dberror_known_t *dberror_find_words(const char *native);

/** What to do, where somebody can do something; a constant, or NULL. */
const char *dberror_find_hint(unsigned int number, const char *native);

#endif
