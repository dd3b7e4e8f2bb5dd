/* The same by a runtime, which reads the bundle's config.json. */
#include "floor.h"
#include <sys/prctl.h>

static const char ID[] = "bench";

/* Starts a program and waits until it ends well. */
static void command(char *const arguments[]) {
    int status;
    pid_t child = DO(fork());
    if (child == 0) {
        execvp(arguments[0], arguments);
        failed(arguments[0], __LINE__);
    }
    DO(waitpid(child, &status, 0));
    if (status != 0) failed(arguments[1], __LINE__);
}

uint64_t by_run(const char *runtime) {
    char *run[] = {(char *)runtime, "run", "--bundle", BUNDLE, (char *)ID, NULL};
    uint64_t begin = now();
    command(run);
    return now() - begin;
}

struct life by_steps(const char *runtime) {
    char *create[] = {(char *)runtime, "create", "--bundle", BUNDLE, (char *)ID, NULL};
    char *start[] = {(char *)runtime, "start", (char *)ID, NULL};
    char *delete[] = {(char *)runtime, "delete", (char *)ID, NULL};
    struct life life;
    int status;
    /* The container's process outlives `create`, which made it, and is this program's child then. */
    DO(prctl(PR_SET_CHILD_SUBREAPER, 1));
    uint64_t begin = now();
    command(create);
    uint64_t created = now();
    command(start);
    uint64_t started = now();
    DO(wait(&status));
    uint64_t ended = now();
    if (status != 0) failed("the container ends well", __LINE__);
    command(delete);
    life.create = created - begin;
    life.start = started - created;
    life.wait = ended - started;
    life.delete = now() - ended;
    return life;
}
