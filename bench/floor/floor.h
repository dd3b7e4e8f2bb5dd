/* What containers cost on Linux: by hand, with no more than a runtime must do, and by runtimes. */
#ifndef FLOOR_H
#define FLOOR_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ends the program with a message. */
_Noreturn void failed(const char *what, int line);
/* A call that cannot fail here. */
#define DO(call) ({ __auto_type value_ = (call); if (value_ == (__typeof__(value_))-1) failed(#call, __LINE__); value_; })

/* Nanoseconds of the monotonic clock. */
uint64_t now(void);

/* Where the root of the containers and their configuration lie. */
#define BUNDLE "/bundle"

/* Nanoseconds of the parts of a life. */
struct life { uint64_t create, start, wait, delete; };

/* A life by hand. Its create is all that the parent does; the child does its part in `wait`. */
struct life by_hand(void);
/* Makes containers by hand that sleep. */
void alive_by_hand(unsigned count);
/* One by `runtime run`, and one by create, start and delete. */
uint64_t by_run(const char *runtime);
struct life by_steps(const char *runtime);

#endif
