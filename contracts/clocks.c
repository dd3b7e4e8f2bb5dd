/* Clocks, sleep and timers: clock_gettime(2), nanosleep(2), setitimer(2), timer_create(2), timerfd_create(2). */
#include "contract.h"
#include <sys/auxv.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>

enum { MS = 1000000, SECOND = 1000000000 };

static volatile sig_atomic_t calls;
static siginfo_t info;

static void note(int signal, siginfo_t *cause, void *context) {
    (void)signal, (void)context;
    info = *cause;
    calls++;
}

static void handle(int signal) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    DO(sigaction(signal, &action, NULL));
}

static int64_t nanoseconds(struct timespec time) { return time.tv_sec * (int64_t)SECOND + time.tv_nsec; }

static struct timespec timespec_of(int64_t ns) { return (struct timespec){ns / SECOND, ns % SECOND}; }

static int64_t now(clockid_t clock) {
    struct timespec time;
    DO(syscall(SYS_clock_gettime, clock, &time));
    return nanoseconds(time);
}

static struct itimerspec setting(int64_t value, int64_t interval) {
    return (struct itimerspec){.it_value = timespec_of(value), .it_interval = timespec_of(interval)};
}

static void spend(int64_t ns) {
    for (int64_t end = now(CLOCK_PROCESS_CPUTIME_ID) + ns; now(CLOCK_PROCESS_CPUTIME_ID) < end;) {}
}

CONTRACT(clock_monotonic_never_goes_back) {
    for (int64_t last = 0, next, i = 0; i < 2000; i++, last = next) HOLDS((next = now(CLOCK_MONOTONIC)) >= last);
}

CONTRACT(clock_of_each_number_is_there_or_einval) {
    struct timespec time;
    const int clocks[] = {0, 1, 2, 3, 4, 5, 6, 7, 11};
    for (int i = 0; i < 9; i++) DO(syscall(SYS_clock_gettime, clocks[i], &time));
    FAILS(EINVAL, syscall(SYS_clock_gettime, 10, &time));
    FAILS(EINVAL, syscall(SYS_clock_gettime, 12, &time));
    FAILS(EINVAL, syscall(SYS_clock_gettime, 1 << 20, &time));
    FAILS(EFAULT, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8));
}

CONTRACT(clock_coarse_lags_by_little) {
    int64_t fine = now(CLOCK_MONOTONIC), coarse = now(CLOCK_MONOTONIC_COARSE);
    HOLDS(coarse > fine - 200 * MS && coarse <= now(CLOCK_MONOTONIC));
}

/* Without the kernel, where that can be. */
static int64_t vdso_now(clockid_t clock) {
    struct timespec time;
    HOLDS(vdso_clock_gettime(clock, &time) == 0);
    return nanoseconds(time);
}

CONTRACT(clock_of_the_vdso_is_that_of_the_kernel) {
    const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME, CLOCK_TAI};
    for (int i = 0; i < 5; i++) {
        for (int round = 0; round < 500; round++) {
            int64_t before = now(clocks[i]), between = vdso_now(clocks[i]), after = now(clocks[i]);
            HOLDS(before <= between && between <= after);
        }
    }
    struct timeval time;
    int64_t before = now(CLOCK_REALTIME) / 1000;
    DO(gettimeofday(&time, NULL));
    int64_t between = time.tv_sec * 1000000LL + time.tv_usec;
    HOLDS(before <= between && between <= now(CLOCK_REALTIME) / 1000);
    HOLDS(vdso_now(CLOCK_PROCESS_CPUTIME_ID) <= now(CLOCK_PROCESS_CPUTIME_ID));
    const int none[] = {10, 12, 1 << 20};
    for (int i = 0; i < 3; i++) HOLDS(vdso_clock_gettime(none[i], &(struct timespec){0}) == -EINVAL);
}

CONTRACT(clock_realtime_keeps_its_distance_from_monotonic) {
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (int64_t end = now(CLOCK_MONOTONIC) + 1200 * MS, after = 0; after < end;) {
        int64_t before = now(CLOCK_MONOTONIC), real = now(CLOCK_REALTIME);
        after = now(CLOCK_MONOTONIC);
        if (real - before < least) least = real - before;
        if (real - after > most) most = real - after;
        HOLDS(most <= least);
        usleep(1000);
    }
}

CONTRACT(vdso_is_a_library_that_maps_tells) {
    unsigned long at = getauxval(AT_SYSINFO_EHDR), from, to;
    HOLDS(at != 0 && memcmp((void *)at, "\177ELF\2\1\1", 7) == 0);
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512], rights[8];
    int found = 0;
    while (fgets(line, sizeof line, maps)) {
        if (strstr(line, "[vdso]") == NULL) continue;
        HOLDS(sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3);
        HOLDS(from == at && strcmp(rights, "r-xp") == 0);
        found++;
    }
    HOLDS(found == 1);
}

CONTRACT(clock_of_the_vdso_is_shifted_by_time_namespaces) {
    int64_t start = now(CLOCK_MONOTONIC);
    HOLDS(vdso_now(CLOCK_MONOTONIC) >= start);
    DO(unshare(CLONE_NEWTIME));
    int offsets = DO(open("/proc/self/timens_offsets", O_WRONLY));
    const char *text = "monotonic 100000 0\nboottime 200000 0\n";
    HOLDS(write(offsets, text, strlen(text)) == (ssize_t)strlen(text));
    HOLDS(IN_CHILD({
              int64_t before = now(CLOCK_MONOTONIC), between = vdso_now(CLOCK_MONOTONIC);
              HOLDS(before <= between && between <= now(CLOCK_MONOTONIC));
              HOLDS(between >= start + 100000LL * SECOND);
              HOLDS(vdso_now(CLOCK_BOOTTIME) >= start + 200000LL * SECOND);
              HOLDS(IN_CHILD(HOLDS(vdso_now(CLOCK_MONOTONIC) >= between)) == 0);
              HOLDS(executed("--after", "100000", NULL) == 0);
          }) == 0);
    HOLDS(vdso_now(CLOCK_MONOTONIC) < start + 10000LL * SECOND);
}

CONTRACT(clock_boottime_is_not_behind_monotonic) { HOLDS(now(CLOCK_MONOTONIC) <= now(CLOCK_BOOTTIME)); }

CONTRACT(clock_realtime_time_and_gettimeofday_agree) {
    struct timeval day;
    DO(gettimeofday(&day, NULL));
    int64_t real = now(CLOCK_REALTIME);
    HOLDS(real - (day.tv_sec * (int64_t)SECOND + day.tv_usec * 1000) < 2LL * SECOND);
    HOLDS(real / SECOND - time(NULL) <= 0 && real / SECOND - time(NULL) >= -2);
    HOLDS(real / SECOND > 1600000000);
}

CONTRACT(clock_getres_tells_a_nanosecond_or_a_tick) {
    struct timespec fine, coarse;
    DO(clock_getres(CLOCK_MONOTONIC, &fine));
    HOLDS(fine.tv_sec == 0 && fine.tv_nsec == 1);
    DO(clock_getres(CLOCK_REALTIME_COARSE, &coarse));
    HOLDS(coarse.tv_sec == 0 && coarse.tv_nsec >= MS && coarse.tv_nsec <= 10 * MS);
    DO(clock_getres(CLOCK_PROCESS_CPUTIME_ID, &fine));
    HOLDS(fine.tv_sec == 0 && fine.tv_nsec == 1);
    DO(clock_getres(CLOCK_BOOTTIME, NULL));
    FAILS(EINVAL, clock_getres(10, NULL));
}

static void *spend_some(void *unused) {
    spend(120 * MS);
    return unused;
}

static void *spend_much(void *unused) {
    spend(200 * MS);
    return unused;
}

CONTRACT(clock_of_a_process_counts_all_its_threads) {
    pthread_t thread;
    int64_t process = now(CLOCK_PROCESS_CPUTIME_ID), own = now(CLOCK_THREAD_CPUTIME_ID);
    pthread_create(&thread, NULL, spend_much, NULL);
    pthread_join(thread, NULL);
    HOLDS(now(CLOCK_PROCESS_CPUTIME_ID) - process >= 200 * MS);
    HOLDS(now(CLOCK_THREAD_CPUTIME_ID) - own < 100 * MS);
}

CONTRACT(clock_of_cpu_time_stands_still_in_sleep) {
    int64_t before, spent = SECOND;
    /* On a machine that is virtual some time that it did not have may be counted too. */
    for (int round = 0; round < 5 && spent >= 50 * MS; round++) {
        before = now(CLOCK_PROCESS_CPUTIME_ID);
        usleep(100000);
        spent = now(CLOCK_PROCESS_CPUTIME_ID) - before;
    }
    HOLDS(spent < 50 * MS);
}

CONTRACT(clock_of_another_process_is_read_by_its_number) {
    clockid_t clock;
    pid_t child = START({ spend(20 * MS); for (;;) pause(); });
    HOLDS(clock_getcpuclockid(child, &clock) == 0);
    while (now(clock) < 20 * MS) usleep(1000);
    DO(kill(child, SIGKILL));
    DO(waitpid(child, NULL, 0));
    FAILS(EINVAL, syscall(SYS_clock_gettime, clock, &(struct timespec){0}));
}

CONTRACT(clock_is_not_set_by_who_may_not) {
    struct timespec time = timespec_of(now(CLOCK_REALTIME));
    FAILS(EINVAL, clock_settime(CLOCK_MONOTONIC, &time));
    without_rights();
    FAILS(EPERM, clock_settime(CLOCK_REALTIME, &time));
}

CONTRACT(sleep_lasts_at_least_as_long_as_asked) {
    int64_t before = now(CLOCK_MONOTONIC);
    DO(nanosleep(&(struct timespec){0, 20 * MS}, NULL));
    HOLDS(now(CLOCK_MONOTONIC) - before >= 20 * MS);
}

CONTRACT(sleep_refuses_what_is_no_time) {
    FAILS(EINVAL, nanosleep(&(struct timespec){0, SECOND}, NULL));
    FAILS(EINVAL, nanosleep(&(struct timespec){0, -1}, NULL));
    FAILS(EINVAL, nanosleep(&(struct timespec){-1, 0}, NULL));
    FAILS(EFAULT, syscall(SYS_nanosleep, 8, NULL));
    DO(nanosleep(&(struct timespec){0, 0}, NULL));
    struct timespec some = {0, 1};
    HOLDS(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &some, NULL) == EINVAL);
    HOLDS(clock_nanosleep(99, 0, &some, NULL) == EINVAL);
}

CONTRACT(sleep_until_a_time_is_not_restarted_from_the_beginning) {
    handle(SIGALRM);
    /* The first may come before there is a sleep. */
    struct itimerval soon = {.it_value = {0, 20000}, .it_interval = {0, 20000}}, none = {0};
    struct timespec until = timespec_of(now(CLOCK_MONOTONIC) + 300 * MS), left = {7, 7};
    DO(setitimer(ITIMER_REAL, &soon, NULL));
    HOLDS(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, &left) == EINTR);
    /* Who sleeps until a time is not told what is left. */
    HOLDS(left.tv_sec == 7 && left.tv_nsec == 7);
    DO(setitimer(ITIMER_REAL, &none, NULL));
    HOLDS(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0);
    HOLDS(now(CLOCK_MONOTONIC) >= nanoseconds(until));
}

CONTRACT(sleep_until_the_past_ends_at_once) {
    struct timespec past = timespec_of(now(CLOCK_REALTIME) - SECOND);
    HOLDS(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &past, NULL) == 0);
}

CONTRACT(sleep_of_cpu_time_ends_when_the_process_has_had_it) {
    pthread_t thread;
    struct timespec some = {0, 20 * MS};
    pthread_create(&thread, NULL, spend_some, NULL);
    int64_t before = now(CLOCK_PROCESS_CPUTIME_ID);
    HOLDS(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &some, NULL) == 0);
    HOLDS(now(CLOCK_PROCESS_CPUTIME_ID) - before >= 20 * MS);
    pthread_join(thread, NULL);
}

CONTRACT(itimer_refuses_what_is_none_and_tells_what_is_left) {
    struct itimerval set = {.it_value = {100, 0}, .it_interval = {5, 0}}, left;
    FAILS(EINVAL, setitimer(3, &set, NULL));
    FAILS(EINVAL, getitimer(-1, &left));
    struct itimerval wrong = {.it_value = {0, 1000000}};
    FAILS(EINVAL, setitimer(ITIMER_REAL, &wrong, NULL));
    DO(setitimer(ITIMER_REAL, &set, &left));
    HOLDS(left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
    struct itimerval none = {0};
    DO(setitimer(ITIMER_REAL, &none, &left));
    HOLDS(left.it_value.tv_sec >= 99 && left.it_value.tv_sec <= 100 && left.it_interval.tv_sec == 5);
}

CONTRACT(itimer_is_kept_by_exec_and_not_by_fork) {
    struct itimerval set = {.it_value = {100, 0}}, left;
    DO(setitimer(ITIMER_REAL, &set, NULL));
    HOLDS(IN_CHILD({
              DO(getitimer(ITIMER_REAL, &left));
              HOLDS(left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
          }) == 0);
}

CONTRACT(itimer_of_cpu_time_runs_while_the_process_does) {
    handle(SIGPROF);
    struct itimerval set = {.it_value = {0, 100000}, .it_interval = {0, 20000}}, left;
    int64_t before = now(CLOCK_PROCESS_CPUTIME_ID);
    DO(setitimer(ITIMER_PROF, &set, NULL));
    DO(getitimer(ITIMER_PROF, &left));
    HOLDS(left.it_interval.tv_usec == 20000 && (left.it_value.tv_usec || left.it_value.tv_sec));
    usleep(150000);
    HOLDS(calls == 0);
    while (calls < 2) {}
    // Linux counts by ticks.
    HOLDS(now(CLOCK_PROCESS_CPUTIME_ID) - before >= 80 * MS);
    struct itimerval none = {0};
    DO(setitimer(ITIMER_PROF, &none, NULL));
}

CONTRACT(itimer_virtual_counts_the_program_s_own_time) {
    handle(SIGVTALRM);
    struct itimerval set = {.it_value = {0, 20000}};
    DO(setitimer(ITIMER_VIRTUAL, &set, NULL));
    while (calls < 1) {}
    HOLDS(now(CLOCK_PROCESS_CPUTIME_ID) >= 16 * MS);
    DO(getitimer(ITIMER_VIRTUAL, &set));
    HOLDS(set.it_value.tv_sec == 0 && set.it_value.tv_usec == 0);
}

static timer_t timer_of(clockid_t clock, int signal) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal};
    timer_t timer;
    DO(timer_create(clock, &event, &timer));
    return timer;
}

CONTRACT(timer_of_an_absolute_time_is_by_its_own_clock) {
    handle(SIGUSR1);
    const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    for (int i = 0; i < 3; i++) {
        timer_t timer = timer_of(clocks[i], SIGUSR1);
        int64_t until = now(clocks[i]) + 20 * MS;
        struct itimerspec set = setting(until, 0), left;
        DO(timer_settime(timer, TIMER_ABSTIME, &set, NULL));
        DO(timer_gettime(timer, &left));
        HOLDS(nanoseconds(left.it_value) <= 20 * MS);
        while (calls <= i) usleep(1000);
        HOLDS(now(clocks[i]) >= until);
        DO(timer_delete(timer));
    }
}

CONTRACT(timer_of_a_past_time_runs_out_at_once) {
    handle(SIGUSR1);
    timer_t timer = timer_of(CLOCK_REALTIME, SIGUSR1);
    struct itimerspec set = setting(SECOND, 0);
    DO(timer_settime(timer, TIMER_ABSTIME, &set, NULL));
    while (calls < 1) usleep(1000);
}

CONTRACT(timer_gettime_tells_what_is_left_and_nothing_when_disarmed) {
    timer_t timer = timer_of(CLOCK_MONOTONIC, SIGUSR1);
    struct itimerspec set = setting(100LL * SECOND, 3 * MS), left;
    DO(timer_settime(timer, 0, &set, NULL));
    DO(timer_gettime(timer, &left));
    HOLDS(nanoseconds(left.it_value) > 99LL * SECOND && nanoseconds(left.it_interval) == 3 * MS);
    struct itimerspec none = setting(0, 0);
    DO(timer_settime(timer, 0, &none, &left));
    HOLDS(nanoseconds(left.it_value) > 99LL * SECOND);
    DO(timer_gettime(timer, &left));
    HOLDS(nanoseconds(left.it_value) == 0);
    DO(timer_delete(timer));
    FAILS(EINVAL, timer_gettime(timer, &left));
}

CONTRACT(timer_overruns_are_counted_and_told) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    DO(sigprocmask(SIG_BLOCK, &set, NULL));
    timer_t timer = timer_of(CLOCK_MONOTONIC, SIGUSR1);
    struct itimerspec often = setting(5 * MS, 5 * MS);
    DO(timer_settime(timer, 0, &often, NULL));
    usleep(100000);
    siginfo_t cause;
    HOLDS(sigwaitinfo(&set, &cause) == SIGUSR1 && cause.si_code == SI_TIMER);
    int told = cause.si_overrun, asked = DO(timer_getoverrun(timer));
    HOLDS(told >= 5 && told <= 1000 && asked >= 5);
}

CONTRACT(timer_of_cpu_time_runs_out_when_it_is_used) {
    handle(SIGUSR1);
    timer_t timer = timer_of(CLOCK_PROCESS_CPUTIME_ID, SIGUSR1);
    struct itimerspec set = setting(100 * MS, 0);
    int64_t before = now(CLOCK_PROCESS_CPUTIME_ID);
    DO(timer_settime(timer, 0, &set, NULL));
    usleep(150000);
    HOLDS(calls == 0);
    while (calls < 1) {}
    HOLDS(now(CLOCK_PROCESS_CPUTIME_ID) - before >= 100 * MS && info.si_code == SI_TIMER);
    DO(timer_delete(timer));
}

CONTRACT(timer_of_a_thread_s_cpu_time_is_the_thread_s) {
    handle(SIGUSR1);
    timer_t timer = timer_of(CLOCK_THREAD_CPUTIME_ID, SIGUSR1);
    struct itimerspec set = setting(100 * MS, 0);
    DO(timer_settime(timer, 0, &set, NULL));
    pthread_t thread;
    pthread_create(&thread, NULL, spend_some, NULL);
    pthread_join(thread, NULL);
    HOLDS(calls == 0);
    while (calls < 1) {}
}

CONTRACT(timer_create_refuses_what_makes_no_sense) {
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
    FAILS(EINVAL, syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
    event = (struct sigevent){.sigev_notify = 77, .sigev_signo = SIGUSR1};
    FAILS(EINVAL, syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
    FAILS(EINVAL, syscall(SYS_timer_create, 99, NULL, &timer));
    FAILS(EFAULT, syscall(SYS_timer_create, CLOCK_MONOTONIC, 8, &timer));
    FAILS(EFAULT, syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, 8));
}

CONTRACT(timerfd_counts_expirations_until_they_are_read) {
    int file = DO(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    struct itimerspec set = setting(10 * MS, 10 * MS);
    uint64_t count;
    FAILS(EAGAIN, read(file, &count, 8));
    DO(timerfd_settime(file, 0, &set, NULL));
    usleep(60000);
    FAILS(EINVAL, read(file, &count, 7));
    HOLDS(read(file, &count, 8) == 8 && count >= 5);
    FAILS(EINVAL, write(file, &count, 8));
}

CONTRACT(timerfd_absolute_is_by_its_clock) {
    int file = DO(timerfd_create(CLOCK_REALTIME, 0));
    int64_t until = now(CLOCK_REALTIME) + 20 * MS;
    struct itimerspec set = setting(until, 0), left;
    uint64_t count;
    DO(timerfd_settime(file, TFD_TIMER_ABSTIME, &set, NULL));
    HOLDS(read(file, &count, 8) == 8 && count == 1 && now(CLOCK_REALTIME) >= until);
    DO(timerfd_gettime(file, &left));
    HOLDS(nanoseconds(left.it_value) == 0);
}

CONTRACT(timerfd_wakes_who_polls) {
    int file = DO(timerfd_create(CLOCK_MONOTONIC, 0));
    struct pollfd ready = {.fd = file, .events = POLLIN};
    HOLDS(poll(&ready, 1, 0) == 0);
    struct itimerspec set = setting(20 * MS, 0);
    DO(timerfd_settime(file, 0, &set, NULL));
    HOLDS(poll(&ready, 1, 5000) == 1 && ready.revents == POLLIN);
}

CONTRACT(timerfd_that_is_disarmed_stays_silent) {
    int file = DO(timerfd_create(CLOCK_MONOTONIC, 0));
    struct itimerspec set = setting(100LL * SECOND, 0), soon = setting(20 * MS, 0), none = setting(0, 0), before;
    DO(timerfd_settime(file, 0, &set, NULL));
    DO(timerfd_settime(file, 0, &soon, &before));
    HOLDS(nanoseconds(before.it_value) > 0);
    DO(timerfd_settime(file, 0, &none, NULL));
    struct pollfd ready = {.fd = file, .events = POLLIN};
    HOLDS(poll(&ready, 1, 60) == 0);
}

CONTRACT(timerfd_refuses_what_makes_no_sense) {
    FAILS(EINVAL, timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
    FAILS(EINVAL, timerfd_create(CLOCK_MONOTONIC, 1));
    int file = DO(timerfd_create(CLOCK_MONOTONIC, 0));
    struct itimerspec set = setting(0, 0);
    FAILS(EINVAL, timerfd_settime(file, 8, &set, NULL));
    set.it_value.tv_nsec = SECOND;
    FAILS(EINVAL, timerfd_settime(file, 0, &set, NULL));
    FAILS(EINVAL, timerfd_settime(DO(dup(0)), 0, &(struct itimerspec){0}, NULL));
    FAILS(EBADF, timerfd_settime(777, 0, &(struct itimerspec){0}, NULL));
}

CONTRACT(times_tells_ticks_since_a_time_in_the_past) {
    struct tms spent;
    clock_t before = times(&spent);
    HOLDS(before != (clock_t)-1);
    spend(50 * MS);
    HOLDS(times(&spent) - before >= 4 && spent.tms_utime + spent.tms_stime >= 4);
}
