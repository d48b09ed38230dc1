/*
 * succession.c - at a graceful restart there is room for new children, however
 * many old ones still finish what they began.
 */
#include "succession.h"

#include <signal.h>

#include <ap_mpm.h>
#include <httpd.h>
#include <mpm_common.h>
#include <scoreboard.h>
#include <unixd.h>

#include "board.h"
#include "vitals.h"

#define PLACES_MAX 1024

/* So long a child may take to hear of a restart, and so long its clients to
 * read what no thread writes any more. */
#define HEAR_PATIENCE apr_time_from_sec(10)
#define READ_PATIENCE apr_time_from_sec(60)

/* @return the place of the oldest child, or -1: of those that were told to
 * finish just now none goes, for most are about to */
static int find_oldest(int places, const char *told)
{
    const process_score *children = ap_scoreboard_image->parent;
    ap_generation_t newest = 0;
    int i, oldest = -1;

    for (i = 0; i < places; i++) {
        if (children[i].pid != 0 && !told[i]
            && (oldest < 0
                || children[i].generation < children[oldest].generation)) {
            oldest = i;
        }
        if (children[i].pid != 0 && children[i].generation > newest) {
            newest = children[i].generation;
        }
    }
    return oldest >= 0 && children[oldest].generation < newest ? oldest : -1;
}

static int count_free(int places)
{
    int i, count = 0;

    for (i = 0; i < places; i++) {
        count += ap_scoreboard_image->parent[i].pid == 0;
    }
    return count;
}

/* A child that finishes what it began waits for its threads and hears no
 * SIGTERM. That it goes is no accident, and nothing of it is to count. */
static int end(pid_t pid)
{
    if (ap_mpm_safe_kill(pid, SIGKILL) != APR_SUCCESS) {
        return 0;
    }
    board_child_leave(pid);
    return 1;
}

static int count_threads(void)
{
    int threads;

    return ap_mpm_query(AP_MPMQ_HARD_LIMIT_THREADS, &threads) == APR_SUCCESS
        ? threads : 0;
}

/* An answer that is read slowly has no thread.  The counts are as old as the
 * child's last look at them. */
static int is_read(int child)
{
    const process_score *process = &ap_scoreboard_image->parent[child];

    return process->connections > process->keep_alive;
}

static int is_serving(int child)
{
    int threads = count_threads(), i;

    for (i = 0; i < threads; i++) {
        const worker_score *worker =
            ap_get_scoreboard_worker_from_indexes(child, i);

        if (worker != NULL && worker->status >= SERVER_BUSY_READ
            && worker->status <= SERVER_CLOSING) {
            return 1;
        }
    }
    return 0;
}

int succession_end_left_behind(void)
{
    static struct {
        pid_t pid;
        apr_time_t since;
    } behind[PLACES_MAX];
    apr_time_t now = vitals_now();
    ap_generation_t newest;
    int places, i, ended = 0;

    if (ap_scoreboard_image == NULL
        || ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &places) != APR_SUCCESS
        || places > PLACES_MAX) {
        return 0;
    }
    newest = ap_scoreboard_image->global->running_generation;
    for (i = 0; i < places; i++) {
        const process_score *child = &ap_scoreboard_image->parent[i];
        pid_t pid = child->pid != 0 && !child->quiescing
            && child->generation != newest ? child->pid : 0;

        if (pid != behind[i].pid) {
            behind[i].pid = pid;
            behind[i].since = now;
        }
        else if (pid != 0 && !is_serving(i)
                 && now - behind[i].since >= (is_read(i) ? READ_PATIENCE
                                                         : HEAR_PATIENCE)) {
            ended += end(pid);
        }
    }
    return ended;
}

int succession_make_room(void)
{
    char told[PLACES_MAX] = { 0 };
    int places, wanted, missing, ended = 0;

    if (ap_scoreboard_image == NULL
        || !ap_unixd_mpm_get_retained_data()->was_graceful
        || ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &places) != APR_SUCCESS
        || ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &wanted) != APR_SUCCESS
        || places > (int)sizeof(told)) {
        return 0;
    }
    for (missing = wanted - count_free(places); missing > 0; missing--) {
        int oldest = find_oldest(places, told);

        if (oldest < 0) {
            break;
        }
        told[oldest] = 1;
        ended += end(ap_scoreboard_image->parent[oldest].pid);
    }
    return ended;
}
