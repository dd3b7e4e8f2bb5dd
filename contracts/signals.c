/* Handlers, masks, queues: signal(7). */
#include "contract.h"
#include <setjmp.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/resource.h>
#include <ucontext.h>

static volatile sig_atomic_t calls, last, order[64];
static siginfo_t info;

static void note(int signal) {
    order[calls & 63] = signal;
    calls++;
    last = signal;
}

static void note_info(int signal, siginfo_t *cause, void *context) {
    (void)context;
    note(signal);
    info = *cause;
}

static void handle(int signal, int flags) {
    struct sigaction action = {.sa_flags = flags};
    if (flags & SA_SIGINFO) action.sa_sigaction = note_info;
    else action.sa_handler = note;
    DO(sigaction(signal, &action, NULL));
}

static sigset_t set_of(int signal) {
    sigset_t set;
    sigemptyset(&set);
    if (signal) sigaddset(&set, signal);
    return set;
}

CONTRACT(signal_handler_runs_before_kill_returns) {
    handle(SIGUSR1, 0);
    DO(kill(getpid(), SIGUSR1));
    HOLDS(calls == 1 && last == SIGUSR1);
}

CONTRACT(signal_info_tells_who_has_killed) {
    handle(SIGUSR1, SA_SIGINFO);
    DO(kill(getpid(), SIGUSR1));
    HOLDS(info.si_signo == SIGUSR1 && info.si_code == SI_USER && info.si_pid == getpid() && info.si_uid == getuid());
}

CONTRACT(signal_info_of_tgkill_is_si_tkill) {
    handle(SIGUSR1, SA_SIGINFO);
    DO(raise(SIGUSR1));
    HOLDS(info.si_code == SI_TKILL && info.si_pid == getpid());
}

CONTRACT(signal_is_blocked_while_its_handler_runs) {
    struct sigaction action = {.sa_handler = note};
    sigaddset(&action.sa_mask, SIGUSR2);
    DO(sigaction(SIGUSR1, &action, NULL));
    sigset_t before, after;
    DO(sigprocmask(SIG_BLOCK, NULL, &before));
    DO(raise(SIGUSR1));
    DO(sigprocmask(SIG_BLOCK, NULL, &after));
    HOLDS(memcmp(&before, &after, 8) == 0);
}

static void look_at_mask(int signal) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    last = sigismember(&now, signal) | sigismember(&now, SIGUSR2) << 1;
}

CONTRACT(signal_mask_in_a_handler_has_itself_and_sa_mask) {
    struct sigaction action = {.sa_handler = look_at_mask};
    sigaddset(&action.sa_mask, SIGUSR2);
    DO(sigaction(SIGUSR1, &action, NULL));
    DO(raise(SIGUSR1));
    HOLDS(last == 3);
    action.sa_flags = SA_NODEFER;
    sigemptyset(&action.sa_mask);
    DO(sigaction(SIGUSR1, &action, NULL));
    DO(raise(SIGUSR1));
    HOLDS(last == 0);
}

CONTRACT(signal_blocked_waits_and_is_delivered_at_unblock) {
    handle(SIGUSR1, 0);
    sigset_t one = set_of(SIGUSR1), pending;
    DO(sigprocmask(SIG_BLOCK, &one, NULL));
    DO(raise(SIGUSR1));
    DO(raise(SIGUSR1));
    HOLDS(calls == 0);
    DO(sigpending(&pending));
    HOLDS(sigismember(&pending, SIGUSR1));
    DO(sigprocmask(SIG_UNBLOCK, &one, NULL));
    HOLDS(calls == 1);
}

CONTRACT(signal_realtime_queue_in_order_with_values) {
    handle(SIGRTMIN + 1, SA_SIGINFO);
    handle(SIGRTMIN + 2, SA_SIGINFO);
    sigset_t set = set_of(SIGRTMIN + 1);
    sigaddset(&set, SIGRTMIN + 2);
    DO(sigprocmask(SIG_BLOCK, &set, NULL));
    for (int i = 0; i < 3; i++) {
        DO(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = i}));
        DO(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 + i}));
    }
    siginfo_t got;
    for (int i = 0; i < 3; i++) {
        HOLDS(sigwaitinfo(&set, &got) == SIGRTMIN + 1 && got.si_value.sival_int == 10 + i && got.si_code == SI_QUEUE);
    }
    DO(sigprocmask(SIG_UNBLOCK, &set, NULL));
    HOLDS(calls == 3 && info.si_value.sival_int == 2);
}

CONTRACT(signal_sigtimedwait_times_out_with_eagain) {
    sigset_t set = set_of(SIGUSR1);
    DO(sigprocmask(SIG_BLOCK, &set, NULL));
    struct timespec time = {0, 10000000};
    FAILS(EAGAIN, sigtimedwait(&set, NULL, &time));
}

CONTRACT(signal_resethand_calls_once) {
    handle(SIGUSR1, SA_RESETHAND);
    DO(raise(SIGUSR1));
    struct sigaction now;
    DO(sigaction(SIGUSR1, NULL, &now));
    HOLDS(now.sa_handler == SIG_DFL && calls == 1);
}

CONTRACT(signal_sigkill_and_sigstop_take_no_action) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    FAILS(EINVAL, sigaction(SIGKILL, &action, NULL));
    FAILS(EINVAL, sigaction(SIGSTOP, &action, NULL));
    FAILS(EINVAL, sigaction(65, &action, NULL));
}

CONTRACT(signal_interrupts_read_with_eintr) {
    int ends[2];
    DO(pipe(ends));
    handle(SIGUSR1, 0);
    pid_t parent = getpid();
    pid_t child = START({ awaits(parent, "status", "State:", "S ("); kill(parent, SIGUSR1); });
    char byte;
    FAILS(EINTR, read(ends[0], &byte, 1));
    finishes(child);
}

CONTRACT(signal_sa_restart_makes_read_go_on) {
    int ends[2];
    DO(pipe(ends));
    handle(SIGUSR1, SA_RESTART);
    pid_t parent = getpid();
    pid_t child = START({
        awaits(parent, "status", "State:", "S (");
        kill(parent, SIGUSR1);
        awaits(parent, "status", "State:", "S (");
        HOLDS(write(ends[1], "x", 1) == 1);
    });
    char byte;
    HOLDS(read(ends[0], &byte, 1) == 1 && calls == 1);
    finishes(child);
}

CONTRACT(signal_interrupts_nanosleep_and_tells_what_is_left) {
    handle(SIGUSR1, SA_RESTART);
    pid_t parent = getpid();
    pid_t child = START({ awaits(parent, "status", "State:", "S ("); kill(parent, SIGUSR1); });
    struct timespec time = {100, 0}, left = {0, 0};
    FAILS(EINTR, nanosleep(&time, &left));
    HOLDS(left.tv_sec > 50 && left.tv_sec < 100);
    finishes(child);
}

CONTRACT(signal_interrupts_poll_in_spite_of_sa_restart) {
    handle(SIGUSR1, SA_RESTART);
    pid_t parent = getpid();
    pid_t child = START({ awaits(parent, "status", "State:", "S ("); kill(parent, SIGUSR1); });
    FAILS(EINTR, poll(NULL, 0, 100000));
    finishes(child);
}

CONTRACT(signal_sigsuspend_waits_under_its_mask_and_restores) {
    handle(SIGUSR1, 0);
    sigset_t one = set_of(SIGUSR1), none = set_of(0), now;
    DO(sigprocmask(SIG_BLOCK, &one, NULL));
    DO(raise(SIGUSR1));
    FAILS(EINTR, sigsuspend(&none));
    HOLDS(calls == 1);
    DO(sigprocmask(SIG_BLOCK, NULL, &now));
    HOLDS(sigismember(&now, SIGUSR1));
}

CONTRACT(signal_ppoll_swaps_the_mask) {
    handle(SIGUSR1, 0);
    sigset_t one = set_of(SIGUSR1), none = set_of(0), now;
    DO(sigprocmask(SIG_BLOCK, &one, NULL));
    DO(raise(SIGUSR1));
    FAILS(EINTR, ppoll(NULL, 0, NULL, &none));
    HOLDS(calls == 1);
    DO(sigprocmask(SIG_BLOCK, NULL, &now));
    HOLDS(sigismember(&now, SIGUSR1));
}

CONTRACT(signal_altstack_carries_the_handler) {
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack}, before;
    DO(sigaltstack(&alternate, &before));
    HOLDS(before.ss_flags == SS_DISABLE);
    handle(SIGUSR1, SA_ONSTACK | SA_SIGINFO);
    DO(raise(SIGUSR1));
    DO(sigaltstack(NULL, &before));
    HOLDS(calls == 1 && before.ss_flags == 0 && before.ss_sp == stack);
    alternate.ss_size = 100;
    FAILS(ENOMEM, sigaltstack(&alternate, NULL));
}

static sigjmp_buf back;
static void jump(int signal, siginfo_t *cause, void *context) {
    (void)context;
    last = signal;
    info = *cause;
    siglongjmp(back, 1);
}

CONTRACT(signal_segv_tells_the_address_and_the_reason) {
    struct sigaction action = {.sa_sigaction = jump, .sa_flags = SA_SIGINFO};
    DO(sigaction(SIGSEGV, &action, NULL));
    if (sigsetjmp(back, 1) == 0) *(volatile int *)16 = 1;
    HOLDS(last == SIGSEGV && info.si_addr == (void *)16 && info.si_code == SEGV_MAPERR);
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sigsetjmp(back, 1) == 0) *(volatile char *)page = 1;
    HOLDS(info.si_addr == page && info.si_code == SEGV_ACCERR);
}

static char deep_stack[65536];
static int recurse(int depth) {
    volatile char room[1024];
    room[0] = (char)depth;
    return recurse(depth + 1) + room[0];
}

CONTRACT(signal_stack_overflow_is_handled_on_the_alternate_stack) {
    stack_t alternate = {.ss_sp = deep_stack, .ss_size = sizeof deep_stack};
    DO(sigaltstack(&alternate, NULL));
    struct sigaction action = {.sa_sigaction = jump, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    DO(sigaction(SIGSEGV, &action, NULL));
    if (sigsetjmp(back, 1) == 0) recurse(0);
    HOLDS(last == SIGSEGV);
}

CONTRACT(signal_floating_point_state_survives_a_handler) {
    handle(SIGUSR1, 0);
    volatile double values[8];
    for (int i = 0; i < 8; i++) values[i] = i * 1.25 + 0.5;
    double a = values[1], b = values[2], c = values[3], d = values[4];
    DO(raise(SIGUSR1));
    HOLDS(a == 1.75 && b == 3.0 && c == 4.25 && d == 5.5);
}

static void change_context(int signal, siginfo_t *cause, void *context) {
    (void)signal;
    (void)cause;
    ucontext_t *frame = context;
    sigaddset(&frame->uc_sigmask, SIGUSR2);
}

CONTRACT(signal_frame_decides_the_mask_after_the_handler) {
    struct sigaction action = {.sa_sigaction = change_context, .sa_flags = SA_SIGINFO};
    DO(sigaction(SIGUSR1, &action, NULL));
    DO(raise(SIGUSR1));
    sigset_t now;
    DO(sigprocmask(SIG_BLOCK, NULL, &now));
    HOLDS(sigismember(&now, SIGUSR2));
}

CONTRACT(signal_sigchld_tells_how_the_child_ended) {
    handle(SIGCHLD, SA_SIGINFO);
    pid_t child = START(_exit(7));
    while (waitpid(child, NULL, 0) < 0) continue;
    HOLDS(calls == 1 && info.si_code == CLD_EXITED && info.si_pid == child && info.si_status == 7);
}

CONTRACT(signal_ignored_sigchld_leaves_no_zombie) {
    signal(SIGCHLD, SIG_IGN);
    for (int round = 0; round < 200; round++) {
        pid_t child = START(_exit(7));
        FAILS(ECHILD, waitpid(child, NULL, 0));
    }
}

CONTRACT(signal_sigchld_and_the_child_s_end_are_seen_together) {
    sigset_t set = set_of(SIGCHLD), pending;
    DO(sigprocmask(SIG_BLOCK, &set, NULL));
    for (int round = 0; round < 200; round++) {
        pid_t child = START(_exit(7));
        HOLDS(sigwaitinfo(&set, NULL) == SIGCHLD && waitpid(child, NULL, WNOHANG) == child);
        child = START(_exit(7));
        while (waitpid(child, NULL, WNOHANG) != child) sched_yield();
        DO(sigpending(&pending));
        HOLDS(sigismember(&pending, SIGCHLD) && sigwaitinfo(&set, NULL) == SIGCHLD);
    }
}

CONTRACT(signal_nocldwait_leaves_no_zombie) {
    handle(SIGCHLD, SA_NOCLDWAIT);
    pid_t child = START(_exit(7));
    pid_t got;
    while ((got = waitpid(child, NULL, 0)) < 0 && errno == EINTR) continue;
    HOLDS(got == -1 && errno == ECHILD);
}

CONTRACT(signal_handlers_are_gone_after_exec_and_ignored_stay) {
    signal(SIGUSR2, SIG_IGN);
    handle(SIGUSR1, 0);
    int status = IN_CHILD({ raise(SIGUSR2); _exit(calls); });
    HOLDS(status == 0);
    struct sigaction now;
    DO(sigaction(SIGUSR2, NULL, &now));
    HOLDS(now.sa_handler == SIG_IGN);
}

CONTRACT(signal_child_inherits_handlers_and_not_what_is_pending) {
    handle(SIGUSR1, 0);
    sigset_t one = set_of(SIGUSR1), pending;
    DO(sigprocmask(SIG_BLOCK, &one, NULL));
    DO(raise(SIGUSR1));
    int status = IN_CHILD({
        DO(sigpending(&pending));
        HOLDS(!sigismember(&pending, SIGUSR1));
        DO(sigprocmask(SIG_UNBLOCK, &one, NULL));
        raise(SIGUSR1);
        HOLDS(calls == 1);
    });
    HOLDS(status == 0);
}

CONTRACT(signal_stop_and_continue_are_seen_by_the_parent) {
    pid_t child = START(for (;;) pause());
    int status;
    DO(kill(child, SIGSTOP));
    HOLDS(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    DO(kill(child, SIGCONT));
    HOLDS(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
    DO(kill(child, SIGKILL));
    HOLDS(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

CONTRACT(signal_itimer_real_sends_sigalrm) {
    handle(SIGALRM, 0);
    struct itimerval time = {.it_value = {0, 20000}, .it_interval = {0, 20000}}, left;
    DO(setitimer(ITIMER_REAL, &time, NULL));
    while (calls < 3) pause();
    DO(getitimer(ITIMER_REAL, &left));
    HOLDS(left.it_interval.tv_usec == 20000);
    struct itimerval none = {0};
    DO(setitimer(ITIMER_REAL, &none, NULL));
}

CONTRACT(signal_alarm_counts_seconds_and_tells_what_was_left) {
    handle(SIGALRM, 0);
    HOLDS(alarm(100) == 0);
    unsigned left = alarm(0);
    HOLDS(left == 100 || left == 99);
}

CONTRACT(signal_timer_create_queues_a_signal_with_its_value) {
    handle(SIGRTMIN, SA_SIGINFO);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value = {.sival_int = 42}};
    timer_t timer;
    DO(timer_create(CLOCK_MONOTONIC, &event, &timer));
    struct itimerspec time = {.it_value = {0, 10000000}};
    DO(timer_settime(timer, 0, &time, NULL));
    while (calls < 1) usleep(1000);
    HOLDS(info.si_code == SI_TIMER && info.si_value.sival_int == 42);
    DO(timer_delete(timer));
}

CONTRACT(signal_queue_has_the_room_of_its_limit) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGTERM);
    DO(sigprocmask(SIG_BLOCK, &set, NULL));
    DO(setuid(54321));
    struct rlimit limit = {300, 300};
    DO(setrlimit(RLIMIT_SIGPENDING, &limit));
    for (int i = 0; i < 300; i++) DO(sigqueue(getpid(), SIGRTMIN, (union sigval){i}));
    FAILS(EAGAIN, sigqueue(getpid(), SIGRTMIN, (union sigval){300}));
    DO(kill(getpid(), SIGTERM));
    siginfo_t info;
    HOLDS(sigwaitinfo(&set, &info) == SIGTERM);
    for (int i = 0; i < 300; i++) HOLDS(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_value.sival_int == i);
    DO(sigqueue(getpid(), SIGRTMIN, (union sigval){7}));
}
