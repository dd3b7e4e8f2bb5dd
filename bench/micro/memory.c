/* Mappings and page faults. Pages are small ones, wherever a kernel would have taken large ones for these. */
#include "micro.h"

enum { PAGE = 4096, PAGES = 1024 };

static char *region(int flags, int file) {
    char *start = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, file, 0);
    HOLDS(start != MAP_FAILED);
    madvise(start, PAGES * PAGE, MADV_NOHUGEPAGE);
    return start;
}

static void touch(volatile char *start) {
    for (int page = 0; page < PAGES; page++) start[page * PAGE] = 1;
}

static void look(volatile char *start) {
    for (int page = 0; page < PAGES; page++) (void)start[page * PAGE];
}

static void unmap(char *start) { DO(munmap(start, PAGES * PAGE)); }

void memory(void) {
    MEASURE("mmap-munmap-64k", 10000, ({
        void *start = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        HOLDS(start != MAP_FAILED);
        DO(munmap(start, 16 * PAGE));
    }));

    uint64_t zero = 0, gone = 0, copied = 0, file = 0, shared = 0;
    int backing = DO(open("backing", O_RDWR | O_CREAT | O_TRUNC, 0644));
    DO(ftruncate(backing, PAGES * PAGE));
    char *contents = region(MAP_SHARED, backing);
    touch(contents);
    unmap(contents);
    enum { ROUNDS = 5 };
    int faults = wanted("page-faults");
    /* The first round warms up. */
    for (int round = 0; faults && round <= ROUNDS; round++) {
        if (round == 1) zero = gone = copied = file = shared = 0;
        char *start = region(MAP_PRIVATE | MAP_ANONYMOUS, -1);
        uint64_t begin = now();
        touch(start);
        zero += now() - begin;

        int hold[2];
        DO(pipe(hold));
        pid_t child = CHILD(close(hold[1]); sink(hold[0]));
        begin = now();
        touch(start);
        copied += now() - begin;
        close(hold[0]);
        close(hold[1]);
        ends(child);

        begin = now();
        unmap(start);
        gone += now() - begin;

        start = region(MAP_PRIVATE, backing);
        begin = now();
        look(start);
        file += now() - begin;
        unmap(start);

        start = region(MAP_SHARED, backing);
        begin = now();
        touch(start);
        shared += now() - begin;
        unmap(start);
    }
    close(backing);
    if (faults) {
        tell("page-fault-zero", zero, ROUNDS * PAGES);
        tell("page-fault-copy", copied, ROUNDS * PAGES);
        tell("page-fault-file", file, ROUNDS * PAGES);
        tell("page-fault-shared", shared, ROUNDS * PAGES);
        tell("unmap-page", gone, ROUNDS * PAGES);
    }
    char *start = region(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    touch(start);
    MEASURE("mprotect-4m", 100, ({
        DO(mprotect(start, PAGES * PAGE, PROT_READ));
        DO(mprotect(start, PAGES * PAGE, PROT_READ | PROT_WRITE));
        start[0] = 1;
    }));
    MEASURE("fork-exit-wait-4m", 50, ends(CHILD(_exit(0))));
    unmap(start);
}
