/* A signal that a process sends to itself, and its handler. */
#include "micro.h"

static volatile int seen;

static void handler(int signal) { seen += signal; }

void signals(void) {
    struct sigaction action = {.sa_handler = handler};
    DO(sigaction(SIGUSR1, &action, NULL));
    MEASURE("sigaction", 20000, DO(sigaction(SIGUSR1, &action, NULL)));
    pid_t self = getpid();
    MEASURE("signal-handled", 20000, DO(kill(self, SIGUSR1)));
    HOLDS(!wanted("signal-handled") || seen == (20000 + 20000 / 10 + 1) * SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
}
