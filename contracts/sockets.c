/* Sockets: socket(7), unix(7), tcp(7), udp(7). */
#include "contract.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static void pair_of(int kind, int ends[2]) { DO(socketpair(AF_UNIX, kind, 0, ends)); }

static short ready(int file, short events) {
    struct pollfd asked = {.fd = file, .events = events};
    DO(poll(&asked, 1, 0));
    return asked.revents;
}

static struct sockaddr_un path_of(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, name);
    return address;
}

#define ADDRESS(of) (struct sockaddr *)&(of), sizeof(of)

/* A socket of 127.0.0.1 and a port of the kernel's choice, which `address` is told. */
static int bound(int kind, struct sockaddr_in *address) {
    int file = DO(socket(AF_INET, kind, 0));
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    DO(bind(file, ADDRESS(*address)));
    socklen_t length = sizeof *address;
    DO(getsockname(file, (struct sockaddr *)address, &length));
    HOLDS(length == sizeof *address && address->sin_port != 0);
    return file;
}

/* Both ends of a connection by TCP. */
static void connection(int ends[2]) {
    struct sockaddr_in address;
    int listener = bound(SOCK_STREAM, &address);
    DO(listen(listener, 1));
    ends[0] = DO(socket(AF_INET, SOCK_STREAM, 0));
    DO(connect(ends[0], ADDRESS(address)));
    ends[1] = DO(accept(listener, NULL, NULL));
    close(listener);
}

static int option(int file, int level, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    DO(getsockopt(file, level, name, &value, &length));
    HOLDS(length == sizeof value);
    return value;
}

static void set_option(int file, int name, int value) {
    DO(setsockopt(file, SOL_SOCKET, name, &value, sizeof value));
}

CONTRACT(socket_refuses_what_there_is_not) {
    int ends[2];
    FAILS(EAFNOSUPPORT, socket(99, SOCK_STREAM, 0));
    FAILS(EINVAL, socket(AF_UNIX, 77, 0));
    FAILS(EPROTONOSUPPORT, socket(AF_UNIX, SOCK_STREAM, 7));
    FAILS(EPROTONOSUPPORT, socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    FAILS(EOPNOTSUPP, socketpair(AF_INET, SOCK_STREAM, 0, ends));
    FAILS(EFAULT, syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8));
    FAILS(ENOTSOCK, listen(DO(open("/", O_RDONLY)), 1));
    FAILS(EBADF, listen(777, 1));
}

CONTRACT(socket_stream_has_no_borders) {
    int ends[2];
    char text[8] = "";
    pair_of(SOCK_STREAM, ends);
    DO(write(ends[0], "ab", 2));
    DO(write(ends[0], "cd", 2));
    HOLDS(read(ends[1], text, 3) == 3 && memcmp(text, "abc", 3) == 0);
    HOLDS(read(ends[1], text, 3) == 1);
}

CONTRACT(socket_datagrams_keep_their_borders_and_are_cut) {
    int ends[2];
    char text[8];
    pair_of(SOCK_DGRAM, ends);
    DO(write(ends[0], "abcd", 4));
    DO(write(ends[0], "", 0));
    DO(write(ends[0], "ef", 2));
    HOLDS(read(ends[1], text, 2) == 2);
    HOLDS(read(ends[1], text, 8) == 0);
    HOLDS(read(ends[1], text, 8) == 2 && text[0] == 'e');
}

CONTRACT(socket_message_that_is_cut_says_so) {
    int ends[2];
    char text[2];
    pair_of(SOCK_SEQPACKET, ends);
    struct iovec part = {text, 2};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    DO(send(ends[0], "abcd", 4, 0));
    DO(send(ends[0], "abcd", 4, 0));
    HOLDS(recvmsg(ends[1], &message, 0) == 2 && message.msg_flags & MSG_TRUNC);
    HOLDS(recv(ends[1], text, 2, MSG_TRUNC) == 4);
}

CONTRACT(socket_peek_leaves_what_it_reads) {
    int ends[2];
    char text[4];
    pair_of(SOCK_STREAM, ends);
    DO(write(ends[0], "abcd", 4));
    HOLDS(recv(ends[1], text, 2, MSG_PEEK) == 2);
    HOLDS(recv(ends[1], text, 4, MSG_WAITALL) == 4 && text[0] == 'a');
    FAILS(EAGAIN, recv(ends[1], text, 4, MSG_DONTWAIT));
}

CONTRACT(socket_that_nobody_reads_is_epipe_and_sigpipe) {
    int ends[2];
    pair_of(SOCK_STREAM, ends);
    close(ends[1]);
    FAILS(EPIPE, send(ends[0], "a", 1, MSG_NOSIGNAL));
    int status = IN_CHILD({ write(ends[0], "a", 1); });
    HOLDS(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

CONTRACT(socket_closed_with_bytes_unread_resets_the_other) {
    int ends[2];
    char byte;
    pair_of(SOCK_STREAM, ends);
    DO(write(ends[0], "a", 1));
    close(ends[1]);
    FAILS(ECONNRESET, read(ends[0], &byte, 1));
    HOLDS(read(ends[0], &byte, 1) == 0);
}

CONTRACT(socket_shutdown_ends_one_direction) {
    int ends[2];
    char byte;
    pair_of(SOCK_STREAM, ends);
    DO(write(ends[0], "a", 1));
    DO(shutdown(ends[0], SHUT_WR));
    FAILS(EPIPE, send(ends[0], "b", 1, MSG_NOSIGNAL));
    HOLDS(read(ends[1], &byte, 1) == 1 && read(ends[1], &byte, 1) == 0);
    DO(write(ends[1], "c", 1));
    HOLDS(read(ends[0], &byte, 1) == 1 && byte == 'c');
    FAILS(EINVAL, shutdown(ends[0], 3));
    FAILS(ENOTCONN, shutdown(DO(socket(AF_INET, SOCK_STREAM, 0)), SHUT_WR));
}

CONTRACT(socket_poll_tells_of_both_directions) {
    int ends[2];
    pair_of(SOCK_STREAM, ends);
    const short all = POLLIN | POLLOUT | POLLRDHUP;
    HOLDS(ready(ends[0], all) == POLLOUT);
    DO(write(ends[1], "a", 1));
    HOLDS(ready(ends[0], all) == (POLLIN | POLLOUT));
    DO(shutdown(ends[1], SHUT_WR));
    HOLDS(ready(ends[0], all) == (POLLIN | POLLOUT | POLLRDHUP));
    close(ends[1]);
    HOLDS(ready(ends[0], all) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
}

CONTRACT(socket_nonblocking_fills_up_with_eagain) {
    int ends[2];
    static char page[4096];
    DO(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends));
    HOLDS(fcntl(ends[0], F_GETFL) & O_NONBLOCK && fcntl(ends[0], F_GETFD) == FD_CLOEXEC);
    FAILS(EAGAIN, read(ends[0], page, 1));
    long sent = 0, count;
    while ((count = write(ends[0], page, sizeof page)) > 0) sent += count;
    HOLDS(errno == EAGAIN && sent >= 4096 && ready(ends[0], POLLOUT) == 0);
    for (long left = sent; left > 0; left -= count) HOLDS((count = read(ends[1], page, sizeof page)) > 0);
    HOLDS(ready(ends[0], POLLOUT) == POLLOUT);
}

CONTRACT(socket_bytes_that_wait_are_told_by_ioctl) {
    int ends[2], waiting;
    pair_of(SOCK_STREAM, ends);
    DO(write(ends[0], "abc", 3));
    DO(ioctl(ends[1], FIONREAD, &waiting));
    HOLDS(waiting == 3);
}

CONTRACT(socket_option_tells_kind_and_domain) {
    int file = DO(socket(AF_INET, SOCK_DGRAM, 0)), ends[2];
    HOLDS(option(file, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM);
    HOLDS(option(file, SOL_SOCKET, SO_DOMAIN) == AF_INET);
    HOLDS(option(file, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_UDP);
    HOLDS(option(file, SOL_SOCKET, SO_ERROR) == 0);
    pair_of(SOCK_SEQPACKET, ends);
    HOLDS(option(ends[0], SOL_SOCKET, SO_TYPE) == SOCK_SEQPACKET && option(ends[0], SOL_SOCKET, SO_DOMAIN) == AF_UNIX);
}

CONTRACT(socket_option_of_buffers_is_doubled) {
    int file = DO(socket(AF_INET, SOCK_DGRAM, 0));
    set_option(file, SO_SNDBUF, 8192);
    set_option(file, SO_RCVBUF, 10000);
    HOLDS(option(file, SOL_SOCKET, SO_SNDBUF) == 16384 && option(file, SOL_SOCKET, SO_RCVBUF) == 20000);
}

CONTRACT(socket_option_flags_are_kept) {
    int file = DO(socket(AF_INET, SOCK_STREAM, 0));
    const int names[] = {SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, SO_OOBINLINE};
    for (int i = 0; i < 4; i++) {
        HOLDS(option(file, SOL_SOCKET, names[i]) == 0);
        set_option(file, names[i], 5);
        HOLDS(option(file, SOL_SOCKET, names[i]) == 1);
    }
    int yes = 1;
    DO(setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes));
    HOLDS(option(file, IPPROTO_TCP, TCP_NODELAY) == 1);
    struct linger linger = {1, 5}, told = {0};
    socklen_t length = sizeof told;
    DO(setsockopt(file, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    DO(getsockopt(file, SOL_SOCKET, SO_LINGER, &told, &length));
    HOLDS(told.l_onoff == 1 && told.l_linger == 5);
}

CONTRACT(socket_option_errors_name_what_is_wrong) {
    int file = DO(socket(AF_INET, SOCK_STREAM, 0)), value = 1;
    socklen_t length = sizeof value;
    FAILS(ENOPROTOOPT, setsockopt(file, SOL_SOCKET, 9999, &value, sizeof value));
    FAILS(ENOPROTOOPT, getsockopt(file, SOL_SOCKET, 9999, &value, &length));
    FAILS(EINVAL, setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &value, 1));
    FAILS(EFAULT, setsockopt(file, SOL_SOCKET, SO_REUSEADDR, (void *)8, 4));
    FAILS(ENOPROTOOPT, setsockopt(file, SOL_SOCKET, SO_TYPE, &value, sizeof value));
    FAILS(ENOTSOCK, getsockopt(DO(open("/", O_RDONLY)), SOL_SOCKET, SO_TYPE, &value, &length));
}

CONTRACT(socket_option_of_time_ends_a_wait_with_eagain) {
    int ends[2];
    char byte;
    struct timeval time = {0, 20000}, told;
    socklen_t length = sizeof told;
    pair_of(SOCK_STREAM, ends);
    DO(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    DO(getsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &told, &length));
    HOLDS(told.tv_sec == 0 && told.tv_usec == 20000);
    FAILS(EAGAIN, read(ends[0], &byte, 1));
}

CONTRACT(unix_path_is_a_file_and_stays_when_the_socket_goes) {
    own_directory();
    struct sockaddr_un address = path_of("here");
    int listener = DO(socket(AF_UNIX, SOCK_STREAM, 0)), other = DO(socket(AF_UNIX, SOCK_STREAM, 0));
    struct stat found;
    FAILS(ENOENT, connect(other, ADDRESS(address)));
    DO(bind(listener, ADDRESS(address)));
    DO(stat("here", &found));
    HOLDS(S_ISSOCK(found.st_mode));
    FAILS(EADDRINUSE, bind(other, ADDRESS(address)));
    FAILS(ECONNREFUSED, connect(other, ADDRESS(address)));
    FAILS(ENXIO, open("here", O_RDWR));
    DO(listen(listener, 1));
    DO(connect(other, ADDRESS(address)));
    FAILS(EISCONN, connect(other, ADDRESS(address)));
    close(listener);
    FAILS(ECONNREFUSED, connect(DO(socket(AF_UNIX, SOCK_STREAM, 0)), ADDRESS(address)));
    DO(unlink("here"));
}

CONTRACT(unix_names_are_told_by_getsockname_and_getpeername) {
    own_directory();
    struct sockaddr_un address = path_of("here"), told;
    int listener = DO(socket(AF_UNIX, SOCK_STREAM, 0)), client = DO(socket(AF_UNIX, SOCK_STREAM, 0));
    socklen_t length = sizeof told;
    DO(bind(listener, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + 4));
    DO(listen(listener, 1));
    DO(connect(client, ADDRESS(address)));
    DO(getpeername(client, (struct sockaddr *)&told, &length));
    HOLDS(length == offsetof(struct sockaddr_un, sun_path) + 5 && strcmp(told.sun_path, "here") == 0);
    length = sizeof told;
    DO(getsockname(client, (struct sockaddr *)&told, &length));
    HOLDS(length == sizeof(sa_family_t));
    length = sizeof told;
    int server = DO(accept(listener, (struct sockaddr *)&told, &length));
    HOLDS(length == sizeof(sa_family_t));
    length = 3;
    DO(getsockname(server, (struct sockaddr *)&told, &length));
    HOLDS(length == offsetof(struct sockaddr_un, sun_path) + 5);
}

CONTRACT(unix_abstract_name_is_free_when_its_socket_is_gone) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, 50, "contract-%d", getpid());
    int one = DO(socket(AF_UNIX, SOCK_DGRAM, 0)), two = DO(socket(AF_UNIX, SOCK_DGRAM, 0));
    DO(bind(one, ADDRESS(address)));
    FAILS(EADDRINUSE, bind(two, ADDRESS(address)));
    DO(sendto(two, "a", 1, 0, ADDRESS(address)));
    close(one);
    FAILS(ECONNREFUSED, sendto(two, "a", 1, 0, ADDRESS(address)));
    DO(bind(two, ADDRESS(address)));
}

CONTRACT(unix_bind_without_a_name_makes_one) {
    struct sockaddr_un told = {.sun_family = AF_UNIX};
    socklen_t length = sizeof told;
    int file = DO(socket(AF_UNIX, SOCK_DGRAM, 0));
    DO(bind(file, (struct sockaddr *)&told, sizeof(sa_family_t)));
    DO(getsockname(file, (struct sockaddr *)&told, &length));
    HOLDS(length == sizeof(sa_family_t) + 6 && told.sun_path[0] == 0);
}

/* Sends a byte with the descriptor. */
static void pass(int through, int file) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &file, sizeof file);
    struct iovec part = {"p", 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof(int))};
    DO(sendmsg(through, &message, 0));
}

/* Receives one; -1 when none came. */
static int receive(int from, size_t room, int flags, int *told) {
    union {
        struct cmsghdr header;
        char bytes[256];
    } control;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = room};
    HOLDS(recvmsg(from, &message, flags) == 1);
    if (told) *told = message.msg_flags;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header) return -1;
    HOLDS(header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS);
    int file;
    memcpy(&file, CMSG_DATA(header), sizeof file);
    return file;
}

CONTRACT(unix_descriptor_that_is_passed_is_the_same_opening) {
    own_directory();
    int ends[2], file = file_of("a", "text");
    char byte;
    pair_of(SOCK_STREAM, ends);
    finishes(START({
        DO(lseek(file, 2, SEEK_SET));
        pass(ends[0], file);
    }));
    int flags, passed = receive(ends[1], 256, MSG_CMSG_CLOEXEC, &flags);
    HOLDS(passed >= 0 && flags & MSG_CMSG_CLOEXEC && fcntl(passed, F_GETFD) == FD_CLOEXEC);
    HOLDS(read(passed, &byte, 1) == 1 && byte == 'x' && lseek(file, 0, SEEK_CUR) == 3);
}

CONTRACT(unix_descriptor_that_finds_no_room_is_dropped) {
    int ends[2], pipes[2], flags;
    char byte;
    pair_of(SOCK_STREAM, ends);
    DO(pipe(pipes));
    pass(ends[0], pipes[1]);
    close(pipes[1]);
    HOLDS(receive(ends[1], 0, 0, &flags) == -1 && flags & MSG_CTRUNC);
    HOLDS(read(pipes[0], &byte, 1) == 0);
}

CONTRACT(unix_descriptors_end_a_read_of_the_stream) {
    int ends[2];
    char text[8];
    pair_of(SOCK_STREAM, ends);
    DO(write(ends[0], "ab", 2));
    pass(ends[0], 0);
    DO(write(ends[0], "cd", 2));
    HOLDS(read(ends[1], text, 8) == 3);
    HOLDS(read(ends[1], text, 8) == 2);
}

CONTRACT(unix_credentials_of_the_peer_are_told) {
    int ends[2];
    struct ucred who;
    socklen_t length = sizeof who;
    pair_of(SOCK_STREAM, ends);
    finishes(START({
        without_rights();
        DO(getsockopt(ends[0], SOL_SOCKET, SO_PEERCRED, &who, &length));
        HOLDS(who.pid == getppid() && who.uid == 0 && who.gid == 0);
    }));
}

CONTRACT(unix_credentials_come_with_a_message_that_asks) {
    int ends[2], on = 1;
    pair_of(SOCK_DGRAM, ends);
    DO(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    pid_t child = START({ DO(write(ends[0], "a", 1)); });
    union {
        struct cmsghdr header;
        char bytes[256];
    } control;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = 256};
    HOLDS(recvmsg(ends[1], &message, 0) == 1);
    HOLDS(control.header.cmsg_type == SCM_CREDENTIALS && control.header.cmsg_len == CMSG_LEN(sizeof(struct ucred)));
    struct ucred who;
    memcpy(&who, CMSG_DATA(&control.header), sizeof who);
    HOLDS(who.pid == child && who.uid == 0);
    finishes(child);
}

CONTRACT(unix_datagrams_go_to_the_one_that_is_connected) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, 50, "contract-%d", getpid());
    int one = DO(socket(AF_UNIX, SOCK_DGRAM, 0)), two = DO(socket(AF_UNIX, SOCK_DGRAM, 0));
    char byte;
    FAILS(ENOTCONN, send(two, "a", 1, 0));
    DO(bind(one, ADDRESS(address)));
    DO(connect(two, ADDRESS(address)));
    DO(send(two, "a", 1, 0));
    HOLDS(read(one, &byte, 1) == 1);
    FAILS(EMSGSIZE, send(two, calloc(1, 4 << 20), 4 << 20, 0));
}

CONTRACT(tcp_ends_know_each_other) {
    int ends[2];
    struct sockaddr_in own, other;
    socklen_t length = sizeof own;
    connection(ends);
    DO(getsockname(ends[0], (struct sockaddr *)&own, &length));
    DO(getpeername(ends[1], (struct sockaddr *)&other, &length));
    HOLDS(own.sin_port == other.sin_port && own.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    DO(write(ends[0], "abc", 3));
    char text[8];
    HOLDS(read(ends[1], text, 8) == 3);
}

CONTRACT(tcp_connection_that_nobody_takes_is_refused) {
    struct sockaddr_in address;
    int file = bound(SOCK_STREAM, &address);
    int other = DO(socket(AF_INET, SOCK_STREAM, 0));
    FAILS(ECONNREFUSED, connect(other, ADDRESS(address)));
    FAILS(ENOTCONN, getpeername(other, (struct sockaddr *)&address, &(socklen_t){sizeof address}));
    FAILS(ENOTCONN, recv(other, &address, 1, 0));
    FAILS(EPIPE, send(other, "a", 1, MSG_NOSIGNAL));
    FAILS(EINVAL, accept(file, NULL, NULL));
}

CONTRACT(tcp_port_is_taken_once) {
    struct sockaddr_in address;
    int file = bound(SOCK_STREAM, &address), other = DO(socket(AF_INET, SOCK_STREAM, 0));
    FAILS(EADDRINUSE, bind(other, ADDRESS(address)));
    FAILS(EINVAL, bind(file, ADDRESS(address)));
    address.sin_addr.s_addr = htonl(0x08080808);
    FAILS(EADDRNOTAVAIL, bind(other, ADDRESS(address)));
    FAILS(EINVAL, bind(other, (struct sockaddr *)&address, 4));
    address.sin_family = 77;
    FAILS(EAFNOSUPPORT, bind(other, ADDRESS(address)));
    close(file);
}

CONTRACT(tcp_port_below_1024_needs_a_right) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(81)};
    without_rights();
    FAILS(EACCES, bind(DO(socket(AF_INET, SOCK_STREAM, 0)), ADDRESS(address)));
}

CONTRACT(tcp_end_is_read_as_0_and_a_reset_as_an_error) {
    int ends[2];
    char byte;
    connection(ends);
    close(ends[1]);
    HOLDS(read(ends[0], &byte, 1) == 0);
    HOLDS(ready(ends[0], POLLIN | POLLRDHUP) == (POLLIN | POLLRDHUP));
    connection(ends);
    struct linger now = {1, 0};
    DO(setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &now, sizeof now));
    close(ends[1]);
    HOLDS(ready(ends[0], POLLIN) & POLLERR);
    FAILS(ECONNRESET, read(ends[0], &byte, 1));
}

CONTRACT(tcp_nonblocking_connect_ends_with_writable) {
    struct sockaddr_in address;
    int listener = bound(SOCK_STREAM, &address), file = DO(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    DO(listen(listener, 5));
    HOLDS(connect(file, ADDRESS(address)) == 0 || errno == EINPROGRESS);
    struct pollfd asked = {.fd = file, .events = POLLOUT};
    HOLDS(poll(&asked, 1, 5000) == 1 && asked.revents == POLLOUT);
    HOLDS(option(file, SOL_SOCKET, SO_ERROR) == 0);
    HOLDS(ready(listener, POLLIN) == POLLIN);
}

CONTRACT(tcp_listener_is_asked_without_waiting) {
    struct sockaddr_in address;
    int listener = bound(SOCK_STREAM, &address);
    DO(listen(listener, 5));
    DO(fcntl(listener, F_SETFL, O_NONBLOCK));
    HOLDS(option(listener, SOL_SOCKET, SO_ACCEPTCONN) == 1);
    FAILS(EAGAIN, accept(listener, NULL, NULL));
    DO(connect(DO(socket(AF_INET, SOCK_STREAM, 0)), ADDRESS(address)));
    /* The flag is the listener's alone. */
    int taken = DO(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    HOLDS(fcntl(taken, F_GETFL) == O_RDWR && fcntl(taken, F_GETFD) == FD_CLOEXEC);
    FAILS(EINVAL, accept4(listener, NULL, NULL, 1));
}

CONTRACT(tcp_accept_that_waits_is_interrupted) {
    struct sockaddr_in address;
    int listener = bound(SOCK_STREAM, &address);
    DO(listen(listener, 5));
    pid_t child = START({
        struct sigaction action = {.sa_handler = (void (*)(int))getpid};
        DO(sigaction(SIGUSR1, &action, NULL));
        FAILS(EINTR, accept(listener, NULL, NULL));
    });
    awaits(child, "status", "SigCgt", "2");
    awaits(child, "status", "State", "sleeping");
    DO(kill(child, SIGUSR1));
    finishes(child);
}

CONTRACT(udp_tells_who_has_sent) {
    struct sockaddr_in one, two, from;
    int here = bound(SOCK_DGRAM, &one), there = bound(SOCK_DGRAM, &two);
    char text[8];
    socklen_t length = sizeof from;
    DO(sendto(there, "abc", 3, 0, ADDRESS(one)));
    HOLDS(recvfrom(here, text, 8, 0, (struct sockaddr *)&from, &length) == 3);
    HOLDS(length == sizeof from && from.sin_port == two.sin_port);
    FAILS(EDESTADDRREQ, send(there, "a", 1, 0));
}

CONTRACT(udp_connected_hears_only_its_peer_and_of_refusals) {
    struct sockaddr_in one, two, three;
    int here = bound(SOCK_DGRAM, &one), peer = bound(SOCK_DGRAM, &two), stranger = bound(SOCK_DGRAM, &three);
    char text[8];
    DO(connect(here, ADDRESS(two)));
    DO(sendto(stranger, "a", 1, 0, ADDRESS(one)));
    FAILS(EAGAIN, recv(here, text, 8, MSG_DONTWAIT));
    DO(sendto(peer, "b", 1, 0, ADDRESS(one)));
    HOLDS(recv(here, text, 8, MSG_DONTWAIT) == 1);
    close(peer);
    DO(send(here, "a", 1, 0));
    FAILS(ECONNREFUSED, send(here, "a", 1, 0));
}

CONTRACT(udp_message_is_not_longer_than_65507) {
    struct sockaddr_in address;
    int file = bound(SOCK_DGRAM, &address);
    char *text = calloc(1, 70000);
    FAILS(EMSGSIZE, sendto(file, text, 65508, 0, ADDRESS(address)));
    HOLDS(sendto(file, text, 65507, 0, ADDRESS(address)) == 65507);
    HOLDS(recv(file, text, 70000, 0) == 65507);
}

CONTRACT(udp_many_messages_at_once) {
    struct sockaddr_in address;
    int file = bound(SOCK_DGRAM, &address);
    char text[2][8];
    struct iovec out[2] = {{"a", 1}, {"bc", 2}}, in[2] = {{text[0], 8}, {text[1], 8}};
    struct mmsghdr sent[2] = {0}, read[3] = {0};
    for (int i = 0; i < 2; i++) {
        sent[i].msg_hdr = (struct msghdr){&address, sizeof address, out + i, 1, 0, 0, 0};
        read[i].msg_hdr = (struct msghdr){.msg_iov = in + i, .msg_iovlen = 1};
    }
    HOLDS(sendmmsg(file, sent, 2, 0) == 2 && sent[1].msg_len == 2);
    HOLDS(recvmmsg(file, read, 2, 0, NULL) == 2 && read[0].msg_len == 1 && read[1].msg_len == 2);
}

CONTRACT(socket_epoll_edge_tells_of_each_arrival) {
    int ends[2], set = DO(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    pair_of(SOCK_STREAM, ends);
    DO(epoll_ctl(set, EPOLL_CTL_ADD, ends[1], &event));
    HOLDS(epoll_wait(set, &event, 1, 0) == 0);
    for (int i = 0; i < 2; i++) {
        DO(write(ends[0], "a", 1));
        HOLDS(epoll_wait(set, &event, 1, 0) == 1 && event.events == EPOLLIN);
        HOLDS(epoll_wait(set, &event, 1, 0) == 0);
    }
}

CONTRACT(socket_status_tells_what_it_is) {
    struct stat found;
    char text[64] = "", path[32];
    int file = DO(socket(AF_UNIX, SOCK_STREAM, 0));
    DO(fstat(file, &found));
    HOLDS(S_ISSOCK(found.st_mode));
    FAILS(ESPIPE, lseek(file, 0, SEEK_SET));
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    DO(readlink(path, text, 63));
    HOLDS(strncmp(text, "socket:[", 8) == 0 && strtoul(text + 8, NULL, 10) == found.st_ino);
}

CONTRACT(socket_send_buffer_bounds_what_is_not_read) {
    int ends[2], sent = 0, count;
    char bytes[1024] = {0};
    DO(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
    set_option(ends[0], SO_SNDBUF, 1);
    int room = option(ends[0], SOL_SOCKET, SO_SNDBUF);
    HOLDS(room >= 2048 && room < 10000);
    while ((count = send(ends[0], bytes, sizeof bytes, 0)) > 0) sent += count;
    HOLDS(errno == EAGAIN && sent > 0 && sent <= 2 * room);
    struct pollfd ready = {.fd = ends[0], .events = POLLOUT};
    HOLDS(poll(&ready, 1, 0) == 0);
    while (recv(ends[1], bytes, sizeof bytes, 0) > 0) continue;
    HOLDS(poll(&ready, 1, 1000) == 1);
    set_option(ends[0], SO_SNDBUF, 100000);
    for (sent = 0; (count = send(ends[0], bytes, sizeof bytes, 0)) > 0;) sent += count;
    HOLDS(sent > 3 * room);
    HOLDS(DO(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends)) == 0);
    set_option(ends[0], SO_SNDBUF, 1);
    char *large = calloc(1, 100000);
    FAILS(EMSGSIZE, send(ends[0], large, 100000, 0));
    set_option(ends[0], SO_SNDBUF, 1 << 30);
    HOLDS(option(ends[0], SOL_SOCKET, SO_SNDBUF) <= 1 << 20);
    HOLDS(DO(send(ends[0], large, 100000, 0)) == 100000);
}

CONTRACT(socket_receive_buffer_bounds_datagrams) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    char bytes[1000] = {0};
    int to = DO(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)), from = DO(socket(AF_INET, SOCK_DGRAM, 0)), came = 0;
    set_option(to, SO_RCVBUF, 8000);
    DO(bind(to, (struct sockaddr *)&name, length));
    DO(getsockname(to, (struct sockaddr *)&name, &length));
    for (int i = 0; i < 200; i++) HOLDS(sendto(from, bytes, 1000, 0, (struct sockaddr *)&name, length) == 1000);
    while (recv(to, bytes, 1000, 0) == 1000) came++;
    HOLDS(came > 0 && came <= 20);
}

CONTRACT(socket_ports_are_shared_by_who_wants_it) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    int listeners[3], counts[3] = {0};
    for (int i = 0; i < 3; i++) {
        listeners[i] = DO(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        if (i < 2) set_option(listeners[i], SO_REUSEPORT, 1);
    }
    DO(bind(listeners[0], (struct sockaddr *)&name, length));
    DO(getsockname(listeners[0], (struct sockaddr *)&name, &length));
    DO(listen(listeners[0], 64));
    FAILS(EADDRINUSE, bind(listeners[2], (struct sockaddr *)&name, length));
    DO(bind(listeners[1], (struct sockaddr *)&name, length));
    DO(listen(listeners[1], 64));
    for (int i = 0; i < 48; i++) DO(connect(DO(socket(AF_INET, SOCK_STREAM, 0)), (struct sockaddr *)&name, length));
    for (int i = 0; i < 2; i++) {
        while (accept(listeners[i], NULL, NULL) >= 0) counts[i]++;
    }
    HOLDS(counts[0] > 0 && counts[1] > 0 && counts[0] + counts[1] == 48);
}

CONTRACT(socket_ports_are_not_shared_with_another_user) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    int first = DO(socket(AF_INET, SOCK_DGRAM, 0));
    set_option(first, SO_REUSEPORT, 1);
    DO(bind(first, (struct sockaddr *)&name, length));
    DO(getsockname(first, (struct sockaddr *)&name, &length));
    int status = IN_CHILD({
        without_rights();
        int second = DO(socket(AF_INET, SOCK_DGRAM, 0));
        set_option(second, SO_REUSEPORT, 1);
        FAILS(EADDRINUSE, bind(second, (struct sockaddr *)&name, length));
    });
    HOLDS(status == 0);
}
