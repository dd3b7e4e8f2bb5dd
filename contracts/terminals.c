/* Terminals: pty(7), termios(3), ioctl_tty(2); sessions and the signals of job control. */
#include "contract.h"
#include <sys/ioctl.h>
#include <termios.h>

/* Opens a terminal; gives its master's descriptor. */
static int master_of(int *slave) {
    char name[32];
    int number, zero = 0, master = DO(open("/dev/ptmx", O_RDWR | O_NOCTTY));
    DO(ioctl(master, TIOCSPTLCK, &zero));
    DO(ioctl(master, TIOCGPTN, &number));
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    *slave = DO(open(name, O_RDWR | O_NOCTTY));
    return master;
}

/* The same, without any processing: what is typed is read at once, and nothing is echoed. */
static int raw_master_of(int *slave) {
    int master = master_of(slave);
    struct termios settings;
    DO(tcgetattr(*slave, &settings));
    cfmakeraw(&settings);
    DO(tcsetattr(*slave, TCSANOW, &settings));
    return master;
}

static void types(int master, const char *text) { HOLDS(write(master, text, strlen(text)) == (long)strlen(text)); }

/* What one read gives is that text. */
static void reads(int file, const char *expected) {
    char text[256];
    long length = DO(read(file, text, sizeof text));
    HOLDS(length == (long)strlen(expected) && memcmp(text, expected, length) == 0);
}

/* That text comes next, in one piece or several: Linux passes on what a terminal shows when it has time. */
static void comes(int master, const char *expected) {
    char text[256];
    long length = 0, wanted = strlen(expected);
    while (length < wanted) length += DO(read(master, text + length, sizeof text - length));
    HOLDS(length == wanted && memcmp(text, expected, length) == 0);
}

static void nothing_to_read(int file) {
    struct pollfd asked = {.fd = file, .events = POLLIN};
    HOLDS(poll(&asked, 1, 0) == 0);
}

static void change(int terminal, tcflag_t clear, tcflag_t set) {
    struct termios settings;
    DO(tcgetattr(terminal, &settings));
    settings.c_lflag = (settings.c_lflag & ~clear) | set;
    DO(tcsetattr(terminal, TCSANOW, &settings));
}

/* In a new session whose terminal this is. */
static void own_session(int terminal) {
    DO(setsid());
    DO(ioctl(terminal, TIOCSCTTY, 0));
}

CONTRACT(terminal_number_is_told_and_is_locked_until_it_is_opened) {
    char name[32];
    int number, locked, zero = 0, master = DO(open("/dev/ptmx", O_RDWR | O_NOCTTY));
    DO(ioctl(master, TIOCGPTN, &number));
    DO(ioctl(master, TIOCGPTLCK, &locked));
    HOLDS(locked == 1);
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    FAILS(EIO, open(name, O_RDWR | O_NOCTTY));
    DO(ioctl(master, TIOCSPTLCK, &zero));
    int slave = DO(open(name, O_RDWR | O_NOCTTY));
    char path[64] = "", own[32];
    snprintf(own, sizeof own, "/proc/self/fd/%d", slave);
    DO(readlink(own, path, 63));
    HOLDS(strcmp(path, name) == 0 && isatty(slave) && isatty(master));
    close(slave);
    close(master);
    FAILS(ENOENT, open(name, O_RDWR | O_NOCTTY));
}

CONTRACT(terminal_peer_is_opened_from_its_master) {
    int zero = 0, master = DO(open("/dev/ptmx", O_RDWR | O_NOCTTY));
    DO(ioctl(master, TIOCSPTLCK, &zero));
    int slave = DO(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
    types(master, "a\n");
    reads(slave, "a\n");
}

CONTRACT(terminal_gives_whole_lines) {
    int slave, master = master_of(&slave);
    types(master, "ab");
    nothing_to_read(slave);
    types(master, "c\nde\n");
    char text[2];
    HOLDS(read(slave, text, 2) == 2 && memcmp(text, "ab", 2) == 0);
    reads(slave, "c\n");
    reads(slave, "de\n");
}

CONTRACT(terminal_edits_the_line) {
    int slave, master = master_of(&slave);
    types(master, "abx\177c\n");
    reads(slave, "abc\n");
    types(master, "lost\025kept\n");
    reads(slave, "kept\n");
    types(master, "one two\027three\n");
    reads(slave, "one three\n");
    types(master, "a\026\177b\n");
    reads(slave, "a\177b\n");
}

CONTRACT(terminal_end_of_file_is_a_read_of_nothing) {
    int slave, master = master_of(&slave);
    char byte;
    types(master, "ab\004");
    reads(slave, "ab");
    types(master, "\004");
    HOLDS(read(slave, &byte, 1) == 0);
    types(master, "c\n");
    reads(slave, "c\n");
}

CONTRACT(terminal_echoes_what_is_typed) {
    int slave, master = master_of(&slave);
    types(master, "ab\n");
    comes(master, "ab\r\n");
    types(master, "x\177");
    comes(master, "x\b \b");
    types(master, "\001");
    comes(master, "^A");
    change(slave, ECHO, 0);
    types(master, "cd\n");
    reads(slave, "ab\n");
    reads(slave, "\001cd\n");
    nothing_to_read(master);
    change(slave, 0, ECHONL);
    types(master, "ef\n");
    comes(master, "\r\n");
}

CONTRACT(terminal_turns_newlines_on_the_way_out_and_returns_on_the_way_in) {
    int slave, master = master_of(&slave);
    types(slave, "a\nb");
    comes(master, "a\r\nb");
    change(slave, ECHO, 0);
    types(master, "c\r");
    reads(slave, "c\n");
    struct termios settings;
    DO(tcgetattr(slave, &settings));
    settings.c_oflag &= ~OPOST;
    settings.c_iflag &= ~ICRNL;
    DO(tcsetattr(slave, TCSANOW, &settings));
    types(slave, "a\n");
    comes(master, "a\n");
    types(master, "c\r\n");
    reads(slave, "c\r\n");
}

CONTRACT(terminal_without_lines_gives_bytes_at_once) {
    int slave, master = raw_master_of(&slave);
    types(master, "a\003\004\177");
    reads(slave, "a\003\004\177");
    nothing_to_read(master);
}

CONTRACT(terminal_minimum_and_time_decide_when_a_read_ends) {
    int slave, master = raw_master_of(&slave);
    struct termios settings;
    char text[8];
    DO(tcgetattr(slave, &settings));
    settings.c_cc[VMIN] = 0;
    settings.c_cc[VTIME] = 0;
    DO(tcsetattr(slave, TCSANOW, &settings));
    HOLDS(read(slave, text, 8) == 0);
    settings.c_cc[VTIME] = 1;
    DO(tcsetattr(slave, TCSANOW, &settings));
    HOLDS(read(slave, text, 8) == 0);
    settings.c_cc[VMIN] = 3;
    settings.c_cc[VTIME] = 0;
    DO(tcsetattr(slave, TCSANOW, &settings));
    pid_t child = START({
        types(master, "ab");
        usleep(20000);
        types(master, "c");
    });
    reads(slave, "abc");
    finishes(child);
}

CONTRACT(terminal_settings_are_kept_and_shared_by_both_sides) {
    int slave, master = master_of(&slave);
    struct termios settings, told;
    DO(tcgetattr(slave, &settings));
    HOLDS(settings.c_lflag == (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN));
    HOLDS(settings.c_iflag == (ICRNL | IXON) && settings.c_oflag == (OPOST | ONLCR));
    HOLDS(settings.c_cc[VINTR] == 3 && settings.c_cc[VEOF] == 4 && settings.c_cc[VSUSP] == 26);
    settings.c_cc[VINTR] = 7;
    settings.c_lflag &= ~ECHO;
    DO(tcsetattr(slave, TCSADRAIN, &settings));
    DO(tcgetattr(master, &told));
    HOLDS(told.c_cc[VINTR] == 7 && told.c_lflag == settings.c_lflag);
    FAILS(ENOTTY, ioctl(DO(open("/dev/null", O_RDWR)), TCGETS, &told));
    FAILS(EFAULT, syscall(SYS_ioctl, slave, TCGETS, 8));
}

CONTRACT(terminal_flush_throws_away_what_is_not_read) {
    int slave, master = master_of(&slave);
    change(slave, ECHO, 0);
    struct pollfd asked = {.fd = slave, .events = POLLIN};
    types(master, "ab\n");
    HOLDS(poll(&asked, 1, -1) == 1);
    DO(tcflush(slave, TCIFLUSH));
    nothing_to_read(slave);
    types(master, "cd\n");
    HOLDS(poll(&asked, 1, -1) == 1);
    int waiting;
    DO(ioctl(slave, FIONREAD, &waiting));
    HOLDS(waiting == 3);
    reads(slave, "cd\n");
    FAILS(EINVAL, tcflush(slave, 77));
}

CONTRACT(terminal_window_size_is_kept_and_its_change_is_told) {
    int slave, master = master_of(&slave);
    struct winsize size = {24, 80, 1, 2}, told = {9, 9, 9, 9};
    DO(ioctl(slave, TIOCGWINSZ, &told));
    HOLDS(told.ws_row == 0 && told.ws_col == 0);
    int go[2];
    char byte;
    DO(pipe(go));
    pid_t child = START({
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGWINCH);
        DO(sigprocmask(SIG_BLOCK, &set, NULL));
        signal(SIGWINCH, (void (*)(int))getpid);
        own_session(slave);
        DO(write(go[1], "a", 1));
        HOLDS(sigwaitinfo(&set, NULL) == SIGWINCH);
        DO(ioctl(slave, TIOCGWINSZ, &told));
        HOLDS(memcmp(&told, &size, sizeof size) == 0);
    });
    DO(read(go[0], &byte, 1));
    DO(ioctl(master, TIOCSWINSZ, &size));
    finishes(child);
}

CONTRACT(terminal_that_is_hung_up_reads_0_and_writes_eio) {
    int slave, master = master_of(&slave);
    char byte;
    close(master);
    HOLDS(read(slave, &byte, 1) == 0);
    FAILS(EIO, write(slave, "a", 1));
    struct pollfd asked = {.fd = slave, .events = POLLIN | POLLOUT};
    HOLDS(poll(&asked, 1, 0) == 1 && asked.revents & POLLHUP);
}

CONTRACT(terminal_master_reads_eio_when_nobody_has_the_other_side) {
    int slave, master = master_of(&slave);
    char byte;
    types(slave, "ab");
    close(slave);
    comes(master, "ab");
    FAILS(EIO, read(master, &byte, 1));
    struct pollfd asked = {.fd = master, .events = POLLIN};
    HOLDS(poll(&asked, 1, 0) == 1 && asked.revents & POLLHUP);
}

CONTRACT(session_leader_gets_its_terminal_by_asking) {
    int slave, master = master_of(&slave);
    (void)master;
    finishes(START({
        FAILS(EPERM, ioctl(slave, TIOCSCTTY, 0));
        DO(setsid());
        FAILS(ENXIO, open("/dev/tty", O_RDWR));
        FAILS(ENOTTY, tcgetpgrp(slave));
        DO(ioctl(slave, TIOCSCTTY, 0));
        HOLDS(tcgetpgrp(slave) == getpid() && tcgetsid(slave) == getpid());
        DO(open("/dev/tty", O_RDWR));
        FAILS(EPERM, setsid());
    }));
}

CONTRACT(session_leader_gets_the_terminal_that_it_opens_first) {
    int slave, master = master_of(&slave), number;
    DO(ioctl(master, TIOCGPTN, &number));
    finishes(START({
        char name[32];
        snprintf(name, sizeof name, "/dev/pts/%d", number);
        DO(setsid());
        DO(open(name, O_RDWR | O_NOCTTY));
        FAILS(ENXIO, open("/dev/tty", O_RDWR));
        DO(open(name, O_RDWR));
        DO(open("/dev/tty", O_RDWR));
    }));
}

CONTRACT(session_terminal_is_not_taken_from_another) {
    int slave, master = master_of(&slave), go[2];
    (void)master;
    char byte;
    DO(pipe(go));
    pid_t child = START({
        own_session(slave);
        DO(write(go[1], "a", 1));
        for (;;) pause();
    });
    DO(read(go[0], &byte, 1));
    finishes(START({
        DO(setsid());
        FAILS(EPERM, ioctl(slave, TIOCSCTTY, 0));
    }));
    DO(kill(child, SIGKILL));
}

CONTRACT(session_end_hangs_up_its_foreground) {
    int slave, master = master_of(&slave), go[2];
    (void)master;
    char byte;
    DO(pipe(go));
    pid_t leader = START({
        own_session(slave);
        pid_t child = START({
            signal(SIGHUP, SIG_DFL);
            DO(write(go[1], "a", 1));
            for (;;) pause();
        });
        (void)child;
        signal(SIGHUP, SIG_IGN);
        DO(read(go[0], &byte, 1));
    });
    close(go[1]);
    finishes(leader);
    /* The child has the pipe's other end until it ends. */
    HOLDS(read(go[0], &byte, 1) == 0);
    /* The terminal is nobody's now. */
    finishes(START({ own_session(slave); }));
}

CONTRACT(session_keys_signal_the_foreground_group) {
    int slave, master = master_of(&slave), go[2];
    char byte;
    DO(pipe(go));
    const struct {
        const char *key;
        int signal;
    } keys[] = {{"\003", SIGINT}, {"\034", SIGQUIT}};
    for (int i = 0; i < 2; i++) {
        pid_t child = START({
            own_session(slave);
            DO(write(go[1], "a", 1));
            for (;;) pause();
        });
        DO(read(go[0], &byte, 1));
        types(master, keys[i].key);
        int status;
        DO(waitpid(child, &status, 0));
        HOLDS(WIFSIGNALED(status) && WTERMSIG(status) == keys[i].signal);
        close(slave);
        close(master);
        master = master_of(&slave);
    }
}

/* Runs the block in a background group of a session whose terminal is `slave`, and gives its wait status. */
#define IN_BACKGROUND(slave, ...)                                                                                      \
    ({                                                                                                                 \
        own_session(slave);                                                                                            \
        pid_t job_ = START({                                                                                           \
            DO(setpgid(0, 0));                                                                                         \
            __VA_ARGS__;                                                                                               \
        });                                                                                                            \
        int status_;                                                                                                   \
        DO(waitpid(job_, &status_, WUNTRACED));                                                                        \
        if (WIFSTOPPED(status_)) DO(kill(job_, SIGKILL));                                                              \
        status_;                                                                                                       \
    })

CONTRACT(session_background_reads_are_stopped) {
    int slave, master = master_of(&slave);
    (void)master;
    finishes(START({
        char byte;
        int status = IN_BACKGROUND(slave, read(slave, &byte, 1));
        HOLDS(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
    }));
}

CONTRACT(session_background_reads_that_ignore_it_are_eio) {
    int slave, master = master_of(&slave);
    (void)master;
    finishes(START({
        char byte;
        HOLDS(IN_BACKGROUND(slave, {
                  signal(SIGTTIN, SIG_IGN);
                  FAILS(EIO, read(slave, &byte, 1));
              }) == 0);
    }));
}

CONTRACT(session_background_writes_are_stopped_when_the_terminal_says_so) {
    int slave, master = master_of(&slave);
    (void)master;
    finishes(START({ HOLDS(IN_BACKGROUND(slave, DO(write(slave, "a", 1))) == 0); }));
    close(slave);
    close(master);
    master = master_of(&slave);
    change(slave, 0, TOSTOP);
    finishes(START({
        int status = IN_BACKGROUND(slave, write(slave, "a", 1));
        HOLDS(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
    }));
}

CONTRACT(session_background_settings_are_stopped) {
    int slave, master = master_of(&slave);
    (void)master;
    finishes(START({
        struct termios settings;
        DO(tcgetattr(slave, &settings));
        int status = IN_BACKGROUND(slave, tcsetattr(slave, TCSANOW, &settings));
        HOLDS(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
    }));
}

CONTRACT(session_foreground_is_handed_over) {
    int slave, master = master_of(&slave);
    finishes(START({
        own_session(slave);
        FAILS(ESRCH, tcsetpgrp(slave, 4000000));
        FAILS(EPERM, tcsetpgrp(slave, getppid()));
        signal(SIGTTOU, SIG_IGN);
        pid_t job = START({
            DO(setpgid(0, 0));
            DO(tcsetpgrp(slave, getpid()));
            signal(SIGTSTP, SIG_DFL);
            types(master, "\032");
            for (;;) pause();
        });
        int status;
        DO(waitpid(job, &status, WUNTRACED));
        HOLDS(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP && tcgetpgrp(slave) == job);
        DO(tcsetpgrp(slave, getpid()));
        HOLDS(tcgetpgrp(slave) == getpid());
        DO(kill(job, SIGKILL));
    }));
}

CONTRACT(terminal_stopped_output_waits) {
    int slave, master = master_of(&slave);
    DO(tcflow(slave, TCOOFF));
    DO(fcntl(slave, F_SETFL, O_NONBLOCK | O_RDWR));
    FAILS(EAGAIN, write(slave, "a", 1));
    DO(tcflow(slave, TCOON));
    DO(write(slave, "b", 1));
    comes(master, "b");
}

CONTRACT(terminal_packet_mode_puts_a_byte_before) {
    int slave, master = master_of(&slave), on = 1;
    char text[8];
    DO(ioctl(master, TIOCPKT, &on));
    types(slave, "ab");
    HOLDS(read(master, text, 8) == 3 && text[0] == 0 && text[1] == 'a');
    DO(tcflush(slave, TCIFLUSH));
    HOLDS(read(master, text, 8) == 1 && text[0] == TIOCPKT_FLUSHREAD);
}

CONTRACT(terminal_typing_by_call_needs_the_session_s_terminal) {
    int slave, master = master_of(&slave);
    (void)master;
    FAILS(EFAULT, syscall(SYS_ioctl, slave, TIOCGWINSZ, 8));
    FAILS(ENOTTY, ioctl(slave, 0x54ff, NULL));
    struct stat found;
    DO(fstat(slave, &found));
    HOLDS(S_ISCHR(found.st_mode) && (found.st_mode & 0777) >= 0600);
    FAILS(ESPIPE, lseek(slave, 0, SEEK_SET));
}

CONTRACT(terminal_packet_mode_tells_of_flow) {
    int slave, master = master_of(&slave), on = 1, told = 0;
    char text[8];
    struct termios settings;
    DO(ioctl(master, TIOCPKT, &on));
    DO(ioctl(master, TIOCGPKT, &told));
    HOLDS(told == 1);
    DO(tcflow(slave, TCOOFF));
    struct pollfd ready = {.fd = master, .events = POLLIN | POLLPRI};
    HOLDS(poll(&ready, 1, 1000) == 1 && (ready.revents & POLLPRI));
    HOLDS(read(master, text, 8) == 1 && text[0] == TIOCPKT_STOP);
    DO(tcflow(slave, TCOON));
    HOLDS(read(master, text, 8) == 1 && text[0] == TIOCPKT_START);
    DO(tcgetattr(slave, &settings));
    settings.c_iflag &= ~IXON;
    DO(tcsetattr(slave, TCSANOW, &settings));
    HOLDS(read(master, text, 8) == 1 && text[0] == TIOCPKT_NOSTOP);
    settings.c_iflag |= IXON;
    DO(tcsetattr(slave, TCSANOW, &settings));
    HOLDS(read(master, text, 8) == 1 && text[0] == TIOCPKT_DOSTOP);
    on = 0;
    DO(ioctl(master, TIOCPKT, &on));
    types(slave, "c");
    HOLDS(read(master, text, 8) == 1 && text[0] == 'c');
}
