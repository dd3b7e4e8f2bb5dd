/* Mappings, their protection and what happens to them: mmap(2), mremap(2), madvise(2). */
#include "contract.h"
#include <setjmp.h>
#include <sys/resource.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { PAGE = 4096 };

static sigjmp_buf back;
static volatile int fault, code;

static void caught(int signal, siginfo_t *info, void *context) {
    (void)context;
    fault = signal;
    code = info->si_code;
    siglongjmp(back, 1);
}

/* The signal that an access gives, 0 for none. */
static int touch(volatile char *at, int write) {
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    DO(sigaction(SIGSEGV, &action, NULL));
    DO(sigaction(SIGBUS, &action, NULL));
    fault = 0;
    if (sigsetjmp(back, 1) == 0) {
        if (write) *at = 1;
        else (void)*at;
    }
    return fault;
}

static char *map(size_t length, int protection, int flags) {
    char *at = mmap(NULL, length, protection, flags | MAP_ANONYMOUS, -1, 0);
    HOLDS(at != MAP_FAILED);
    return at;
}

#define REFUSED(error, call) HOLDS((call) == MAP_FAILED && errno == (error))

CONTRACT(memory_new_pages_are_zero) {
    char *at = map(8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (int i = 0; i < 8 * PAGE; i++) HOLDS(at[i] == 0);
    HOLDS(((uintptr_t)at & (PAGE - 1)) == 0);
}

CONTRACT(memory_private_is_copied_by_fork_and_shared_is_shared) {
    char *private = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE), *shared = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    *private = *shared = 1;
    HOLDS(IN_CHILD({ HOLDS(*private == 1); *private = *shared = 2; }) == 0);
    HOLDS(*private == 1 && *shared == 2);
}

CONTRACT(memory_written_by_the_parent_is_not_seen_by_the_child) {
    char *private = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    int ends[2];
    DO(pipe(ends));
    *private = 1;
    pid_t child = START({ char byte; DO(read(ends[0], &byte, 1)); HOLDS(*private == 1); });
    *private = 2;
    DO(write(ends[1], "x", 1));
    finishes(child);
}

CONTRACT(memory_of_a_file_shared_is_the_file_and_private_is_not) {
    own_directory();
    int file = file_of("a", "abcd");
    char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    char *private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    HOLDS(shared != MAP_FAILED && private != MAP_FAILED && memcmp(private, "abcd", 4) == 0);
    shared[1] = 'X';
    private[2] = 'Y';
    char text[4];
    HOLDS(pread(file, text, 4, 0) == 4 && memcmp(text, "aXcd", 4) == 0);
    DO(pwrite(file, "Z", 1, 0));
    HOLDS(shared[0] == 'Z');
    close(file);
    shared[3] = 'W';
    HOLDS(shared[4] == 0);
}

CONTRACT(memory_beyond_the_end_of_a_file_is_sigbus) {
    own_directory();
    int file = file_of("a", "abcd");
    char *at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    HOLDS(at != MAP_FAILED && touch(at, 0) == 0 && touch(at + PAGE, 0) == SIGBUS && code == BUS_ADRERR);
    DO(ftruncate(file, PAGE + 1));
    HOLDS(touch(at + PAGE, 1) == 0);
    DO(ftruncate(file, 0));
    HOLDS(touch(at, 0) == SIGBUS);
}

CONTRACT(memory_mapping_rights_need_the_descriptor_s) {
    own_directory();
    file_of("a", "abcd");
    int reading = DO(open("a", O_RDONLY)), writing = DO(open("a", O_WRONLY));
    REFUSED(EACCES, mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, reading, 0));
    REFUSED(EACCES, mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, writing, 0));
    HOLDS(mmap(NULL, PAGE, PROT_WRITE, MAP_PRIVATE, reading, 0) != MAP_FAILED);
    void *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reading, 0);
    FAILS(EACCES, mprotect(shared, PAGE, PROT_WRITE));
}

CONTRACT(memory_map_refuses_what_makes_no_sense) {
    own_directory();
    int file = file_of("a", "abcd");
    REFUSED(EINVAL, mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REFUSED(EINVAL, mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0));
    REFUSED(EBADF, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0));
    REFUSED(EINVAL, (void *)syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 1));
    REFUSED(EINVAL, mmap((void *)0x10001, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    REFUSED(ENOMEM, (void *)syscall(SYS_mmap, NULL, 1UL << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REFUSED(ENODEV, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, DO(open(".", O_RDONLY)), 0));
}

CONTRACT(memory_fixed_replaces_and_noreplace_refuses) {
    char *at = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(at, 1, 3 * PAGE);
    char *middle = mmap(at + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    HOLDS(middle == at + PAGE && at[PAGE] == 0 && at[0] == 1 && at[2 * PAGE] == 1);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    REFUSED(EEXIST, mmap(at + PAGE, PAGE, PROT_READ, flags, -1, 0));
    DO(munmap(middle, PAGE));
    HOLDS(mmap(at + PAGE, PAGE, PROT_READ, flags, -1, 0) == at + PAGE);
}

CONTRACT(memory_unmapped_in_the_middle_faults_there_only) {
    char *at = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    DO(munmap(at + PAGE, PAGE));
    HOLDS(touch(at, 1) == 0 && touch(at + 2 * PAGE, 1) == 0);
    HOLDS(touch(at + PAGE, 0) == SIGSEGV && code == SEGV_MAPERR);
    DO(munmap(at, 3 * PAGE));
    FAILS(EINVAL, munmap(at + 1, PAGE));
    FAILS(EINVAL, munmap(at, 0));
}

CONTRACT(memory_protection_faults_and_can_be_given_back) {
    char *at = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    at[0] = 7;
    DO(mprotect(at, PAGE, PROT_READ));
    HOLDS(touch(at, 1) == SIGSEGV && code == SEGV_ACCERR && touch(at, 0) == 0 && touch(at + PAGE, 1) == 0);
    DO(mprotect(at, PAGE, PROT_NONE));
    HOLDS(touch(at, 0) == SIGSEGV && code == SEGV_ACCERR);
    DO(mprotect(at, PAGE, PROT_READ | PROT_WRITE));
    HOLDS(at[0] == 7 && touch(at, 1) == 0);
    FAILS(EINVAL, syscall(SYS_mprotect, at + 1, PAGE, PROT_READ));
    DO(munmap(at + PAGE, PAGE));
    FAILS(ENOMEM, mprotect(at, 2 * PAGE, PROT_READ));
}

CONTRACT(memory_that_is_protected_is_efault_to_calls) {
    char *at = map(PAGE, PROT_READ, MAP_PRIVATE);
    int zero = DO(open("/dev/zero", O_RDONLY));
    FAILS(EFAULT, read(zero, at, 1));
    DO(mprotect(at, PAGE, PROT_NONE));
    int ends[2];
    DO(pipe(ends));
    FAILS(EFAULT, write(ends[1], at, 1));
}

CONTRACT(memory_remap_grows_moves_and_shrinks) {
    char *at = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    at[0] = 1;
    at[PAGE] = 2;
    char *grown = mremap(at, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    HOLDS(grown != MAP_FAILED && grown[0] == 1 && grown[PAGE] == 2 && grown[63 * PAGE] == 0);
    HOLDS(mremap(grown, 64 * PAGE, PAGE, 0) == grown && touch(grown + PAGE, 0) == SIGSEGV);
    char *place = map(4 * PAGE, PROT_NONE, MAP_PRIVATE);
    HOLDS(mremap(grown, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + PAGE) == place + PAGE);
    HOLDS(place[PAGE] == 1 && touch(grown, 0) == SIGSEGV && touch(place, 0) == SIGSEGV);
    REFUSED(EFAULT, mremap(grown, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    REFUSED(EINVAL, mremap(place + 1, PAGE, PAGE, 0));
}

CONTRACT(memory_remap_does_not_move_unless_it_may) {
    char *at = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    HOLDS(mremap(at, PAGE, PAGE, 0) == at);
    DO(mprotect(at + PAGE, PAGE, PROT_READ));
    REFUSED(ENOMEM, mremap(at, PAGE, 2 * PAGE, 0));
}

CONTRACT(memory_break_grows_with_zeros_and_shrinks) {
    char *start = (char *)syscall(SYS_brk, 0);
    char *end = (char *)syscall(SYS_brk, start + 3 * PAGE);
    HOLDS(end == start + 3 * PAGE);
    HOLDS(end[-1] == 0);
    end[-1] = 1;
    HOLDS((char *)syscall(SYS_brk, start) == start);
    HOLDS((char *)syscall(SYS_brk, end) == end && end[-1] == 0);
    HOLDS((char *)syscall(SYS_brk, 1) == end);
}

CONTRACT(memory_dontneed_gives_zeros_or_the_file) {
    own_directory();
    char *at = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    *at = 1;
    DO(madvise(at, PAGE, MADV_DONTNEED));
    HOLDS(*at == 0);
    char *private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_of("a", "abcd"), 0);
    private[0] = 'x';
    DO(madvise(private, PAGE, MADV_DONTNEED));
    HOLDS(private[0] == 'a');
    FAILS(EINVAL, madvise(at + 1, PAGE, MADV_DONTNEED));
    FAILS(EINVAL, madvise(at, PAGE, 12345));
    DO(munmap(at, PAGE));
    FAILS(ENOMEM, madvise(at, PAGE, MADV_DONTNEED));
}

CONTRACT(memory_dontfork_and_wipeonfork) {
    char *gone = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE), *wiped = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    *gone = *wiped = 1;
    DO(madvise(gone, PAGE, MADV_DONTFORK));
    DO(madvise(wiped, PAGE, MADV_WIPEONFORK));
    HOLDS(IN_CHILD({ HOLDS(touch(gone, 0) == SIGSEGV); HOLDS(*wiped == 0); }) == 0);
    HOLDS(*wiped == 1);
}

CONTRACT(memory_sync_refuses_what_is_not_mapped) {
    char *at = map(2 * PAGE, PROT_READ, MAP_PRIVATE);
    DO(msync(at, 2 * PAGE, MS_SYNC));
    FAILS(EINVAL, msync(at, PAGE, MS_SYNC | MS_ASYNC));
    FAILS(EINVAL, msync(at + 1, PAGE, MS_SYNC));
    DO(munmap(at + PAGE, PAGE));
    FAILS(ENOMEM, msync(at, 2 * PAGE, MS_SYNC));
}

CONTRACT(memory_mincore_knows_what_is_mapped) {
    char *at = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    unsigned char seen[2] = {0, 0};
    *at = 1;
    DO(mincore(at, 2 * PAGE, seen));
    HOLDS((seen[0] & 1) == 1);
    DO(munmap(at + PAGE, PAGE));
    FAILS(ENOMEM, mincore(at, 2 * PAGE, seen));
    FAILS(EINVAL, mincore(at + 1, PAGE, seen));
}

CONTRACT(memory_limit_of_addresses_is_enomem) {
    struct rlimit limit = {64 << 20, 64 << 20};
    DO(setrlimit(RLIMIT_AS, &limit));
    REFUSED(ENOMEM, mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    HOLDS(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

CONTRACT(memory_grows_down_below_what_is_touched) {
    char *place = map(64 * PAGE, PROT_NONE, MAP_PRIVATE);
    DO(munmap(place, 64 * PAGE));
    char *stack = mmap(place + 63 * PAGE, PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    HOLDS(stack == place + 63 * PAGE && touch(stack, 1) == 0);
    HOLDS(touch(stack - 16, 1) == 0 && touch(stack - PAGE - 16, 1) == 0);
}

CONTRACT(memory_of_others_is_read_and_written_by_process_vm) {
    static char mine[8] = "before";
    int ends[2], done[2];
    DO(pipe(ends));
    DO(pipe(done));
    pid_t child = START({
        strcpy(mine, "child");
        DO(write(ends[1], "x", 1));
        char byte;
        DO(read(done[0], &byte, 1));
        HOLDS(strcmp(mine, "given") == 0);
    });
    char byte, copy[8] = "";
    DO(read(ends[0], &byte, 1));
    struct iovec { void *at; size_t length; } local = {copy, 6}, remote = {mine, 6};
    HOLDS(syscall(SYS_process_vm_readv, child, &local, 1, &remote, 1L, 0L) == 6 && strcmp(copy, "child") == 0);
    strcpy(copy, "given");
    HOLDS(syscall(SYS_process_vm_writev, child, &local, 1, &remote, 1L, 0L) == 6);
    remote.at = (void *)8;
    FAILS(EFAULT, syscall(SYS_process_vm_readv, child, &local, 1, &remote, 1L, 0L));
    DO(write(done[1], "x", 1));
    finishes(child);
}

CONTRACT(memory_of_others_is_copied_as_far_as_it_is_there) {
    char *two = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE), *copy = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(two, 7, 2 * PAGE);
    DO(mprotect(two + PAGE, PAGE, PROT_NONE));
    struct iovec { void *at; size_t length; } local[2] = {{copy, 10}, {copy + 10, 2 * PAGE - 10}}, remote = {two, 2 * PAGE};
    HOLDS(syscall(SYS_process_vm_readv, getpid(), local, 2, &remote, 1L, 0L) == PAGE && copy[PAGE - 1] == 7);
    FAILS(EINVAL, syscall(SYS_process_vm_readv, getpid(), local, 2, &remote, 1L, 1L));
    FAILS(EINVAL, syscall(SYS_process_vm_readv, getpid(), local, 1025, &remote, 1L, 0L));
    FAILS(EFAULT, syscall(SYS_process_vm_readv, getpid(), 8, 2, &remote, 1L, 0L));
    FAILS(ESRCH, syscall(SYS_process_vm_readv, 4000000, local, 2, &remote, 1L, 0L));
    DO(mprotect(two, PAGE, PROT_READ));
    FAILS(EFAULT, syscall(SYS_process_vm_writev, getpid(), local, 2, &remote, 1L, 0L));
    pid_t child = START(for (;;) pause());
    without_rights();
    FAILS(EPERM, syscall(SYS_process_vm_readv, child, local, 2, &remote, 1L, 0L));
}

CONTRACT(memory_at_fork_is_said_of_what_is_mapped) {
    char *at = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE), *shared = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    FAILS(EINVAL, madvise(shared, PAGE, MADV_WIPEONFORK));
    FAILS(EINVAL, madvise(at + 1, PAGE, MADV_DONTFORK));
    DO(madvise(at, 2 * PAGE, MADV_DONTFORK));
    DO(madvise(at, 2 * PAGE, MADV_DOFORK));
    *at = 1;
    HOLDS(IN_CHILD({ HOLDS(*at == 1); }) == 0);
    DO(madvise(at, 2 * PAGE, MADV_WIPEONFORK));
    DO(madvise(at, 2 * PAGE, MADV_KEEPONFORK));
    HOLDS(IN_CHILD({ HOLDS(*at == 1); }) == 0);
    DO(munmap(at + PAGE, PAGE));
    FAILS(ENOMEM, madvise(at, 2 * PAGE, MADV_DONTFORK));
}
