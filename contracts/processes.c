/* Processes, their groups, limits and programs: fork(2), execve(2), wait(2), credentials(7). */
#include "contract.h"
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/times.h>
#include <sys/utsname.h>

extern char **environ;

CONTRACT(wait_tells_exit_codes_and_signals) {
    int status = IN_CHILD({ _exit(300); });
    HOLDS(WIFEXITED(status) && WEXITSTATUS(status) == (300 & 255));
    status = IN_CHILD({ raise(SIGTERM); });
    HOLDS(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    FAILS(ECHILD, wait(&status));
    FAILS(ECHILD, waitpid(1, &status, 0));
    FAILS(EINVAL, waitpid(-1, &status, 1 << 20));
}

CONTRACT(wait_nohang_is_0_while_they_live) {
    int ends[2], status;
    DO(pipe(ends));
    pid_t child = START({ char byte; read(ends[0], &byte, 1); });
    HOLDS(waitpid(child, &status, WNOHANG) == 0);
    DO(write(ends[1], "x", 1));
    finishes(child);
}

CONTRACT(waitid_tells_more_and_nowait_leaves_the_zombie) {
    pid_t child = START({ _exit(7); });
    siginfo_t info = {0};
    DO(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
    HOLDS(info.si_pid == child && info.si_code == CLD_EXITED && info.si_status == 7 && info.si_signo == SIGCHLD);
    DO(waitid(P_ALL, 0, &info, WEXITED));
    HOLDS(info.si_pid == child);
    FAILS(ECHILD, waitid(P_ALL, 0, &info, WEXITED));
    FAILS(EINVAL, waitid(P_PID, child, &info, 0));
}

CONTRACT(wait4_tells_what_the_child_used) {
    pid_t child = START({ static volatile char pages[1 << 20]; for (int i = 0; i < 1 << 20; i += 512) pages[i] = 1; });
    int status;
    struct rusage used = {0};
    HOLDS(wait4(child, &status, 0, &used) == child && status == 0);
    HOLDS(used.ru_maxrss >= 1024);
}

CONTRACT(process_orphan_gets_another_parent) {
    int ends[2];
    DO(pipe(ends));
    DO(prctl(PR_SET_CHILD_SUBREAPER, 1));
    pid_t reaper = getpid(), middle = START({
        pid_t parent = getpid();
        START({
            while (getppid() == parent) usleep(1000);
            HOLDS(getppid() == reaper);
            DO(write(ends[1], "x", 1));
            _exit(5);
        });
    });
    finishes(middle);
    char byte;
    HOLDS(read(ends[0], &byte, 1) == 1);
    int status;
    HOLDS(wait(&status) > 0 && WEXITSTATUS(status) == 5);
}

CONTRACT(process_death_of_the_parent_sends_a_signal) {
    int ends[2];
    DO(pipe(ends));
    pid_t middle = START({
        int set[2];
        DO(pipe(set));
        START({
            DO(prctl(PR_SET_PDEATHSIG, SIGKILL));
            DO(write(set[1], "x", 1));
            for (;;) pause();
        });
        char byte;
        DO(read(set[0], &byte, 1));
    });
    close(ends[1]);
    finishes(middle);
    char byte;
    HOLDS(read(ends[0], &byte, 1) == 0);
}

CONTRACT(process_groups_and_sessions) {
    HOLDS(IN_CHILD({
        pid_t self = getpid();
        HOLDS(getpgid(0) == getppid());
        HOLDS(setsid() == self && getsid(0) == self && getpgrp() == self);
        FAILS(EPERM, setsid());
        FAILS(EPERM, setpgid(0, 0));
        pid_t child = START({ for (;;) pause(); });
        FAILS(EPERM, setpgid(child, getppid()));
        DO(kill(child, SIGKILL));
        FAILS(ESRCH, getpgid(0x3fffff));
        FAILS(EINVAL, setpgid(0, -1));
    }) == 0);
}

CONTRACT(process_group_of_a_child_is_fixed_by_its_exec) {
    int ends[2];
    DO(pipe2(ends, O_CLOEXEC));
    pid_t child = START({ execl(itself(), "contracts", "--number", NULL); });
    close(ends[1]);
    char byte;
    HOLDS(read(ends[0], &byte, 1) == 0);
    FAILS(EACCES, setpgid(child, child));
    finishes(child);
}

CONTRACT(process_orphaned_group_that_is_stopped_gets_sighup) {
    int ends[2];
    DO(pipe(ends));
    pid_t leader = START({
        DO(setsid());
        pid_t member = START({
            DO(setpgid(0, 0));
            raise(SIGSTOP);
        });
        int status;
        HOLDS(waitpid(member, &status, WUNTRACED) == member && WIFSTOPPED(status));
    });
    finishes(leader);
    close(ends[1]);
    char byte;
    HOLDS(read(ends[0], &byte, 1) == 0);
}

CONTRACT(kill_finds_whom_it_means) {
    FAILS(ESRCH, kill(0x3fffff, 0));
    FAILS(EINVAL, kill(getpid(), 65));
    DO(kill(getpid(), 0));
    pid_t child = START({ _exit(0); });
    siginfo_t info;
    DO(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
    DO(kill(child, SIGTERM));
    finishes(child);
    FAILS(ESRCH, kill(child, 0));
    HOLDS(IN_CHILD({ without_rights(); FAILS(EPERM, kill(getppid(), SIGTERM)); }) == 0);
}

CONTRACT(pidfd_is_readable_when_its_process_has_ended) {
    int ends[2];
    DO(pipe(ends));
    pid_t child = START({ char byte; read(ends[0], &byte, 1); _exit(3); });
    int file = (int)DO(syscall(SYS_pidfd_open, child, 0));
    struct pollfd wait = {.fd = file, .events = POLLIN};
    HOLDS(poll(&wait, 1, 0) == 0 && fcntl(file, F_GETFD) == FD_CLOEXEC);
    DO(write(ends[1], "x", 1));
    HOLDS(poll(&wait, 1, -1) == 1 && (wait.revents & POLLIN));
    siginfo_t info = {0};
    DO(waitid(3, file, &info, WEXITED));
    HOLDS(info.si_pid == child && info.si_status == 3);
    FAILS(ESRCH, syscall(SYS_pidfd_send_signal, file, 0, NULL, 0));
}

CONTRACT(pidfd_sends_signals_and_is_refused_for_the_gone) {
    pid_t child = START({ for (;;) pause(); });
    int file = (int)DO(syscall(SYS_pidfd_open, child, 0)), status;
    DO(syscall(SYS_pidfd_send_signal, file, SIGKILL, NULL, 0));
    HOLDS(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
    FAILS(ESRCH, syscall(SYS_pidfd_open, child, 0));
    FAILS(EINVAL, syscall(SYS_pidfd_open, getpid(), 1));
    FAILS(EINVAL, syscall(SYS_pidfd_open, -1, 0));
}

/* What a program prints that is executed so. */
#define PRINTED(text, ...)                                                                                             \
    ({                                                                                                                 \
        int ends_[2];                                                                                                  \
        DO(pipe(ends_));                                                                                               \
        pid_t printer_ = START({ DO(dup2(ends_[1], 1)); __VA_ARGS__; _exit(97); });                                    \
        close(ends_[1]);                                                                                               \
        long all_ = 0, count_;                                                                                         \
        while ((count_ = DO(read(ends_[0], text + all_, sizeof text - 1 - all_))) > 0) all_ += count_;                 \
        text[all_] = 0;                                                                                                \
        int status_;                                                                                                   \
        DO(waitpid(printer_, &status_, 0));                                                                            \
        status_;                                                                                                       \
    })

static void script_of(const char *name, const char *first, int mode) {
    int file = file_of(name, first);
    DO(fchmod(file, mode));
    close(file);
}

CONTRACT(exec_of_a_script_runs_its_interpreter) {
    char line[400], text[600], expected[600];
    snprintf(line, sizeof line, "#! %s --echo\n", itself());
    own_directory();
    script_of("script", line, 0755);
    HOLDS(PRINTED(text, execl("./script", "zero", "one", "two", NULL)) == 0);
    snprintf(expected, sizeof expected, "./script\none\ntwo\n");
    HOLDS(strcmp(text, expected) == 0);
}

CONTRACT(exec_errors_name_what_is_wrong) {
    own_directory();
    char *none[] = {"x", NULL};
    script_of("plain", "no program\n", 0755);
    script_of("closed", "#!/none\n", 0644);
    script_of("open", "#!/none/at/all\n", 0755);
    script_of("empty", "", 0755);
    FAILS(ENOENT, execve("none", none, environ));
    FAILS(ENOEXEC, execve("plain", none, environ));
    FAILS(ENOEXEC, execve("empty", none, environ));
    FAILS(EACCES, execve("closed", none, environ));
    FAILS(ENOENT, execve("open", none, environ));
    FAILS(EACCES, execve(".", none, environ));
    FAILS(EACCES, execve("/dev/null", none, environ));
    FAILS(EFAULT, execve((char *)8, none, environ));
    FAILS(ENOTDIR, execve("plain/x", none, environ));
}

CONTRACT(exec_refuses_arguments_that_are_too_long) {
    static char long_one[(128 << 10) + 1];
    memset(long_one, 'x', sizeof long_one - 1);
    char *arguments[] = {"contracts", "--number", long_one, NULL};
    FAILS(E2BIG, execve(itself(), arguments, environ));
    long_one[sizeof long_one - 2] = 0;
    char *fits[] = {"contracts", "--echo", long_one, NULL};
    HOLDS(IN_CHILD({ DO(dup2(DO(open("/dev/null", O_WRONLY)), 1)); execve(itself(), fits, environ); _exit(1); }) == 0);
}

CONTRACT(exec_takes_many_arguments) {
    enum { MANY = 2000 };
    static char *arguments[MANY + 3];
    arguments[0] = "contracts";
    arguments[1] = "--echo";
    for (int i = 0; i < MANY; i++) arguments[i + 2] = "word";
    static char text[MANY * 5 + 2];
    HOLDS(PRINTED(text, execve(itself(), arguments, environ)) == 0);
    HOLDS(strlen(text) == MANY * 5);
}

CONTRACT(exec_by_descriptor) {
    int program = DO(open(itself(), O_PATH | O_CLOEXEC));
    char *arguments[] = {"contracts", "--number", NULL};
    HOLDS(IN_CHILD({ syscall(SYS_execveat, program, "", arguments, environ, AT_EMPTY_PATH); _exit(9); }) == 0);
    FAILS(ENOENT, syscall(SYS_execveat, program, "", arguments, environ, 0));
}

CONTRACT(exec_at_a_descriptor_s_directory) {
    own_directory();
    DO(symlink(itself(), "link"));
    int here = DO(open(".", O_PATH | O_DIRECTORY));
    char *arguments[] = {"contracts", "--number", NULL};
    HOLDS(IN_CHILD({ syscall(SYS_execveat, here, "link", arguments, environ, 0); _exit(9); }) == 0);
    FAILS(ELOOP, syscall(SYS_execveat, here, "link", arguments, environ, AT_SYMLINK_NOFOLLOW));
    FAILS(EINVAL, syscall(SYS_execveat, here, "link", arguments, environ, 1));
    FAILS(ENOENT, syscall(SYS_execveat, here, "none", arguments, environ, 0));
    FAILS(EBADF, syscall(SYS_execveat, 777, "link", arguments, environ, 0));
    FAILS(EACCES, syscall(SYS_execveat, here, "", arguments, environ, AT_EMPTY_PATH));
}

CONTRACT(exec_of_a_file_without_a_name) {
    int program = DO(open(itself(), O_RDONLY)), memory = DO(syscall(SYS_memfd_create, "program", 1));
    char bytes[65536];
    for (long count; (count = DO(read(program, bytes, sizeof bytes))) > 0;) HOLDS(write(memory, bytes, count) == count);
    char *arguments[] = {"contracts", "--number", NULL};
    HOLDS(IN_CHILD({ syscall(SYS_execveat, memory, "", arguments, environ, AT_EMPTY_PATH); _exit(9); }) == 0);
}

CONTRACT(exec_of_a_script_by_descriptor_needs_it_after_exec) {
    own_directory();
    char text[300];
    snprintf(text, sizeof text, "#!%s --number\n", itself());
    close(file_of("script", text));
    DO(chmod("script", 0755));
    int script = DO(open("script", O_RDONLY | O_CLOEXEC));
    char *arguments[] = {"script", NULL};
    FAILS(ENOENT, syscall(SYS_execveat, script, "", arguments, environ, AT_EMPTY_PATH));
}

CONTRACT(pidfd_gives_descriptors_of_its_process) {
    own_directory();
    int ends[2], file = file_of("a", "text");
    DO(pipe(ends));
    pid_t child = START({
        DO(lseek(file, 2, SEEK_SET));
        DO(dup2(file, 77));
        DO(write(ends[1], "x", 1));
        for (;;) pause();
    });
    char byte;
    DO(read(ends[0], &byte, 1));
    int process = DO(syscall(SYS_pidfd_open, child, 0)), got = DO(syscall(SYS_pidfd_getfd, process, 77, 0));
    HOLDS(fcntl(got, F_GETFD) == FD_CLOEXEC && read(got, &byte, 1) == 1 && byte == 'x');
    FAILS(EBADF, syscall(SYS_pidfd_getfd, process, 78, 0));
    FAILS(EBADF, syscall(SYS_pidfd_getfd, got, 77, 0));
    FAILS(EINVAL, syscall(SYS_pidfd_getfd, process, 77, 1));
    without_rights();
    FAILS(EPERM, syscall(SYS_pidfd_getfd, process, 77, 0));
}

CONTRACT(exec_keeps_what_is_the_process_s) {
    own_directory();
    DO(umask(0123));
    struct rlimit limit = {123, 456};
    DO(setrlimit(RLIMIT_NOFILE, &limit));
    char line[400], text[400], here[300];
    snprintf(line, sizeof line, "Max open files            123                  456 ");
    HOLDS(PRINTED(text, { execl(itself(), "contracts", "--echo", "x", NULL); }) == 0);
    HOLDS(strcmp(text, "x\n") == 0 && getcwd(here, sizeof here));
    FILE *limits = fopen("/proc/self/limits", "r");
    int seen = 0;
    while (fgets(text, sizeof text, limits)) seen |= strncmp(text, line, strlen(line)) == 0;
    HOLDS(seen);
}

CONTRACT(exec_of_a_file_that_is_written_is_etxtbsy) {
    char path[300];
    strcpy(path, itself());
    own_directory();
    int from = DO(open(path, O_RDONLY)), to = DO(open("program", O_CREAT | O_RDWR, 0755));
    struct stat found;
    DO(fstat(from, &found));
    for (long left = found.st_size; left > 0;) left -= DO(sendfile(to, from, NULL, left));
    char *arguments[] = {"contracts", "--number", NULL};
    FAILS(ETXTBSY, execve("./program", arguments, environ));
    close(to);
    HOLDS(IN_CHILD({ execve("./program", arguments, environ); _exit(9); }) == 0);
}

CONTRACT(exec_of_a_setuid_program_gives_its_owner) {
    char path[300];
    strcpy(path, itself());
    own_directory();
    int from = DO(open(path, O_RDONLY)), to = DO(open("program", O_CREAT | O_WRONLY, 0755));
    struct stat found;
    DO(fstat(from, &found));
    for (long left = found.st_size; left > 0;) left -= DO(sendfile(to, from, NULL, left));
    DO(fchown(to, 2000, 2000));
    DO(fchmod(to, 06755));
    close(to);
    char text[200];
    HOLDS(PRINTED(text, { without_rights(); execl("./program", "contracts", "--users", NULL); }) == 0);
    HOLDS(strcmp(text, "1000 2000 2000 1000 2000 2000\n") == 0);
    HOLDS(PRINTED(text, {
        DO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        without_rights();
        execl("./program", "contracts", "--users", NULL);
    }) == 0);
    HOLDS(strcmp(text, "1000 1000 1000 1000 1000 1000\n") == 0);
}

CONTRACT(user_may_change_only_among_his_own) {
    HOLDS(IN_CHILD({
        DO(setresgid(1000, 1001, 1002));
        DO(setresuid(1000, 1001, 1002));
        DO(setresuid(-1, 1000, -1));
        DO(seteuid(1002));
        FAILS(EPERM, setuid(0));
        FAILS(EPERM, setresuid(1003, -1, -1));
        FAILS(EPERM, setgid(0));
        DO(setuid(1000));
        uid_t real, effective, saved;
        DO(getresuid(&real, &effective, &saved));
        HOLDS(real == 1000 && effective == 1000 && saved == 1002);
    }) == 0);
}

CONTRACT(user_root_gives_up_all_with_setuid) {
    HOLDS(IN_CHILD({
        DO(setuid(1000));
        FAILS(EPERM, setuid(0));
        FAILS(EPERM, seteuid(0));
        HOLDS(getuid() == 1000 && geteuid() == 1000);
    }) == 0);
}

CONTRACT(prctl_name_is_15_bytes_and_each_thread_s) {
    char name[16];
    DO(prctl(PR_SET_NAME, "a-name-that-is-too-long"));
    DO(prctl(PR_GET_NAME, name));
    HOLDS(strcmp(name, "a-name-that-is-") == 0);
    awaits(getpid(), "comm", "a-name-that-is-", "\n");
    FAILS(EINVAL, prctl(12345, 0, 0, 0, 0));
}

CONTRACT(prctl_no_new_privileges_is_for_ever) {
    DO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    HOLDS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    FAILS(EINVAL, prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    HOLDS(IN_CHILD({ HOLDS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1); }) == 0);
}

CONTRACT(rlimit_is_lowered_by_all_and_raised_by_few) {
    HOLDS(IN_CHILD({
        struct rlimit limit = {50, 100};
        DO(setrlimit(RLIMIT_NOFILE, &limit));
        without_rights();
        limit.rlim_cur = 100;
        DO(setrlimit(RLIMIT_NOFILE, &limit));
        limit.rlim_max = 101;
        FAILS(EPERM, setrlimit(RLIMIT_NOFILE, &limit));
        limit = (struct rlimit){11, 10};
        FAILS(EINVAL, setrlimit(RLIMIT_NOFILE, &limit));
        DO(getrlimit(RLIMIT_NOFILE, &limit));
        HOLDS(limit.rlim_cur == 100 && limit.rlim_max == 100);
        FAILS(EINVAL, getrlimit(99, &limit));
    }) == 0);
}

CONTRACT(rlimit_of_processes_is_eagain) {
    HOLDS(IN_CHILD({
        without_rights();
        struct rlimit limit = {0, 0};
        DO(setrlimit(RLIMIT_NPROC, &limit));
        FAILS(EAGAIN, fork());
    }) == 0);
}

CONTRACT(rlimit_of_cpu_time_sends_sigxcpu) {
    int status = IN_CHILD({
        struct rlimit limit = {1, 5};
        DO(setrlimit(RLIMIT_CPU, &limit));
        for (;;) {}
    });
    HOLDS(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
}

CONTRACT(nice_is_bounded_and_inherited) {
    HOLDS(IN_CHILD({
        DO(setpriority(PRIO_PROCESS, 0, 5));
        errno = 0;
        HOLDS(getpriority(PRIO_PROCESS, 0) == 5 && errno == 0);
        HOLDS(IN_CHILD({ HOLDS(getpriority(PRIO_PROCESS, 0) == 5); }) == 0);
        DO(setpriority(PRIO_PROCESS, 0, 100));
        HOLDS(getpriority(PRIO_PROCESS, 0) == 19);
        FAILS(ESRCH, setpriority(PRIO_PROCESS, 0x3fffff, 0));
        FAILS(EINVAL, setpriority(9, 0, 0));
        without_rights();
        FAILS(EACCES, setpriority(PRIO_PROCESS, 0, 0));
    }) == 0);
}

CONTRACT(times_of_children_are_added_when_they_are_waited_for) {
    struct tms before, after;
    HOLDS(times(&before) != (clock_t)-1);
    HOLDS(before.tms_cutime == 0 && before.tms_cstime == 0);
    HOLDS(IN_CHILD({
        struct timespec used;
        do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        while (used.tv_sec == 0 && used.tv_nsec < 60000000);
    }) == 0);
    times(&after);
    HOLDS(after.tms_cutime + after.tms_cstime >= 3);
    struct rusage used;
    DO(getrusage(RUSAGE_CHILDREN, &used));
    HOLDS(used.ru_utime.tv_sec * 1000000L + used.ru_utime.tv_usec + used.ru_stime.tv_sec * 1000000L + used.ru_stime.tv_usec
          >= 30000);
    FAILS(EINVAL, getrusage(99, &used));
}

CONTRACT(uname_tells_linux) {
    struct utsname name;
    DO(uname(&name));
    HOLDS(strcmp(name.sysname, "Linux") == 0 && atoi(name.release) >= 4);
    FAILS(EFAULT, syscall(SYS_uname, 8));
}

CONTRACT(affinity_is_inherited_and_never_empty) {
    cpu_set_t set;
    CPU_ZERO(&set);
    HOLDS(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1);
    int first = 0;
    while (!CPU_ISSET(first, &set)) first++;
    CPU_ZERO(&set);
    FAILS(EINVAL, sched_setaffinity(0, sizeof set, &set));
    CPU_SET(first, &set);
    DO(sched_setaffinity(0, sizeof set, &set));
    HOLDS(IN_CHILD({
        cpu_set_t mine;
        DO(sched_getaffinity(0, sizeof mine, &mine));
        HOLDS(CPU_COUNT(&mine) == 1 && CPU_ISSET(first, &mine));
        unsigned cpu;
        DO(syscall(SYS_getcpu, &cpu, NULL, NULL));
        HOLDS((int)cpu == first);
    }) == 0);
}

CONTRACT(random_bytes_are_given_and_differ) {
    unsigned char one[32] = {0}, two[32] = {0};
    HOLDS(syscall(SYS_getrandom, one, 32, 0) == 32 && syscall(SYS_getrandom, two, 32, 1) == 32);
    HOLDS(memcmp(one, two, 32) != 0);
    FAILS(EINVAL, syscall(SYS_getrandom, one, 32, 99));
    FAILS(EFAULT, syscall(SYS_getrandom, 8, 32, 0));
}

CONTRACT(unknown_calls_are_enosys) {
    FAILS(ENOSYS, syscall(5000));
    FAILS(ENOSYS, syscall(-2));
}
