/* Runs the contracts named by the arguments, or all, and says of each whether it holds. */
#include "contract.h"

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
}

/* A contract that hangs is broken. */
enum { SECONDS = 20 };

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
    for (int ticks = 0; waitpid(child, &status, WNOHANG) == 0; ticks++) {
        if (ticks == SECONDS * 1000) {
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
