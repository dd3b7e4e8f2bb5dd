/* Descriptors, pipes, what waits for them, and locks: fcntl(2), pipe(7), epoll(7), inotify(7). */
#include "contract.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#ifndef F_OFD_SETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

static int ready(int file, int events) {
    struct pollfd wait = {.fd = file, .events = events};
    DO(poll(&wait, 1, 0));
    return wait.revents;
}

static void unblocking(int file) { DO(fcntl(file, F_SETFL, DO(fcntl(file, F_GETFL)) | O_NONBLOCK)); }

CONTRACT(descriptor_is_the_lowest_that_is_free) {
    int a = DO(dup(0)), b = DO(dup(0));
    HOLDS(b == a + 1);
    close(a);
    HOLDS(dup(0) == a);
}

CONTRACT(descriptor_dup2_of_itself_does_nothing_and_dup3_refuses) {
    HOLDS(dup2(1, 1) == 1);
    FAILS(EBADF, dup2(77, 78));
    FAILS(EINVAL, syscall(SYS_dup3, 1, 1, 0));
    FAILS(EINVAL, dup3(1, 20, 1));
    HOLDS(dup3(1, 20, O_CLOEXEC) == 20 && fcntl(20, F_GETFD) == FD_CLOEXEC);
    HOLDS(dup2(20, 21) == 21 && fcntl(21, F_GETFD) == 0);
}

CONTRACT(descriptor_f_dupfd_begins_where_it_is_told) {
    HOLDS(fcntl(1, F_DUPFD, 50) == 50 && fcntl(1, F_DUPFD_CLOEXEC, 50) == 51);
    HOLDS(fcntl(50, F_GETFD) == 0 && fcntl(51, F_GETFD) == FD_CLOEXEC);
    FAILS(EINVAL, fcntl(1, F_DUPFD, -1));
    FAILS(EBADF, fcntl(99, F_DUPFD, 0));
}

CONTRACT(descriptor_limit_is_emfile) {
    struct rlimit limit = {10, 10};
    DO(setrlimit(RLIMIT_NOFILE, &limit));
    for (int i = 0; i < 10; i++) dup(1);
    FAILS(EMFILE, dup(1));
    FAILS(EINVAL, fcntl(1, F_DUPFD, 10));
    FAILS(EBADF, dup2(1, 10));
    int ends[2] = {-7, -7};
    FAILS(EMFILE, pipe(ends));
    HOLDS(ends[0] == -7);
}

CONTRACT(descriptor_close_range_closes_or_marks) {
    for (int i = 30; i < 35; i++) DO(dup2(1, i));
    DO(syscall(SYS_close_range, 31, 32, 0));
    HOLDS(fcntl(30, F_GETFD) == 0 && fcntl(33, F_GETFD) == 0);
    FAILS(EBADF, fcntl(31, F_GETFD));
    DO(syscall(SYS_close_range, 33, ~0U, 4));
    HOLDS(fcntl(33, F_GETFD) == FD_CLOEXEC && fcntl(34, F_GETFD) == FD_CLOEXEC);
    FAILS(EINVAL, syscall(SYS_close_range, 5, 4, 0));
    FAILS(EINVAL, syscall(SYS_close_range, 5, 6, 1));
}

CONTRACT(descriptor_cloexec_is_closed_by_exec_and_others_stay) {
    DO(dup2(1, 30));
    DO(dup3(1, 31, O_CLOEXEC));
    HOLDS(executed("--open", "30", NULL) == 0);
    HOLDS(WEXITSTATUS(executed("--open", "31", NULL)) == 1);
    HOLDS(fcntl(31, F_GETFD) == FD_CLOEXEC);
}

CONTRACT(descriptor_that_is_closed_is_ebadf) {
    int file = DO(dup(1));
    DO(close(file));
    FAILS(EBADF, close(file));
    FAILS(EBADF, write(file, "", 0));
    FAILS(EBADF, close(-1));
}

CONTRACT(pipe_gives_an_end_of_file_when_nobody_writes) {
    int ends[2];
    DO(pipe(ends));
    DO(write(ends[1], "ab", 2));
    close(ends[1]);
    char text[4];
    HOLDS(read(ends[0], text, 4) == 2 && read(ends[0], text, 4) == 0);
    HOLDS(ready(ends[0], POLLIN) == POLLHUP);
}

CONTRACT(pipe_is_opened_again_without_its_other_end) {
    int ends[2];
    char path[40];
    DO(pipe(ends));
    DO(write(ends[1], "ab", 2));
    close(ends[1]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    int reader = DO(open(path, O_RDONLY));
    char text[4];
    HOLDS(read(reader, text, 4) == 2 && read(reader, text, 4) == 0);
    close(ends[0]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", reader);
    int writer = DO(open(path, O_WRONLY | O_NONBLOCK));
    DO(write(writer, "c", 1));
    HOLDS(read(reader, text, 4) == 1 && text[0] == 'c');
}

CONTRACT(pipe_that_nobody_reads_is_epipe_and_sigpipe) {
    int ends[2];
    DO(pipe(ends));
    close(ends[0]);
    HOLDS(ready(ends[1], POLLOUT) & POLLERR);
    int status = IN_CHILD({ write(ends[1], "x", 1); });
    HOLDS(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    signal(SIGPIPE, SIG_IGN);
    FAILS(EPIPE, write(ends[1], "x", 1));
}

CONTRACT(pipe_holds_64_kib_and_then_eagain) {
    int ends[2];
    DO(pipe2(ends, O_NONBLOCK));
    static char page[4096];
    long all = 0;
    for (long count; (count = write(ends[1], page, sizeof page)) > 0;) all += count;
    HOLDS(errno == EAGAIN && all == 65536);
    HOLDS(ready(ends[1], POLLOUT) == 0);
    HOLDS(read(ends[0], page, 4096) == 4096);
    HOLDS(ready(ends[1], POLLOUT) == POLLOUT);
}

CONTRACT(pipe_capacity_is_told_and_set) {
    int ends[2];
    DO(pipe(ends));
    HOLDS(fcntl(ends[0], F_GETPIPE_SZ) == 65536);
    HOLDS(fcntl(ends[0], F_SETPIPE_SZ, 5000) == 8192 && fcntl(ends[1], F_GETPIPE_SZ) == 8192);
    static char bytes[8192];
    DO(write(ends[1], bytes, 8192));
    FAILS(EBUSY, fcntl(ends[0], F_SETPIPE_SZ, 4096));
}

CONTRACT(pipe_short_writes_are_whole_or_not_at_all) {
    int ends[2];
    DO(pipe2(ends, O_NONBLOCK));
    static char bytes[65536];
    HOLDS(write(ends[1], bytes, 65536 - 100) == 65536 - 100);
    int left = 65536;
    FAILS(EAGAIN, write(ends[1], bytes, 4096));
    DO(ioctl(ends[0], FIONREAD, &left));
    HOLDS(left == 65536 - 100);
    HOLDS(read(ends[0], bytes, 65536) == 65536 - 100);
}

CONTRACT(pipe_writers_of_pages_do_not_mix) {
    int ends[2];
    DO(pipe(ends));
    pid_t children[3];
    for (int i = 0; i < 3; i++)
        children[i] = START({
            char bytes[512];
            memset(bytes, 'a' + i, sizeof bytes);
            for (int n = 0; n < 50; n++) HOLDS(write(ends[1], bytes, 512) == 512);
        });
    close(ends[1]);
    char bytes[512];
    for (int n = 0; n < 150; n++) {
        for (int got = 0; got < 512;) got += (int)DO(read(ends[0], bytes + got, 512 - got));
        for (int i = 1; i < 512; i++) HOLDS(bytes[i] == bytes[0]);
    }
    for (int i = 0; i < 3; i++) finishes(children[i]);
    HOLDS(read(ends[0], bytes, 512) == 0);
}

CONTRACT(pipe_in_packet_mode_keeps_packets_apart) {
    int ends[2];
    DO(pipe2(ends, O_DIRECT));
    DO(write(ends[1], "abc", 3));
    DO(write(ends[1], "de", 2));
    char text[8];
    HOLDS(read(ends[0], text, 2) == 2 && read(ends[0], text, 8) == 2 && text[0] == 'd');
}

CONTRACT(pipe_packets_are_a_page_at_most_and_can_be_turned_on) {
    int ends[2];
    static char bytes[8192];
    DO(pipe(ends));
    DO(fcntl(ends[1], F_SETFL, O_DIRECT));
    HOLDS(fcntl(ends[1], F_GETFL) == (O_WRONLY | O_DIRECT));
    HOLDS(write(ends[1], bytes, 5000) == 5000);
    HOLDS(read(ends[0], bytes, 8192) == 4096 && read(ends[0], bytes, 8192) == 904);
    DO(fcntl(ends[1], F_SETFL, 0));
    DO(write(ends[1], "ab", 2));
    DO(write(ends[1], "cd", 2));
    HOLDS(read(ends[0], bytes, 8192) == 4);
}

CONTRACT(poll_tells_of_bad_and_ignores_negative_descriptors) {
    struct pollfd waits[2] = {{.fd = 99, .events = POLLIN}, {.fd = -1, .events = POLLIN, .revents = 7}};
    HOLDS(poll(waits, 2, -1) == 1 && waits[0].revents == POLLNVAL && waits[1].revents == 0);
}

CONTRACT(poll_of_a_file_is_always_ready) {
    own_directory();
    HOLDS(ready(file_of("a", ""), POLLIN | POLLOUT) == (POLLIN | POLLOUT));
}

CONTRACT(poll_wakes_when_another_writes) {
    int ends[2];
    DO(pipe(ends));
    pid_t child = START({ usleep(2000); DO(write(ends[1], "x", 1)); });
    struct pollfd wait = {.fd = ends[0], .events = POLLIN};
    HOLDS(poll(&wait, 1, -1) == 1 && wait.revents == POLLIN);
    finishes(child);
}

CONTRACT(select_keeps_only_what_is_ready) {
    int ends[2];
    DO(pipe(ends));
    fd_set reading, writing;
    FD_ZERO(&reading);
    FD_ZERO(&writing);
    FD_SET(ends[0], &reading);
    FD_SET(ends[1], &writing);
    HOLDS(select(ends[1] + 1, &reading, &writing, NULL, NULL) == 1);
    HOLDS(!FD_ISSET(ends[0], &reading) && FD_ISSET(ends[1], &writing));
    FD_ZERO(&reading);
    /* (Above the table's 64 descriptors Linux does not look.) */
    FD_SET(60, &reading);
    struct timeval none = {0, 0};
    FAILS(EBADF, select(61, &reading, NULL, NULL, &none));
    FAILS(EINVAL, select(-1, NULL, NULL, NULL, &none));
}

CONTRACT(epoll_level_tells_again_and_edge_once) {
    int ends[2], level = DO(epoll_create1(0)), edge = DO(epoll_create1(EPOLL_CLOEXEC));
    DO(pipe(ends));
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x123456789abcdef0};
    DO(epoll_ctl(level, EPOLL_CTL_ADD, ends[0], &event));
    event.events = EPOLLIN | EPOLLET;
    DO(epoll_ctl(edge, EPOLL_CTL_ADD, ends[0], &event));
    struct epoll_event got[4];
    HOLDS(epoll_wait(level, got, 4, 0) == 0);
    DO(write(ends[1], "x", 1));
    HOLDS(epoll_wait(level, got, 4, -1) == 1 && got[0].data.u64 == 0x123456789abcdef0 && got[0].events == EPOLLIN);
    HOLDS(epoll_wait(level, got, 4, 0) == 1);
    HOLDS(epoll_wait(edge, got, 4, 0) == 1 && epoll_wait(edge, got, 4, 0) == 0);
    DO(write(ends[1], "x", 1));
    HOLDS(epoll_wait(edge, got, 4, 0) == 1);
}

CONTRACT(epoll_oneshot_is_silent_until_it_is_armed_again) {
    int ends[2], set = DO(epoll_create1(0));
    DO(pipe(ends));
    DO(write(ends[1], "x", 1));
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT}, got;
    DO(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event));
    HOLDS(epoll_wait(set, &got, 1, 0) == 1 && epoll_wait(set, &got, 1, 0) == 0);
    DO(epoll_ctl(set, EPOLL_CTL_MOD, ends[0], &event));
    HOLDS(epoll_wait(set, &got, 1, 0) == 1);
}

CONTRACT(epoll_refuses_what_makes_no_sense) {
    own_directory();
    int set = DO(epoll_create1(0)), ends[2];
    DO(pipe(ends));
    struct epoll_event event = {.events = EPOLLIN};
    FAILS(EPERM, epoll_ctl(set, EPOLL_CTL_ADD, file_of("a", ""), &event));
    FAILS(EINVAL, epoll_ctl(set, EPOLL_CTL_ADD, set, &event));
    FAILS(ENOENT, epoll_ctl(set, EPOLL_CTL_MOD, ends[0], &event));
    DO(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event));
    FAILS(EEXIST, epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event));
    FAILS(EBADF, epoll_ctl(set, EPOLL_CTL_ADD, 99, &event));
    FAILS(EINVAL, epoll_wait(set, &event, 0, 0));
    FAILS(EINVAL, epoll_wait(ends[0], &event, 1, 0));
    FAILS(EINVAL, epoll_create1(1));
}

CONTRACT(epoll_forgets_what_is_closed_for_good) {
    int ends[2], set = DO(epoll_create1(0));
    DO(pipe(ends));
    DO(write(ends[1], "x", 1));
    int copy = DO(dup(ends[0]));
    struct epoll_event event = {.events = EPOLLIN}, got;
    DO(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event));
    close(ends[0]);
    HOLDS(epoll_wait(set, &got, 1, 0) == 1);
    close(copy);
    HOLDS(epoll_wait(set, &got, 1, 0) == 0);
}

CONTRACT(epoll_is_itself_ready_when_something_in_it_is) {
    int ends[2], inner = DO(epoll_create1(0)), outer = DO(epoll_create1(0));
    DO(pipe(ends));
    struct epoll_event event = {.events = EPOLLIN}, got;
    DO(epoll_ctl(inner, EPOLL_CTL_ADD, ends[0], &event));
    DO(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event));
    HOLDS(ready(inner, POLLIN) == 0);
    DO(write(ends[1], "x", 1));
    HOLDS(ready(inner, POLLIN) == POLLIN && epoll_wait(outer, &got, 1, -1) == 1);
    FAILS(ELOOP, epoll_ctl(inner, EPOLL_CTL_ADD, outer, &event));
}

CONTRACT(eventfd_counts_and_is_emptied_by_a_read) {
    int counter = DO(eventfd(3, EFD_NONBLOCK));
    uint64_t value = 4;
    DO(write(counter, &value, 8));
    HOLDS(ready(counter, POLLIN | POLLOUT) == (POLLIN | POLLOUT));
    HOLDS(read(counter, &value, 8) == 8 && value == 7);
    FAILS(EAGAIN, read(counter, &value, 8));
    FAILS(EINVAL, read(counter, &value, 4));
    value = ~0ULL;
    FAILS(EINVAL, write(counter, &value, 8));
    value = ~0ULL - 1;
    DO(write(counter, &value, 8));
    value = 1;
    FAILS(EAGAIN, write(counter, &value, 8));
    HOLDS(ready(counter, POLLIN | POLLOUT) == POLLIN);
}

CONTRACT(eventfd_semaphore_gives_one_at_a_time) {
    int counter = DO(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    uint64_t value;
    HOLDS(read(counter, &value, 8) == 8 && value == 1);
    HOLDS(read(counter, &value, 8) == 8 && value == 1);
    FAILS(EAGAIN, read(counter, &value, 8));
}

CONTRACT(signalfd_reads_what_is_blocked) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    DO(sigprocmask(SIG_BLOCK, &set, NULL));
    int file = DO(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    struct signalfd_siginfo info;
    FAILS(EAGAIN, read(file, &info, sizeof info));
    DO(kill(getpid(), SIGUSR1));
    HOLDS(ready(file, POLLIN) == POLLIN);
    HOLDS(read(file, &info, sizeof info) == 128 && info.ssi_signo == SIGUSR1 && info.ssi_pid == (unsigned)getpid());
    sigpending(&set);
    HOLDS(!sigismember(&set, SIGUSR1));
}

static int signals;

static void *read_own_signal(void *thread) {
    struct signalfd_siginfo info;
    FAILS(EAGAIN, read(signals, &info, sizeof info));
    DO(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1));
    HOLDS(ready(signals, POLLIN) == POLLIN);
    HOLDS(read(signals, &info, sizeof info) == 128 && info.ssi_signo == SIGUSR1);
    return thread;
}

CONTRACT(signalfd_reads_the_signals_of_who_reads) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    DO(sigprocmask(SIG_BLOCK, &set, NULL));
    signals = DO(signalfd(-1, &set, SFD_NONBLOCK));
    DO(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR2));
    pthread_t thread;
    pthread_create(&thread, NULL, read_own_signal, NULL);
    pthread_join(thread, NULL);
    HOLDS(IN_CHILD({
        struct signalfd_siginfo info;
        FAILS(EAGAIN, read(signals, &info, sizeof info));
        DO(kill(getpid(), SIGUSR1));
        HOLDS(read(signals, &info, sizeof info) == 128 && info.ssi_pid == (unsigned)getpid());
    }) == 0);
    struct signalfd_siginfo info;
    HOLDS(read(signals, &info, sizeof info) == 128 && info.ssi_signo == SIGUSR2);
    FAILS(EAGAIN, read(signals, &info, sizeof info));
}

CONTRACT(flock_belongs_to_the_opening) {
    own_directory();
    int file = file_of("a", ""), copy = DO(dup(file)), other = DO(open("a", O_RDONLY));
    DO(flock(file, LOCK_EX));
    DO(flock(copy, LOCK_EX | LOCK_NB));
    FAILS(EWOULDBLOCK, flock(other, LOCK_SH | LOCK_NB));
    HOLDS(IN_CHILD({ DO(flock(file, LOCK_SH)); }) == 0);
    DO(flock(other, LOCK_SH | LOCK_NB));
    close(file);
    FAILS(EWOULDBLOCK, flock(other, LOCK_EX | LOCK_NB));
    close(copy);
    DO(flock(other, LOCK_EX | LOCK_NB));
    FAILS(EINVAL, flock(other, 0));
}

static struct flock range_of(int type, long from, long length) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = from, .l_len = length};
}

CONTRACT(lock_of_a_range_belongs_to_the_process_and_ends_with_any_close) {
    own_directory();
    int file = file_of("a", "0123456789");
    struct flock lock = range_of(F_WRLCK, 2, 3);
    DO(fcntl(file, F_SETLK, &lock));
    for (int held = 1; held >= 0; held--) {
        HOLDS(IN_CHILD({
            struct flock mine = range_of(F_RDLCK, 4, 1);
            if (held) {
                FAILS(EAGAIN, fcntl(file, F_SETLK, &mine));
                DO(fcntl(file, F_GETLK, &mine));
                HOLDS(mine.l_type == F_WRLCK && mine.l_start == 2 && mine.l_len == 3 && mine.l_pid == getppid());
                mine = range_of(F_WRLCK, 5, 0);
            }
            DO(fcntl(file, F_SETLK, &mine));
        }) == 0);
        close(DO(open("a", O_RDONLY)));
    }
}

CONTRACT(lock_waits_until_it_is_free_and_tells_of_deadlock) {
    own_directory();
    int file = file_of("a", ""), ends[2];
    DO(pipe(ends));
    struct flock lock = range_of(F_WRLCK, 0, 1);
    DO(fcntl(file, F_SETLK, &lock));
    pid_t child = START({
        struct flock second = range_of(F_WRLCK, 1, 1);
        struct flock first = range_of(F_WRLCK, 0, 1);
        DO(fcntl(file, F_SETLK, &second));
        DO(write(ends[1], "x", 1));
        DO(fcntl(file, F_SETLKW, &first));
    });
    char byte;
    DO(read(ends[0], &byte, 1));
    /* Whether it already waits or not, both cannot have both. */
    awaits(child, "stat", "", " S ");
    lock = range_of(F_WRLCK, 1, 1);
    FAILS(EDEADLK, fcntl(file, F_SETLKW, &lock));
    lock = range_of(F_UNLCK, 0, 0);
    DO(fcntl(file, F_SETLK, &lock));
    finishes(child);
}

CONTRACT(lock_of_an_open_file_description_is_not_the_process_s) {
    own_directory();
    int file = file_of("a", ""), other = DO(open("a", O_RDWR));
    struct flock lock = range_of(F_WRLCK, 0, 0);
    DO(fcntl(file, F_OFD_SETLK, &lock));
    FAILS(EAGAIN, fcntl(other, F_OFD_SETLK, &lock));
    DO(fcntl(other, F_OFD_GETLK, &lock));
    HOLDS(lock.l_type == F_WRLCK && lock.l_pid == -1);
    close(DO(open("a", O_RDONLY)));
    lock = range_of(F_RDLCK, 0, 0);
    FAILS(EAGAIN, fcntl(other, F_SETLK, &lock));
    close(file);
    DO(fcntl(other, F_SETLK, &lock));
}

CONTRACT(lock_needs_a_descriptor_that_may) {
    own_directory();
    file_of("a", "");
    struct flock lock = range_of(F_WRLCK, 0, 0);
    FAILS(EBADF, fcntl(DO(open("a", O_RDONLY)), F_SETLK, &lock));
    lock.l_type = 99;
    FAILS(EINVAL, fcntl(DO(open("a", O_RDWR)), F_SETLK, &lock));
}

static int next_event(int watcher, char *name) {
    static char buffer[4096] __attribute__((aligned(8)));
    static long length, at;
    if (at == length) { length = DO(read(watcher, buffer, sizeof buffer)); at = 0; }
    struct inotify_event *event = (void *)(buffer + at);
    at += (long)sizeof *event + event->len;
    strcpy(name, event->len ? event->name : "");
    return (int)event->mask;
}

CONTRACT(inotify_tells_what_happens_in_a_directory) {
    own_directory();
    int watcher = DO(inotify_init1(IN_NONBLOCK));
    DO(inotify_add_watch(watcher, ".", IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVE | IN_DELETE));
    close(file_of("a", "text"));
    DO(rename("a", "b"));
    DO(unlink("b"));
    DO(mkdir("d", 0700));
    char name[256];
    HOLDS(next_event(watcher, name) == IN_CREATE && strcmp(name, "a") == 0);
    HOLDS(next_event(watcher, name) == IN_MODIFY);
    HOLDS(next_event(watcher, name) == IN_CLOSE_WRITE);
    HOLDS(next_event(watcher, name) == IN_MOVED_FROM && strcmp(name, "a") == 0);
    HOLDS(next_event(watcher, name) == IN_MOVED_TO && strcmp(name, "b") == 0);
    HOLDS(next_event(watcher, name) == IN_DELETE);
    HOLDS(next_event(watcher, name) == (IN_CREATE | IN_ISDIR));
    char more[512];
    FAILS(EAGAIN, read(watcher, more, sizeof more));
}

CONTRACT(inotify_watch_of_a_file_ends_with_it) {
    own_directory();
    close(file_of("a", ""));
    int watcher = DO(inotify_init1(IN_NONBLOCK));
    int watch = DO(inotify_add_watch(watcher, "a", IN_DELETE_SELF | IN_ATTRIB));
    HOLDS(inotify_add_watch(watcher, "a", IN_DELETE_SELF) == watch);
    DO(unlink("a"));
    char name[256];
    HOLDS(next_event(watcher, name) == IN_DELETE_SELF && next_event(watcher, name) == IN_IGNORED);
    FAILS(EINVAL, inotify_rm_watch(watcher, watch));
    FAILS(ENOENT, inotify_add_watch(watcher, "none", IN_CREATE));
}

CONTRACT(nonblocking_flag_is_the_opening_s) {
    int ends[2];
    DO(pipe(ends));
    int copy = DO(dup(ends[0]));
    unblocking(ends[0]);
    char byte;
    FAILS(EAGAIN, read(copy, &byte, 1));
    int on = 0;
    DO(ioctl(copy, FIONBIO, &on));
    HOLDS(!(DO(fcntl(ends[0], F_GETFL)) & O_NONBLOCK));
}

CONTRACT(ioctl_of_what_is_no_terminal_is_enotty) {
    int ends[2];
    DO(pipe(ends));
    struct winsize size;
    FAILS(ENOTTY, ioctl(ends[0], TIOCGWINSZ, &size));
    FAILS(EBADF, ioctl(99, TIOCGWINSZ, &size));
    HOLDS(!isatty(ends[0]));
}
