/*
 * program.h - runs a program as who types its name would, for the tests of
 * the command line tools.
 */
#ifndef T_UNIT_PROGRAM_H
#define T_UNIT_PROGRAM_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static const char *program;

typedef struct program_result_t {
    int status;                 /* exit status, or -signal */
    char out[8192];
    char err[8192];
} program_result_t;

/** Looks for the program: that which the environment names, or else the one
 * in the directory above this test's own. @return whether it is there */
__attribute__((unused))
static int program_find(const char *variable, const char *name,
                        const char *test)
{
    static char beside[4096];
    const char *slash = strrchr(test, '/');

    program = getenv(variable);
    if (program == NULL) {
        snprintf(beside, sizeof(beside), "%.*s/../%s",
                 slash ? (int)(slash - test) : 1, slash ? test : ".", name);
        program = beside;
    }
    return tap_ok(access(program, X_OK) == 0, "%s is there", program);
}

static void program_read_back(int file, char *text, size_t size)
{
    ssize_t len = pread(file, text, size - 1, 0);

    text[len > 0 ? len : 0] = '\0';
}

/** A file without a name, for what a program reads or writes. */
static int program_scratch(void)
{
    char path[] = "/tmp/program.XXXXXX";
    int file = mkstemp(path);

    unlink(path);
    return file;
}

/** Runs it; with a signal, sends that after a moment.
 * @param input what it reads on stdin; NULL: this test's own */
static program_result_t program_run_on(const char *input, int number,
                                       const char *const *arguments)
{
    static program_result_t result;
    const char *argv[16] = { program };
    int in = input ? program_scratch() : dup(STDIN_FILENO);
    int out = program_scratch();
    int err = program_scratch();
    int i, status;
    pid_t child;

    if (input != NULL && pwrite(in, input, strlen(input), 0) < 0) {
        perror("# scratch");
    }
    for (i = 0; i < 14 && arguments[i] != NULL; i++) {
        argv[i + 1] = arguments[i];
    }
    fflush(stdout);
    child = fork();
    if (child == 0) {
        alarm(60);              /* it may hang, this test may not */
        dup2(in, STDIN_FILENO);
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        execv(program, (char *const *)argv);
        _exit(127);
    }
    if (number != 0) {
        usleep(300000);
        kill(child, number);
    }
    waitpid(child, &status, 0);
    result.status = WIFSIGNALED(status) ? -WTERMSIG(status)
                                        : WEXITSTATUS(status);
    program_read_back(out, result.out, sizeof(result.out));
    program_read_back(err, result.err, sizeof(result.err));
    close(in);
    close(out);
    close(err);
    return result;
}

__attribute__((unused))
static program_result_t program_run(int number, const char *const *arguments)
{
    return program_run_on(NULL, number, arguments);
}

#define PROGRAM_RUN(...) \
    program_run(0, (const char *const[]){ __VA_ARGS__, NULL })
#define PROGRAM_RUN_ON(input, ...) \
    program_run_on(input, 0, (const char *const[]){ __VA_ARGS__, NULL })

#endif
