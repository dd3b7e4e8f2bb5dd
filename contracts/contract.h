/*
 * Contracts: rules of Linux that programs rely on, one each. Every contract runs in a process of its own; it holds
 * when that process ends with status 0. The same program runs on Linux and on Veridian.
 */
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct contract {
    const char *name;
    void (*body)(void);
    struct contract *next;
};

void contract_add(struct contract *contract);
_Noreturn void contract_broken(const char *file, int line, const char *what, long value);

/* CONTRACT(name) { ... }: the name says the rule. */
#define CONTRACT(rule)                                                                                                 \
    static void rule(void);                                                                                            \
    static struct contract contract_##rule = {#rule, rule, 0};                                                         \
    __attribute__((constructor)) static void add_##rule(void) { contract_add(&contract_##rule); }                      \
    static void rule(void)

/* What must be true. */
#define HOLDS(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) contract_broken(__FILE__, __LINE__, #what, errno);                                                \
    } while (0)

/* A call that must succeed; its value. */
#define DO(call)                                                                                                       \
    ({                                                                                                                 \
        long value_ = (long)(call);                                                                                    \
        if (value_ == -1) contract_broken(__FILE__, __LINE__, #call, errno);                                           \
        value_;                                                                                                        \
    })

/* A call that must fail, with this error. */
#define FAILS(error, call)                                                                                             \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        long value_ = (long)(call);                                                                                    \
        if (value_ != -1 || errno != (error)) contract_broken(__FILE__, __LINE__, #call " fails with " #error, errno); \
    } while (0)

/* Runs the block in a child; gives its wait status. */
#define IN_CHILD(...)                                                                                                  \
    ({                                                                                                                 \
        pid_t child_ = DO(fork());                                                                                     \
        if (child_ == 0) {                                                                                             \
            __VA_ARGS__;                                                                                               \
            _exit(0);                                                                                                  \
        }                                                                                                              \
        int status_;                                                                                                   \
        DO(waitpid(child_, &status_, 0));                                                                              \
        status_;                                                                                                       \
    })

/* Starts a child with the block; gives its number. */
#define START(...)                                                                                                     \
    ({                                                                                                                 \
        pid_t child_ = DO(fork());                                                                                     \
        if (child_ == 0) {                                                                                             \
            __VA_ARGS__;                                                                                               \
            _exit(0);                                                                                                  \
        }                                                                                                              \
        child_;                                                                                                        \
    })

/* clock_gettime(2) by the vDSO: not every C library asks it. */
int vdso_clock_gettime(clockid_t clock, struct timespec *time);
/* Waits for a child and demands that it ended with 0. */
void finishes(pid_t child);
/* A directory of the contract's own, that everybody may use, as the working directory. */
void own_directory(void);
/* A new file of that name with that text, open for reading and writing at its beginning. */
int file_of(const char *name, const char *text);
/* Becomes a user without rights. */
void without_rights(void);
/* Waits until the line of /proc/PID/FILE that begins with `key` has `text` in it. */
void awaits(pid_t process, const char *file, const char *key, const char *text);
/* The path of this program. What it does when executed with `--number`, `--open`, `--wait` or `--echo` is in main.c. */
const char *itself(void);
/* The status with which it ends when executed with these arguments, up to a null pointer. */
int executed(const char *first, ...);
