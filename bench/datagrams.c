/* Datagrams to a server on the loopback. One thread, bounded by time.
 *
 * usage: datagrams PORT greet OUTSTANDING SECONDS     sends names, so many without an answer at most, checks every byte of
 *                                                     the answers; prints answers a second
 *        datagrams PORT send RATE SECONDS             one way, 9 bytes each; prints how many were sent
 *        datagrams PORT segments BYTES SECONDS        one way with UDP_SEGMENT (udp(7)), as fast as it goes, or with
 *                                                     BYTES a datagram; prints how many were sent
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void greet(int fd, int outstanding, double seconds) {
    static char in[BATCH][256];
    struct mmsghdr asks[BATCH], answers[BATCH];
    struct iovec asked[BATCH], answered[BATCH];
    for (int i = 0; i < BATCH; i++) {
        asked[i] = (struct iovec){"Michael\n", 8};
        answered[i] = (struct iovec){in[i], sizeof in[i]};
        asks[i].msg_hdr = (struct msghdr){.msg_iov = &asked[i], .msg_iovlen = 1};
        answers[i].msg_hdr = (struct msghdr){.msg_iov = &answered[i], .msg_iovlen = 1};
    }
    double begin = now(), end = begin + seconds;
    unsigned long long got = 0, lost = 0;
    int open = 0;
    while (now() < end) {
        while (open < outstanding) {
            int sent = sendmmsg(fd, asks, outstanding - open > BATCH ? BATCH : outstanding - open, 0);
            if (sent <= 0) die("sendmmsg");
            open += sent;
        }
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, 200) == 0) { /* lost on the way */
            lost += open;
            open = 0;
            continue;
        }
        int count = recvmmsg(fd, answers, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++) {
            if (answers[i].msg_len != 16 || memcmp(in[i], "Hello, Michael!\n", 16)) {
                fprintf(stderr, "a wrong answer\n");
                exit(1);
            }
        }
        if (count > 0) got += count, open -= count;
    }
    printf("%.0f %llu\n", got / (now() - begin), lost);
}

static void one_way(int fd, double rate, double seconds) {
    struct mmsghdr headers[BATCH];
    struct iovec vector = {"datagram\n", 9};
    for (int i = 0; i < BATCH; i++) headers[i].msg_hdr = (struct msghdr){.msg_iov = &vector, .msg_iovlen = 1};
    double begin = now();
    unsigned long long sent = 0;
    for (double t = begin; t < begin + seconds; t = now()) {
        if (sent > (t - begin) * rate) continue;
        int more = sendmmsg(fd, headers, 16, 0);
        if (more > 0) sent += more;
    }
    printf("%llu\n", sent);
}

static void segments(int fd, int size, double seconds) {
    static char bytes[64 * 1024];
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = size - 1; i < sizeof bytes; i += size) bytes[i] = '\n'; /* a line each, like those of one_way */
    setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size);
    int each = 64, total = each * size; /* UDP_MAX_SEGMENTS is 64 on older kernels */
    if (total > 65000) each = 65000 / size, total = each * size;
    unsigned long long sent = 0;
    double begin = now();
    while (now() < begin + seconds) {
        if (send(fd, bytes, total, 0) == total) sent += each;
    }
    printf("%llu\n", sent);
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&server, sizeof server)) die("connect");
    if (!strcmp(argv[2], "greet")) greet(fd, atoi(argv[3]), atof(argv[4]));
    else if (!strcmp(argv[2], "send")) one_way(fd, atof(argv[3]), atof(argv[4]));
    else segments(fd, atoi(argv[3]), atof(argv[4]));
    return 0;
}
