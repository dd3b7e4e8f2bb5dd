/* Calls that do little: what it costs to enter the kernel, and to find a file. */
#include "micro.h"

void calls(void) {
    char byte = 0;
    MEASURE("null-call", 100000, syscall(SYS_getppid));
    int null = DO(open("/dev/null", O_RDWR));
    MEASURE("read-null", 50000, read(null, &byte, 1));
    MEASURE("write-null", 50000, write(null, &byte, 1));
    close(null);

    DO(mkdir("directory", 0755));
    int file = DO(open("directory/file", O_RDWR | O_CREAT, 0644));
    struct stat status;
    MEASURE("stat", 20000, DO(stat("/tmp/directory/file", &status)));
    MEASURE("fstat", 20000, DO(fstat(file, &status)));
    MEASURE("open-close", 20000, DO(close(DO(open("/tmp/directory/file", O_RDONLY)))));
    char page[4096] = {0};
    MEASURE("write-file-4k", 10000, HOLDS(pwrite(file, page, sizeof page, 0) == sizeof page));
    MEASURE("read-file-4k", 10000, HOLDS(pread(file, page, sizeof page, 0) == sizeof page));
    close(file);
    MEASURE("create-unlink", 10000, ({
        DO(close(DO(open("new", O_WRONLY | O_CREAT | O_EXCL, 0644))));
        DO(unlink("new"));
    }));
}
