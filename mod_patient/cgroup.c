/*
 * cgroup.c - finds this process's control groups, and reads their limits.
 */
#include "cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Directories that a search looks at, at most. */
#define SEARCH_MAX 4096

/* A number of version 1 from which on it means that there is no limit. */
#define UNLIMITED (APR_UINT64_C(1) << 60)

/* ---- files ---- */

/* A small file's text. @return 0 if there is none */
static int read_text(char *text, apr_size_t size, const char *dir,
                     const char *name)
{
    char path[CGROUP_PATH_MAX + 64];
    ssize_t len;
    int file;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    len = read(file, text, size - 1);
    close(file);
    text[len > 0 ? len : 0] = '\0';
    return len > 0;
}

/* @return 0: none, or none that limits */
static apr_uint64_t read_limit(const char *dir, const char *name)
{
    char text[64];
    apr_uint64_t number;
    apr_size_t len;

    if (!read_text(text, sizeof(text), dir, name)) {
        return 0;
    }
    len = strspn(text, "0123456789");
    if (len == 0 || (text[len] != '\n' && text[len] != '\0')) {
        return 0;               /* "max", or "-1" */
    }
    number = strtoull(text, NULL, 10);
    return number < UNLIMITED ? number : 0;
}

/* A line "key number" of a group's memory.stat. @return 0: none */
static apr_uint64_t stat_value(const char *text, const char *key)
{
    apr_size_t len = strlen(key);
    const char *line;

    for (line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) == 0 && line[len] == ' ') {
            return strtoull(line + len, NULL, 10);
        }
    }
    return 0;
}

/* ---- limits ---- */

static void note_memory(cgroup_limits_t *limits, apr_uint64_t limit,
                        apr_uint64_t used)
{
    apr_uint64_t room = limit > used ? limit - used : 0;

    if (limit == 0) {
        return;
    }
    if (limits->memory == 0 || room < limits->room) {
        limits->room = room;
    }
    if (limits->memory == 0 || limit < limits->memory) {
        limits->memory = limit;
    }
}

static void note_cpus(cgroup_limits_t *limits, apr_int64_t quota,
                      apr_int64_t period)
{
    double cpus = period > 0 ? (double)quota / (double)period : 0;

    if (cpus > 0 && (limits->cpus <= 0 || cpus < limits->cpus)) {
        limits->cpus = cpus;
    }
}

/* How a version names its files. */
typedef struct memory_files_t {
    const char *limit, *more, *usage;
    const char *inactive, *active;  /* files' pages, those below included */
    int tells_above;            /* also limits of groups out of sight */
} memory_files_t;

static const memory_files_t memory_2 = {
    .limit = "memory.max", .more = "memory.high", .usage = "memory.current",
    .inactive = "inactive_file", .active = "active_file"
};
static const memory_files_t memory_1 = {
    .limit = "memory.limit_in_bytes", .usage = "memory.usage_in_bytes",
    .inactive = "total_inactive_file", .active = "total_active_file",
    .tells_above = 1
};

/* @param stat room for CGROUP_TEXT_MAX bytes */
static void read_memory(cgroup_limits_t *limits, const char *dir,
                        const memory_files_t *files, char *stat)
{
    apr_uint64_t limit = read_limit(dir, files->limit);
    apr_uint64_t more = files->more ? read_limit(dir, files->more) : 0;
    apr_uint64_t used, given_up, above;

    if (limit == 0 && more == 0 && !files->tells_above) {
        return;                 /* to add up the statistics costs something */
    }
    if (!read_text(stat, CGROUP_TEXT_MAX, dir, "memory.stat")) {
        *stat = '\0';
    }
    used = read_limit(dir, files->usage);
    given_up = stat_value(stat, files->inactive)
        + stat_value(stat, files->active);
    used = used > given_up ? used - given_up : 0;
    above = files->tells_above
        ? stat_value(stat, "hierarchical_memory_limit") : 0;
    note_memory(limits, limit, used);
    note_memory(limits, more, used);
    note_memory(limits, above < UNLIMITED ? above : 0, used);
}

static void read_cpus_2(cgroup_limits_t *limits, const char *dir)
{
    char text[64];
    long long quota, period;

    if (read_text(text, sizeof(text), dir, "cpu.max")
        && sscanf(text, "%lld %lld", &quota, &period) == 2) {
        note_cpus(limits, quota, period);
    }
}

static void read_cpus_1(cgroup_limits_t *limits, const char *dir)
{
    note_cpus(limits, (apr_int64_t)read_limit(dir, "cpu.cfs_quota_us"),
              (apr_int64_t)read_limit(dir, "cpu.cfs_period_us"));
}

static void read_group(cgroup_limits_t *limits, cgroup_hierarchy_e hierarchy,
                       const char *dir, char *text)
{
    switch (hierarchy) {
    case CGROUP_UNIFIED:
        read_memory(limits, dir, &memory_2, text);
        read_cpus_2(limits, dir);
        break;
    case CGROUP_MEMORY:
        read_memory(limits, dir, &memory_1, text);
        break;
    default:
        read_cpus_1(limits, dir);
        break;
    }
}

void cgroup_read(cgroup_limits_t *limits, cgroup_t *cgroup)
{
    int i;

    memset(limits, 0, sizeof(*limits));
    for (i = 0; i < CGROUP_HIERARCHIES; i++) {
        char dir[CGROUP_PATH_MAX];
        char *slash;

        if (cgroup->in[i].dir[0] == '\0') {
            continue;
        }
        memcpy(dir, cgroup->in[i].dir, sizeof(dir));
        do {
            read_group(limits, i, dir, cgroup->text);
            slash = strrchr(dir, '/');
            if (slash != NULL) {
                *slash = '\0';
            }
        } while (slash != NULL && strlen(dir) >= cgroup->in[i].top);
    }
}

/* ---- where this process is ---- */

/* Whether a list apart by commas has that word. */
static int has_word(const char *list, const char *word)
{
    apr_size_t len = strlen(word);

    for (; list != NULL; list = strchr(list, ',')) {
        list += *list == ',';
        if (strncmp(list, word, len) == 0
            && (list[len] == '\0' || list[len] == ',')) {
            return 1;
        }
    }
    return 0;
}

static const char *const controllers[CGROUP_HIERARCHIES] = {
    NULL, "memory", "cpu"
};

/* Of /proc/self/cgroup ("4:cpu,cpuacct:/path", "0::/path"): the path in each
 * hierarchy, NULL where there is none. */
static void find_paths(const char *paths[CGROUP_HIERARCHIES], char *text)
{
    char *keep, *line;
    int i;

    for (line = strtok_r(text, "\n", &keep); line != NULL;
         line = strtok_r(NULL, "\n", &keep)) {
        char *list = strchr(line, ':');
        char *path = list ? strchr(list + 1, ':') : NULL;

        if (path == NULL || path[1] != '/') {
            continue;
        }
        *path++ = '\0';
        list++;
        for (i = 0; i < CGROUP_HIERARCHIES; i++) {
            if (controllers[i] ? has_word(list, controllers[i])
                               : *list == '\0') {
                paths[i] = path;
            }
        }
    }
}

/* One hierarchy that is mounted. */
typedef struct mount_t {
    char root[CGROUP_PATH_MAX]; /* which of its groups the mount shows */
    char point[CGROUP_PATH_MAX];
    const char *type, *options;
} mount_t;

/* In mountinfo, blanks and the like are written as three octal digits. */
static void unescape(char *to, const char *from, apr_size_t size)
{
    char *end = to + size - 1;

    while (*from != '\0' && to < end) {
        if (*from == '\\' && strspn(from + 1, "01234567") >= 3) {
            *to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8
                           + from[3] - '0');
            from += 4;
        }
        else {
            *to++ = *from++;
        }
    }
    *to = '\0';
}

/* "31 23 0:28 ROOT POINT options ... - TYPE SOURCE OPTIONS", where SOURCE may
 * be empty. @return 0: it is no hierarchy of control groups */
static int parse_mount(mount_t *mount, char *line, const char *root)
{
    char *second = strstr(line, " - ");
    char *field[5];
    apr_size_t len = strlen(root);
    int i;

    if (second == NULL || len >= sizeof(mount->point)) {
        return 0;
    }
    *second = '\0';
    second += 3;
    second[strcspn(second, "\n")] = '\0';
    for (i = 0; i < 5; i++) {
        field[i] = strsep(&line, " ");
        if (field[i] == NULL) {
            return 0;
        }
    }
    unescape(mount->root, field[3], sizeof(mount->root));
    memcpy(mount->point, root, len);
    unescape(mount->point + len, field[4], sizeof(mount->point) - len);
    mount->type = strsep(&second, " ");
    if (strsep(&second, " ") == NULL) {
        return 0;
    }
    mount->options = strsep(&second, " ");
    return mount->options != NULL && strncmp(mount->type, "cgroup", 6) == 0;
}

static int is_there(const char *dir)
{
    return access(dir, X_OK) == 0;
}

/* Whether a group is this process's. */
static int holds_us(const char *dir)
{
    char path[CGROUP_PATH_MAX + 16];
    char line[32];
    long pid = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
    file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    while (pid != getpid() && fgets(line, sizeof(line), file) != NULL) {
        pid = strtol(line, NULL, 10);
    }
    fclose(file);
    return pid == getpid();
}

/* Appends to a path. @return 0: too long */
static int append(char *dir, const char *separator, const char *name)
{
    apr_size_t len = strlen(dir);

    return snprintf(dir + len, CGROUP_PATH_MAX - len, "%s%s", separator, name)
        < (int)(CGROUP_PATH_MAX - len);
}

/* Looks so many levels below dir for this process's group, of which only the
 * path's end is known. @param dir set to it on success */
static int search(char *dir, int levels, const char *end, int *left)
{
    apr_size_t len = strlen(dir);
    struct dirent *entry;
    DIR *stream;
    int found = 0;

    if (levels == 0) {
        found = append(dir, "", end) && holds_us(dir);
        dir[found ? strlen(dir) : len] = '\0';
        return found;
    }
    stream = opendir(dir);
    if (stream == NULL) {
        return 0;
    }
    /* cppcheck-suppress readdirCalled ; no other thread has this stream */
    while (!found && (entry = readdir(stream)) != NULL && *left > 0) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            --*left;
            found = append(dir, "/", entry->d_name)
                && search(dir, levels - 1, end, left);
            dir[found ? strlen(dir) : len] = '\0';
        }
    }
    closedir(stream);
    return found;
}

/* How many steps up a path begins with; moves it past them. */
static int skip_ups(const char **path)
{
    int ups = 0;

    while (strncmp(*path, "/..", 3) == 0
           && ((*path)[3] == '/' || (*path)[3] == '\0')) {
        *path += 3;
        ups++;
    }
    return ups;
}

/* How sure it is that a directory is this process's group. */
typedef enum { NOT_FOUND, LIKELY, CERTAIN } sureness_e;

/*
 * Where a path of /proc/self/cgroup is below a mount.  Both it and the mount's
 * root are counted from the root of the process's cgroup namespace, so both
 * may lead up from there ("/../.."), where the names on the way back down are
 * not to be seen.  Who has only a mount of its own group, and the path that
 * the host knows, is at the mount's top.
 */
static sureness_e locate(char *dir, const mount_t *mount, const char *path)
{
    const char *above = mount->root;
    apr_size_t len = strcmp(mount->root, "/") == 0 ? 0 : strlen(mount->root);
    apr_size_t top = strlen(mount->point);
    int left = SEARCH_MAX;
    int ups;

    memcpy(dir, mount->point, top + 1);
    if (strncmp(path, mount->root, len) == 0
        && (path[len] == '/' || path[len] == '\0')) {
        const char *rest = strcmp(path + len, "/") == 0 ? "" : path + len;

        if (skip_ups(&rest) == 0 && append(dir, "", rest) && is_there(dir)) {
            return CERTAIN;
        }
        dir[top] = '\0';
    }
    ups = skip_ups(&above) - skip_ups(&path);
    if (ups > 0 && *above == '\0'
        && search(dir, ups, strcmp(path, "/") == 0 ? "" : path, &left)) {
        return CERTAIN;
    }
    for (; path != NULL && *path != '\0'; path = strchr(path + 1, '/')) {
        if (append(dir, "", path) && is_there(dir)) {
            return LIKELY;
        }
        dir[top] = '\0';
    }
    return is_there(dir) ? LIKELY : NOT_FOUND;
}

static int is_mounted(const mount_t *mount, int hierarchy)
{
    if (controllers[hierarchy] == NULL) {
        return strcmp(mount->type, "cgroup2") == 0;
    }
    return strcmp(mount->type, "cgroup") == 0
        && has_word(mount->options, controllers[hierarchy]);
}

/* Takes the place that a mount shows, if none is known that is surer, or as
 * sure with more of the groups above it in sight. */
static void consider(cgroup_t *cgroup, sureness_e *known, int hierarchy,
                     const mount_t *mount, const char *path)
{
    char dir[CGROUP_PATH_MAX];
    sureness_e sureness = locate(dir, mount, path);
    const char *rival = cgroup->in[hierarchy].dir;
    apr_size_t top = strlen(mount->point);
    apr_size_t len = strlen(dir);

    if (len > 1 && dir[len - 1] == '/') {
        dir[--len] = '\0';
    }
    if (sureness > *known
        || (sureness == CERTAIN && *known == CERTAIN
            && len - top > strlen(rival) - cgroup->in[hierarchy].top)) {
        *known = sureness;
        memcpy(cgroup->in[hierarchy].dir, dir, sizeof(dir));
        cgroup->in[hierarchy].top = top;
    }
}

void cgroup_find(cgroup_t *cgroup, const char *root)
{
    const char *paths[CGROUP_HIERARCHIES] = { NULL };
    sureness_e known[CGROUP_HIERARCHIES] = { NOT_FOUND };
    char name[CGROUP_PATH_MAX];
    char *line = NULL;
    size_t size = 0;
    FILE *file;
    int i;

    memset(cgroup, 0, sizeof(*cgroup));
    snprintf(name, sizeof(name), "%s/proc/self/mountinfo", root);
    if (!read_text(cgroup->text, sizeof(cgroup->text), root,
                   "proc/self/cgroup")
        || (file = fopen(name, "re")) == NULL) {
        return;
    }
    find_paths(paths, cgroup->text);
    while (getline(&line, &size, file) > 0) {
        mount_t mount;

        if (!parse_mount(&mount, line, root)) {
            continue;
        }
        for (i = 0; i < CGROUP_HIERARCHIES; i++) {
            if (paths[i] != NULL && is_mounted(&mount, i)) {
                consider(cgroup, &known[i], i, &mount, paths[i]);
            }
        }
    }
    free(line);
    fclose(file);
}
