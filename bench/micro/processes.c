/* Processes that end at once. */
#include "micro.h"

void processes(const char *self) {
    MEASURE("fork-exit-wait", 500, ends(CHILD(_exit(0))));
    char *arguments[] = {"micro", "exit", NULL};
    char *nothing[] = {NULL};
    MEASURE("fork-exec-wait", 200, ends(CHILD(execve(self, arguments, nothing); _exit(1))));
    MEASURE("vfork-exec-wait", 200, ({
        pid_t child = vfork();
        if (child == 0) { execve(self, arguments, nothing); _exit(1); }
        ends(child);
    }));
}
