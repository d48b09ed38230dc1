/*
 * grant.c - what a process may use, read from made-up /proc and /sys.
 */
#include "grant.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

#define MIB (APR_UINT64_C(1) << 20)
#define NO_LIMIT "9223372036854771712\n"

/* The directory that stands for "/". */
static char root[64];

static int remove_one(const char *path, const struct stat *about, int kind,
                      struct FTW *walk)
{
    (void)about;
    (void)kind;
    (void)walk;
    return remove(path);
}

/* A new machine, with plenty of memory, and no limits. */
static void begin(void)
{
    if (root[0] != '\0') {
        nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    strcpy(root, "/tmp/patient-grant-XXXXXX");
    if (mkdtemp(root) == NULL) {
        perror(root);
        exit(1);
    }
    grant_set_root(root);
    grant_add(NULL);
}

/* A new file, with the directories above it. */
static FILE *open_new(const char *path)
{
    char full[512];
    char *slash;
    FILE *file;

    snprintf(full, sizeof(full), "%s%s", root, path);
    for (slash = strchr(full + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
    file = fopen(full, "w");
    if (file == NULL) {
        perror(full);
        exit(1);
    }
    return file;
}

/* Writes one; what is read next is read anew. */
#define put(path, ...) \
    do { \
        FILE *file_ = open_new(path); \
        fprintf(file_, __VA_ARGS__); \
        fclose(file_); \
        grant_set_root(root); \
    } while (0)

/* Lines of mountinfo. */
#define MOUNT_2(root, point) \
    "30 23 0:26 " root " " point " rw,nosuid shared:4 - cgroup2 cgroup2 " \
    "rw,nsdelegate\n"
#define MOUNT_1(controllers, root, point) \
    "36 31 0:33 " root " " point " rw,nosuid master:9 - cgroup cgroup rw," \
    controllers "\n"
#define OTHERS \
    "23 1 254:1 / / rw,relatime - ext4 /dev/root rw\n" \
    "24 23 0:20 / /proc rw - proc proc rw\n" \
    "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"

static void is_memory(apr_uint64_t mib, const char *name)
{
    tap_is((long long)(grant_memory() / MIB), (long long)mib, name);
}

static void is_cpus(double cpus, const char *name)
{
    double got = grant_cpus();

    tap_ok(got > cpus - 0.001 && got < cpus + 0.001, "%s: %.3f CPUs", name,
           got);
}

static apr_uint64_t machine;
static double machine_cpus;

static void without(void)
{
    begin();
    machine = grant_memory() / MIB;
    machine_cpus = grant_cpus();
    tap_ok(machine > 256 && machine_cpus >= 1,
           "without /proc it is the machine's: %d MiB, %.1f CPUs",
           (int)machine, machine_cpus);
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", OTHERS MOUNT_2("/", "/sys/fs/cgroup"));
    is_memory(machine, "the root has no files, and no limit");
    put("/sys/fs/cgroup/memory.max", "max\n");
    put("/sys/fs/cgroup/cpu.max", "max 100000\n");
    is_memory(machine, "nor is there one where it says max");
    is_cpus(machine_cpus, "nor of CPUs");
    put("/proc/self/cgroup", "nonsense\n0:\n::\n7:memory\n");
    put("/proc/self/mountinfo", "1 2\n - cgroup2\n - \n\n%0900d - cgroup2 a b",
        1);
    is_memory(machine, "what cannot be read is no limit");
}

static void version_2(void)
{
    begin();
    put("/proc/self/cgroup", "0::/ecs/task/container\n");
    put("/proc/self/mountinfo", OTHERS MOUNT_2("/", "/sys/fs/cgroup"));
    put("/sys/fs/cgroup/ecs/task/container/memory.max", "max\n");
    put("/sys/fs/cgroup/ecs/task/container/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/ecs/task/memory.max", "134217728\n");
    put("/sys/fs/cgroup/ecs/task/cpu.max", "25000 100000\n");
    put("/sys/fs/cgroup/ecs/memory.max", "201326592\n");
    put("/sys/fs/cgroup/ecs/cpu.max", "50000 100000\n");
    put("/sys/fs/cgroup/ecs/other/memory.max", "1048576\n");
    is_memory(128, "a group without a limit has its parent's");
    is_cpus(0.25, "so it is with CPUs");
    put("/sys/fs/cgroup/ecs/task/container/memory.max", "67108864\n");
    put("/sys/fs/cgroup/ecs/task/container/cpu.max", "10000 100000\n");
    is_memory(64, "its own counts if it is smaller");
    is_cpus(0.1, "so it is with CPUs");
    put("/sys/fs/cgroup/ecs/task/container/memory.max", "268435456\n");
    put("/sys/fs/cgroup/ecs/task/container/cpu.max", "100000 100000\n");
    is_memory(128, "and not if it is larger");
    is_cpus(0.25, "so it is with CPUs");
    put("/sys/fs/cgroup/ecs/memory.high", "100663296\n");
    is_memory(96, "memory.high limits, too");
}

static void version_1(void)
{
    begin();
    put("/proc/self/cgroup", "9:name=systemd:/x\n4:memory:/ecs/task\n"
        "3:cpuset:/x\n2:cpu,cpuacct:/ecs/cpus\n0::/x\n");
    put("/proc/self/mountinfo", OTHERS
        MOUNT_1("cpuset", "/", "/sys/fs/cgroup/cpuset")
        MOUNT_1("memory", "/", "/sys/fs/cgroup/memory")
        MOUNT_1("cpu,cpuacct", "/", "/sys/fs/cgroup/cpu,cpuacct")
        MOUNT_2("/", "/sys/fs/cgroup/unified"));
    put("/sys/fs/cgroup/memory/ecs/task/memory.limit_in_bytes", NO_LIMIT);
    put("/sys/fs/cgroup/memory/ecs/task/memory.stat",
        "cache 4096\nhierarchical_memory_limit " NO_LIMIT);
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", NO_LIMIT);
    put("/sys/fs/cgroup/cpu,cpuacct/ecs/cpus/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/ecs/cpus/cpu.cfs_period_us", "100000\n");
    is_memory(machine, "version 1's largest number is no limit");
    is_cpus(machine_cpus, "nor is a quota of -1");
    put("/sys/fs/cgroup/memory/ecs/memory.limit_in_bytes", "201326592\n");
    put("/sys/fs/cgroup/cpu,cpuacct/ecs/cpu.cfs_quota_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/ecs/cpu.cfs_period_us", "200000\n");
    is_memory(192, "a parent's limit counts");
    is_cpus(0.5, "so does its quota");
    put("/sys/fs/cgroup/memory/ecs/task/memory.stat", "cache 4096\n"
        "hierarchical_memory_limit 134217728\n"
        "hierarchical_memsw_limit 1048576\ntotal_cache 1\n");
    is_memory(128, "and one that only the statistics know");
}

static void containers(void)
{
    begin();
    put("/proc/self/cgroup", "4:memory:/docker/abc\n1:cpu:/docker/abc\n");
    put("/proc/self/mountinfo", OTHERS
        MOUNT_1("memory", "/docker/abc", "/sys/fs/cgroup/memory")
        MOUNT_1("cpu", "/docker/abc", "/sys/fs/cgroup/cpu"));
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "25000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    is_memory(128, "a mount of this group alone");
    is_cpus(0.25, "so it is with CPUs");
    put("/proc/self/cgroup", "4:memory:/docker/abc/sub\n");
    put("/sys/fs/cgroup/memory/sub/memory.limit_in_bytes", "67108864\n");
    is_memory(64, "a group within it");
    put("/proc/self/cgroup", "4:memory:/docker/abcdef\n");
    is_memory(128, "a name that only begins like the mount's is another");
    put("/proc/self/cgroup", "4:memory:/somewhere/else\n");
    is_memory(128, "a path that the mount does not show is at its top");

    begin();
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", OTHERS MOUNT_2("/", "/sys/fs/cgroup"));
    put("/sys/fs/cgroup/memory.max", "134217728\n");
    put("/sys/fs/cgroup/cpu.max", "25000 100000\n");
    is_memory(128, "a namespace of its own begins at the mount");
    is_cpus(0.25, "so it is with CPUs");
    put("/proc/self/cgroup", "0::/../../sibling\n");
    is_memory(128, "a path that leads out of it stays at its top");

    begin();
    put("/proc/self/cgroup", "0::/../..\n");
    put("/proc/self/mountinfo", OTHERS MOUNT_2("/../..", "/sys/fs/cgroup"));
    put("/sys/fs/cgroup/memory.max", "134217728\n");
    is_memory(128, "the mount may lead up just as far");
    put("/proc/self/cgroup", "0::/../../inner\n");
    put("/sys/fs/cgroup/inner/memory.max", "67108864\n");
    is_memory(64, "and its groups are below");
}

/* What a kernel never says, and what it hardly ever does. */
static void oddities(void)
{
    static const char *const memory[] = {
        "", "\n", "0\n", "-1\n", "-134217728\n", "MAX\n", "134217728kB\n",
        "0x8000000\n", "1e6\n", "99999999999999999999999999\n"
    };
    static const char *const cpus[] = {
        "", "\n", "max\n", "0 100000\n", "-1 100000\n", "25000 0\n",
        "25000 -100000\n", "some 100000\n", "99999999999999999999 100000\n"
    };
    size_t i;

    begin();
    put("/proc/self/cgroup", "0::/a\n");
    put("/proc/self/mountinfo", OTHERS MOUNT_2("/", "/sys/fs/cgroup"));
    for (i = 0; i < sizeof(memory) / sizeof(memory[0]); i++) {
        put("/sys/fs/cgroup/a/memory.max", "%s", memory[i]);
        is_memory(machine, "a limit of memory that is none");
    }
    for (i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
        put("/sys/fs/cgroup/a/cpu.max", "%s", cpus[i]);
        is_cpus(machine_cpus, "a limit of CPUs that is none");
    }
    put("/sys/fs/cgroup/a/memory.max", "134217728");
    is_memory(128, "one without a newline");
    put("/sys/fs/cgroup/a/cpu.max", "1000 4000\n");
    is_cpus(0.25, "an odd period");
    put("/sys/fs/cgroup/a/cpu.max", "1000 1000000\n");
    is_cpus(0.01, "less than there can be is as little as can be");
}

/* A namespace made without a mount of its own: the way down has no names. */
static void nameless(void)
{
    begin();
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", OTHERS MOUNT_2("/../..", "/sys/fs/cgroup"));
    put("/sys/fs/cgroup/a/b/cgroup.procs", "1\n2\n");
    put("/sys/fs/cgroup/a/b/memory.max", "33554432\n");
    put("/sys/fs/cgroup/a/c/cgroup.procs", "1\n%d\n3\n", (int)getpid());
    put("/sys/fs/cgroup/a/c/memory.max", "134217728\n");
    put("/sys/fs/cgroup/a/cpu.max", "25000 100000\n");
    is_memory(128, "it is the group that has this process");
    is_cpus(0.25, "below the groups that are above it");
    put("/proc/self/cgroup", "0::/in\n");
    put("/sys/fs/cgroup/a/c/cgroup.procs", "\n");
    put("/sys/fs/cgroup/a/c/in/cgroup.procs", "%d\n", (int)getpid());
    put("/sys/fs/cgroup/a/c/in/memory.max", "67108864\n");
    is_memory(64, "or one below that");
    put("/proc/self/cgroup", "0::/../z\n");
    put("/sys/fs/cgroup/q/z/cgroup.procs", "%d\n", (int)getpid());
    put("/sys/fs/cgroup/q/z/memory.max", "50331648\n");
    is_memory(48, "or beside it");
}

static void mounts(void)
{
    begin();
    put("/proc/self/cgroup", "4:memory:/a\n0::/b\n");
    put("/proc/self/mountinfo", OTHERS
        MOUNT_1("memory", "/stranger", "/host/memory")
        MOUNT_1("memory", "/", "/odd\\040place/memory")
        MOUNT_2("/", "/sys/fs/cgroup/unified"));
    put("/host/memory/memory.limit_in_bytes", "33554432\n");
    put("/odd place/memory/a/memory.limit_in_bytes", "134217728\n");
    put("/sys/fs/cgroup/unified/b/memory.max", "201326592\n");
    is_memory(128, "the mount that shows this group, with a blank in its name");
    put("/sys/fs/cgroup/unified/b/memory.max", "67108864\n");
    is_memory(64, "the smaller one where both versions limit");

    begin();
    put("/proc/self/cgroup", "0::/a b:c/d (e)\n");
    put("/proc/self/mountinfo", OTHERS
        MOUNT_2("/stranger", "/host/unified")
        MOUNT_2("/a\\040b:c", "/sys/fs/cgroup/unified"));
    put("/host/unified/memory.max", "33554432\n");
    put("/sys/fs/cgroup/unified/memory.max", "134217728\n");
    put("/sys/fs/cgroup/unified/d (e)/memory.max", "100663296\n");
    put("/sys/fs/cgroup/unified/d/memory.max", "33554432\n");
    is_memory(96, "a group with blanks and a colon in its name, and a mount "
              "of it");
    put("/proc/self/mountinfo", OTHERS
        "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2  rw,nsdelegate\n");
    put("/sys/fs/cgroup/unified/a b:c/d (e)/memory.max", "67108864\n");
    is_memory(64, "a mount whose source has no name");

    begin();
    put("/proc/self/cgroup", "4:memory:/pod/box\n0::/pod/box\n");
    put("/proc/self/mountinfo", OTHERS
        MOUNT_1("memory", "/pod/box", "/sys/fs/cgroup/memory")
        MOUNT_1("memory", "/", "/host/memory")
        MOUNT_1("memory", "/pod", "/half/memory"));
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", NO_LIMIT);
    put("/half/memory/box/memory.limit_in_bytes", NO_LIMIT);
    put("/host/memory/pod/box/memory.limit_in_bytes", NO_LIMIT);
    put("/host/memory/pod/memory.limit_in_bytes", NO_LIMIT);
    put("/host/memory/memory.limit_in_bytes", "134217728\n");
    is_memory(128, "of several mounts, the one with most of the groups above");
}

static void told(void)
{
    grant_t operator = { 300 * MIB, 0.5 }, task = { 200 * MIB, 0.25 };

    begin();
    grant_add(&operator);
    is_memory(300, "what the operator says counts where nothing limits");
    is_cpus(0.5, "so it is with CPUs");
    grant_add(&task);
    is_memory(200, "and what the task has, if it is less");
    is_cpus(0.25, "so it is with CPUs");
    grant_add(&(grant_t){ 0, 0 });
    is_memory(200, "who knows nothing changes nothing");
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", OTHERS MOUNT_2("/", "/sys/fs/cgroup"));
    put("/sys/fs/cgroup/memory.max", "134217728\n");
    put("/sys/fs/cgroup/cpu.max", "10000 100000\n");
    is_memory(128, "a control group that allows less has the last word");
    is_cpus(0.1, "so it is with CPUs");
    put("/sys/fs/cgroup/memory.max", "max\n");
    put("/sys/fs/cgroup/cpu.max", "max 100000\n");
    is_memory(200, "its limit may go away while this runs");
    is_cpus(0.25, "so it is with CPUs");
    grant_add(&(grant_t){ machine * 2 * MIB, machine_cpus * 2 });
    is_memory(200, "nothing is made larger");
    grant_add(NULL);
    is_memory(machine, "what was told can be forgotten");
    is_cpus(machine_cpus, "so it is with CPUs");
}

static void is_room(apr_uint64_t mib, const char *name)
{
    tap_is((long long)(grant_room() / MIB), (long long)mib, name);
}

static void room(void)
{
    begin();
    put("/proc/meminfo", "MemTotal: 900 kB\nMemFree:  1 kB\n"
        "MemAvailable:    1048576 kB\n");
    is_room(1024 - 64, "what the machine has to spare, less a reserve");
    grant_add(&(grant_t){ 512 * MIB, 0 });
    is_room(512 - 96, "what was told, less a reserve for all");
    grant_add(NULL);
    put("/proc/self/cgroup", "0::/task/container\n");
    put("/proc/self/mountinfo", OTHERS MOUNT_2("/", "/sys/fs/cgroup"));
    put("/sys/fs/cgroup/task/container/memory.max", "max\n");
    put("/sys/fs/cgroup/task/container/memory.current", "1048576\n");
    put("/sys/fs/cgroup/task/memory.max", "536870912\n");
    put("/sys/fs/cgroup/task/memory.current", "209715200\n");
    put("/sys/fs/cgroup/task/memory.stat", "anon 5\ninactive_file 52428800\n"
        "active_file 10485760\ninactive_file_not 9999999\n");
    is_room(512 - 200 + 60 - 64,
            "what a parent's limit leaves; pages of files can be given up");
    put("/sys/fs/cgroup/task/container/memory.max", "134217728\n");
    put("/sys/fs/cgroup/task/container/memory.current", "10485760\n");
    is_room(59, "the closest counts; of little, half is kept");
    put("/sys/fs/cgroup/task/memory.current", "536870912\n");
    put("/sys/fs/cgroup/task/memory.stat", "anon 5\n");
    is_room(0, "there may be none at all");

    begin();
    put("/proc/meminfo", "MemAvailable:    1048576 kB\n");
    put("/proc/self/cgroup", "4:memory:/\n");
    put("/proc/self/mountinfo",
        OTHERS MOUNT_1("memory", "/", "/sys/fs/cgroup/memory"));
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "209715200\n");
    put("/sys/fs/cgroup/memory/memory.stat", "inactive_file 1\n"
        "total_inactive_file 52428800\ntotal_active_file 10485760\n");
    is_room(512 - 200 + 60 - 64, "version 1 likewise");
}

static void cpus_in_words(void)
{
    static const char *const good[] = { "1", "0.25", "16", "0.01", "2.0" };
    static const char *const bad[] = {
        "", "0", "0.0", "-1", "+1", " 1", "1 ", "1.", ".5", "1e3", "0x1",
        "1,5", "two", "1.2.3", "1025", "nan", "inf", "0.001"
    };
    double cpus;
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        tap_ok(grant_parse_cpus(&cpus, good[i])
               && cpus > 0.99 * strtod(good[i], NULL)
               && cpus < 1.01 * strtod(good[i], NULL),
               "\"%s\" is a number of CPUs", good[i]);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tap_ok(!grant_parse_cpus(&cpus, bad[i]), "\"%s\" is none", bad[i]);
    }
}

int main(void)
{
    without();
    version_2();
    version_1();
    containers();
    oddities();
    nameless();
    mounts();
    told();
    room();
    cpus_in_words();
    begin();
    rmdir(root);
    return tap_done();
}
