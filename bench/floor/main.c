/* floor hand|crun|runc [COUNT [ALIVE]]: prints means of COUNT lives, after a tenth of them, while ALIVE others sleep.
 * floor memory COUNT: prints the memory that each of COUNT takes which sleep.
 * floor since-reset: prints nanoseconds since the machine's reset.
 * floor sleep: what sleeps. */
#include "floor.h"
#include <sys/reboot.h>
#include <time.h>

void failed(const char *what, int line) {
    printf("floor: line %d: %s: %s\n", line, what, strerror(errno));
    fflush(stdout);
    _exit(1);
}

uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* The counter that QEMU's virtual clock drives. */
static uint64_t since_reset(void) {
#if defined __x86_64__
    return __builtin_ia32_rdtsc();
#elif defined __aarch64__
    uint64_t count, frequency;
    __asm__ volatile("mrs %0, cntvct_el0\n\tmrs %1, cntfrq_el0" : "=r"(count), "=r"(frequency));
    return (uint64_t)((unsigned __int128)count * 1000000000 / frequency);
#else
    uint64_t count;
    __asm__ volatile("rdtime %0" : "=r"(count));
    return count * 100;
#endif
}

static void tell(const char *what, const char *part, uint64_t nanoseconds, unsigned count) {
    printf("floor: %s %s %llu ns\n", what, part, (unsigned long long)(nanoseconds / count));
    fflush(stdout);
}

/* Means of the parts of lives. */
static void tell_lives(const char *what, struct life (*one)(const char *), const char *runtime, unsigned count) {
    struct life sum = {0};
    for (unsigned at = 0; at < count + count / 10; at++) {
        struct life life = one(runtime);
        if (at < count / 10) continue;
        sum.create += life.create;
        sum.start += life.start;
        sum.wait += life.wait;
        sum.delete += life.delete;
    }
    tell(what, "cycle", sum.create + sum.start + sum.wait + sum.delete, count);
    tell(what, "create", sum.create, count);
    tell(what, "start", sum.start, count);
    tell(what, "wait", sum.wait, count);
    tell(what, "delete", sum.delete, count);
}

/* Bytes that the machine can still give. */
static uint64_t available(void) {
    char line[128];
    unsigned long long kib = 0;
    FILE *lines = fopen("/proc/meminfo", "r");
    while (lines && fgets(line, sizeof line, lines) && sscanf(line, "MemAvailable: %llu", &kib) != 1) {}
    if (lines) fclose(lines);
    return kib * 1024;
}

static struct life hand(const char *unused) {
    (void)unused;
    return by_hand();
}

int main(int words, char **word) {
    if (words < 2) return 2;
    if (strcmp(word[1], "since-reset") == 0) {
        uint64_t reset = since_reset();
        printf("floor: since reset: %llu\n", (unsigned long long)reset);
        fflush(stdout);
        /* As the machine's first process, it ends the machine; in a container it may not. */
        if (getpid() == 1) reboot(RB_AUTOBOOT);
        return 0;
    }
    if (strcmp(word[1], "sleep") == 0) {
        for (;;) pause();
    }
    unsigned count = words > 2 ? (unsigned)atoi(word[2]) : 100;
    if (strcmp(word[1], "memory") == 0) {
        /* What is kept for later is there then. */
        by_hand();
        uint64_t before = available();
        alive_by_hand(count);
        printf("floor: memory %llu bytes\n", (unsigned long long)((before - available()) / count));
        return 0;
    }
    if (words > 3) alive_by_hand((unsigned)atoi(word[3]));
    if (strcmp(word[1], "hand") == 0) {
        tell_lives("hand", hand, NULL, count);
        return 0;
    }
    uint64_t sum = 0;
    for (unsigned at = 0; at < count + count / 10; at++) {
        uint64_t spent = by_run(word[1]);
        if (at >= count / 10) sum += spent;
    }
    tell(word[1], "run", sum, count);
    tell_lives(word[1], by_steps, word[1], count);
    return 0;
}
