/* Runs the contracts named by the arguments, or all, and says of each whether it holds. */
#include "contract.h"
#include <elf.h>
#include <grp.h>
#include <stdarg.h>
#include <sys/auxv.h>

static struct contract *first;

void contract_add(struct contract *contract) {
    struct contract **place = &first;
    while (*place && strcmp((*place)->name, contract->name) < 0) place = &(*place)->next;
    contract->next = *place;
    *place = contract;
}

static int report = -1;

void contract_broken(const char *file, int line, const char *what, long value) {
    const char *slash = strrchr(file, '/');
    dprintf(report, " [%s:%d: %s (%s)]", slash ? slash + 1 : file, line, what, strerror((int)value));
    _exit(99);
}

void finishes(pid_t child) {
    int status;
    DO(waitpid(child, &status, 0));
    if (status != 0) contract_broken("child", 0, "a child ends with 0", status);
}

void own_directory(void) {
    char name[] = "/tmp/contract-XXXXXX";
    HOLDS(mkdtemp(name) != NULL);
    DO(chdir(name));
    DO(chmod(".", 0777));
}

int file_of(const char *name, const char *text) {
    int file = DO(open(name, O_RDWR | O_CREAT | O_EXCL, 0644));
    HOLDS(write(file, text, strlen(text)) == (ssize_t)strlen(text));
    DO(lseek(file, 0, SEEK_SET));
    return file;
}

void without_rights(void) {
    DO(setgroups(0, NULL));
    DO(setgid(1000));
    DO(setuid(1000));
}

void awaits(pid_t process, const char *file, const char *key, const char *text) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/%s", process, file);
    for (;;) {
        FILE *lines = fopen(path, "r");
        HOLDS(lines != NULL);
        int seen = 0;
        while (fgets(line, sizeof line, lines)) seen |= strncmp(line, key, strlen(key)) == 0 && strstr(line, text) != NULL;
        fclose(lines);
        if (seen) return;
        usleep(1000);
    }
}

/* How many symbols a GNU hash table tells of: it has their names' hashes in chains, the last of each with its lowest bit set. */
static uint32_t symbols_of(const uint32_t *table) {
    uint32_t count = table[1];
    const uint32_t *buckets = table + 4 + 2 * table[2], *chains = buckets + table[0];
    for (uint32_t i = 0; i < table[0]; i++)
        if (buckets[i] >= count) count = buckets[i] + 1;
    while (count > table[1] && !(chains[count - 1 - table[1]] & 1)) count++;
    return count;
}

/* A function of the vDSO, found as dynamic linkers do. */
static void *vdso_function(const char *name) {
    char *base = (char *)getauxval(AT_SYSINFO_EHDR), *strings = NULL;
    HOLDS(base != NULL);
    Elf64_Ehdr *header = (Elf64_Ehdr *)base;
    Elf64_Phdr *part = (Elf64_Phdr *)(base + header->e_phoff);
    Elf64_Sym *symbols = NULL;
    uint32_t count = 0;
    for (int i = 0; i < header->e_phnum; i++, part++) {
        if (part->p_type != PT_DYNAMIC) continue;
        for (Elf64_Dyn *entry = (Elf64_Dyn *)(base + part->p_offset); entry->d_tag != DT_NULL; entry++) {
            char *at = base + entry->d_un.d_ptr;
            if (entry->d_tag == DT_STRTAB) strings = at;
            if (entry->d_tag == DT_SYMTAB) symbols = (Elf64_Sym *)at;
            if (entry->d_tag == DT_HASH) count = ((uint32_t *)at)[1];
            if (entry->d_tag == DT_GNU_HASH && count == 0) count = symbols_of((uint32_t *)at);
        }
    }
    for (uint32_t i = 1; strings && symbols && i < count; i++)
        if (strcmp(strings + symbols[i].st_name, name) == 0) return base + symbols[i].st_value;
    return NULL;
}

int vdso_clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*function)(clockid_t, struct timespec *);
#ifdef __aarch64__
    if (!function) function = vdso_function("__kernel_clock_gettime");
#else
    if (!function) function = vdso_function("__vdso_clock_gettime");
#endif
    HOLDS(function != NULL);
    return function(clock, time);
}

const char *itself(void) {
    static char path[256];
    long length = DO(readlink("/proc/self/exe", path, sizeof path - 1));
    path[length] = 0;
    return path;
}

int executed(const char *first, ...) {
    char *arguments[16] = {"contracts", (char *)first};
    va_list rest;
    va_start(rest, first);
    for (int i = 2; i < 15 && (arguments[i] = va_arg(rest, char *)) != NULL; i++) {}
    va_end(rest);
    return IN_CHILD({ execv(itself(), arguments); _exit(98); });
}

/* A contract that hangs is broken. */
enum { SECONDS = 10 };

static int run(struct contract *contract) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        contract->body();
        fflush(stdout);
        _exit(0);
    }
    int status = 0;
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int ticks = 0; waitpid(child, &status, WNOHANG) == 0; ticks++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - start.tv_sec > SECONDS) {
            dprintf(report, " [it hangs]");
            kill(-child, SIGKILL);
            waitpid(child, &status, 0);
            break;
        }
        usleep(ticks < 20 ? 200 : 1000);
    }
    kill(-child, SIGKILL);
    if (WIFSIGNALED(status)) dprintf(report, " [ended by signal %d]", WTERMSIG(status));
    return status;
}

int main(int argc, char **argv) {
    /* What a contract executes: it tells whether it is its process's only thread. */
    if (argc == 2 && strcmp(argv[1], "--number") == 0) return syscall(SYS_gettid) != getpid();
    /* Or whether a descriptor is open, whose it is, or what its arguments were. */
    if (argc == 3 && strcmp(argv[1], "--open") == 0) return fcntl(atoi(argv[2]), F_GETFD) < 0;
    if (argc == 2 && strcmp(argv[1], "--users") == 0) {
        uid_t user[3];
        gid_t group[3];
        getresuid(user, user + 1, user + 2);
        getresgid(group, group + 1, group + 2);
        printf("%u %u %u %u %u %u\n", user[0], user[1], user[2], group[0], group[1], group[2]);
        return 0;
    }
    /* Or whether so many seconds have passed since boot. */
    if (argc == 3 && strcmp(argv[1], "--after") == 0) {
        struct timespec now;
        return vdso_clock_gettime(CLOCK_MONOTONIC, &now) != 0 || now.tv_sec < atol(argv[2]);
    }
    /* Or waits until nobody writes to it. */
    if (argc >= 2 && strcmp(argv[1], "--wait") == 0) return read(0, &(char){0}, 1) != 0;
    if (argc >= 2 && strcmp(argv[1], "--echo") == 0) {
        for (int i = 2; i < argc; i++) printf("%s\n", argv[i]);
        return 0;
    }
    int broken = 0, all = 0;
    mkdir("/tmp", 01777);
    report = 1;
    for (struct contract *contract = first; contract; contract = contract->next) {
        int wanted = argc < 2;
        for (int i = 1; i < argc; i++) wanted |= strncmp(argv[i], contract->name, strlen(argv[i])) == 0;
        if (!wanted) continue;
        all++;
        printf("%s:", contract->name);
        int status = run(contract);
        broken += status != 0;
        printf(" %s\n", status == 0 ? "holds" : "BROKEN");
    }
    printf("contracts: %d of %d hold\n", all - broken, all);
    return broken != 0;
}
