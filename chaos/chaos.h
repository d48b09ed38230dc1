/*
 * chaos.h - what a failure scenario is, and what it needs of its surroundings.
 *
 * A scenario makes something really fail.  It knows nothing of who called it:
 * all it needs (a database connection, time, a pause) it asks of its host,
 * and what it found it puts into a report.  The server and the command line
 * tool are two such hosts; unit tests bring a third with a clock of its own.
 *
 * A scenario changes the world, never the report on it: the lines in the log
 * come from the code that suffers the failure, as they would in earnest.
 */
#ifndef CHAOS_CHAOS_H
#define CHAOS_CHAOS_H

#include <errno.h>

#include <apr.h>
#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

/* ---- values: what goes in (arguments) and comes out (report) ---- */

typedef enum {
    CHAOS_INT,
    CHAOS_BOOL,
    CHAOS_WORD,
    CHAOS_REAL                  /* only ever comes out, or in by mistake */
} chaos_kind_e;

typedef struct chaos_value_t {
    const char *name;
    chaos_kind_e kind;
    apr_int64_t number;         /* CHAOS_INT, CHAOS_BOOL */
    double real;                /* CHAOS_REAL */
    const char *word;           /* CHAOS_WORD */
} chaos_value_t;

/** What a parameter is to whoever runs a scenario, who thus need not know it
 * by name. */
typedef enum {
    CHAOS_ROLE_NONE,            /* the scenario's own */
    CHAOS_ROLE_MEMORY_MB,       /* CHAOS_INT: memory that fills up */
    CHAOS_ROLE_CPU_PERCENT,     /* CHAOS_INT: share of the CPUs granted */
    CHAOS_ROLE_DEATH,           /* CHAOS_BOOL: the process then dies */
    CHAOS_ROLE_TIMEOUT_MS,      /* CHAOS_INT: how long to wait */
    CHAOS_ROLE_LIFETIME_S,      /* CHAOS_INT: how long a token is good */
    CHAOS_ROLE_PLACE            /* CHAOS_WORD: chaos_place_e by its index */
} chaos_role_e;

/** In which way a place is the wrong one to look for the database. */
typedef enum {
    CHAOS_PLACE_SILENT,         /* somebody listens and never speaks */
    CHAOS_PLACE_CLOSED,         /* nobody listens */
    CHAOS_PLACE_UNKNOWN         /* no such name */
} chaos_place_e;

/** One parameter of a scenario. */
typedef struct chaos_param_t {
    const char *name;           /* "limit_mb" */
    const char *help;           /* one sentence */
    chaos_kind_e kind;          /* not CHAOS_REAL */
    chaos_role_e role;          /* unique in a scenario, but for none */
    int once_only;              /* without effect in an incident, so refused
                                 * for one */
    apr_int64_t fallback;       /* CHAOS_INT, CHAOS_BOOL: the default */
    apr_int64_t min, cap;       /* CHAOS_INT: both ends allowed */
    const char *const *words;   /* CHAOS_WORD: those allowed, NULL-terminated,
                                 * the first being the default */
} chaos_param_t;

/** The arguments of one run: a value for each parameter. */
typedef struct chaos_args_t chaos_args_t;

typedef struct chaos_scenario_t chaos_scenario_t;

/** All defaults. */
chaos_args_t *chaos_args_create(const chaos_scenario_t *scenario,
                                apr_pool_t *pool);

/** A number of the right kind, but below min or over cap. */
#define CHAOS_ERANGE APR_FROM_OS_ERROR(ERANGE)

/**
 * Sets one argument; on failure it keeps the value that it had.
 * @param value copied as far as needed
 * @param why set on failure: what is wrong and what is allowed, as a phrase
 *        without a full stop, from the pool of args
 * @return APR_SUCCESS; APR_NOTFOUND: no such parameter; APR_EINVAL: wrong
 *         kind or no such word; CHAOS_ERANGE
 */
apr_status_t chaos_args_set(chaos_args_t *args, const chaos_value_t *value,
                            const char **why);

/** The same from text, as the command line has it: a hyphen in name stands
 * for an underscore, and a CHAOS_BOOL is "true" or "false". */
apr_status_t chaos_args_parse(chaos_args_t *args, const char *name,
                              const char *text, const char **why);

/** The parameter of that name, or NULL. */
const chaos_param_t *chaos_param_find(const chaos_scenario_t *scenario,
                                      const char *name);

/** The parameter in that role, or NULL. */
const chaos_param_t *chaos_param_in_role(const chaos_scenario_t *scenario,
                                         chaos_role_e role);

/** What a parameter accepts: "a whole number from 1000 to 10000". */
const char *chaos_param_range(const chaos_param_t *param, apr_pool_t *pool);

/** Values of parameters that the scenario declares with that kind; anything
 * else is a mistake in the scenario and aborts.  A CHAOS_BOOL is 0 or 1. */
apr_int64_t chaos_args_int(const chaos_args_t *args, const char *name);
int chaos_args_bool(const chaos_args_t *args, const char *name);
const char *chaos_args_word(const chaos_args_t *args, const char *name);

/** The value of the parameter in that role as a plain number (a word's is its
 * index), or absent if the scenario has none in it. */
apr_int64_t chaos_args_role(const chaos_args_t *args, chaos_role_e role,
                            apr_int64_t absent);

/** A scenario has no more parameters than this. */
#define CHAOS_PARAMS_MAX 8

/** The arguments as plain numbers, in the order of the parameters (a word is
 * its index), so that another process can have them; and back. */
void chaos_args_pack(const chaos_args_t *args,
                     apr_int64_t packed[CHAOS_PARAMS_MAX]);
chaos_args_t *chaos_args_unpack(const chaos_scenario_t *scenario,
                                const apr_int64_t packed[CHAOS_PARAMS_MAX],
                                apr_pool_t *pool);

/** What a run found: values in the order in which they were added. */
typedef struct chaos_report_t {
    apr_array_header_t *values; /* of chaos_value_t */
} chaos_report_t;

chaos_report_t *chaos_report_create(apr_pool_t *pool);

/** Names are kept as they are given, words are copied. */
void chaos_report_int(chaos_report_t *report, const char *name,
                      apr_int64_t value);
void chaos_report_word(chaos_report_t *report, const char *name,
                       const char *value);
/** A time as text: "3001ms". */
void chaos_report_ms(chaos_report_t *report, const char *name,
                     apr_interval_time_t value);

/** The value of that name, or NULL. */
const chaos_value_t *chaos_report_get(const chaos_report_t *report,
                                      const char *name);

/* ---- the host ---- */

/** Why a connection was not made, in the words that the log used. */
typedef struct chaos_failure_t {
    const char *error;          /* "SequelizeConnectionError: connect ..." */
    const char *code;           /* "ETIMEDOUT" */
} chaos_failure_t;

/** A database connection that is lent to one thread of a run. */
typedef struct chaos_db_t chaos_db_t;

/** Gets a row of text columns, NULL for NULL; must copy what it keeps. */
typedef void chaos_row_fn(void *baton, int columns,
                          const char *const *values);

typedef struct chaos_host_t chaos_host_t;
struct chaos_host_t {
    void *self;                 /* the host's own */

    /** Where the database is wrongly believed to be, when the operator named
     * such a place; host is NULL if not. */
    const char *endpoint_host;
    int endpoint_port;

    /** A service that is slow to answer, when the operator named one. */
    const char *upstream_url;

    int pool_max;               /* connections of the patient's pool */
    double cpus;                /* granted by the kernel; may be below 1 */
    apr_uint64_t memory_budget; /* bytes that a run may fill at most: of an
                                 * incident, when it began */

    /** When a run is to end (as now() counts); 0: when it is done. */
    apr_time_t deadline;

    /**
     * Opens a database connection to an endpoint with the patient's own
     * client and credentials, and closes it again.  A failure is logged as
     * any failure to connect is.  Takes up to timeout and cannot be cut
     * short, so keep that below the time in which a host has to stop.
     * @return APR_SUCCESS, or else failure is filled from pool
     */
    apr_status_t (*connect)(chaos_host_t *host, const char *name, int port,
                            apr_interval_time_t timeout,
                            chaos_failure_t *failure, apr_pool_t *pool);

    /** Steady time: nobody can set it back.  Not the time of day. */
    apr_time_t (*now)(chaos_host_t *host);

    /** Waits; for no time, it only looks. @return APR_SUCCESS; early
     * APR_EINTR: the run is to stop; APR_TIMEUP: the deadline has come.
     * Any thread of the run. */
    apr_status_t (*pause)(chaos_host_t *host, apr_interval_time_t span);

    /**
     * Borrows a connection of the patient's pool, like any request does, and
     * logs like any request if there is none to be had in time.
     * @param pool one thread's own
     * @return APR_SUCCESS; APR_TIMEUP: patience is over; APR_EINTR: pause()
     *         would not say APR_SUCCESS any more, which a borrower that
     *         waits learns within a quarter of a second and nobody logs;
     *         anything else: no database.  On failure (but APR_EINTR)
     *         failure is filled from pool
     */
    apr_status_t (*borrow)(chaos_host_t *host, chaos_db_t **db,
                           apr_interval_time_t patience,
                           chaos_failure_t *failure, apr_pool_t *pool);
    void (*give_back)(chaos_host_t *host, chaos_db_t *db);

    /**
     * Runs one statement, which holds no text from outside.
     * @param row called for each row; NULL for a statement without
     * @return APR_SUCCESS; APR_EINTR: cut short by cancel(); APR_EGENERAL:
     *         logged
     */
    apr_status_t (*query)(chaos_host_t *host, chaos_db_t *db, const char *sql,
                          chaos_row_fn *row, void *baton);

    /** Cuts short what queries of this run are still waiting for.  May be
     * called again for those that began meanwhile. */
    void (*cancel)(chaos_host_t *host);

    /** Says that one request took so many queries and so long: logged if
     * that is slow. */
    void (*queried)(chaos_host_t *host, int queries,
                    apr_interval_time_t elapsed);

    /**
     * Puts so many bytes into the patient's cache, every page touched.
     * @param bytes 0: none, only to say how full it is
     * @param budget bytes at which the cache is full; marks on the way there
     *        are logged, every few seconds while it stays at one
     * @return APR_SUCCESS; APR_ENOMEM: the cache is full (logged)
     */
    apr_status_t (*cache_grow)(chaos_host_t *host, apr_size_t bytes,
                               apr_uint64_t budget);
    /** Gives all of it back to the kernel. */
    void (*cache_drop)(chaos_host_t *host);

    /**
     * Calls a service over HTTP.  A call that fails or takes longer than
     * timeout is logged.
     * @return APR_SUCCESS: it answered; APR_TIMEUP; APR_EGENERAL: otherwise
     *         in vain; on failure, failure is filled from pool
     */
    apr_status_t (*call)(chaos_host_t *host, const char *url,
                         apr_interval_time_t timeout,
                         apr_interval_time_t *elapsed,
                         chaos_failure_t *failure, apr_pool_t *pool);

    /** Signs a token for nobody in particular, good for so many seconds. */
    apr_status_t (*sign)(chaos_host_t *host, int lifetime_s,
                         const char **token, apr_pool_t *pool);
    /** @return APR_SUCCESS: it is good; APR_TIMEUP: expired (logged, failure
     * is filled); APR_EINVAL: no good */
    apr_status_t (*verify)(chaos_host_t *host, const char *token,
                           chaos_failure_t *failure, apr_pool_t *pool);

    /** CPU time that this process has used, in microseconds. */
    apr_interval_time_t (*cpu_used)(chaos_host_t *host);
    /** Says what share (in percent of host->cpus) was measured: logged when
     * it is high for what is wanted. */
    void (*cpu_measured)(chaos_host_t *host, double percent, int wanted);
};

/**
 * Runs body in so many threads at once, and returns when all have ended.
 * @param body gets a pool of its own
 * @return APR_SUCCESS, or why not all threads could be made; those that were
 *         made have ended all the same
 */
apr_status_t chaos_spawn(int threads,
                         void (*body)(void *baton, int index,
                                      apr_pool_t *pool),
                         void *baton, apr_pool_t *pool);

/** The same in threads of low priority: others come first. */
apr_status_t chaos_spawn_low(int threads,
                             void (*body)(void *baton, int index,
                                          apr_pool_t *pool),
                             void *baton, apr_pool_t *pool);

/* ---- the scenario ---- */

/** Where an incident bends the path of ordinary requests. */
typedef enum {
    CHAOS_FAULT_NONE,
    CHAOS_FAULT_ENDPOINT,       /* any use of the database */
    CHAOS_FAULT_LIST,           /* the list of posts */
    CHAOS_FAULT_CREATE,         /* a new post */
    CHAOS_FAULT_LIFETIME,       /* a new token */
    CHAOS_FAULT_POOL,           /* a wait for a connection: it is counted */
    CHAOS_FAULTS
} chaos_fault_e;

/** Which child processes do an incident's work. */
typedef enum {
    CHAOS_NOWHERE,
    CHAOS_ONE_CHILD,            /* any; another goes on should it die */
    CHAOS_EVERY_CHILD
} chaos_where_e;

/** What happened while an incident ran, and before. Times in microseconds. */
typedef struct chaos_figures_t {
    apr_uint64_t requests;
    apr_uint64_t status_4xx;
    apr_uint64_t status_5xx;
    apr_uint64_t pool_timeouts; /* requests that got no connection */
    apr_uint64_t waiting_peak;  /* requests waiting for one, at most */
    apr_uint64_t bitten;        /* requests that met the fault point */
    apr_uint64_t felt;          /* those of them that users felt: answered
                                 * with a failure, or after long */
    apr_interval_time_t p50, p95, p99;  /* of all requests */
    apr_uint64_t rss;           /* bytes, at most */
    double cpu_percent;         /* of the CPUs granted */
    apr_uint64_t memory_budget; /* the host's */
} chaos_figures_t;

struct chaos_scenario_t {
    const char *name;           /* "db-fail": URL, command, toggle */
    const char *title;          /* "DB Connection Failure" */
    const char *summary;        /* one sentence for help and catalogue */
    const char *signal;         /* what is to be seen when it works */
    const char *const *symptoms;    /* types of the log's lines that tell of
                                     * it; ends with NULL */
    const chaos_param_t *params;    /* ends with a NULL name; may be NULL */

    /* For the ledger, never for the log. */
    const char *label;          /* "db-failure" */
    const char *severity;       /* "critical", "high", "medium" */
    const char *diagnosis_en;
    const char *diagnosis_ko;

    /**
     * Makes it happen once, in the calling thread.
     * @param report gets the scenario's answer
     * @param pool for what the run needs; may be cleared as soon as it is
     *        over
     * @return APR_SUCCESS: the failure really happened; APR_EGENERAL: it did
     *         not (the report's "error" says why); APR_EINTR: the host is
     *         stopping
     */
    apr_status_t (*run)(chaos_host_t *host, const chaos_args_t *args,
                        chaos_report_t *report, apr_pool_t *pool);

    /** Not NULL: over HTTP, one run answers this at once and goes on in the
     * background. */
    const char *message;
    /** How long such a run goes on; 0: until it is done. */
    int once_s;

    /* ---- as an incident ---- */

    chaos_fault_e fault;
    chaos_where_e where;

    /** What has to be there before the fault point bends anything; or NULL.
     * Runs in one child, in a thread of its own. */
    apr_status_t (*prepare)(chaos_host_t *host, const chaos_args_t *args,
                            apr_pool_t *pool);

    /**
     * What a child does until pause() says stop or that it is over; or NULL.
     * @return APR_SUCCESS: it did; anything else: it could not
     */
    apr_status_t (*work)(chaos_host_t *host, const chaos_args_t *args,
                         apr_pool_t *pool);

    /** Takes away what outlives a process, whoever left it there; or NULL.
     * Idempotent. @return anything but APR_SUCCESS: to be tried again */
    apr_status_t (*recover)(chaos_host_t *host, apr_pool_t *pool);

    /**
     * Whether it was felt.
     * @param why set if not: what was missing, as a phrase
     */
    int (*felt)(const chaos_figures_t *before, const chaos_figures_t *during,
                const chaos_args_t *args, const char **why,
                apr_pool_t *pool);
};

/* Each file's own: chaos_db_fail, ... */
#define CHAOS_SCENARIO(symbol) extern const chaos_scenario_t symbol;
#include "scenarios.def"
#undef CHAOS_SCENARIO

/** The scenario of that name, or NULL. */
const chaos_scenario_t *chaos_find(const char *name);

/** All of them, NULL-terminated, in the order of scenarios.def. */
const chaos_scenario_t *const *chaos_all(void);

#endif
