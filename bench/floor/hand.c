/* The least that a runtime must do, without reading a configuration, keeping a state or checking anything. */
#include "floor.h"
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

/* As the configuration of the runtimes has it. */
static const char MEMORY[] = "67108864", TASKS[] = "16", HOST[] = "bench";
enum { SPACES = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP };

static void set(int directory, const char *file, const char *value) {
    int fd = DO(openat(directory, file, O_WRONLY | O_CLOEXEC));
    DO(write(fd, value, strlen(value)));
    DO(close(fd));
}

/* The child, in its namespaces and its cgroup: its root, its host name, its program. */
static _Noreturn void inside(char *const arguments[]) {
    char *nothing[] = {NULL};
    DO(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    DO(mount(BUNDLE "/rootfs", BUNDLE "/rootfs", NULL, MS_BIND | MS_REC, NULL));
    DO(chdir(BUNDLE "/rootfs"));
    DO(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
    DO(mount("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, NULL));
    DO(syscall(SYS_pivot_root, ".", "."));
    DO(umount2(".", MNT_DETACH));
    DO(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
    DO(chdir("/"));
    DO(sethostname(HOST, strlen(HOST)));
    execve(arguments[0], arguments, nothing);
    failed("execve", __LINE__);
}

/* A container in a new cgroup with limits; its process. */
static pid_t made(const char *cgroup, char *const arguments[]) {
    DO(mkdir(cgroup, 0755));
    int directory = DO(open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    set(directory, "memory.max", MEMORY);
    set(directory, "pids.max", TASKS);
    struct clone_args how = {.flags = SPACES | CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)directory};
    pid_t child = (pid_t)DO(syscall(SYS_clone3, &how, sizeof how));
    if (child == 0) inside(arguments);
    DO(close(directory));
    return child;
}

struct life by_hand(void) {
    static const char *cgroup = "/sys/fs/cgroup/floor";
    char *arguments[] = {"/bin/micro", "exit", NULL};
    struct life life = {0};
    int status;
    uint64_t begin = now();
    pid_t child = made(cgroup, arguments);
    uint64_t created = now();
    DO(waitpid(child, &status, 0));
    uint64_t ended = now();
    if (status != 0) failed("the container ends well", __LINE__);
    DO(rmdir(cgroup));
    life.create = created - begin;
    life.wait = ended - created;
    life.delete = now() - ended;
    return life;
}

void alive_by_hand(unsigned count) {
    char *arguments[] = {"/bin/floor", "sleep", NULL};
    char cgroup[64];
    for (unsigned at = 0; at < count; at++) {
        snprintf(cgroup, sizeof cgroup, "/sys/fs/cgroup/alive-%u", at);
        made(cgroup, arguments);
    }
}
