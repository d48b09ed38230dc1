/*
 * doctor_cli.c - patient-doctor as who types it sees it: exit status, what is
 * on stdout and what on stderr.
 *
 * The program is $PATIENT_DOCTOR, or else that in the directory above this
 * test's own.
 */
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "program.h"
#include "tap.h"

#define LINE(time, type) \
    "{\"timestamp\":\"2024-12-10T" time "Z\",\"level\":\"error\"," \
    "\"type\":\"" type "\"}\n"

static const char healthy[] =
    "{\"timestamp\":\"2024-12-10T10:00:00Z\",\"level\":\"info\"}\n";

static const char ill[] = LINE("10:00:00", "DB CONNECTION ERROR")
                          LINE("10:20:00", "CPU ERROR");

static const char truth[] =
    "{\"id\":\"1\",\"label\":\"db-failure\",\"state\":\"recovered\","
    "\"start\":\"2024-12-10T09:59:58Z\",\"end\":\"2024-12-10T10:00:30Z\"}\n";

/* A file that holds the text; gone when the test is over. */
static const char *file_of(const char *text)
{
    static char paths[8][32];
    static int used;
    char *path = paths[used++ % 8];
    int file;

    snprintf(path, sizeof(paths[0]), "/tmp/doctor_cli.XXXXXX");
    file = mkstemp(path);
    if (file < 0 || write(file, text, strlen(text)) < 0) {
        perror("# scratch");
        exit(1);
    }
    close(file);
    return path;
}

static int is_one_line(const char *text)
{
    const char *newline = strchr(text, '\n');

    return newline != NULL && newline[1] == '\0';
}

static void text(void)
{
    program_result_t help = PROGRAM_RUN("--help");
    program_result_t grade = PROGRAM_RUN("grade", "--help");
    program_result_t list = PROGRAM_RUN("--list");
    program_result_t version = PROGRAM_RUN("--version");

    tap_ok(help.status == 0 && strstr(help.out, "Usage:") != NULL
           && strstr(help.out, "--window") != NULL, "--help says how to");
    tap_ok(grade.status == 0 && strstr(grade.out, "false alarm") != NULL
           && strstr(grade.out, "precision =") != NULL,
           "grade --help says what counts");
    tap_ok(list.status == 0 && strstr(list.out, "high-cpu") != NULL
           && strstr(list.out, "코드 최적화 필요") != NULL,
           "--list shows the rules");
    tap_ok(version.status == 0 && is_one_line(version.out)
           && strncmp(version.out, "patient-doctor ", 15) == 0,
           "--version says which it is");
}

static void diagnoses(void)
{
    program_result_t run = PROGRAM_RUN_ON(healthy, "-");
    const char *file;
    json_t *answer;

    tap_ok(run.status == 0 && strstr(run.out, "No illness") != NULL
           && run.err[0] == '\0', "healthy is 0");
    run = PROGRAM_RUN_ON(ill, "--until", "2024-12-10T10:20:00Z");
    tap_ok(run.status == 1 && strstr(run.out, "db-failure") != NULL
           && strstr(run.out, "high-cpu") != NULL, "ill is 1");
    file = file_of(ill);
    run = PROGRAM_RUN("--json", file, "--window=10");
    answer = json_loads(run.out, 0, NULL);
    tap_ok(run.status == 1 && json_array_size(
               json_object_get(answer, "detected_issues")) == 1,
           "a smaller window, and JSON");
    json_decref(answer);
    run = PROGRAM_RUN(file, "--limit", "1");
    tap_ok(run.status == 1 && strstr(run.out, "db-failure") != NULL
           && strstr(run.out, "high-cpu") == NULL
           && strstr(run.out, "not on it: 1") != NULL,
           "a smaller page has what came first");
    run = PROGRAM_RUN(file, "--filter", "CPU");
    tap_ok(run.status == 1 && strstr(run.out, "db-failure") == NULL,
           "other words");
    unlink(file);
    file = file_of(LINE("10:25:00", "JWT ERROR"));
    run = PROGRAM_RUN_ON(ill, file, "-");
    tap_ok(run.status == 1 && strstr(run.out, "3 illnesses") != NULL,
           "several files are one log, in any order");
    unlink(file);
}

static void grades(void)
{
    const char *ledger = file_of(truth);
    program_result_t run = PROGRAM_RUN_ON(
        "{\"detected_issues\":[\"DB connection failure\"]}", "grade", ledger,
        "-");

    tap_ok(run.status == 0 && strstr(run.out, "1 of 1 found") != NULL,
           "nothing missed, no false alarm: 0");
    run = PROGRAM_RUN_ON("{\"detected_issues\":[]}", "grade", ledger, "-");
    tap_ok(run.status == 1 && strstr(run.out, "missed") != NULL,
           "something missed: 1");
    run = PROGRAM_RUN_ON("{\"detected_issues\":[\"db-failure\",\"jwt\"]}",
                         "grade", "--json", ledger, "-");
    tap_ok(run.status == 1 && strstr(run.out, "\"precision\": 0.5") != NULL,
           "a false alarm: 1");
    unlink(ledger);
}

/* Wrong usage or input: 2, and one line that holds the words. */
static void is_wrong(program_result_t run, const char *words)
{
    if (!tap_ok(run.status == 2 && is_one_line(run.err)
                && strncmp(run.err, "patient-doctor: ", 16) == 0
                && strstr(run.err, words) != NULL && run.out[0] == '\0',
                "2 and one line: %s", words)) {
        printf("# %d %s%s\n", run.status, run.out, run.err);
    }
}

static void misuse(void)
{
    const char *ledger = file_of("{}\n");

    is_wrong(PROGRAM_RUN("--bogus"), "invalid option: --bogus (see --help)");
    is_wrong(PROGRAM_RUN("--window"), "missing argument: --window");
    is_wrong(PROGRAM_RUN("--window", "0"), "from 1 to 10080, not \"0\"");
    is_wrong(PROGRAM_RUN("--limit", "1x"), "from 1 to 10000, not \"1x\"");
    is_wrong(PROGRAM_RUN("--until", "now"), "must be a time");
    is_wrong(PROGRAM_RUN("--filter", ""), "must hold a word");
    is_wrong(PROGRAM_RUN("/nonexistent"), "/nonexistent cannot be opened");
    is_wrong(PROGRAM_RUN("/"), "cannot be read");
    is_wrong(PROGRAM_RUN_ON("hello\n", "-"), "no line that is a JSON object");
    is_wrong(PROGRAM_RUN_ON("{\n", "-"), "stdin is no JSON document");
    is_wrong(PROGRAM_RUN_ON("{\n\"a\":1}", "-"), "holds no \"events\"");
    is_wrong(PROGRAM_RUN("grade", ledger), "needs a ledger and a diagnosis");
    is_wrong(PROGRAM_RUN("grade", "--limit", "1"), "invalid option");
    is_wrong(PROGRAM_RUN_ON("", "grade", ledger, "-"),
             "line 1 has no \"label\"");
    is_wrong(PROGRAM_RUN_ON("{}", "grade", "/dev/null", "-"),
             "stdin holds no JSON object with \"detected_issues\"");
    unlink(ledger);
}

int main(int argc, const char *const *argv)
{
    (void)argc;
    if (!program_find("PATIENT_DOCTOR", "patient-doctor", argv[0])) {
        return tap_done();
    }
    text();
    diagnoses();
    grades();
    misuse();
    return tap_done();
}
