/* Micro-benchmarks of Linux's calls. What is timed is a loop of a fixed number of operations, after a tenth of it to warm
 * up; a line of the output is a name and the nanoseconds of one operation. */
#ifndef MICRO_H
#define MICRO_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Ends the program with a message. */
_Noreturn void failed(const char *what, int line);
/* A call that cannot fail here. */
#define DO(call) ({ __auto_type value_ = (call); if (value_ == (__typeof__(value_))-1) failed(#call, __LINE__); value_; })
/* Something that is so. */
#define HOLDS(what) do { if (!(what)) failed(#what, __LINE__); } while (0)

/* Nanoseconds of the monotonic clock. */
uint64_t now(void);
/* Whether this one is asked for. */
int wanted(const char *name);
/* Prints a line. */
void tell(const char *name, uint64_t nanoseconds, uint64_t count);

/* What one operation costs, in tenths of a nanosecond; also printed. */
#define MEASURE(name, count, ...) (!wanted(name) ? 0 : ({ \
    for (unsigned at_ = 0; at_ < (count) / 10 + 1; at_++) { __VA_ARGS__; } \
    uint64_t begin_ = now(); \
    for (unsigned at_ = 0; at_ < (count); at_++) { __VA_ARGS__; } \
    uint64_t spent_ = now() - begin_; \
    tell(name, spent_, count); \
    spent_ * 10 / (count); }))

/* Runs `...` in a child; its number. */
#define CHILD(...) ({ pid_t child_ = DO(fork()); if (child_ == 0) { __VA_ARGS__; _exit(0); } child_; })
/* Waits for a child that ends well. */
void ends(pid_t child);

/* Bytes of a transfer where bandwidth is measured: one operation is as much. */
enum { BLOCK = 64 << 10 };
/* What passes through a pair of descriptors: an echo of single bytes, and blocks one way. Both end with the other side. */
void echo(int in, int out);
void sink(int in);
/* One byte there and back. */
void ping(int out, int in);
/* A whole block. */
void send_block(int out);

/* The subjects, one a file. */
void calls(void);
void pipes(void);
void processes(const char *self);
void memory(void);
void signals(void);
void threads(void);
void sockets(void);

#endif
