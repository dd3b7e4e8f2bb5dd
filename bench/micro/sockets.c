/* Connections between two processes of the machine. */
#include "micro.h"
#include <netinet/in.h>
#include <netinet/tcp.h>

/* Two ends of a TCP connection over the loopback interface, that send each byte at once. */
static void connection(int ends[2]) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof place;
    int listener = DO(socket(AF_INET, SOCK_STREAM, 0)), on = 1;
    DO(bind(listener, (struct sockaddr *)&place, length));
    DO(getsockname(listener, (struct sockaddr *)&place, &length));
    DO(listen(listener, 1));
    ends[0] = DO(socket(AF_INET, SOCK_STREAM, 0));
    DO(connect(ends[0], (struct sockaddr *)&place, length));
    ends[1] = DO(accept(listener, NULL, NULL));
    for (int end = 0; end < 2; end++) DO(setsockopt(ends[end], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    close(listener);
}

static void pair(int ends[2]) { DO(socketpair(AF_UNIX, SOCK_STREAM, 0, ends)); }

static void measure(const char *latency, const char *bandwidth, void (*open_pair)(int[2])) {
    int here[2];
    open_pair(here);
    pid_t child = CHILD(close(here[0]); echo(here[1], here[1]));
    close(here[1]);
    MEASURE(latency, 5000, ping(here[0], here[0]));
    close(here[0]);
    ends(child);

    open_pair(here);
    child = CHILD(close(here[0]); sink(here[1]));
    close(here[1]);
    MEASURE(bandwidth, 500, send_block(here[0]));
    close(here[0]);
    ends(child);
}

static void connect_once(void) {
    int here[2];
    connection(here);
    close(here[0]);
    close(here[1]);
}

void sockets(void) {
    measure("unix-round-trip", "unix-64k", pair);
    measure("tcp-round-trip", "tcp-64k", connection);
    MEASURE("tcp-connect-accept", 200, connect_once());
}
