/* What programs read of themselves, others and the machine: proc(5). */
#include "contract.h"
#include <dirent.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>

/* The whole text of a file. */
static char *text_of(const char *path) {
    static char text[1 << 18];
    int file = DO(open(path, O_RDONLY | O_CLOEXEC));
    long length = 0, count;
    while ((count = DO(read(file, text + length, sizeof text - 1 - length))) > 0) length += count;
    close(file);
    text[length] = 0;
    return text;
}

static char *of(pid_t process, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", process, name);
    return text_of(path);
}

/* The number behind the word that a line begins with. */
static long number_at(const char *text, const char *key) {
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, key, strlen(key)) == 0) return strtol(line + strlen(key), NULL, 0);
    contract_broken("proc.c", __LINE__, key, ENOENT);
}

static char *link_of(const char *path) {
    static char text[256];
    long length = DO(readlink(path, text, sizeof text - 1));
    text[length] = 0;
    return text;
}

struct mapping {
    unsigned long start, end, offset, inode;
    char rights[5], name[128];
};

/* The mapping that the address is in. */
static struct mapping mapping_of(const void *address) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    HOLDS(maps != NULL);
    while (fgets(line, sizeof line, maps)) {
        struct mapping found = {0};
        unsigned major, minor;
        HOLDS(sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %127s", &found.start, &found.end, found.rights, &found.offset,
                     &major, &minor, &found.inode, found.name) >= 7);
        if ((unsigned long)address - found.start < found.end - found.start) {
            fclose(maps);
            return found;
        }
    }
    fclose(maps);
    return (struct mapping){0};
}

CONTRACT(proc_self_is_the_reader) {
    char own[32];
    snprintf(own, sizeof own, "%d", getpid());
    HOLDS(strcmp(link_of("/proc/self"), own) == 0);
    finishes(START({
        snprintf(own, sizeof own, "%d", getpid());
        HOLDS(strcmp(link_of("/proc/self"), own) == 0);
    }));
    snprintf(own, sizeof own, "%d/task/%ld", getpid(), syscall(SYS_gettid));
    HOLDS(strcmp(link_of("/proc/thread-self"), own) == 0);
}

CONTRACT(proc_maps_tell_rights_and_files) {
    own_directory();
    int file = file_of("mapped", "text");
    struct stat found;
    DO(fstat(file, &found));
    char *private = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 4096);
    struct mapping told = mapping_of(private);
    HOLDS(told.start == (unsigned long)private && told.end == told.start + 8192 && strcmp(told.rights, "r-xp") == 0);
    HOLDS(told.offset == 4096 && told.inode == found.st_ino && strstr(told.name, "/mapped") != NULL);
    char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    HOLDS(strcmp(mapping_of(shared).rights, "rw-s") == 0);
    char *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    told = mapping_of(nothing);
    HOLDS(strcmp(told.rights, "---p") == 0 && told.inode == 0);
    DO(munmap(shared, 4096));
    HOLDS(mapping_of(shared).start == 0);
}

CONTRACT(proc_maps_name_the_stack_the_heap_and_deleted_files) {
    int local;
    HOLDS(strcmp(mapping_of(&local).name, "[stack]") == 0);
    char *end = (char *)syscall(SYS_brk, 0);
    DO(syscall(SYS_brk, end + 8192));
    HOLDS(strcmp(mapping_of(end + 4096).name, "[heap]") == 0);
    own_directory();
    int file = file_of("mapped", "text");
    char *gone = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
    DO(unlink("mapped"));
    char line[64];
    snprintf(line, sizeof line, "%lx-", (unsigned long)gone);
    char *place = strstr(text_of("/proc/self/maps"), line);
    HOLDS(place && strstr(place, "/mapped (deleted)\n") && strstr(place, "/mapped (deleted)\n") < strchr(place, '\n'));
}

CONTRACT(proc_maps_fuller_form_adds_up) {
    char *area = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), line[64];
    memset(area, 1, 64 << 10);
    mprotect(area, 4096, PROT_READ);
    snprintf(line, sizeof line, "%lx-", (unsigned long)area + 4096);
    char *place = strstr(text_of("/proc/self/smaps"), line);
    HOLDS(place != NULL && number_at(place, "Rss:") >= 60 && number_at(place, "Size:") >= 1020);
    HOLDS(number_at(place, "Private_Dirty:") >= 60);
}

CONTRACT(proc_fd_lists_what_is_open) {
    own_directory();
    int file = file_of("open", "text"), ends[2];
    char path[32];
    DO(pipe(ends));
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    HOLDS(strstr(link_of(path), "/open") != NULL);
    struct stat link, opened;
    DO(lstat(path, &link));
    HOLDS(S_ISLNK(link.st_mode) && (link.st_mode & 0700) == 0700);
    DO(stat(path, &link));
    DO(fstat(file, &opened));
    HOLDS(link.st_ino == opened.st_ino);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    HOLDS(strncmp(link_of(path), "pipe:[", 6) == 0);
    DO(unlink("open"));
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    HOLDS(strstr(link_of(path), "/open (deleted)") != NULL);
    int again = DO(open(path, O_RDONLY)), seen = 0;
    HOLDS(lseek(again, 0, SEEK_CUR) == 0);
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(directory));) seen |= atoi(entry->d_name) == file;
    HOLDS(seen);
    FAILS(ENOENT, readlink("/proc/self/fd/777", path, 10));
}

CONTRACT(proc_fdinfo_tells_position_and_flags) {
    own_directory();
    int file = file_of("open", "text");
    char path[32];
    DO(lseek(file, 3, SEEK_SET));
    DO(fcntl(file, F_SETFD, FD_CLOEXEC));
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", file);
    char *text = text_of(path);
    HOLDS(number_at(text, "pos:") == 3);
    HOLDS((strtol(strstr(text, "flags:") + 6, NULL, 8) & (O_CLOEXEC | O_ACCMODE)) == (O_CLOEXEC | O_RDWR));
}

CONTRACT(proc_exe_cwd_and_root_are_links) {
    own_directory();
    char here[256];
    HOLDS(getcwd(here, sizeof here) && strcmp(link_of("/proc/self/cwd"), here) == 0);
    HOLDS(strcmp(link_of("/proc/self/root"), "/") == 0);
    struct stat one, two;
    DO(stat("/proc/self/exe", &one));
    DO(stat(itself(), &two));
    HOLDS(one.st_ino == two.st_ino && one.st_dev == two.st_dev);
}

CONTRACT(proc_cmdline_and_environ_are_what_exec_gave) {
    int ends[2];
    DO(pipe(ends));
    pid_t child = START({
        DO(dup2(ends[0], 0));
        close(ends[1]);
        char *arguments[] = {"other", "--wait", "a b", "", NULL}, *environment[] = {"A=1", "B=2", NULL};
        execve(itself(), arguments, environment);
    });
    awaits(child, "cmdline", "other", "");
    HOLDS(memcmp(of(child, "cmdline"), "other\0--wait\0a b\0\0", 19) == 0);
    HOLDS(memcmp(of(child, "environ"), "A=1\0B=2\0", 8) == 0);
    close(ends[1]);
    finishes(child);
}

CONTRACT(proc_stat_fields_stand_where_they_belong) {
    prctl(PR_SET_NAME, "a) b (c");
    char *text = text_of("/proc/self/stat"), *rest = strrchr(text, ')'), state;
    int pid, parent, group, session, terminal, foreground;
    unsigned long threads, start, size;
    HOLDS(strstr(text, " (a) b (c) ") != NULL && sscanf(text, "%d", &pid) == 1 && pid == getpid());
    HOLDS(sscanf(rest, ") %c %d %d %d %d %d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %lu %*d %lu %lu", &state, &parent,
                 &group, &session, &terminal, &foreground, &threads, &start, &size) == 9);
    HOLDS(state == 'R' && parent == getppid() && group == getpgrp() && session == getsid(0));
    HOLDS(threads == 1 && start > 0 && size > 65536);
    int fields = 2;
    for (char *at = rest; (at = strchr(at, ' ')); at++) fields++;
    HOLDS(fields == 52);
}

CONTRACT(proc_status_tells_of_users_signals_and_memory) {
    signal(SIGUSR1, SIG_IGN);
    char *text = text_of("/proc/self/status");
    HOLDS(number_at(text, "Pid:") == getpid() && number_at(text, "PPid:") == getppid());
    HOLDS(number_at(text, "Tgid:") == getpid() && number_at(text, "TracerPid:") == 0);
    HOLDS(strstr(text, "\nUid:\t0\t0\t0\t0\n") && strstr(text, "\nGid:\t0\t0\t0\t0\n"));
    HOLDS(strstr(text, "\nState:\tR (running)\n") && strstr(text, "\nSigIgn:\t0000000000000200\n"));
    HOLDS(number_at(text, "VmRSS:") > 0 && number_at(text, "VmSize:") >= number_at(text, "VmRSS:"));
    HOLDS(number_at(text, "VmHWM:") >= number_at(text, "VmRSS:") && number_at(text, "Threads:") == 1);
    HOLDS(strstr(text, "\nCapEff:\t") && strstr(text, "\nSeccomp:\t0\n") && strstr(text, "\nNoNewPrivs:\t0\n"));
}

CONTRACT(proc_state_of_each_process_is_told) {
    pid_t sleeper = START(for (;;) pause()), ended = START();
    awaits(sleeper, "status", "State:", "S (sleeping)");
    awaits(ended, "status", "State:", "Z (zombie)");
    HOLDS(strcmp(of(ended, "cmdline"), "") == 0);
    DO(kill(sleeper, SIGSTOP));
    awaits(sleeper, "status", "State:", "T (stopped)");
    DO(kill(sleeper, SIGKILL));
    DO(waitpid(sleeper, NULL, 0));
    char path[32];
    snprintf(path, sizeof path, "/proc/%d", sleeper);
    FAILS(ENOENT, access(path, F_OK));
}

CONTRACT(proc_of_an_ended_process_that_is_still_open_is_esrch) {
    char path[32], byte;
    pid_t child = START(for (;;) pause());
    snprintf(path, sizeof path, "/proc/%d/status", child);
    int status = DO(open(path, O_RDONLY));
    DO(kill(child, SIGKILL));
    DO(waitpid(child, NULL, 0));
    FAILS(ESRCH, read(status, &byte, 1));
}

static void *wait_for_ever(void *unused) {
    for (;;) pause();
    return unused;
}

CONTRACT(proc_task_has_each_thread) {
    pthread_t thread;
    for (int i = 0; i < 2; i++) pthread_create(&thread, NULL, wait_for_ever, NULL);
    int count = 0;
    DIR *directory = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
    HOLDS(count == 3);
}

static void *look_at_itself(void *unused) {
    char own[64];
    snprintf(own, sizeof own, "%d/task/%ld", getpid(), syscall(SYS_gettid));
    HOLDS(strcmp(link_of("/proc/thread-self"), own) == 0);
    snprintf(own, sizeof own, "%d", getpid());
    HOLDS(strcmp(link_of("/proc/self"), own) == 0);
    char *text = text_of("/proc/thread-self/status");
    HOLDS(number_at(text, "Pid:") == syscall(SYS_gettid) && number_at(text, "Tgid:") == getpid());
    return unused;
}

CONTRACT(proc_self_of_a_thread_is_its_process) {
    pthread_t thread;
    pthread_create(&thread, NULL, look_at_itself, NULL);
    pthread_join(thread, NULL);
}

CONTRACT(proc_comm_is_the_name_and_can_be_written) {
    int file = DO(open("/proc/self/comm", O_RDWR));
    DO(write(file, "another-name-that-is-long", 25));
    HOLDS(strcmp(text_of("/proc/self/comm"), "another-name-th\n") == 0);
    char name[16];
    prctl(PR_GET_NAME, name);
    HOLDS(strcmp(name, "another-name-th") == 0);
}

CONTRACT(proc_memory_is_read_and_written_through_mem) {
    char word[8] = "before", copy[8];
    int memory = DO(open("/proc/self/mem", O_RDWR));
    HOLDS(pread(memory, copy, 8, (off_t)(uintptr_t)word) == 8 && strcmp(copy, "before") == 0);
    HOLDS(pwrite(memory, "after", 6, (off_t)(uintptr_t)word) == 6 && strcmp(word, "after") == 0);
    FAILS(EIO, pread(memory, copy, 8, 4096));
}

CONTRACT(proc_limits_are_those_of_getrlimit) {
    struct rlimit limit = {77, 99};
    DO(setrlimit(RLIMIT_NOFILE, &limit));
    char *line = strstr(text_of("/proc/self/limits"), "Max open files ");
    long soft, hard;
    HOLDS(line && sscanf(line, "Max open files %ld %ld files", &soft, &hard) == 2 && soft == 77 && hard == 99);
}

CONTRACT(proc_mounts_name_each_mount) {
    char *text = text_of("/proc/self/mounts"), *line = strstr(text, " /proc proc rw");
    HOLDS(line != NULL && strstr(text, " / ") != NULL);
    int number, parent;
    unsigned major, minor;
    char root[64], point[64];
    text = text_of("/proc/self/mountinfo");
    HOLDS(sscanf(text, "%d %d %u:%u %63s %63s", &number, &parent, &major, &minor, root, point) == 6);
    line = strstr(text, " /proc ");
    HOLDS(line && strstr(line, " - proc ") != NULL);
    int file = DO(open("/proc/self/mounts", O_RDONLY));
    struct pollfd asked = {.fd = file, .events = POLLPRI};
    HOLDS(poll(&asked, 1, 0) == 0 || asked.revents == 0);
}

CONTRACT(proc_meminfo_is_in_kib_and_adds_up) {
    char *text = text_of("/proc/meminfo");
    long total = number_at(text, "MemTotal:"), free = number_at(text, "MemFree:");
    HOLDS(total > 10000 && free > 0 && free < total && number_at(text, "MemAvailable:") <= total);
    HOLDS(number_at(text, "SwapTotal:") >= 0 && number_at(text, "Buffers:") >= 0 && number_at(text, "Cached:") >= 0);
    struct sysinfo info;
    DO(sysinfo(&info));
    long told = info.totalram * (unsigned long)info.mem_unit / 1024;
    HOLDS(told == total);
}

CONTRACT(proc_stat_of_the_machine_counts_cpus) {
    char *text = text_of("/proc/stat");
    int cpus = 0;
    for (char *at = text; (at = strstr(at, "\ncpu")); at++) cpus++;
    HOLDS(strncmp(text, "cpu  ", 5) == 0 && cpus == sysconf(_SC_NPROCESSORS_ONLN));
    HOLDS(number_at(text, "btime ") > 1600000000 && number_at(text, "processes ") > 0);
    long now = time(NULL);
    double up;
    HOLDS(sscanf(text_of("/proc/uptime"), "%lf", &up) == 1);
    HOLDS(labs(number_at(text_of("/proc/stat"), "btime ") + (long)up - now) <= 2);
}

CONTRACT(proc_version_uptime_and_loadavg_can_be_read) {
    double up, idle, load;
    int runnable, all, last;
    HOLDS(strncmp(text_of("/proc/version"), "Linux version ", 14) == 0);
    HOLDS(sscanf(text_of("/proc/uptime"), "%lf %lf\n", &up, &idle) == 2 && up > 0);
    HOLDS(sscanf(text_of("/proc/loadavg"), "%lf %lf %lf %d/%d %d", &load, &load, &load, &runnable, &all, &last) == 6);
    HOLDS(runnable >= 1 && all >= runnable && last > 0);
}

CONTRACT(proc_cpuinfo_has_a_paragraph_for_each_cpu) {
    char *text = text_of("/proc/cpuinfo");
    int cpus = strncmp(text, "processor\t", 10) == 0;
    for (char *at = text; (at = strstr(at, "\nprocessor\t")); at++) cpus++;
    HOLDS(cpus == sysconf(_SC_NPROCESSORS_ONLN));
}

CONTRACT(proc_filesystems_lists_what_mount_takes) {
    char *text = text_of("/proc/filesystems");
    HOLDS(strstr(text, "nodev\ttmpfs\n") && strstr(text, "nodev\tproc\n"));
    struct statfs kind;
    DO(statfs("/proc", &kind));
    HOLDS(kind.f_type == 0x9fa0);
}

CONTRACT(proc_files_cannot_be_made_or_removed) {
    FAILS(ENOENT, open("/proc/new", O_CREAT | O_WRONLY, 0600));
    FAILS(ENOENT, mkdir("/proc/new", 0700));
    FAILS(EPERM, unlink("/proc/version"));
}

CONTRACT(proc_files_of_others_are_closed_to_who_may_not) {
    pid_t child = START(for (;;) pause());
    char path[64], text[64];
    without_rights();
    snprintf(path, sizeof path, "/proc/%d/exe", child);
    FAILS(EACCES, readlink(path, text, 64));
    snprintf(path, sizeof path, "/proc/%d/environ", child);
    FAILS(EACCES, open(path, O_RDONLY));
    snprintf(path, sizeof path, "/proc/%d/fd", child);
    FAILS(EACCES, open(path, O_RDONLY | O_DIRECTORY));
    snprintf(path, sizeof path, "/proc/%d/cmdline", child);
    DO(open(path, O_RDONLY));
}

CONTRACT(proc_namespaces_are_links_with_numbers) {
    HOLDS(strncmp(link_of("/proc/self/ns/uts"), "uts:[", 5) == 0);
    char own[256];
    strcpy(own, link_of("/proc/self/ns/uts"));
    finishes(START({
        DO(unshare(CLONE_NEWUTS));
        HOLDS(strcmp(link_of("/proc/self/ns/uts"), own) != 0);
    }));
}

CONTRACT(proc_settings_are_numbers_with_a_newline) {
    char *end, *text = text_of("/proc/sys/kernel/pid_max");
    HOLDS(strtol(text, &end, 10) > 300 && strcmp(end, "\n") == 0);
    HOLDS(strtol(text_of("/proc/sys/fs/nr_open"), &end, 10) >= 1024 && *end == '\n');
    char *release = text_of("/proc/sys/kernel/osrelease");
    HOLDS(release[strlen(release) - 1] == '\n' && strchr(release, '.') != NULL);
    HOLDS(strcmp(text_of("/proc/sys/kernel/ostype"), "Linux\n") == 0);
    /* Each time another. */
    char first[64];
    strcpy(first, text_of("/proc/sys/kernel/random/uuid"));
    HOLDS(strlen(first) == 37 && strcmp(first, text_of("/proc/sys/kernel/random/uuid")) != 0);
}

CONTRACT(proc_memory_of_others_is_for_who_may_trace) {
    char word[8] = "child's", copy[8], path[32];
    int gate[2];
    DO(pipe(gate));
    pid_t child = START(read(gate[0], copy, 1));
    snprintf(path, sizeof path, "/proc/%d/mem", child);
    int memory = DO(open(path, O_RDWR));
    HOLDS(lseek(memory, (off_t)(uintptr_t)word, SEEK_SET) == (off_t)(uintptr_t)word);
    HOLDS(read(memory, copy, 8) == 8 && strcmp(copy, "child's") == 0);
    HOLDS(lseek(memory, 0, SEEK_CUR) == (off_t)(uintptr_t)word + 8);
    FAILS(EINVAL, lseek(memory, 0, SEEK_END));
    HOLDS(WEXITSTATUS(IN_CHILD(without_rights(); FAILS(EACCES, open(path, O_RDONLY)))) == 0);
    DO(write(gate[1], "x", 1));
    finishes(child);
    HOLDS(pread(memory, copy, 8, (off_t)(uintptr_t)word) == 0);
}

CONTRACT(proc_status_tells_of_signals_that_wait) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    DO(sigprocmask(SIG_BLOCK, &set, NULL));
    struct rlimit limit = {50, 50};
    DO(setrlimit(RLIMIT_SIGPENDING, &limit));
    DO(sigqueue(getpid(), SIGRTMIN, (union sigval){1}));
    awaits(getpid(), "status", "SigQ:", "/50");
}
