/* Files, directories, links and what is known of them: open(2), rename(2), stat(2), xattr(7). */
#include "contract.h"
#include <dirent.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

static long size_of(const char *name) {
    struct stat found;
    DO(stat(name, &found));
    return found.st_size;
}

static struct stat status_of(const char *name) {
    struct stat found;
    DO(lstat(name, &found));
    return found;
}

static long rename_with(const char *from, const char *to, unsigned flags) {
    return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

CONTRACT(open_excl_refuses_what_exists_even_a_dangling_link) {
    own_directory();
    DO(symlink("nowhere", "link"));
    FAILS(EEXIST, open("link", O_CREAT | O_EXCL | O_WRONLY, 0600));
    FAILS(ENOENT, access("nowhere", F_OK));
    DO(open("link", O_CREAT | O_WRONLY, 0600));
    DO(access("nowhere", F_OK));
}

CONTRACT(open_trunc_empties_a_file) {
    own_directory();
    file_of("a", "text");
    DO(open("a", O_WRONLY | O_TRUNC));
    HOLDS(size_of("a") == 0);
}

CONTRACT(open_append_writes_at_the_end_wherever_one_is) {
    own_directory();
    file_of("a", "1234");
    int file = DO(open("a", O_RDWR | O_APPEND)), other = DO(open("a", O_WRONLY | O_APPEND));
    DO(write(other, "56", 2));
    DO(lseek(file, 0, SEEK_SET));
    DO(write(file, "78", 2));
    HOLDS(lseek(file, 0, SEEK_CUR) == 8);
    char text[9] = "";
    HOLDS(pread(file, text, 9, 0) == 8 && strcmp(text, "12345678") == 0);
}

CONTRACT(open_append_makes_pwrite_append_too) {
    own_directory();
    file_of("a", "1234");
    int file = DO(open("a", O_RDWR | O_APPEND));
    DO(pwrite(file, "x", 1, 0));
    HOLDS(size_of("a") == 5);
}

CONTRACT(open_append_shows_what_is_written_and_never_leaves_holes) {
    own_directory();
    static char line[5000], text[1 << 16];
    memset(line, 'x', sizeof line);
    int file = file_of("a", "x");
    atomic_int *ended = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t writers[2];
    for (int n = 0; n < 2; n++) {
        writers[n] = START({
            int own = DO(open("a", O_WRONLY | O_APPEND));
            for (int i = 0; i < 300; i++) HOLDS(DO(write(own, line, sizeof line)) == sizeof line);
            atomic_fetch_add(ended, 1);
        });
    }
    while (atomic_load(ended) < 2) {
        DO(ftruncate(file, 0));
        HOLDS(memchr(text, 0, DO(pread(file, text, sizeof text, 0))) == 0);
    }
    finishes(writers[0]);
    finishes(writers[1]);
}

CONTRACT(open_errors_name_what_is_wrong) {
    own_directory();
    file_of("file", "");
    DO(mkdir("directory", 0755));
    FAILS(ENOENT, open("none", O_RDONLY));
    FAILS(ENOENT, open("", O_RDONLY));
    FAILS(ENOTDIR, open("file/below", O_RDONLY));
    FAILS(ENOTDIR, open("file", O_RDONLY | O_DIRECTORY));
    FAILS(ENOTDIR, open("file/", O_RDONLY));
    FAILS(EISDIR, open("directory", O_WRONLY));
    FAILS(EISDIR, open("new/", O_CREAT | O_WRONLY, 0600));
    FAILS(EFAULT, open((char *)1, O_RDONLY));
    FAILS(EBADF, openat(77, "file", O_RDONLY));
}

CONTRACT(open_refuses_names_that_are_too_long) {
    own_directory();
    char name[257];
    memset(name, 'n', 256);
    name[256] = 0;
    FAILS(ENAMETOOLONG, open(name, O_CREAT | O_WRONLY, 0600));
    DO(open(name + 1, O_CREAT | O_WRONLY, 0600));
    static char path[4200];
    for (int i = 0; i < 4200; i += 2) memcpy(path + i, "./", 2);
    path[4199] = 0;
    FAILS(ENAMETOOLONG, open(path, O_RDONLY));
}

CONTRACT(open_mode_decides_what_a_descriptor_may) {
    own_directory();
    file_of("a", "text");
    int reading = DO(open("a", O_RDONLY)), writing = DO(open("a", O_WRONLY));
    char byte = 0;
    FAILS(EBADF, write(reading, &byte, 1));
    FAILS(EBADF, read(writing, &byte, 1));
    FAILS(EINVAL, ftruncate(reading, 0));
}

CONTRACT(open_mode_of_creation_does_not_bind_its_own_descriptor) {
    own_directory();
    HOLDS(IN_CHILD({
        without_rights();
        int file = DO(open("a", O_CREAT | O_WRONLY, 0400));
        DO(write(file, "x", 1));
        FAILS(EACCES, open("a", O_WRONLY));
    }) == 0);
}

CONTRACT(open_path_descriptor_only_names) {
    own_directory();
    file_of("a", "text");
    int name = DO(open("a", O_PATH));
    char byte;
    FAILS(EBADF, read(name, &byte, 1));
    FAILS(EBADF, syscall(SYS_fchmod, name, 0600));
    struct stat found;
    DO(fstat(name, &found));
    HOLDS(found.st_size == 4);
    HOLDS((DO(fcntl(name, F_GETFL)) & O_PATH) != 0);
}

CONTRACT(open_path_nofollow_names_the_link_itself) {
    own_directory();
    DO(symlink("there", "link"));
    int link = DO(open("link", O_PATH | O_NOFOLLOW));
    char target[8];
    HOLDS(readlinkat(link, "", target, 8) == 5 && memcmp(target, "there", 5) == 0);
    FAILS(ELOOP, open("link", O_RDONLY | O_NOFOLLOW));
}

CONTRACT(open_tmpfile_has_no_name_until_it_is_linked) {
    own_directory();
    int file = DO(open(".", O_TMPFILE | O_RDWR, 0600));
    struct stat found;
    DO(fstat(file, &found));
    HOLDS(found.st_nlink == 0);
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    DO(linkat(AT_FDCWD, path, AT_FDCWD, "name", AT_SYMLINK_FOLLOW));
    HOLDS(status_of("name").st_ino == found.st_ino && status_of("name").st_nlink == 1);
}

CONTRACT(open_tmpfile_refuses_what_makes_no_sense) {
    own_directory();
    file_of("a", "text");
    FAILS(EINVAL, open(".", O_TMPFILE | O_RDONLY, 0600));
    FAILS(EINVAL, open(".", O_TMPFILE | O_RDWR | O_CREAT, 0600));
    FAILS(EINVAL, open(".", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0600));
    FAILS(ENOTDIR, open("a", O_TMPFILE | O_RDWR, 0600));
    FAILS(ENOENT, open("none", O_TMPFILE | O_RDWR, 0600));
    DO(chmod(".", 0555));
    without_rights();
    FAILS(EACCES, open(".", O_TMPFILE | O_RDWR, 0600));
}

CONTRACT(open_tmpfile_is_linked_by_its_descriptor_unless_it_is_exclusive) {
    own_directory();
    int file = DO(open(".", O_TMPFILE | O_WRONLY, 0640)), other = DO(open(".", O_TMPFILE | O_WRONLY | O_EXCL, 0600));
    DO(write(file, "text", 4));
    DO(linkat(file, "", AT_FDCWD, "name", AT_EMPTY_PATH));
    HOLDS(size_of("name") == 4 && (status_of("name").st_mode & 07777) == 0640);
    DO(linkat(file, "", AT_FDCWD, "second", AT_EMPTY_PATH));
    HOLDS(status_of("name").st_nlink == 2);
    FAILS(ENOENT, linkat(other, "", AT_FDCWD, "third", AT_EMPTY_PATH));
    DO(unlink("name"));
    DO(unlink("second"));
    FAILS(ENOENT, linkat(file, "", AT_FDCWD, "again", AT_EMPTY_PATH));
}

CONTRACT(open_status_flags_are_shared_by_duplicates_and_not_by_openings) {
    own_directory();
    int file = file_of("a", "text"), copy = DO(dup(file)), other = DO(open("a", O_RDWR));
    DO(fcntl(file, F_SETFL, O_APPEND));
    HOLDS((DO(fcntl(copy, F_GETFL)) & O_APPEND) && !(DO(fcntl(other, F_GETFL)) & O_APPEND));
    DO(lseek(file, 2, SEEK_SET));
    HOLDS(lseek(copy, 0, SEEK_CUR) == 2 && lseek(other, 0, SEEK_CUR) == 0);
}

CONTRACT(open_offset_is_shared_with_a_child) {
    own_directory();
    int file = file_of("a", "text");
    HOLDS(IN_CHILD({ DO(lseek(file, 3, SEEK_SET)); }) == 0);
    HOLDS(lseek(file, 0, SEEK_CUR) == 3);
}

CONTRACT(seek_refuses_what_lies_before_the_beginning) {
    own_directory();
    int file = file_of("a", "text");
    FAILS(EINVAL, lseek(file, -1, SEEK_SET));
    FAILS(EINVAL, lseek(file, -5, SEEK_END));
    FAILS(EINVAL, lseek(file, 0, 99));
    HOLDS(lseek(file, 10, SEEK_END) == 14 && size_of("a") == 4);
    int ends[2];
    DO(pipe(ends));
    FAILS(ESPIPE, lseek(ends[0], 0, SEEK_CUR));
    FAILS(ESPIPE, pread(ends[0], &file, 1, 0));
}

CONTRACT(seek_data_and_hole_find_the_end) {
    own_directory();
    int file = file_of("a", "text");
    HOLDS(lseek(file, 0, SEEK_DATA) == 0);
    HOLDS(lseek(file, 0, SEEK_HOLE) == 4);
    FAILS(ENXIO, lseek(file, 4, SEEK_DATA));
    FAILS(ENXIO, lseek(file, 4, SEEK_HOLE));
}

CONTRACT(seek_finds_data_after_a_hole) {
    own_directory();
    int file = file_of("a", "");
    DO(pwrite(file, "x", 1, 1 << 20));
    long hole = DO(lseek(file, 0, SEEK_HOLE)), data = DO(lseek(file, 0, SEEK_DATA));
    HOLDS(hole == 0 && data > 0 && data <= 1 << 20);
    char bytes[16];
    HOLDS(pread(file, bytes, 16, 4096) == 16);
    for (int i = 0; i < 16; i++) HOLDS(bytes[i] == 0);
}

CONTRACT(file_sparse_takes_few_blocks) {
    own_directory();
    int file = file_of("a", "");
    DO(ftruncate(file, 64 << 20));
    HOLDS(size_of("a") == 64 << 20 && status_of("a").st_blocks < 64);
}

CONTRACT(file_pread_and_pwrite_leave_the_offset) {
    own_directory();
    int file = file_of("a", "0123");
    char byte;
    HOLDS(pread(file, &byte, 1, 2) == 1 && byte == '2');
    HOLDS(pwrite(file, "x", 1, 6) == 1);
    HOLDS(lseek(file, 0, SEEK_CUR) == 0 && size_of("a") == 7);
    HOLDS(pread(file, &byte, 1, 7) == 0);
    FAILS(EINVAL, pread(file, &byte, 1, -1));
}

CONTRACT(file_vectors_are_read_and_written_in_order) {
    own_directory();
    int file = file_of("a", "");
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    HOLDS(writev(file, out, 3) == 5);
    char first[3] = "", second[4] = "";
    struct iovec in[2] = {{first, 2}, {second, 3}};
    HOLDS(preadv(file, in, 2, 1) == 4 && strcmp(first, "bc") == 0 && strcmp(second, "de") == 0);
    FAILS(EINVAL, readv(file, in, -1));
    FAILS(EINVAL, readv(file, in, 1025));
}

CONTRACT(file_preadv2_at_minus_one_uses_the_offset) {
    own_directory();
    int file = file_of("a", "abcd");
    char two[2];
    struct iovec in = {two, 2};
    HOLDS(syscall(SYS_preadv2, file, &in, 1, -1L, -1L, 0) == 2 && lseek(file, 0, SEEK_CUR) == 2);
    FAILS(EOPNOTSUPP, syscall(SYS_preadv2, file, &in, 1, 0L, 0L, 1 << 30));
}

CONTRACT(file_write_of_a_bad_pointer_is_efault) {
    own_directory();
    int file = file_of("a", "abcd");
    FAILS(EFAULT, write(file, (void *)8, 4));
    FAILS(EFAULT, read(file, (void *)8, 4));
    HOLDS(size_of("a") == 4);
}

CONTRACT(file_size_limit_sends_sigxfsz) {
    own_directory();
    int file = file_of("a", "");
    struct rlimit limit = {8, 8};
    DO(setrlimit(RLIMIT_FSIZE, &limit));
    HOLDS(write(file, "0123456789", 10) == 8);
    int status = IN_CHILD({ write(file, "x", 1); });
    HOLDS(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
    signal(SIGXFSZ, SIG_IGN);
    FAILS(EFBIG, write(file, "x", 1));
    FAILS(EFBIG, ftruncate(file, 9));
}

CONTRACT(rename_replaces_at_once) {
    own_directory();
    file_of("a", "new");
    int old = file_of("b", "older");
    DO(rename("a", "b"));
    FAILS(ENOENT, access("a", F_OK));
    HOLDS(size_of("b") == 3);
    struct stat found;
    DO(fstat(old, &found));
    HOLDS(found.st_size == 5 && found.st_nlink == 0);
}

CONTRACT(rename_of_two_names_of_one_file_does_nothing) {
    own_directory();
    file_of("a", "text");
    DO(link("a", "b"));
    DO(rename("a", "b"));
    DO(access("a", F_OK));
    DO(access("b", F_OK));
}

CONTRACT(rename_directory_rules) {
    own_directory();
    file_of("file", "");
    DO(mkdir("empty", 0755));
    DO(mkdir("full", 0755));
    DO(mkdir("full/child", 0755));
    FAILS(ENOTDIR, rename("empty", "file"));
    FAILS(EISDIR, rename("file", "empty"));
    FAILS(EINVAL, rename("full", "full/child/below"));
    errno = 0;
    HOLDS(rename("empty", "full") == -1 && (errno == ENOTEMPTY || errno == EEXIST));
    DO(rename("full", "empty"));
    DO(access("empty/child", F_OK));
}

CONTRACT(rename_noreplace_and_exchange) {
    own_directory();
    file_of("a", "1");
    file_of("b", "22");
    FAILS(EEXIST, rename_with("a", "b", RENAME_NOREPLACE));
    DO(rename_with("a", "b", RENAME_EXCHANGE));
    HOLDS(size_of("a") == 2 && size_of("b") == 1);
    FAILS(ENOENT, rename_with("a", "none", RENAME_EXCHANGE));
    FAILS(EINVAL, rename_with("a", "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
    DO(rename_with("a", "c", RENAME_NOREPLACE));
}

CONTRACT(rename_moves_dot_dot_with_a_directory) {
    own_directory();
    DO(mkdir("one", 0755));
    DO(mkdir("two", 0755));
    DO(mkdir("one/child", 0755));
    unsigned long links = status_of("two").st_nlink;
    DO(rename("one/child", "two/child"));
    HOLDS(status_of("two/child/..").st_ino == status_of("two").st_ino);
    HOLDS(status_of("two").st_nlink >= links);
}

CONTRACT(link_counts_names) {
    own_directory();
    file_of("a", "text");
    DO(link("a", "b"));
    HOLDS(status_of("a").st_nlink == 2 && status_of("a").st_ino == status_of("b").st_ino);
    FAILS(EEXIST, link("a", "b"));
    FAILS(EPERM, link(".", "c"));
    DO(unlink("a"));
    HOLDS(status_of("b").st_nlink == 1);
}

CONTRACT(link_of_a_symbolic_link_is_the_link) {
    own_directory();
    file_of("a", "text");
    DO(symlink("a", "s"));
    DO(link("s", "t"));
    HOLDS(S_ISLNK(status_of("t").st_mode));
    DO(linkat(AT_FDCWD, "s", AT_FDCWD, "u", AT_SYMLINK_FOLLOW));
    HOLDS(S_ISREG(status_of("u").st_mode));
}

CONTRACT(link_that_leads_in_a_circle_is_eloop) {
    own_directory();
    DO(symlink("b", "a"));
    DO(symlink("a", "b"));
    struct stat found;
    FAILS(ELOOP, open("a", O_RDONLY));
    FAILS(ELOOP, stat("a", &found));
    DO(lstat("a", &found));
    HOLDS(found.st_size == 1);
}

CONTRACT(link_text_is_cut_to_the_buffer) {
    own_directory();
    DO(symlink("abcdef", "s"));
    char text[4] = "____";
    HOLDS(readlink("s", text, 3) == 3 && memcmp(text, "abc_", 4) == 0);
    file_of("file", "");
    FAILS(EINVAL, readlink("file", text, 3));
    FAILS(EINVAL, syscall(SYS_readlinkat, AT_FDCWD, "s", text, 0));
    FAILS(ENOENT, symlink("", "t"));
}

CONTRACT(unlink_keeps_what_is_open) {
    own_directory();
    int file = file_of("a", "text");
    DO(unlink("a"));
    FAILS(ENOENT, open("a", O_RDONLY));
    char text[4];
    HOLDS(read(file, text, 4) == 4 && memcmp(text, "text", 4) == 0);
    DO(write(file, "more", 4));
}

CONTRACT(unlink_and_rmdir_refuse_what_is_not_theirs) {
    own_directory();
    DO(mkdir("d", 0755));
    file_of("d/f", "");
    errno = 0;
    HOLDS(unlink("d") == -1 && (errno == EISDIR || errno == EPERM));
    FAILS(ENOTEMPTY, rmdir("d"));
    FAILS(ENOTDIR, rmdir("d/f"));
    FAILS(EINVAL, rmdir("d/."));
    FAILS(ENOTDIR, unlink("d/f/"));
    FAILS(EINVAL, unlinkat(AT_FDCWD, "d/f", 1));
    DO(unlinkat(AT_FDCWD, "d/f", 0));
    DO(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
}

CONTRACT(directory_that_is_removed_takes_no_more_files) {
    own_directory();
    DO(mkdir("d", 0755));
    DO(chdir("d"));
    DO(rmdir("../d"));
    FAILS(ENOENT, open("a", O_CREAT | O_WRONLY, 0600));
    FAILS(ENOENT, mkdir("b", 0700));
    char path[64];
    HOLDS(syscall(SYS_getcwd, path, sizeof path) < 0 && errno == ENOENT);
}

CONTRACT(directory_links_count_its_children) {
    own_directory();
    DO(mkdir("d", 0755));
    HOLDS(status_of("d").st_nlink == 2);
    DO(mkdir("d/1", 0755));
    DO(mkdir("d/2", 0755));
    HOLDS(status_of("d").st_nlink == 4);
    DO(rmdir("d/1"));
    HOLDS(status_of("d").st_nlink == 3);
}

CONTRACT(directory_lists_each_name_once_with_its_type) {
    own_directory();
    char name[8];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "%d", i);
        if (i & 1) DO(mkdir(name, 0755));
        else close(DO(open(name, O_CREAT | O_WRONLY, 0600)));
    }
    int seen[300] = {0}, dots = 0;
    DIR *directory = opendir(".");
    HOLDS(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.') { dots++; continue; }
        int number = atoi(entry->d_name);
        seen[number]++;
        HOLDS(entry->d_type == (number & 1 ? DT_DIR : DT_REG) && entry->d_ino == status_of(entry->d_name).st_ino);
    }
    for (int i = 0; i < 300; i++) HOLDS(seen[i] == 1);
    HOLDS(dots == 2);
}

CONTRACT(directory_can_be_emptied_while_it_is_read) {
    own_directory();
    char name[8];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "%d", i);
        close(DO(open(name, O_CREAT | O_WRONLY, 0600)));
    }
    int removed = 0;
    DIR *directory = opendir(".");
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.') { DO(unlink(entry->d_name)); removed++; }
    HOLDS(removed == 200);
    rewinddir(directory);
    int left = 0;
    while (readdir(directory)) left++;
    HOLDS(left == 2);
}

CONTRACT(directory_buffer_that_is_too_small_is_einval) {
    own_directory();
    int directory = DO(open(".", O_RDONLY | O_DIRECTORY));
    char buffer[8];
    FAILS(EINVAL, syscall(SYS_getdents64, directory, buffer, sizeof buffer));
    FAILS(ENOTDIR, syscall(SYS_getdents64, file_of("a", ""), buffer, sizeof buffer));
    FAILS(EISDIR, read(directory, buffer, 1));
}

CONTRACT(permission_denies_by_class_of_user) {
    own_directory();
    file_of("none", "");
    DO(chmod("none", 0));
    file_of("owned", "");
    DO(chown("owned", 1000, 1000));
    DO(chmod("owned", 0077));
    file_of("group", "");
    DO(chown("group", 0, 1000));
    DO(chmod("group", 0040));
    DO(open("none", O_RDWR));
    HOLDS(IN_CHILD({
        without_rights();
        FAILS(EACCES, open("none", O_RDONLY));
        FAILS(EACCES, open("owned", O_RDONLY));
        DO(open("group", O_RDONLY));
        FAILS(EACCES, open("group", O_WRONLY));
        FAILS(EPERM, chmod("group", 0777));
        DO(chmod("owned", 0600));
        DO(open("owned", O_RDWR));
        FAILS(EPERM, chown("owned", 0, 0));
    }) == 0);
}

CONTRACT(permission_of_directories_search_and_write) {
    own_directory();
    DO(mkdir("closed", 0700));
    file_of("closed/a", "");
    DO(mkdir("listed", 0744));
    file_of("listed/a", "");
    DO(mkdir("passed", 0711));
    file_of("passed/a", "");
    HOLDS(IN_CHILD({
        without_rights();
        struct stat found;
        FAILS(EACCES, stat("closed/a", &found));
        DO(open("listed", O_RDONLY | O_DIRECTORY));
        FAILS(EACCES, stat("listed/a", &found));
        FAILS(EACCES, open("passed", O_RDONLY | O_DIRECTORY));
        DO(open("passed/a", O_RDONLY));
        FAILS(EACCES, unlink("passed/a"));
        FAILS(EACCES, mkdir("passed/b", 0700));
    }) == 0);
}

CONTRACT(permission_of_a_sticky_directory_lets_only_owners_remove) {
    own_directory();
    DO(mkdir("sticky", 0));
    DO(chmod("sticky", 01777));
    file_of("sticky/roots", "");
    HOLDS(IN_CHILD({
        without_rights();
        close(file_of("sticky/own", ""));
        FAILS(EPERM, unlink("sticky/roots"));
        FAILS(EPERM, rename("sticky/own", "sticky/roots"));
        DO(unlink("sticky/own"));
    }) == 0);
}

CONTRACT(permission_access_asks_for_the_real_user) {
    own_directory();
    file_of("a", "");
    DO(chmod("a", 0600));
    HOLDS(IN_CHILD({
        DO(setresuid(1000, 0, 0));
        FAILS(EACCES, access("a", R_OK));
        DO(faccessat(AT_FDCWD, "a", R_OK, AT_EACCESS));
        DO(open("a", O_RDWR));
    }) == 0);
    FAILS(EACCES, access("a", X_OK));
    FAILS(EINVAL, access("a", 99));
}

CONTRACT(permission_write_by_others_takes_away_setuid) {
    own_directory();
    file_of("a", "text");
    DO(chmod("a", 06777));
    HOLDS(IN_CHILD({ without_rights(); DO(write(DO(open("a", O_WRONLY)), "x", 1)); }) == 0);
    HOLDS((status_of("a").st_mode & 07777) == 0777);
    DO(chmod("a", 06777));
    DO(chown("a", 1000, 1000));
    HOLDS((status_of("a").st_mode & 06000) == 0);
}

CONTRACT(permission_setgid_directory_gives_its_group) {
    own_directory();
    DO(mkdir("d", 0755));
    DO(chown("d", 0, 1234));
    DO(chmod("d", 02775));
    file_of("d/a", "");
    DO(mkdir("d/b", 0755));
    HOLDS(status_of("d/a").st_gid == 1234 && status_of("d/b").st_gid == 1234);
    HOLDS(status_of("d/b").st_mode & S_ISGID);
}

CONTRACT(umask_takes_bits_from_what_is_made_and_not_from_chmod) {
    own_directory();
    umask(027);
    close(DO(open("a", O_CREAT | O_WRONLY, 0666)));
    DO(mkdir("d", 0777));
    DO(mkfifo("p", 0666));
    HOLDS((status_of("a").st_mode & 0777) == 0640 && (status_of("d").st_mode & 0777) == 0750);
    HOLDS(status_of("p").st_mode == (S_IFIFO | 0640));
    DO(chmod("a", 0666));
    HOLDS((status_of("a").st_mode & 0777) == 0666);
    HOLDS(umask(0) == 027);
}

CONTRACT(truncate_grows_with_zeros_and_cuts) {
    own_directory();
    int file = file_of("a", "abcdef");
    DO(truncate("a", 2));
    DO(truncate("a", 6));
    char text[7];
    HOLDS(read(file, text, 7) == 6 && memcmp(text, "ab\0\0\0\0", 6) == 0);
    FAILS(EINVAL, truncate("a", -1));
    FAILS(EISDIR, truncate(".", 0));
}

CONTRACT(fallocate_makes_room_with_and_without_size) {
    own_directory();
    int file = file_of("a", "abc");
    DO(fallocate(file, 0, 0, 10000));
    HOLDS(size_of("a") == 10000);
    DO(fallocate(file, 1, 0, 20000));
    HOLDS(size_of("a") == 10000);
    char text[3];
    HOLDS(pread(file, text, 3, 0) == 3 && memcmp(text, "abc", 3) == 0);
    FAILS(EINVAL, fallocate(file, 0, 0, 0));
    FAILS(EINVAL, fallocate(file, 0, -1, 1));
    FAILS(EBADF, fallocate(DO(open("a", O_RDONLY)), 0, 0, 1));
}

CONTRACT(fallocate_punches_holes) {
    own_directory();
    int file = file_of("a", "");
    char page[4096], byte;
    memset(page, 'x', sizeof page);
    for (int i = 0; i < 4; i++) DO(write(file, page, sizeof page));
    DO(fallocate(file, 3, 4096, 8192));
    HOLDS(size_of("a") == 16384);
    HOLDS(pread(file, &byte, 1, 4095) == 1 && byte == 'x' && pread(file, &byte, 1, 4096) == 1 && byte == 0);
    HOLDS(pread(file, &byte, 1, 12287) == 1 && byte == 0 && pread(file, &byte, 1, 12288) == 1 && byte == 'x');
    FAILS(EOPNOTSUPP, fallocate(file, 2, 0, 4096));
}

CONTRACT(stat_tells_of_each_kind_of_file) {
    own_directory();
    file_of("a", "text");
    DO(symlink("a", "s"));
    DO(mkfifo("p", 0600));
    struct stat a = status_of("a");
    HOLDS(S_ISREG(a.st_mode) && a.st_size == 4 && a.st_nlink == 1 && a.st_uid == geteuid() && a.st_gid == getegid());
    HOLDS(a.st_blksize > 0 && a.st_ino > 0 && a.st_dev == status_of(".").st_dev);
    HOLDS(S_ISLNK(status_of("s").st_mode) && S_ISFIFO(status_of("p").st_mode) && S_ISDIR(status_of(".").st_mode));
    struct stat null = status_of("/dev/null");
    HOLDS(S_ISCHR(null.st_mode) && major(null.st_rdev) == 1 && minor(null.st_rdev) == 3);
}

CONTRACT(stat_empty_path_is_the_descriptor_itself) {
    own_directory();
    int file = file_of("a", "text");
    struct stat found;
    DO(fstatat(file, "", &found, AT_EMPTY_PATH));
    HOLDS(found.st_size == 4);
    FAILS(ENOENT, fstatat(file, "", &found, 0));
    FAILS(ENOTDIR, fstatat(file, "b", &found, 0));
    DO(fstatat(AT_FDCWD, "", &found, AT_EMPTY_PATH));
    HOLDS(S_ISDIR(found.st_mode));
    FAILS(EINVAL, fstatat(file, "a", &found, 1 << 20));
}

CONTRACT(stat_extended_says_what_it_filled_in) {
    own_directory();
    file_of("a", "text");
    struct statx found;
    DO(statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &found));
    HOLDS((found.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    HOLDS(found.stx_size == 4 && found.stx_ino == status_of("a").st_ino && found.stx_mode == status_of("a").st_mode);
    HOLDS(makedev(found.stx_dev_major, found.stx_dev_minor) == status_of("a").st_dev);
    FAILS(EINVAL, statx(AT_FDCWD, "a", 0, 0x80000000, &found));
}

CONTRACT(statfs_tells_block_size_and_name_length) {
    own_directory();
    struct statfs found;
    DO(statfs(".", &found));
    HOLDS(found.f_bsize > 0 && found.f_namelen == 255 && found.f_type != 0);
    DO(statfs("/proc", &found));
    HOLDS(found.f_type == 0x9fa0);
    FAILS(ENOENT, statfs("none", &found));
}

CONTRACT(utimensat_sets_now_omit_and_nanoseconds) {
    own_directory();
    file_of("a", "");
    struct timespec times[2] = {{1000, 123456789}, {2000, 987654321}};
    DO(utimensat(AT_FDCWD, "a", times, 0));
    struct stat found = status_of("a");
    HOLDS(found.st_atim.tv_sec == 1000 && found.st_atim.tv_nsec == 123456789);
    HOLDS(found.st_mtim.tv_sec == 2000 && found.st_mtim.tv_nsec == 987654321 && found.st_ctim.tv_sec > 2000);
    times[0].tv_nsec = UTIME_NOW;
    times[1].tv_nsec = UTIME_OMIT;
    DO(utimensat(AT_FDCWD, "a", times, 0));
    found = status_of("a");
    HOLDS(found.st_atim.tv_sec > 2000 && found.st_mtim.tv_sec == 2000);
    times[0].tv_nsec = 1000000000;
    FAILS(EINVAL, utimensat(AT_FDCWD, "a", times, 0));
}

CONTRACT(utimensat_of_a_link_and_of_others_files) {
    own_directory();
    file_of("a", "");
    DO(chmod("a", 0666));
    DO(symlink("a", "s"));
    struct timespec times[2] = {{5, 0}, {5, 0}};
    DO(utimensat(AT_FDCWD, "s", times, AT_SYMLINK_NOFOLLOW));
    HOLDS(status_of("s").st_mtim.tv_sec == 5 && status_of("a").st_mtim.tv_sec != 5);
    HOLDS(IN_CHILD({
        without_rights();
        DO(utimensat(AT_FDCWD, "a", NULL, 0));
        FAILS(EPERM, utimensat(AT_FDCWD, "a", times, 0));
    }) == 0);
}

CONTRACT(times_change_with_what_is_done) {
    own_directory();
    int file = file_of("a", "text");
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    DO(futimens(file, old));
    DO(write(file, "x", 1));
    HOLDS(status_of("a").st_mtim.tv_sec > 1000);
    DO(futimens(file, old));
    DO(chmod("a", 0600));
    HOLDS(status_of("a").st_mtim.tv_sec == 1000 && status_of("a").st_ctim.tv_sec > 1000);
    DO(utimensat(AT_FDCWD, ".", old, 0));
    file_of("b", "");
    HOLDS(status_of(".").st_mtim.tv_sec > 1000);
}

CONTRACT(xattr_is_set_read_listed_and_removed) {
    own_directory();
    int file = file_of("a", "");
    DO(setxattr("a", "user.one", "1234", 4, XATTR_CREATE));
    FAILS(EEXIST, setxattr("a", "user.one", "x", 1, XATTR_CREATE));
    FAILS(ENODATA, setxattr("a", "user.two", "x", 1, XATTR_REPLACE));
    char value[8], names[64];
    HOLDS(fgetxattr(file, "user.one", value, 8) == 4 && memcmp(value, "1234", 4) == 0);
    HOLDS(getxattr("a", "user.one", NULL, 0) == 4);
    FAILS(ERANGE, getxattr("a", "user.one", value, 2));
    FAILS(ENODATA, getxattr("a", "user.none", value, 8));
    long length = DO(listxattr("a", names, sizeof names));
    int seen = 0;
    for (long i = 0; i < length; i += (long)strlen(names + i) + 1) seen += strcmp(names + i, "user.one") == 0;
    HOLDS(seen == 1);
    DO(removexattr("a", "user.one"));
    FAILS(ENODATA, removexattr("a", "user.one"));
    FAILS(EOPNOTSUPP, setxattr("a", "nonsense.one", "x", 1, 0));
}

CONTRACT(copy_file_range_moves_both_offsets) {
    own_directory();
    int from = file_of("a", "0123456789"), to = file_of("b", "");
    off_t at = 4;
    HOLDS(copy_file_range(from, &at, to, NULL, 3, 0) == 3);
    HOLDS(at == 7 && lseek(from, 0, SEEK_CUR) == 0 && lseek(to, 0, SEEK_CUR) == 3);
    HOLDS(copy_file_range(from, &at, to, NULL, 100, 0) == 3);
    HOLDS(copy_file_range(from, &at, to, NULL, 100, 0) == 0);
    char text[8];
    HOLDS(pread(to, text, 8, 0) == 6 && memcmp(text, "456789", 6) == 0);
    FAILS(EINVAL, copy_file_range(from, NULL, to, NULL, 1, 1));
    FAILS(EBADF, copy_file_range(from, NULL, DO(open("b", O_RDONLY)), NULL, 1, 0));
}

CONTRACT(sendfile_copies_from_an_offset) {
    own_directory();
    int from = file_of("a", "0123456789"), ends[2];
    DO(pipe(ends));
    off_t at = 2;
    HOLDS(sendfile(ends[1], from, &at, 3) == 3 && at == 5 && lseek(from, 0, SEEK_CUR) == 0);
    HOLDS(sendfile(ends[1], from, NULL, 2) == 2 && lseek(from, 0, SEEK_CUR) == 2);
    char text[8];
    HOLDS(read(ends[0], text, 8) == 5 && memcmp(text, "23401", 5) == 0);
    int to = file_of("b", "");
    HOLDS(sendfile(to, from, NULL, 100) == 8);
}

CONTRACT(splice_and_tee_move_between_pipes_and_files) {
    own_directory();
    int file = file_of("a", "0123456789"), one[2], two[2];
    DO(pipe(one));
    DO(pipe(two));
    HOLDS(splice(file, NULL, one[1], NULL, 6, 0) == 6);
    HOLDS(tee(one[0], two[1], 100, 0) == 6);
    char text[8];
    HOLDS(read(one[0], text, 8) == 6 && memcmp(text, "012345", 6) == 0);
    int to = file_of("b", "");
    off_t at = 1;
    HOLDS(splice(two[0], NULL, to, &at, 100, 0) == 6 && at == 7);
    HOLDS(size_of("b") == 7);
    FAILS(EINVAL, splice(file, NULL, to, NULL, 1, 0));
    FAILS(ESPIPE, splice(one[0], &at, to, NULL, 1, 0));
    FAILS(EAGAIN, splice(one[0], NULL, two[1], NULL, 1, SPLICE_F_NONBLOCK));
}

CONTRACT(memfd_seals_hold) {
    int file = DO(memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    DO(ftruncate(file, 4096));
    HOLDS(fcntl(file, F_GET_SEALS) == 0);
    DO(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    FAILS(EPERM, ftruncate(file, 0));
    FAILS(EPERM, ftruncate(file, 8192));
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    HOLDS(shared != MAP_FAILED);
    FAILS(EBUSY, fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
    DO(munmap(shared, 4096));
    DO(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL));
    FAILS(EPERM, write(file, "x", 1));
    FAILS(EPERM, fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
    HOLDS(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED && errno == EPERM);
    FAILS(EPERM, fcntl(DO(memfd_create("other", 0)), F_ADD_SEALS, F_SEAL_WRITE));
}

CONTRACT(fifo_opens_when_both_sides_are_there) {
    own_directory();
    DO(mkfifo("p", 0600));
    FAILS(ENXIO, open("p", O_WRONLY | O_NONBLOCK));
    int early = DO(open("p", O_RDONLY | O_NONBLOCK));
    close(early);
    pid_t writer = START({ int end = DO(open("p", O_WRONLY)); DO(write(end, "text", 4)); });
    int end = DO(open("p", O_RDONLY));
    char text[8];
    HOLDS(read(end, text, 8) == 4);
    HOLDS(read(end, text, 8) == 0);
    finishes(writer);
}

CONTRACT(cwd_follows_fchdir_and_is_inherited) {
    own_directory();
    DO(mkdir("d", 0755));
    int directory = DO(open("d", O_RDONLY | O_DIRECTORY));
    DO(fchdir(directory));
    char here[256], there[256];
    HOLDS(getcwd(here, sizeof here) && strcmp(here + strlen(here) - 2, "/d") == 0);
    HOLDS(IN_CHILD({ HOLDS(getcwd(there, sizeof there) && strcmp(here, there) == 0); DO(chdir("/")); }) == 0);
    HOLDS(getcwd(there, sizeof there) && strcmp(here, there) == 0);
    FAILS(ERANGE, syscall(SYS_getcwd, here, 2));
    FAILS(ENOTDIR, fchdir(file_of("file", "")));
}

CONTRACT(device_null_zero_and_full) {
    int null = DO(open("/dev/null", O_RDWR)), zero = DO(open("/dev/zero", O_RDWR)), full = DO(open("/dev/full", O_RDWR));
    char text[4] = "1234";
    HOLDS(write(null, text, 4) == 4 && read(null, text, 4) == 0);
    HOLDS(read(zero, text, 4) == 4 && text[0] == 0 && text[3] == 0);
    FAILS(ENOSPC, write(full, text, 4));
}
