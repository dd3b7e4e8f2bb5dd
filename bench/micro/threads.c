/* Threads, and the word that two of them take turns at. */
#include "micro.h"
#include <linux/futex.h>
#include <pthread.h>

static void *nothing(void *argument) { return argument; }

enum { TURNS = 10000, ALL = TURNS + TURNS / 10 + 1 };
static _Atomic int turn;

static void await_turn(int mine) {
    while (turn != mine) syscall(SYS_futex, &turn, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, !mine, NULL, NULL, 0);
}

static void give_turn(int other) {
    turn = other;
    DO(syscall(SYS_futex, &turn, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
}

static void *other_side(void *argument) {
    for (int at = 0; at < ALL; at++) {
        await_turn(1);
        give_turn(0);
    }
    return argument;
}

void threads(void) {
    pthread_t thread;
    int word = 0;
    MEASURE("futex-wake-nobody", 50000, DO(syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0)));
    if (wanted("futex-round-trip")) {
        HOLDS(pthread_create(&thread, NULL, other_side, NULL) == 0);
        MEASURE("futex-round-trip", TURNS, give_turn(1); await_turn(0));
        HOLDS(pthread_join(thread, NULL) == 0);
    }
    MEASURE("thread-create-join", 1000, ({
        HOLDS(pthread_create(&thread, NULL, nothing, NULL) == 0);
        HOLDS(pthread_join(thread, NULL) == 0);
    }));
}
