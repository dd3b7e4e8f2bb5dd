/* Two processes and two pipes; a context switch is half of a round trip, less what its calls cost without one. */
#include "micro.h"

void pipes(void) {
    int there[2], back[2];
    DO(pipe(there));
    uint64_t alone = MEASURE("pipe-alone", 20000, ping(there[1], there[0]));

    DO(pipe(back));
    pid_t child = CHILD(close(there[1]); echo(there[0], back[1]));
    uint64_t round = MEASURE("pipe-round-trip", 10000, ping(there[1], back[0]));
    uint64_t half = round / 2;
    if (wanted("context-switch")) tell("context-switch", half > alone ? half - alone : 0, 10);
    close(there[1]);
    ends(child);

    DO(pipe(there));
    child = CHILD(close(there[1]); sink(there[0]));
    close(there[0]);
    MEASURE("pipe-64k", 1000, send_block(there[1]));
    close(there[1]);
    ends(child);
}
