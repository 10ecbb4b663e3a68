/* A closed-loop driver of the greeting: each connection sends a batch of names, reads the answers, checks every byte,
 * and sends the next batch. One thread, epoll. Loopback only, bounded by time.
 *
 * usage: driver PORT CONNECTIONS BATCH SECONDS
 * prints: answers a second, and the 50th and 99th percentile of a batch's latency in microseconds. With SECONDS 0 the
 * connections are held open until it is killed; it prints how many were opened a second.
 *
 * With BATCH 0 each connection is welcomed, says one name and `exit`, is closed by the server, and begins again (churn);
 * then it prints connections a second, and the same percentiles of their lives.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
    int fd;
    size_t got;      /* bytes of the answer that came */
    double sent_at;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Opens a connection without waiting for it. */
static int begin_life(struct connection *c, int epoll, struct sockaddr_in *server) {
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    c->got = 0;
    c->sent_at = now();
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)server, sizeof *server) && errno != EINPROGRESS) die("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void churn(struct connection *connections, int count, struct sockaddr_in *server, double seconds) {
    static const char says[] = "Welcome!\nHello, Michael!\n";
    size_t all = sizeof says - 1, welcome = 9, most = 4 << 20, samples = 0;
    double *latency = malloc(most * sizeof *latency), begin = now(), end = begin + seconds, t;
    int epoll = epoll_create1(0);
    char buffer[256];
    struct epoll_event events[512];
    for (int i = 0; i < count; i++) begin_life(&connections[i], epoll, server);
    unsigned long long lives = 0;
    while ((t = now()) < end) {
        int ready = epoll_wait(epoll, events, 512, 1000);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            ssize_t n = read(c->fd, buffer, sizeof buffer);
            if (n < 0) die("read");
            if (n == 0) {
                if (c->got != all) die("closed early");
                close(c->fd);
                lives++;
                if (samples < most) latency[samples++] = now() - c->sent_at;
                begin_life(c, epoll, server);
                continue;
            }
            if (c->got + n > all || memcmp(buffer, says + c->got, n)) die("a wrong answer");
            int welcomed = c->got >= welcome;
            c->got += n;
            if (!welcomed && c->got >= welcome && write(c->fd, "Michael\n", 8) != 8) die("write");
            if (c->got == all && write(c->fd, "exit\n", 5) != 5) die("write");
        }
    }
    qsort(latency, samples, sizeof *latency, by_value);
    printf("%.0f %.0f %.0f\n", lives / (now() - begin), samples ? latency[samples / 2] * 1e6 : 0,
           samples ? latency[samples * 99 / 100] * 1e6 : 0);
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: driver PORT CONNECTIONS BATCH SECONDS\n");
        return 2;
    }
    int port = atoi(argv[1]), count = atoi(argv[2]), batch = atoi(argv[3]);
    double seconds = atof(argv[4]);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    static const char name[] = "Michael\n", answer[] = "Hello, Michael!\n", welcome[] = "Welcome!\n";
    size_t name_length = sizeof name - 1, answer_length = sizeof answer - 1, welcome_length = sizeof welcome - 1;
    size_t ask = name_length * batch, expect = answer_length * batch;
    char *question = malloc(ask), *expected = malloc(expect), *buffer = malloc(1 << 20);
    for (int i = 0; i < batch; i++) {
        memcpy(question + i * name_length, name, name_length);
        memcpy(expected + i * answer_length, answer, answer_length);
    }
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port)};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct connection *connections = calloc(count, sizeof *connections);
    if (batch == 0) {
        churn(connections, count, &server, seconds);
        return 0;
    }
    int epoll = epoll_create1(0);
    double opening = now();
    for (int i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
        if (fd < 0) die("socket");
        if (connect(fd, (struct sockaddr *)&server, sizeof server)) die("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        size_t got = 0;
        while (got < welcome_length) {
            ssize_t n = read(fd, buffer + got, welcome_length - got);
            if (n <= 0) die("welcome");
            got += n;
        }
        if (memcmp(buffer, welcome, welcome_length)) die("a wrong welcome");
        fcntl(fd, F_SETFL, O_NONBLOCK);
        connections[i].fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
    if (seconds == 0) { /* hold them open until killed */
        printf("%.0f\n", count / (now() - opening));
        fflush(stdout);
        pause();
    }
    size_t most = 4 << 20, samples = 0;
    double *latency = malloc(most * sizeof *latency), begin = now(), end = begin + seconds;
    unsigned long long answers = 0;
    for (int i = 0; i < count; i++) {
        connections[i].sent_at = now();
        if (write(connections[i].fd, question, ask) != (ssize_t)ask) die("write");
    }
    struct epoll_event events[512];
    for (;;) {
        int ready = epoll_wait(epoll, events, 512, 1000);
        double t = now();
        if (t >= end) break;
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            ssize_t n = read(c->fd, buffer, expect - c->got);
            if (n <= 0) die("read");
            if (memcmp(buffer, expected + c->got, n)) die("a wrong answer");
            c->got += n;
            if (c->got < expect) continue;
            c->got = 0;
            answers += batch;
            if (samples < most) latency[samples++] = t - c->sent_at;
            c->sent_at = t;
            if (write(c->fd, question, ask) != (ssize_t)ask) die("write");
        }
    }
    double took = now() - begin;
    qsort(latency, samples, sizeof *latency, by_value);
    printf("%.0f %.0f %.0f\n", answers / took, samples ? latency[samples / 2] * 1e6 : 0,
           samples ? latency[samples * 99 / 100] * 1e6 : 0);
    return 0;
}
