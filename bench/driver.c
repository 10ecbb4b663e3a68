/* A closed-loop driver of the greeting: each connection sends a batch of names, reads the answers, checks every byte,
 * and sends the next batch. One thread, epoll. Loopback only, bounded by time.
 *
 * usage: driver PORT CONNECTIONS BATCH SECONDS [crlf-less: bare]
 * prints: answers a second, and the 50th and 99th percentile of a batch's latency in microseconds.
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
    int epoll = epoll_create1(0);
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
        printf("open\n");
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
