/* Runs the measurements named by the arguments, or all of them. */
#include "micro.h"
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

void failed(const char *what, int line) {
    printf("micro: line %d: %s: %s\n", line, what, strerror(errno));
    fflush(stdout);
    _exit(1);
}

uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void tell(const char *name, uint64_t nanoseconds, uint64_t count) {
    printf("micro: %s %llu.%llu ns\n", name, (unsigned long long)(nanoseconds / count),
        (unsigned long long)(nanoseconds % count * 10 / count));
    fflush(stdout);
}

void ends(pid_t child) {
    int status;
    DO(waitpid(child, &status, 0));
    HOLDS(status == 0);
}

void echo(int in, int out) {
    char byte;
    while (read(in, &byte, 1) == 1) DO(write(out, &byte, 1));
}

static char block[BLOCK];

void sink(int in) {
    while (DO(read(in, block, BLOCK)) > 0) {}
}

void ping(int out, int in) {
    char byte = 0;
    DO(write(out, &byte, 1));
    HOLDS(read(in, &byte, 1) == 1);
}

void send_block(int out) {
    for (size_t sent = 0; sent < BLOCK;) sent += (size_t)DO(write(out, block + sent, BLOCK - sent));
}

/* Files in memory, and a loopback interface, on every kernel. */
static void prepare(void) {
    mkdir("/tmp", 0755);
    DO(mount("tmpfs", "/tmp", "tmpfs", 0, NULL));
    DO(chdir("/tmp"));
    int any = DO(socket(AF_INET, SOCK_DGRAM, 0));
    struct ifreq interface = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    DO(ioctl(any, SIOCSIFFLAGS, &interface));
    close(any);
}

static int count;
static char **names;

int wanted(const char *name) {
    for (int at = 1; at < count; at++) {
        if (strcmp(names[at], name) == 0) return 1;
    }
    return count < 2;
}

int main(int words, char **word) {
    if (words == 2 && strcmp(word[1], "exit") == 0) return 0;
    count = words;
    names = word;
    prepare();
    calls();
    pipes();
    processes("/bin/micro");
    memory();
    signals();
    threads();
    sockets();
    printf("micro: done\n");
    return 0;
}
