/* The greeting over UDP as bare as it goes, and a sink: recvmmsg(2) and sendmmsg(2), one thread. It is the limit to measure
 * against, not a program to use: it answers whoever asks.
 *
 * usage: udp PORT           answers each name
 *        udp PORT sink      counts datagrams with UDP_GRO (udp(7)) until SIGTERM, then prints how many came and how
 *                           many the kernel dropped (SO_RXQ_OVFL, socket(7))
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, LARGEST = 65536 };
static char in[BATCH][LARGEST], out[BATCH][512], control[BATCH][128];
static struct sockaddr_in names[BATCH];
static volatile sig_atomic_t stop;

static void on_term(int signal) {
    (void)signal;
    stop = 1;
}

static int sink(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof one);
    struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, NULL);
    unsigned long long came = 0, dropped = 0, bytes = 0;
    struct mmsghdr headers[BATCH];
    struct iovec vectors[BATCH];
    while (!stop) {
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){in[i], LARGEST};
            headers[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1, .msg_control = control[i],
                                                 .msg_controllen = sizeof control[i]};
        }
        int count = recvmmsg(fd, headers, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < count; i++) {
            unsigned segment = headers[i].msg_len;
            struct cmsghdr *c;
            for (c = CMSG_FIRSTHDR(&headers[i].msg_hdr); c; c = CMSG_NXTHDR(&headers[i].msg_hdr, c)) {
                if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) segment = *(int *)CMSG_DATA(c);
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) dropped = *(uint32_t *)CMSG_DATA(c);
            }
            bytes += headers[i].msg_len;
            came += segment ? (headers[i].msg_len + segment - 1) / segment : 1;
        }
    }
    printf("%llu %llu %llu\n", came, dropped, bytes);
    return 0;
}

int main(int argc, char **argv) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 9998)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, sizeof address)) {
        perror("bind");
        return 1;
    }
    if (argc > 2) return sink(fd);
    struct mmsghdr headers[BATCH], answers[BATCH];
    struct iovec vectors[BATCH], said[BATCH];
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){in[i], 256};
            headers[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_namelen = sizeof names[i],
                                                 .msg_iov = &vectors[i], .msg_iovlen = 1};
        }
        int count = recvmmsg(fd, headers, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < count; i++) {
            size_t length = headers[i].msg_len;
            int ended = length && in[i][length - 1] == '\n';
            char *put = mempcpy(out[i], "Hello, ", 7);
            put = mempcpy(put, in[i], length - ended);
            put = mempcpy(put, ended ? "!\n" : "!", 1 + ended);
            said[i] = (struct iovec){out[i], put - out[i]};
            answers[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_namelen = sizeof names[i],
                                                 .msg_iov = &said[i], .msg_iovlen = 1};
        }
        for (int sent = 0; sent < count;) {
            int more = sendmmsg(fd, answers + sent, count - sent, 0);
            if (more <= 0) break;
            sent += more;
        }
    }
}
