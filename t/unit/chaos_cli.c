/*
 * chaos_cli.c - patient-chaos as who types it sees it: exit status, what is
 * on stdout and what on stderr.
 *
 * The program is $PATIENT_CHAOS, or else that in the directory above this
 * test's own.
 */
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "program.h"
#include "tap.h"

#define RUN(...) PROGRAM_RUN(__VA_ARGS__)

static int lines_in(const char *text)
{
    int n = 0;

    for (; *text != '\0'; text++) {
        n += *text == '\n';
    }
    return n;
}

static void text(void)
{
    static const char *const names[] = {
        "db-fail ", "\npool-exhaustion ", "\nmemory-leak ", "\nslow-query ",
        "\napi-timeout ", "\njwt-expiry ", "\nhigh-cpu "
    };
    program_result_t list = RUN("--list");
    program_result_t help = RUN("--help");
    program_result_t own = RUN("db-fail", "--help");
    program_result_t version = RUN("--version");
    size_t i;

    tap_ok(list.status == 0 && list.err[0] == '\0' && lines_in(list.out) == 7,
           "--list names the scenarios");
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        tap_ok(strstr(list.out, names[i]) != NULL
               && strstr(help.out, names[i]) != NULL,
               "... and so does --help:%s", names[i] + (i > 0));
    }
    tap_ok(help.status == 0 && strstr(help.out, "Usage:") != NULL,
           "--help says how to");
    tap_ok(own.status == 0 && strstr(own.out, "--timeout-ms") != NULL
           && strstr(own.out, "100 to 10000 (default: 2000)") != NULL
           && strstr(own.out, "timeout, refused or dns (default: timeout)")
              != NULL,
           "a scenario's --help shows its options, ranges and defaults");
    tap_ok(version.status == 0
           && strncmp(version.out, "patient-chaos ", 14) == 0
           && lines_in(version.out) == 1, "--version says which it is");
}

/* Options of the tool's own belong to those scenarios that they mean
 * something to. */
static void own_options(void)
{
    static const struct {
        const char *scenario, *has;
    } rows[] = {
        { "db-fail", "--endpoint HOST:PORT" }, { "pool-exhaustion", NULL },
        { "memory-leak", "--duration-s SECONDS" }, { "slow-query", NULL },
        { "api-timeout", "--upstream URL" }, { "jwt-expiry", NULL },
        { "high-cpu", "--duration-s SECONDS" }
    };
    static const char *const all[] = {
        "--endpoint", "--upstream", "--duration-s"
    };
    size_t i, j;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        program_result_t help = RUN(rows[i].scenario, "--help");
        int others = 0;

        for (j = 0; j < 3; j++) {
            others += strstr(help.out, all[j]) != NULL;
        }
        tap_ok(help.status == 0 && others == (rows[i].has != NULL)
               && (rows[i].has == NULL
                   || strstr(help.out, rows[i].has) != NULL),
               "%s has %s", rows[i].scenario,
               rows[i].has != NULL ? rows[i].has : "only options of its own");
    }
}

/* Wrong usage: status 2, nothing on stdout, one line that holds the hint. */
static void wrong(const char *name, program_result_t result, const char *hint)
{
    if (!tap_ok(result.status == 2 && result.out[0] == '\0'
                && lines_in(result.err) == 1
                && strstr(result.err, hint) != NULL, "%s", name)) {
        printf("# status %d: %s\n", result.status, result.err);
    }
}

static void misuse(void)
{
    program_result_t bare = program_run(0, (const char *const[]){ NULL });

    wrong("nothing at all is answered with the scenarios", bare, "db-fail");
    wrong("an unknown scenario likewise", RUN("nonsense"), "db-fail");
    wrong("an unknown option is answered with the options",
          RUN("db-fail", "--speed", "1"), "--mode, --timeout-ms");
    wrong("a wrong word is answered with the right ones",
          RUN("db-fail", "--mode", "quick"), "timeout, refused or dns");
    wrong("a number out of range is answered with the range",
          RUN("db-fail", "--timeout-ms=99"), "100 to 10000");
    wrong("text for a number likewise", RUN("db-fail", "--timeout-ms=2s"),
          "100 to 10000");
    wrong("an option without its value is noticed",
          RUN("db-fail", "--timeout-ms"), "needs a value");
    wrong("a stray word is noticed", RUN("db-fail", "now"), "now");
    wrong("an endpoint without a port is refused",
          RUN("db-fail", "--endpoint", "127.0.0.1"), "HOST:PORT");
    wrong("an endpoint without a host is refused",
          RUN("db-fail", "--endpoint", "3306"), "HOST:PORT");
    wrong("a port of no such number is refused",
          RUN("db-fail", "--endpoint", "127.0.0.1:65536"), "HOST:PORT");
    wrong("a host of no such letters is refused",
          RUN("db-fail", "--endpoint", "a b:3306"), "HOST:PORT");
    wrong("a service without a URL is refused",
          RUN("api-timeout", "--upstream", "127.0.0.1:80"), "a URL");
    wrong("a duration of nothing is refused",
          RUN("high-cpu", "--duration-s", "0"), "1 to 3600");
    wrong("and one of words", RUN("memory-leak", "--duration-s=long"),
          "1 to 3600");
    wrong("what a scenario has no use for is unknown to it",
          RUN("slow-query", "--duration-s", "3"), "--posts, --rows, --help");
    wrong("a flag is true or false",
          RUN("memory-leak", "--crash=maybe"), "true or false");
}

#define BEGINNING "{\"scenario\":\"DB Connection Failure\",\"error\":\""

static void happened(const char *how, program_result_t result)
{
    json_t *report = json_loads(result.out, 0, NULL);
    json_t *line = json_loads(result.err, 0, NULL);

    tap_is(result.status, 0, how);
    tap_ok(report != NULL && lines_in(result.out) == 1
           && strncmp(result.out, BEGINNING, strlen(BEGINNING)) == 0
           && strstr(result.out, "\",\"code\":\"") != NULL,
           "... stdout is the report, one object, its keys in order");
    tap_ok(line != NULL && lines_in(result.err) == 1,
           "... stderr is the log line and nothing else");
    tap_is_str(json_string_value(json_object_get(line, "error")),
               json_string_value(json_object_get(report, "error")),
               "... both say the same");
    json_decref(report);
    json_decref(line);
}

static void runs(void)
{
    happened("a run that failed as asked is a success",
             RUN("db-fail", "--mode", "refused"));
    happened("an option's value may follow an equals sign, and its name have "
             "underscores",
             RUN("db-fail", "--mode=refused", "--timeout_ms=1000"));
    happened("the last of two wins",
             RUN("db-fail", "--mode=dns", "--mode=refused"));
    happened("an endpoint of one's own is missed as well",
             RUN("db-fail", "--endpoint", "127.0.0.1:1"));
}

/* One client is welcomed as by a database that lets everybody in. */
static void serve(int listener)
{
    static const unsigned char greeting[] =
        "\x49\0\0\0" "\x0a" "8.0.0\0" "\1\0\0\0" "12345678\0"
        "\xff\xf7" "\x2d" "\2\0" "\x08\0" "\x15" "\0\0\0\0\0\0\0\0\0\0"
        "123456789012\0" "mysql_native_password";
    static const unsigned char welcome[] =
        { 7, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0 };
    unsigned char answer[1024];
    int client = accept(listener, NULL, NULL);

    if (write(client, greeting, sizeof(greeting)) > 0
        && read(client, answer, sizeof(answer)) > 0
        && write(client, welcome, sizeof(welcome)) > 0
        && read(client, answer, sizeof(answer)) >= 0) {
        _exit(0);
    }
    _exit(1);
}

static void nothing_happens(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char endpoint[32];
    program_result_t result;
    pid_t server;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) != 0
        || listen(listener, 1) != 0
        || getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        tap_ok(0, "there is a loopback port to listen on");
        close(listener);
        return;
    }
    server = fork();
    if (server == 0) {
        alarm(20);
        serve(listener);
    }
    close(listener);
    snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%d",
             ntohs(address.sin_port));
    result = RUN("db-fail", "--endpoint", endpoint);
    waitpid(server, NULL, 0);
    tap_is(result.status, 1,
           "a database that answers means that nothing failed: status 1");
    if (!tap_ok(strstr(result.out, "answered") != NULL
                && strstr(result.out, "code") == NULL
                && result.err[0] == '\0',
                "... the report says so, and no line is logged")) {
        printf("# %s# %s\n", result.out, result.err);
    }
}

/* ---- the others ---- */

static const char *line_with(const char *text, const char *type)
{
    char wanted[64];

    snprintf(wanted, sizeof(wanted), "\"type\":\"%s\"", type);
    return strstr(text, wanted);
}

/* All lines are JSON, and none says why. */
static int is_log(const char *text)
{
    static const char *const telling[] = {
        "chaos", "scenario", "incident", "db-fail", "exhaust", "leak",
        "slow-query", "api-timeout", "expiry", "high-cpu"
    };
    char line[4096];
    size_t i;

    for (i = 0; i < sizeof(telling) / sizeof(telling[0]); i++) {
        if (strcasestr(text, telling[i]) != NULL) {
            return 0;
        }
    }
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        json_t *object;

        snprintf(line, sizeof(line), "%.*s", (int)len, text);
        object = json_loads(line, 0, NULL);
        if (object == NULL || text[len] != '\n') {
            json_decref(object);
            return 0;
        }
        json_decref(object);
        text += len + 1;
    }
    return 1;
}

static void showed(program_result_t result, int status, const char *beginning,
                   const char *type, const char *pattern)
{
    if (!tap_ok(result.status == status
                && strncmp(result.out, beginning, strlen(beginning)) == 0
                && lines_in(result.out) == 1 && is_log(result.err)
                && line_with(result.err, type) != NULL
                && strstr(result.err, pattern) != NULL,
                "%s: status %d, the report, and %s in the log",
                beginning + strlen("{\"scenario\":"), status, type)) {
        printf("# status %d\n# %s# %s\n", result.status, result.out,
               result.err);
    }
}

static void others(void)
{
    program_result_t result = RUN("api-timeout", "--timeout-ms", "200");
    const char *text;
    int elapsed;

    showed(result, 0, "{\"scenario\":\"API Timeout\","
           "\"timeout\":\"200ms\",\"elapsed\":\"", "API TIMEOUT ERROR",
           "ETIMEDOUT");
    text = strstr(result.out, "elapsed\":\"");
    elapsed = text ? atoi(text + strlen("elapsed\":\"")) : 0;
    tap_ok(elapsed >= 200 && elapsed < 3000, "... after that time: %d ms",
           elapsed);
    result = RUN("api-timeout", "--upstream", "http://127.0.0.1:1/");
    showed(result, 1, "{\"scenario\":\"API Timeout\"", "API TIMEOUT ERROR",
           "ECONNREFUSED");
    result = RUN("jwt-expiry");
    showed(result, 0, "{\"scenario\":\"JWT Expiry\","
           "\"error\":\"TokenExpiredError: jwt expired\"", "JWT ERROR",
           "TokenExpiredError: jwt expired");
    result = RUN("memory-leak", "--limit-mb", "32", "--duration-s", "8");
    showed(result, 0, "{\"scenario\":\"Memory Leak\",\"limitMB\":32,"
           "\"peakMB\":32,", "MEMORY ERROR",
           "JavaScript heap out of memory");
    tap_ok(line_with(result.err, "MEMORY WARNING") != NULL
           && line_with(result.err, "MEMORY CRITICAL")
              > line_with(result.err, "MEMORY WARNING")
           && line_with(result.err, "MEMORY ERROR")
              > line_with(result.err, "MEMORY CRITICAL"),
           "... after a warning, and then another");
    result = RUN("high-cpu", "--percent", "10", "--duration-s", "5");
    showed(result, 0, "{\"scenario\":\"High CPU\",\"cpuUsage\":\"",
           "CPU ERROR", "CPU usage: ");
}

/* Where nobody listens, in the option file that comes first. */
static void without_database(void)
{
    char home[] = "/tmp/chaos_cli.XXXXXX";
    char path[64];
    FILE *file;

    if (mkdtemp(home) == NULL) {
        tap_ok(0, "there is a scratch directory");
        return;
    }
    snprintf(path, sizeof(path), "%s/my.cnf", home);
    file = fopen(path, "w");
    if (file != NULL) {
        fputs("[patient]\nhost=127.0.0.1\nport=1\nprotocol=tcp\n", file);
        fclose(file);
    }
    setenv("MARIADB_HOME", home, 1);
    showed(RUN("slow-query"), 1, "{\"scenario\":\"Slow Query (N+1)\","
           "\"error\":\"Sequelize", "DB CONNECTION ERROR", "ECONNREFUSED");
    showed(RUN("pool-exhaustion", "--attempts", "3"), 1,
           "{\"scenario\":\"Pool Exhaustion\",\"error\":\"Sequelize",
           "DB CONNECTION ERROR", "ECONNREFUSED");
    unsetenv("MARIADB_HOME");
    unlink(path);
    rmdir(home);
}

static void signals(void)
{
    const char *const burning[] = { "high-cpu", NULL };

    const char *const slow[] = { "db-fail", "--timeout-ms=10000", NULL };

    tap_is(program_run(SIGINT, slow).status, -SIGINT,
           "after SIGINT it ends as interrupted");
    tap_is(program_run(SIGTERM, slow).status, -SIGTERM,
           "after SIGTERM it ends as terminated");
    tap_is(program_run(SIGINT, burning).status, -SIGINT,
           "however busy it is");
}

int main(int argc, const char *const *argv)
{
    (void)argc;
    if (!program_find("PATIENT_CHAOS", "patient-chaos", argv[0])) {
        return tap_done();
    }
    text();
    own_options();
    misuse();
    runs();
    nothing_happens();
    others();
    without_database();
    signals();
    return tap_done();
}
