/* Threads, and what they share: pthreads(7), futex(2), clone(2). */
#include "contract.h"
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <semaphore.h>
#include <sys/resource.h>

static long futex(atomic_int *word, int operation, int value, const struct timespec *time, void *other, int third) {
    return syscall(SYS_futex, word, operation, value, time, other, third);
}

static void *give(void *value) { return (char *)value + 1; }

CONTRACT(thread_join_gives_what_it_returned) {
    pthread_t thread;
    void *value;
    HOLDS(pthread_create(&thread, NULL, give, (void *)41) == 0);
    HOLDS(pthread_join(thread, &value) == 0 && value == (void *)42);
}

static atomic_int counter;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long guarded;

static void *count(void *unused) {
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        guarded++;
        pthread_mutex_unlock(&mutex);
        counter++;
    }
    return unused;
}

CONTRACT(thread_mutex_keeps_others_out) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) HOLDS(pthread_create(&threads[i], NULL, count, NULL) == 0);
    for (int i = 0; i < 8; i++) HOLDS(pthread_join(threads[i], NULL) == 0);
    HOLDS(guarded == 16000 && counter == 16000);
}

static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int turn;

static void *alternate(void *own) {
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != (int)(intptr_t)own) pthread_cond_wait(&condition, &mutex);
        turn = !turn;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

CONTRACT(thread_condition_wakes_who_waits) {
    pthread_t one, two;
    HOLDS(pthread_create(&one, NULL, alternate, (void *)0) == 0);
    HOLDS(pthread_create(&two, NULL, alternate, (void *)1) == 0);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    HOLDS(turn == 0);
}

CONTRACT(thread_condition_times_out) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_nsec += 20000000;
    if (time.tv_nsec >= 1000000000) time.tv_nsec -= 1000000000, time.tv_sec++;
    pthread_mutex_lock(&mutex);
    HOLDS(pthread_cond_timedwait(&condition, &mutex, &time) == ETIMEDOUT);
}

static void *ids(void *unused) {
    (void)unused;
    return (void *)(getpid() == *(pid_t *)unused && syscall(SYS_gettid) != getpid() ? 1L : 0L);
}

CONTRACT(thread_has_its_own_number_and_its_process_s) {
    pid_t own = getpid();
    pthread_t thread;
    void *value;
    HOLDS(syscall(SYS_gettid) == own);
    pthread_create(&thread, NULL, ids, &own);
    pthread_join(thread, &value);
    HOLDS(value == (void *)1);
}

static void *wait_for_ever(void *unused) {
    for (;;) pause();
    return unused;
}

CONTRACT(thread_exit_group_ends_all) {
    int status = IN_CHILD({
        pthread_t thread;
        for (int i = 0; i < 4; i++) pthread_create(&thread, NULL, wait_for_ever, NULL);
        exit(5);
    });
    HOLDS(WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

CONTRACT(thread_fatal_signal_ends_all) {
    int status = IN_CHILD({
        pthread_t thread;
        for (int i = 0; i < 4; i++) pthread_create(&thread, NULL, wait_for_ever, NULL);
        pthread_kill(thread, SIGTERM);
        wait_for_ever(NULL);
    });
    HOLDS(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void *end_last(void *unused) {
    usleep(20000);
    _exit(6);
    return unused;
}

static volatile pid_t taker;

static void note_taker(int signal) {
    taker = syscall(SYS_gettid);
    (void)signal;
}

static void *signal_the_process(void *unused) {
    for (int round = 0; round < 100; round++) {
        /* In the handler it blocks the signal. */
        awaits(getpid(), "status", "State:", "S (");
        taker = 0;
        DO(kill(getpid(), SIGUSR1));
        while (taker == 0) sched_yield();
        HOLDS(taker == getpid());
    }
    /* Now the first thread is deaf. */
    DO(kill(getpid(), SIGUSR2));
    awaits(getpid(), "status", "SigBlk:", "0000000000000a00");
    taker = 0;
    DO(kill(getpid(), SIGUSR1));
    HOLDS(taker == syscall(SYS_gettid));
    DO(kill(getpid(), SIGUSR1));
    DO(kill(getpid(), SIGTERM));
    return unused;
}

static void block_both(int signal) {
    (void)signal;
    for (;;) pause();
}

CONTRACT(thread_the_first_gets_the_process_s_signals_unless_it_blocks_them) {
    struct sigaction noting = {.sa_handler = note_taker}, blocking = {.sa_handler = block_both};
    sigaddset(&blocking.sa_mask, SIGUSR1);
    DO(sigaction(SIGUSR1, &noting, NULL));
    DO(sigaction(SIGUSR2, &blocking, NULL));
    int status = IN_CHILD({
        pthread_t thread;
        pthread_create(&thread, NULL, signal_the_process, NULL);
        for (;;) pause();
    });
    HOLDS(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

CONTRACT(thread_process_outlives_its_first_thread) {
    int status = IN_CHILD({
        pthread_t thread;
        pthread_create(&thread, NULL, end_last, NULL);
        pthread_exit(NULL);
    });
    HOLDS(WIFEXITED(status) && WEXITSTATUS(status) == 6);
}

static void *execute(void *unused) {
    char *arguments[] = {"/proc/self/exe", "--number", NULL};
    char *environment[] = {NULL};
    execve("/proc/self/exe", arguments, environment);
    return unused;
}

CONTRACT(thread_exec_leaves_one_thread_with_the_process_s_number) {
    pid_t child = START({
        pthread_t thread;
        for (int i = 0; i < 3; i++) pthread_create(&thread, NULL, wait_for_ever, NULL);
        pthread_create(&thread, NULL, execute, NULL);
        wait_for_ever(NULL);
    });
    int status;
    DO(waitpid(child, &status, 0));
    HOLDS(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static atomic_int word;

static void *wake_later(void *unused) {
    usleep(20000);
    word = 1;
    futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0);
    return unused;
}

CONTRACT(futex_waits_while_the_word_is_the_value) {
    pthread_t thread;
    FAILS(EAGAIN, futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
    pthread_create(&thread, NULL, wake_later, NULL);
    while (word == 0) futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0);
    HOLDS(word == 1);
}

CONTRACT(futex_wait_ends_at_its_time) {
    struct timespec time = {0, 10000000};
    FAILS(ETIMEDOUT, futex(&word, FUTEX_WAIT, 0, &time, NULL, 0));
    FAILS(ETIMEDOUT, futex(&word, FUTEX_WAIT_BITSET, 0, &(struct timespec){0, 1}, NULL, -1));
    FAILS(EINVAL, futex((atomic_int *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0));
    FAILS(EINVAL, futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
    FAILS(EFAULT, futex((atomic_int *)16, FUTEX_WAIT, 0, NULL, NULL, 0));
}

static atomic_int waiting, woken, second;

static atomic_int waiters[4];

static void *wait_on_word(void *unused) {
    waiters[waiting++] = syscall(SYS_gettid);
    futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0);
    woken++;
    return unused;
}

CONTRACT(futex_requeue_moves_who_waits) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, wait_on_word, NULL);
    for (int i = 0; i < 4; i++) {
        while (waiters[i] == 0) sched_yield();
        char status[64];
        snprintf(status, sizeof status, "task/%d/status", waiters[i]);
        awaits(getpid(), status, "State:", "S (");
    }
    FAILS(EAGAIN, futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)10L, &second, 7));
    HOLDS(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)10L, &second, 0) == 4);
    while (woken == 0) sched_yield();
    HOLDS(futex(&word, FUTEX_WAKE, 10, NULL, NULL, 0) == 0);
    HOLDS(futex(&second, FUTEX_WAKE, 10, NULL, NULL, 0) == 3);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    HOLDS(woken == 4);
}

CONTRACT(futex_wake_op_changes_and_compares) {
    second = 5;
    HOLDS(futex(&word, FUTEX_WAKE_OP, 1, (void *)1L, &second, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)) == 0);
    HOLDS(second == 8);
}

CONTRACT(futex_is_shared_by_processes_that_map_the_same_memory) {
    atomic_int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = START({
        while (*shared == 0) futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0);
        HOLDS(*shared == 1);
    });
    usleep(20000);
    *shared = 1;
    futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0);
    finishes(child);
}

CONTRACT(futex_is_shared_by_who_opened_the_same_file) {
    own_directory();
    DO(ftruncate(file_of("words", ""), 4096));
    atomic_int *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, DO(open("words", O_RDWR)), 0);
    pid_t child = START({
        atomic_int *other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, DO(open("words", O_RDWR)), 0);
        other[1] = 1;
        while (*other == 0) futex(other, FUTEX_WAIT, 0, NULL, NULL, 0);
    });
    while (own[1] == 0) usleep(1000);
    /* Woken by this, if it sleeps already: who has seen the 0 is told of the 1. */
    usleep(20000);
    *own = 1;
    futex(own, FUTEX_WAKE, 1, NULL, NULL, 0);
    finishes(child);
}

CONTRACT(thread_robust_mutex_tells_of_a_dead_owner) {
    struct {
        pthread_mutex_t mutex;
    } *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&shared->mutex, &kind);
    finishes(START({ HOLDS(pthread_mutex_lock(&shared->mutex) == 0); }));
    HOLDS(pthread_mutex_lock(&shared->mutex) == EOWNERDEAD);
    HOLDS(pthread_mutex_consistent(&shared->mutex) == 0 && pthread_mutex_unlock(&shared->mutex) == 0);
}

static void noted(int signal) { (void)signal; counter++; }

static void *with_signal_open(void *unused) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    while (counter == 0) usleep(1000);
    return unused;
}

CONTRACT(thread_that_does_not_block_it_takes_the_process_s_signal) {
    signal(SIGUSR1, noted);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, with_signal_open, NULL);
    DO(kill(getpid(), SIGUSR1));
    pthread_join(thread, NULL);
    HOLDS(counter == 1);
}

CONTRACT(thread_cancel_ends_a_wait) {
    pthread_t thread;
    void *value;
    pthread_create(&thread, NULL, wait_for_ever, NULL);
    pthread_cancel(thread);
    HOLDS(pthread_join(thread, &value) == 0 && value == PTHREAD_CANCELED);
}

static _Thread_local int own_value = 3;
static void *change_own(void *unused) {
    own_value = 4;
    return unused;
}

CONTRACT(thread_local_storage_is_each_thread_s) {
    pthread_t thread;
    pthread_create(&thread, NULL, change_own, NULL);
    pthread_join(thread, NULL);
    HOLDS(own_value == 3);
}

static void *open_one(void *unused) {
    (void)unused;
    return (void *)(intptr_t)open("/", O_RDONLY);
}

CONTRACT(thread_shares_descriptors_and_working_directory) {
    pthread_t thread;
    void *value;
    pthread_create(&thread, NULL, open_one, NULL);
    pthread_join(thread, &value);
    HOLDS(fcntl((int)(intptr_t)value, F_GETFD) >= 0);
}

CONTRACT(thread_count_is_shown_in_proc) {
    pthread_t thread;
    for (int i = 0; i < 3; i++) pthread_create(&thread, NULL, wait_for_ever, NULL);
    char line[200];
    int threads = 0;
    FILE *status = fopen("/proc/self/status", "r");
    HOLDS(status != NULL);
    while (fgets(line, sizeof line, status)) sscanf(line, "Threads: %d", &threads);
    HOLDS(threads == 4);
}

CONTRACT(vfork_lends_memory_until_exec_or_exit) {
    volatile int value = 1;
    pid_t child = vfork();
    if (child == 0) {
        value = 2;
        _exit(3);
    }
    HOLDS(value == 2);
    int status;
    DO(waitpid(child, &status, 0));
    HOLDS(WEXITSTATUS(status) == 3);
}

CONTRACT(clone_refuses_flags_that_do_not_go_together) {
    FAILS(EINVAL, syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0));
    FAILS(EINVAL, syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0));
    FAILS(EINVAL, syscall(SYS_clone, CLONE_FS | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0));
}

CONTRACT(process_group_outlives_its_leader) {
    int ends[2];
    DO(pipe(ends));
    pid_t leader = START({ setpgid(0, 0); });
    setpgid(leader, leader);
    pid_t member = START({ setpgid(0, leader); char byte; read(ends[0], &byte, 1); for (;;) pause(); });
    setpgid(member, leader);
    finishes(leader);
    HOLDS(getpgid(member) == leader);
    DO(kill(-leader, SIGTERM));
    int status;
    HOLDS(waitpid(-leader, &status, 0) == member && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}


static int membarrier(int command, unsigned flags) {
    return syscall(SYS_membarrier, command, flags, 0);
}

static volatile _Atomic int barrier_words[2], barrier_seen;

static void *barrier_reader(void *rounds) {
    for (int round = 1; round <= *(int *)rounds; round++) {
        while (atomic_load_explicit(&barrier_words[0], memory_order_relaxed) < round) sched_yield();
        DO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0));
        atomic_store_explicit(&barrier_seen, round, memory_order_release);
    }
    return NULL;
}

CONTRACT(thread_barriers_are_for_who_registers) {
    int all = DO(membarrier(MEMBARRIER_CMD_QUERY, 0)), rounds = 50;
    int wanted = MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
    HOLDS((all & wanted) == wanted);
    FAILS(EPERM, membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0));
    FAILS(EINVAL, membarrier(MEMBARRIER_CMD_GLOBAL, 4));
    FAILS(EINVAL, membarrier(1 << 20, 0));
    DO(membarrier(MEMBARRIER_CMD_GLOBAL, 0));
    DO(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0));
    HOLDS(IN_CHILD(DO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0))) == 0);
    pthread_t thread;
    DO(pthread_create(&thread, NULL, barrier_reader, &rounds));
    /* Every barrier comes to its end, whatever the other thread does meanwhile. */
    for (int round = 1; round <= rounds; round++) {
        atomic_store_explicit(&barrier_words[0], round, memory_order_relaxed);
        while (atomic_load_explicit(&barrier_seen, memory_order_acquire) < round) sched_yield();
    }
    DO(pthread_join(thread, NULL));
}
