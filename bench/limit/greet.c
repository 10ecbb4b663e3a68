/* The greeting server as bare as it goes: epoll, one thread, one read, all answers, one write. It is the limit to
 * measure against, not a program to use: no time limits, no half-sent answers, no names longer than its buffer.
 *
 * usage: greet PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 9998)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("listen");
        return 1;
    }
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[1024];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    static char in[65536], out[1 << 20];
    for (;;) {
        int ready = epoll_wait(epoll, events, 1024, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int client;
                while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    struct epoll_event new = {.events = EPOLLIN, .data.fd = client};
                    epoll_ctl(epoll, EPOLL_CTL_ADD, client, &new);
                    if (write(client, "Welcome!\n", 9) != 9) close(client);
                }
                continue;
            }
            ssize_t n = read(fd, in, sizeof in);
            if (n <= 0) {
                close(fd);
                continue;
            }
            char *line = in, *end, *put = out;
            int leave = 0;
            while ((end = memchr(line, '\n', in + n - line))) {
                size_t length = end - line;
                if (length == 4 && !memcmp(line, "exit", 4)) {
                    leave = 1;
                    break;
                }
                put = mempcpy(put, "Hello, ", 7);
                put = mempcpy(put, line, length);
                put = mempcpy(put, "!\n", 2);
                line = end + 1;
            }
            if (put > out && write(fd, out, put - out) < 0) leave = 1;
            if (leave) close(fd);
        }
    }
}
